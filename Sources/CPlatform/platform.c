#define _GNU_SOURCE
#include "CPlatform.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

static const int64_t second = 1000000000;

static int64_t nanoseconds(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * second + time.tv_nsec;
}

int64_t apir_wall_nanoseconds(void) { return nanoseconds(CLOCK_REALTIME); }

// Not CLOCK_MONOTONIC on Linux, which stands still while the machine sleeps: a lease goes on running out meanwhile.
int64_t apir_steady_nanoseconds(void) {
#if defined(__linux__)
    return nanoseconds(CLOCK_BOOTTIME);
#else
    return nanoseconds(CLOCK_MONOTONIC);
#endif
}

int64_t apir_processor_microseconds(void) {
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage)) return 0;
    int64_t seconds = (int64_t)usage.ru_utime.tv_sec + usage.ru_stime.tv_sec;
    return seconds * 1000000 + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

bool apir_file_at(const char *path, struct apir_file *file) {
    struct stat status;
    if (stat(path, &status)) return false;
    file->inode = status.st_ino;
    file->size = status.st_size;
#if defined(__APPLE__)
    file->modified_nanoseconds = (int64_t)status.st_mtimespec.tv_sec * second + status.st_mtimespec.tv_nsec;
#else
    file->modified_nanoseconds = (int64_t)status.st_mtim.tv_sec * second + status.st_mtim.tv_nsec;
#endif
    return true;
}

bool apir_set_modified(const char *path, int64_t seconds) {
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = seconds}};
    return !utimensat(AT_FDCWD, path, times, 0);
}

void apir_give_back_memory(void) {
#if defined(__GLIBC__)
    malloc_trim(0);
#endif
}

// Only executable mappings of files are meant: nobody writes to those, while data that looks read-only has been relocated
// at the start and would be lost.
void apir_let_go_of_code(void) {
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

// On Linux a thread has a priority of its own.
void apir_give_way(void) {
#if defined(__linux__)
    setpriority(PRIO_PROCESS, 0, 10);
#endif
}

void apir_raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= limit.rlim_max) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}
