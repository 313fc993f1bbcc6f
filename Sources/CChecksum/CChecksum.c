#include "CChecksum.h"

#include <string.h>

// The instruction takes eight bytes and has its answer three cycles later, but can begin every
// cycle: so three neighbouring streams are summed side by side and then joined (Gopal et al., "Fast
// CRC computation for iSCSI polynomial using CRC32 instruction", Intel 2011).
//
// A stream is moved past the `n` bytes that follow it by a multiplication with x^(8n) modulo the
// polynomial. The carry-less product of two reflected 32-bit values stands for their product times
// x, and the CRC of such a word multiplies by x^32 and reduces; so the factors below are
// x^(8n - 33), and the products simply go into the last word of the third stream.

#if defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>

#define TARGET __attribute__((target("sse4.2,pclmul")))

int smartcontent_crc32c_is_supported(void) {
  unsigned a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
  return (c & bit_SSE4_2) != 0 && (c & bit_PCLMUL) != 0;
}

TARGET static inline uint32_t sum8(uint32_t crc, uint64_t word) {
  return (uint32_t)_mm_crc32_u64(crc, word);
}

TARGET static inline uint32_t sum1(uint32_t crc, uint8_t byte) { return _mm_crc32_u8(crc, byte); }

TARGET static inline uint64_t product(uint32_t a, uint32_t b) {
  return (uint64_t)_mm_cvtsi128_si64(
      _mm_clmulepi64_si128(_mm_cvtsi32_si128((int)a), _mm_cvtsi32_si128((int)b), 0));
}

#define IS_AVAILABLE 1

#elif defined(__aarch64__) && (defined(__linux__) || defined(__APPLE__))

#include <arm_acle.h>
#include <arm_neon.h>

#define TARGET __attribute__((target("crc,aes")))

#if defined(__linux__)
#include <sys/auxv.h>

int smartcontent_crc32c_is_supported(void) {
  const unsigned long pmull = 1 << 4, crc32 = 1 << 7; // HWCAP_PMULL, HWCAP_CRC32
  unsigned long capabilities = getauxval(AT_HWCAP);
  return (capabilities & pmull) != 0 && (capabilities & crc32) != 0;
}
#else
int smartcontent_crc32c_is_supported(void) { return 1; }
#endif

TARGET static inline uint32_t sum8(uint32_t crc, uint64_t word) { return __crc32cd(crc, word); }

TARGET static inline uint32_t sum1(uint32_t crc, uint8_t byte) { return __crc32cb(crc, byte); }

TARGET static inline uint64_t product(uint32_t a, uint32_t b) {
  return vgetq_lane_u64(vreinterpretq_u64_p128(vmull_p64((poly64_t)a, (poly64_t)b)), 0);
}

#define IS_AVAILABLE 1

#endif

#if defined(IS_AVAILABLE)

static inline uint64_t load(const uint8_t *bytes) {
  uint64_t word;
  memcpy(&word, bytes, 8);
  return word;
}

/// Three streams of `length` bytes each. `far` and `near` move the first and second past what follows.
TARGET static inline uint32_t triple(
    uint32_t crc, const uint8_t *bytes, size_t length, uint32_t far, uint32_t near) {
  const uint8_t *second = bytes + length, *third = second + length;
  uint32_t crc1 = 0, crc2 = 0;
  size_t last = length - 8;
  for (size_t i = 0; i < last; i += 8) {
    crc = sum8(crc, load(bytes + i));
    crc1 = sum8(crc1, load(second + i));
    crc2 = sum8(crc2, load(third + i));
  }
  crc = sum8(crc, load(bytes + last));
  crc1 = sum8(crc1, load(second + last));
  return sum8(crc2, load(third + last) ^ product(crc, far) ^ product(crc1, near));
}

TARGET uint32_t smartcontent_crc32c(uint32_t seed, const void *start, size_t count) {
  const uint8_t *bytes = start;
  uint32_t crc = ~seed;
  for (; count >= 3072; bytes += 3072, count -= 3072) {
    crc = triple(crc, bytes, 1024, 0xa51b6135, 0x170076fa);
  }
  for (; count >= 384; bytes += 384, count -= 384) {
    crc = triple(crc, bytes, 128, 0xb9e02b86, 0x0d3b6092);
  }
  for (; count >= 8; bytes += 8, count -= 8) crc = sum8(crc, load(bytes));
  for (; count > 0; bytes++, count--) crc = sum1(crc, *bytes);
  return ~crc;
}

#else

int smartcontent_crc32c_is_supported(void) { return 0; }

uint32_t smartcontent_crc32c(uint32_t seed, const void *bytes, size_t count) {
  (void)bytes;
  (void)count;
  return seed; // Never called: it is not supported here.
}

#endif
