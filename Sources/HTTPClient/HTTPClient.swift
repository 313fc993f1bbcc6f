import CCurl

/// A blocking HTTP/1.1 client on libcurl's easy interface.
///
/// One client is one handle and so one thread's: it keeps its connections open and uses them again,
/// which makes a request on loopback cost one round trip. It follows no redirects, sends no
/// `Expect`, keeps no cookies and ignores proxies in the environment: what is asked is what is sent.
///
/// An answer with any status is an answer; errors are what prevented one (``HTTPClientError``).
public final class HTTPClient {
  private let handle: UnsafeMutableRawPointer
  private let receiver = AnswerReceiver()
  private let settings: HTTPClientSettings

  /// libcurl wants to be started once, before threads use it; a static is.
  private static let startCode = curl_global_init(Int(CURL_GLOBAL_DEFAULT))

  public init(_ settings: HTTPClientSettings = HTTPClientSettings()) throws(HTTPClientError) {
    precondition(settings.connectTimeoutMs > 0 && settings.timeoutMs > 0)
    guard Self.startCode == CURLE_OK else {
      throw .unavailable(reason: String(cString: curl_easy_strerror(Self.startCode)))
    }
    guard let handle = curl_easy_init() else {
      throw .unavailable(reason: "no memory for a handle")
    }
    self.handle = handle
    self.settings = settings
  }

  deinit { curl_easy_cleanup(handle) }

  public func get(_ url: String, headers: [HTTPHeader] = []) throws(HTTPClientError) -> HTTPAnswer {
    try exchange(method: "GET", url: url, headers: headers, body: nil, onChunk: nil)
  }

  public func post(
    _ url: String, headers: [HTTPHeader] = [], body: [UInt8]
  ) throws(HTTPClientError) -> HTTPAnswer {
    try exchange(method: "POST", url: url, headers: headers, body: body, onChunk: nil)
  }

  /// Any other method, such as `OPTIONS`.
  public func send(
    method: String, _ url: String, headers: [HTTPHeader] = [], body: [UInt8]? = nil
  ) throws(HTTPClientError) -> HTTPAnswer {
    try exchange(method: method, url: url, headers: headers, body: body, onChunk: nil)
  }

  /// Reads an answer that has no end, such as server-sent events.
  ///
  /// - Parameter onChunk: called with the bytes as they come, on this thread; false ends it.
  /// - Returns: the answer's status and headers with an empty body, once `onChunk` or the server
  ///   has ended it.
  public func stream(
    _ url: String, headers: [HTTPHeader] = [], onChunk: (UnsafeRawBufferPointer) -> Bool
  ) throws(HTTPClientError) -> HTTPAnswer {
    var outcome: Result<HTTPAnswer, HTTPClientError>?
    withoutActuallyEscaping(onChunk) { onChunk in
      do throws(HTTPClientError) {
        outcome = .success(
          try exchange(method: "GET", url: url, headers: headers, body: nil, onChunk: onChunk))
      } catch {
        outcome = .failure(error)
      }
    }
    guard let outcome else { preconditionFailure("the exchange has always run by now") }
    return try outcome.get()
  }

  private func exchange(
    method: String, url: String, headers: [HTTPHeader], body: [UInt8]?,
    onChunk: ((UnsafeRawBufferPointer) -> Bool)?
  ) throws(HTTPClientError) -> HTTPAnswer {
    curl_easy_reset(handle)
    receiver.begin(byteCountMax: settings.responseByteCountMax, onChunk: onChunk)
    defer { receiver.end() }

    let list = try headerList(headers)
    defer { curl_slist_free_all(list) }

    setLimits(isEndless: onChunk != nil)
    setReceiver()
    if settings.refusesPrivateAddresses { refusePrivateAddresses() }
    set(CURLOPT_HTTPHEADER, UnsafeMutableRawPointer(list))
    guard set(CURLOPT_URL, url) else { throw .invalidURL(url) }
    setMethod(method, hasBody: body != nil)

    let code: CURLcode =
      if let body {
        body.withUnsafeBytes { bytes in
          // A null pointer would make libcurl ask for the body by a callback.
          let start = bytes.baseAddress ?? UnsafeRawPointer(handle)
          set(CURLOPT_POSTFIELDS, UnsafeMutableRawPointer(mutating: start))
          smartcontent_curl_set_offset(handle, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(bytes.count))
          return curl_easy_perform(handle)
        }
      } else {
        curl_easy_perform(handle)
      }
    guard code == CURLE_OK || receiver.isStoppedByCaller else { throw error(code, url: url) }

    var status = 0
    smartcontent_curl_get_long(handle, CURLINFO_RESPONSE_CODE, &status)
    return HTTPAnswer(status: status, headers: receiver.headers, body: receiver.takeBody())
  }

  private func setLimits(isEndless: Bool) {
    set(CURLOPT_NOSIGNAL, 1)
    set(CURLOPT_CONNECTTIMEOUT_MS, settings.connectTimeoutMs)
    if !isEndless { set(CURLOPT_TIMEOUT_MS, settings.timeoutMs) }
    set(CURLOPT_TCP_NODELAY, 1)
    set(CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1)
    set(CURLOPT_PROTOCOLS_STR, "http,https")
    set(CURLOPT_PROXY, "")
    set(CURLOPT_FOLLOWLOCATION, 0)
  }

  private func setReceiver() {
    let context = Unmanaged.passUnretained(receiver).toOpaque()
    set(CURLOPT_HEADERDATA, context)
    set(CURLOPT_WRITEDATA, context)
    smartcontent_curl_set_receive(handle, CURLOPT_HEADERFUNCTION) { bytes, size, count, context in
      guard let bytes, let context else { return 0 }
      let receiver = Unmanaged<AnswerReceiver>.fromOpaque(context).takeUnretainedValue()
      receiver.receive(headerLine: UnsafeRawBufferPointer(start: bytes, count: size * count))
      return size * count
    }
    smartcontent_curl_set_receive(handle, CURLOPT_WRITEFUNCTION) { bytes, size, count, context in
      guard let bytes, let context else { return 0 }
      let receiver = Unmanaged<AnswerReceiver>.fromOpaque(context).takeUnretainedValue()
      let chunk = UnsafeRawBufferPointer(start: bytes, count: size * count)
      // Any other count than the one given ends the exchange.
      return receiver.receive(chunk: chunk) ? chunk.count : chunk.count + 1
    }
  }

  private func refusePrivateAddresses() {
    set(CURLOPT_OPENSOCKETDATA, Unmanaged.passUnretained(receiver).toOpaque())
    check(
      smartcontent_curl_set_open(handle) { context, _, address in
        guard let context, let address else { return -1 }
        return Unmanaged<AnswerReceiver>.fromOpaque(context).takeUnretainedValue().openSocket(
          address)
      })
  }

  private func setMethod(_ method: String, hasBody: Bool) {
    if hasBody { set(CURLOPT_POST, 1) }
    switch method {
    case "GET" where !hasBody: break
    case "POST" where hasBody: break
    case "HEAD": set(CURLOPT_NOBODY, 1)
    default: set(CURLOPT_CUSTOMREQUEST, method)
    }
  }

  private func headerList(
    _ headers: [HTTPHeader]
  ) throws(HTTPClientError) -> UnsafeMutablePointer<curl_slist>? {
    // The empty values take out what libcurl would add by itself.
    var lines = ["Expect:"]
    if !headers.contains(where: { $0.name.lowercased() == "content-type" }) {
      lines.append("Content-Type:")
    }
    for header in headers {
      let isToken = !header.name.isEmpty && header.name.utf8.allSatisfy { $0 > 0x20 && $0 != 0x3A }
      guard isToken, header.value.utf8.allSatisfy({ $0 >= 0x20 || $0 == 0x09 }) else {
        throw .invalidHeader(header.name)
      }
      // A semicolon in place of the colon is how libcurl is told to send an empty value.
      lines.append(header.value.isEmpty ? "\(header.name);" : "\(header.name): \(header.value)")
    }
    var list: UnsafeMutablePointer<curl_slist>?
    for line in lines { list = curl_slist_append(list, line) }
    return list
  }

  private func error(_ code: CURLcode, url: String) -> HTTPClientError {
    let reason = String(cString: curl_easy_strerror(code))
    return switch code {
    case CURLE_URL_MALFORMAT, CURLE_UNSUPPORTED_PROTOCOL: .invalidURL(url)
    case CURLE_COULDNT_RESOLVE_HOST: .cannotResolve(url: url)
    case CURLE_COULDNT_CONNECT where receiver.hasRefusedAddress: .privateAddress(url: url)
    case CURLE_COULDNT_CONNECT: .cannotConnect(url: url)
    case CURLE_OPERATION_TIMEDOUT: .timedOut(url: url, milliseconds: settings.timeoutMs)
    case CURLE_WRITE_ERROR where receiver.isTooLarge:
      .responseTooLarge(url: url, byteCountMax: settings.responseByteCountMax)
    case CURLE_GOT_NOTHING, CURLE_RECV_ERROR, CURLE_SEND_ERROR, CURLE_PARTIAL_FILE:
      .connectionLost(url: url)
    case CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM:
      .tlsFailed(url: url, reason: reason)
    default: .failed(url: url, code: Int(code.rawValue), reason: reason)
    }
  }

  private func set(_ option: CURLoption, _ value: Int) {
    check(smartcontent_curl_set_long(handle, option, value))
  }

  private func set(_ option: CURLoption, _ value: UnsafeMutableRawPointer?) {
    check(smartcontent_curl_set_pointer(handle, option, value))
  }

  @discardableResult
  private func set(_ option: CURLoption, _ value: String) -> Bool {
    smartcontent_curl_set_text(handle, option, value) == CURLE_OK
  }

  /// The options above are all known to the libcurl that this was built against.
  private func check(_ code: CURLcode) {
    precondition(code == CURLE_OK, "libcurl refused an option: code \(code.rawValue)")
  }
}
