#include "extract/plan/unlisted_rows.h"

#include <string.h>

#include "common/base/digest.h"
#include "common/base/hash_index.h"

typedef struct Listed {
    const PfDatasetScan *scan;
    PfHashIndex by_digest, by_path;
} Listed;

/* Where the sample of these bytes is, or would be. */
static uint32_t *find_digest(const Listed *listed, const uint8_t digest[PF_DIGEST_SIZE])
{
    uint64_t hash;
    memcpy(&hash, digest, sizeof hash);
    uint32_t *slot = pf_hash_index_first(&listed->by_digest, hash);
    while (*slot != PF_HASH_EMPTY &&
           memcmp(listed->scan->samples[*slot].file.digest, digest, PF_DIGEST_SIZE) != 0)
        slot = pf_hash_index_next(&listed->by_digest, slot);
    return slot;
}

/* Where the sample of that path is, or would be. */
static uint32_t *find_path(const Listed *listed, const char *path)
{
    uint32_t *slot = pf_hash_index_first(&listed->by_path, pf_digest_xxh64_text(path));
    while (*slot != PF_HASH_EMPTY && strcmp(listed->scan->samples[*slot].file.path, path) != 0)
        slot = pf_hash_index_next(&listed->by_path, slot);
    return slot;
}

static int list_samples(Listed *listed, PfError *err)
{
    const PfDatasetScan *scan = listed->scan;
    if (pf_hash_index_init(&listed->by_digest, scan->count, err) ||
        pf_hash_index_init(&listed->by_path, scan->count, err))
        return -1;
    for (uint32_t i = 0; i < scan->count; i++) {
        const PfImageFile *file = &scan->samples[i].file;
        uint32_t *slot = find_digest(listed, file->digest);
        if (*slot == PF_HASH_EMPTY) *slot = i;
        slot = find_path(listed, file->path);
        if (*slot == PF_HASH_EMPTY) *slot = i;
    }
    return 0;
}

static bool is_listed(const Listed *listed, const PfImageFile *file)
{
    return *find_digest(listed, file->digest) != PF_HASH_EMPTY ||
           *find_path(listed, file->path) != PF_HASH_EMPTY;
}

int pf_unlisted_rows_count(const PfDatasetScan *scan, const PfJournal *journal, int64_t *out,
                           PfError *err)
{
    Listed listed = {.scan = scan};
    int failed = list_samples(&listed, err);
    *out = 0;
    for (int s = 0; s < pf_journal_segment_count(journal) && !failed; s++)
        for (int64_t row = 0; row < pf_journal_row_count(journal, s); row++)
            *out += !is_listed(&listed, &pf_journal_row(journal, s, row)->file);
    pf_hash_index_free(&listed.by_digest);
    pf_hash_index_free(&listed.by_path);
    return failed ? -1 : 0;
}
