// Counts a program's allocations: LD_PRELOAD this with ALLOCATIONS_FILE naming a file, whose first 24 bytes then are three counters (allocations,
// bytes asked for, frees) that anyone can read while the program runs. glibc only: its own entry points do the work.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t), *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

typedef struct { _Atomic uint64_t allocations, bytes, frees; } Counters;
static Counters unused, *counters = &unused;

__attribute__((constructor)) static void open_counters(void) {
    const char *path = getenv("ALLOCATIONS_FILE");
    int fd = path ? open(path, O_RDWR | O_CREAT, 0600) : -1;
    if (fd < 0 || ftruncate(fd, sizeof(Counters))) return;
    void *shared = mmap(NULL, sizeof(Counters), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (shared != MAP_FAILED) counters = shared;
}

static void note(size_t bytes) {
    atomic_fetch_add_explicit(&counters->allocations, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&counters->bytes, bytes, memory_order_relaxed);
}

void *malloc(size_t size) { note(size); return __libc_malloc(size); }
void *calloc(size_t count, size_t size) { note(count * size); return __libc_calloc(count, size); }
void *realloc(void *at, size_t size) { note(size); return __libc_realloc(at, size); }
void *memalign(size_t alignment, size_t size) { note(size); return __libc_memalign(alignment, size); }
void *aligned_alloc(size_t alignment, size_t size) { note(size); return __libc_memalign(alignment, size); }
int posix_memalign(void **at, size_t alignment, size_t size) {
    note(size);
    return (*at = __libc_memalign(alignment, size)) ? 0 : ENOMEM;
}
void free(void *at) {
    if (at) atomic_fetch_add_explicit(&counters->frees, 1, memory_order_relaxed);
    __libc_free(at);
}
