#pragma once
#include <malloc.h> // mallopt, for the memory of messages; not in Swift's Glibc module.
#include <nats/nats.h>
