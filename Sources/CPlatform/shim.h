#pragma once
// What the system has and Swift's modules of the C library do not show.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

// Other C libraries give memory back by themselves.
static inline void apir_give_back_memory(void) {
#if defined(__GLIBC__)
    malloc_trim(0);
#endif
}

// Lets go of the pages of program code that are mapped now. They are read from the files again where they are needed, so only executable mappings of
// files are meant: nobody writes to those, while data that looks read-only has been relocated at the start and would be lost.
static inline void apir_let_go_of_code(void) {
#if defined(__linux__)
    FILE *maps = fopen("/proc/self/maps", "re");
    if (!maps) return;
    char line[512], rights[5];
    unsigned long from, to;
    while (fgets(line, sizeof line, maps))
        if (sscanf(line, "%lx-%lx %4s", &from, &to, rights) == 3 && !strcmp(rights, "r-xp") && strchr(line, '/'))
            madvise((void *)from, to - from, MADV_DONTNEED);
    fclose(maps);
#endif
}

// The calling thread gets the processor when nobody else wants it much. On Linux a thread has a priority of its own.
static inline void apir_give_way(void) {
#if defined(__linux__)
    setpriority(PRIO_PROCESS, 0, 10);
#endif
}

// As many open files as the system allows this process.
static inline void apir_raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= limit.rlim_max) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}
