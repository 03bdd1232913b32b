/* A TorchScript file on its way to what runs it. */
#ifndef PERMAFROST_SCRIPT_H
#define PERMAFROST_SCRIPT_H

#include <stddef.h>

/* The bytes are what runs, so that nothing else does than what was looked at: the file is not
 * opened again. All lent, and needed by the call that they are given to. */
typedef struct PfScript {
    const char *path; /* for messages; NULL: there is no such file */
    const void *bytes;
    size_t size;
} PfScript;

#endif
