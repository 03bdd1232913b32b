/* Allocation that fails with a message instead of returning NULL unseen. */
#ifndef PF_COMMON_BASE_MEMORY_H
#define PF_COMMON_BASE_MEMORY_H

#include <stddef.h>

#include "permafrost/error.h"

/* count * size zeroed bytes, checked for overflow. NULL and err filled where
 * they cannot be had. Free with free(). */
void *pf_calloc(size_t count, size_t size, PfError *err);

/* 64-byte aligned, not zeroed; size 0 gives a valid pointer. Free with free(). */
void *pf_alloc_aligned(size_t count, size_t size, PfError *err);

/* The same, for memory that will be used from end to end: in large pages where the system has them,
 * which are had much sooner than many small ones. */
void *pf_alloc_large(size_t count, size_t size, PfError *err);

/* A copy of text, or NULL. */
char *pf_strdup(const char *text, PfError *err);

/* malloc'ed printf. NULL and err filled where memory is short. */
char *pf_asprintf(PfError *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Grows *array (elements of `size` bytes, *capacity of them allocated) so that
 * `needed` elements fit, doubling. */
int pf_grow(void *array, size_t *capacity, size_t needed, size_t size, PfError *err);

/* Memory that this process may count on: the machine's, or what its control groups or the limit of
 * its address space (ulimit -v) leave, where that is less. */
size_t pf_memory_physical_bytes(void);

/* Peak resident memory of this process so far. */
size_t pf_memory_peak_bytes(void);

#endif
