#include "text_store.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"

#define BLOCK_BYTES ((size_t)64 * 1024)

typedef struct TextBlock {
    struct TextBlock *older;
    size_t used, capacity;
    char bytes[];
} TextBlock;

static int add_block(PfTextStore *store, size_t needed, PfError *err)
{
    size_t capacity = needed > BLOCK_BYTES ? needed : BLOCK_BYTES;
    TextBlock *block = pf_alloc_aligned(1, sizeof *block + capacity, err);
    if (!block) return -1;
    *block = (TextBlock){.older = store->newest, .capacity = capacity};
    store->newest = block;
    return 0;
}

const char *pf_text_store_add(PfTextStore *store, const char *bytes, size_t size, PfError *err)
{
    TextBlock *block = store->newest;
    if ((!block || block->capacity - block->used <= size) && add_block(store, size + 1, err))
        return NULL;
    block = store->newest;
    char *text = block->bytes + block->used;
    if (size) memcpy(text, bytes, size);
    text[size] = '\0';
    block->used += size + 1;
    return text;
}

void pf_text_store_free(PfTextStore *store)
{
    while (store->newest) {
        TextBlock *block = store->newest;
        store->newest = block->older;
        free(block);
    }
}
