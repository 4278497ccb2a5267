#pragma once
// Calls of the C library that Swift cannot make itself, or only by names that depend on the order in which modules are
// loaded (the members of `timespec`). Nothing but numbers and strings crosses this boundary.
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Nanoseconds since 1970, UTC.
int64_t apir_wall_nanoseconds(void);

// Nanoseconds of a clock that only goes forward, and goes on while the machine sleeps where the system has one that does.
int64_t apir_steady_nanoseconds(void);

// Processor time of this process in microseconds, user and system.
int64_t apir_processor_microseconds(void);

struct apir_file {
    uint64_t inode;
    int64_t size;
    int64_t modified_nanoseconds;
};

// False where there is no such file or folder, with errno.
bool apir_file_at(const char *path, struct apir_file *file);

// Sets when a file was last changed, in Unix seconds; false with errno.
bool apir_set_modified(const char *path, int64_t seconds);

// Gives free memory back to the system. Other C libraries than GNU's do so by themselves.
void apir_give_back_memory(void);

// Lets go of the pages of program code that are mapped now; they are read from the files again where they are needed.
void apir_let_go_of_code(void);

// The calling thread gets the processor when nobody else wants it much.
void apir_give_way(void);

// As many open files as the system allows this process.
void apir_raise_descriptor_limit(void);

#ifdef __cplusplus
}
#endif
