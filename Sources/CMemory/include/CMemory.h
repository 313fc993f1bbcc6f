#pragma once

#include <stddef.h>

// Hints about memory, which Swift can't give. What a program computes does not depend on them: they
// read and change nothing.

/// Asks for the cache line at `address`, whatever lies there: it need not be valid memory.
static inline void smartcontent_prefetch(const void *address) {
  __builtin_prefetch(address, 0, 3);
}

/// Asks that whole pages of `count` bytes at `start` be large ones, so that fewer addresses of pages are
/// to be looked up. Where there are none it does nothing.
void smartcontent_want_large_pages(void *start, size_t count);
