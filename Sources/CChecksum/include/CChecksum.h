#pragma once

#include <stddef.h>
#include <stdint.h>

// CRC-32C by the processor's own instruction. A pure function of its bytes: no state, no allocation.

/// 1 if this processor has what `smartcontent_crc32c` needs; never changes while a program runs.
int smartcontent_crc32c_is_supported(void);

/// The CRC-32C of `count` bytes, continued from the checksum `seed` of what lies before them (0 for
/// nothing). Only where `smartcontent_crc32c_is_supported`.
uint32_t smartcontent_crc32c(uint32_t seed, const void *bytes, size_t count);
