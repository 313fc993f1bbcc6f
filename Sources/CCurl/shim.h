#pragma once
#include <curl/curl.h>

// Swift imports no variadic functions: one wrapper for each type of argument.

static inline CURLcode smartcontent_curl_set_long(CURL *handle, CURLoption option, long value) {
  return curl_easy_setopt(handle, option, value);
}

static inline CURLcode smartcontent_curl_set_offset(
    CURL *handle, CURLoption option, curl_off_t value) {
  return curl_easy_setopt(handle, option, value);
}

static inline CURLcode smartcontent_curl_set_text(
    CURL *handle, CURLoption option, const char *value) {
  return curl_easy_setopt(handle, option, value);
}

static inline CURLcode smartcontent_curl_set_pointer(
    CURL *handle, CURLoption option, void *value) {
  return curl_easy_setopt(handle, option, value);
}

/// Header and body come in through the same shape of function.
typedef size_t (*smartcontent_curl_receive)(char *, size_t, size_t, void *);

static inline CURLcode smartcontent_curl_set_receive(
    CURL *handle, CURLoption option, smartcontent_curl_receive function) {
  return curl_easy_setopt(handle, option, function);
}

/// Opens the socket for an address that a name was found to have; CURL_SOCKET_BAD refuses it.
typedef curl_socket_t (*smartcontent_curl_open)(void *, curlsocktype, struct curl_sockaddr *);

static inline CURLcode smartcontent_curl_set_open(CURL *handle, smartcontent_curl_open function) {
  return curl_easy_setopt(handle, CURLOPT_OPENSOCKETFUNCTION, function);
}

static inline CURLcode smartcontent_curl_get_long(CURL *handle, CURLINFO info, long *value) {
  return curl_easy_getinfo(handle, info, value);
}
