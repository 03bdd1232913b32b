/* What the fuzz targets share.
 *
 * fuzz_<what>.c defines LLVMFuzzerTestOneInput for one kind of file. With
 * -DPF_FUZZ=ON (clang) it is a libFuzzer program; without, fuzz_driver.c runs it over
 * the files and folders given as arguments. docs/testing.md says how to run either. */
#ifndef PF_TESTS_FUZZ_H
#define PF_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "permafrost/error.h"

/* Returns 0; -1 keeps the input out of libFuzzer's corpus. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) fuzz_fail(__FILE__, __LINE__, #condition);                               \
    } while (0)
_Noreturn void fuzz_fail(const char *file, int line, const char *condition);

/* A refusal must say something, with an exit code. */
void fuzz_check_refusal(const PfError *err);

/* Reads all of it, so that a sanitizer sees what lies outside or was never written. */
void fuzz_touch(const void *data, size_t size);

/* An empty folder, in memory where the machine has /dev/shm; the next call empties it. */
const char *fuzz_folder(void);
/* Writes a file into it. */
void fuzz_put(const char *name, const void *data, size_t size);
/* Path of a file in that folder with these bytes; the next call replaces them. */
const char *fuzz_file(const void *data, size_t size);

#endif
