#pragma once

#include <stdint.h>

// Counts the allocations of a thread, for tests. The functions of malloc(3) are replaced in the test
// program by ones that count and then do what glibc's do.

/// Starts to count the allocations of the calling thread, from 0.
void allocations_start(void);

/// Stops, and gives the number of allocations since the start.
uint64_t allocations_stop(void);
