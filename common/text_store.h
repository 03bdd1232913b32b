/* Many short texts that live and die together, in a few large blocks. */
#ifndef PF_TEXT_STORE_H
#define PF_TEXT_STORE_H

#include <stddef.h>

#include "permafrost/error.h"

typedef struct PfTextStore {
    struct TextBlock *newest; /* NULL: empty */
} PfTextStore;

/* A terminated copy of size bytes, lent until the store is freed; NULL where memory is short. */
const char *pf_text_store_add(PfTextStore *store, const char *bytes, size_t size, PfError *err);
/* Leaves it empty. */
void pf_text_store_free(PfTextStore *store);

#endif
