#pragma once
// What the system has and Swift's modules of the C library do not show.
#include <stdlib.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

// Other C libraries give memory back by themselves.
static inline void apir_give_back_memory(void) {
#if defined(__GLIBC__)
    malloc_trim(0);
#endif
}
