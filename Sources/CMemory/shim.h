#pragma once
#include <stdlib.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

// Swift's Glibc module has no malloc.h; other C libraries give memory back by themselves.
static inline void apir_give_back_memory(void) {
#if defined(__GLIBC__)
    malloc_trim(0);
#endif
}
