#define _GNU_SOURCE
#include "CMemory.h"

#if defined(__linux__)

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

void smartcontent_want_large_pages(void *start, size_t count) {
  const uintptr_t page = 4096;
  uintptr_t first = ((uintptr_t)start + page - 1) & ~(page - 1);
  uintptr_t end = ((uintptr_t)start + count) & ~(page - 1);
  // A kernel without them refuses: then all stays as it is.
  if (end > first) (void)madvise((void *)first, end - first, MADV_HUGEPAGE);
}

// A large page is made in one go: 0.2 ms, and 4 ms where a virtual machine gets its memory only then.

enum { waiting_max = 32 };

static struct {
  pthread_mutex_t mutex;
  pthread_cond_t filled;
  int has_thread;
  unsigned first, count;
  struct {
    uintptr_t start, end;
  } waiting[waiting_max];
} ready = {.mutex = PTHREAD_MUTEX_INITIALIZER, .filled = PTHREAD_COND_INITIALIZER};

static void *make_ready(void *nothing) {
  const uintptr_t piece = 1 << 21;
  for (;;) {
    pthread_mutex_lock(&ready.mutex);
    while (ready.count == 0) pthread_cond_wait(&ready.filled, &ready.mutex);
    uintptr_t start = ready.waiting[ready.first].start;
    uintptr_t end = ready.waiting[ready.first].end;
    ready.first = (ready.first + 1) % waiting_max;
    ready.count--;
    pthread_mutex_unlock(&ready.mutex);
    // Between two pieces others may change what memory there is. Memory that is gone, and kernels that
    // know no such advice (before 5.14), are errors without effect.
    for (; start < end; start += piece) {
      uintptr_t left = end - start;
      if (madvise((void *)start, left < piece ? left : piece, MADV_POPULATE_WRITE) != 0) break;
    }
  }
  return nothing;
}

void smartcontent_make_ready(void *start, size_t count) {
  const uintptr_t page = 4096;
  uintptr_t first = ((uintptr_t)start + page - 1) & ~(page - 1);
  uintptr_t end = ((uintptr_t)start + count) & ~(page - 1);
  if (end <= first) return;
  pthread_mutex_lock(&ready.mutex);
  if (!ready.has_thread) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t thread;
    if (pthread_create(&thread, NULL, make_ready, NULL) == 0) {
      pthread_detach(thread);
      ready.has_thread = 1;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
  }
  if (ready.has_thread && ready.count < waiting_max) {
    unsigned place = (ready.first + ready.count) % waiting_max;
    ready.waiting[place].start = first;
    ready.waiting[place].end = end;
    ready.count++;
    pthread_cond_signal(&ready.filled);
  }
  pthread_mutex_unlock(&ready.mutex);
}

#else

void smartcontent_make_ready(void *start, size_t count) {
  (void)start;
  (void)count;
}

void smartcontent_want_large_pages(void *start, size_t count) {
  (void)start;
  (void)count;
}

#endif
