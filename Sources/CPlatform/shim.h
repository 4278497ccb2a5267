#pragma once
// What the system has and Swift's modules of the C library do not show.
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

// Linux, shown by the headers to GNU sources only.
#ifndef RUSAGE_THREAD
#define RUSAGE_THREAD 1
#endif

typedef struct {
    // Processor time in nanoseconds.
    int64_t processor;
    // How often the thread has gone to sleep by itself.
    int64_t sleeps;
} apir_thread_usage;

// Of the calling thread.
static inline apir_thread_usage apir_usage_of_thread(void) {
    struct rusage usage;
    if (getrusage(RUSAGE_THREAD, &usage)) return (apir_thread_usage){0, 0};
    return (apir_thread_usage){
        ((int64_t)usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000 + ((int64_t)usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000,
        usage.ru_nvcsw};
}

// Other C libraries give memory back by themselves.
static inline void apir_give_back_memory(void) {
#if defined(__GLIBC__)
    malloc_trim(0);
#endif
}
