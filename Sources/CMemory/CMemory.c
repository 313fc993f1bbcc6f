#define _GNU_SOURCE
#include "CMemory.h"

#if defined(__linux__)

#include <stdint.h>
#include <sys/mman.h>

void smartcontent_want_large_pages(void *start, size_t count) {
  const uintptr_t page = 4096;
  uintptr_t first = ((uintptr_t)start + page - 1) & ~(page - 1);
  uintptr_t end = ((uintptr_t)start + count) & ~(page - 1);
  // A kernel without them refuses: then all stays as it is.
  if (end > first) (void)madvise((void *)first, end - first, MADV_HUGEPAGE);
}

#else

void smartcontent_want_large_pages(void *start, size_t count) {
  (void)start;
  (void)count;
}

#endif
