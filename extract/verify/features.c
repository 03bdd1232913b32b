/* Every row of every tap: that it can be read, is finite, and that images with the same bytes have
 * the same features, or as near as different runtimes compute them. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/cache/image_file.h"
#include "extract/verify/internal.h"
#include "extract/verify/tolerance.h"

#define PATHS_SHOWN 3

typedef enum RowState { ROW_UNREAD, ROW_GOOD, ROW_NOT_FINITE } RowState;

/* A block that could not be read. */
typedef struct BadBlock {
    int64_t first, count;
    char *why;
} BadBlock;

typedef struct Verification {
    PfCache *cache;
    const uint8_t (*digests)[PF_DIGEST_SIZE];
    const char *const *paths;
    const volatile sig_atomic_t *interrupted;
    PfFindings *findings;
    int64_t row_count;
    uint32_t *order; /* (N) rows by digest; NULL without digests */
    /* of the tap under way; a row belongs to the thread that has its block */
    int tap_index;
    PfTolerance tolerance;
    const PfCacheTap *tap;
    uint64_t *hashes; /* (N) of the stored bytes */
    uint8_t *states;  /* (N) RowState */
    pthread_mutex_t lock;
    BadBlock *bad; /* under the lock, as is its count */
    size_t bad_count, bad_capacity;
    int64_t bad_unlisted; /* there was no memory for them */
    int64_t near_rows;    /* of all taps, that differ from another row of their image by rounding */
    _Atomic int64_t blocks;
    /* how far it is, which the caller's thread shows */
    pthread_t main_thread;
    PfProgress progress;
    _Atomic int64_t rows_done;
} Verification;

/* ---- rows, in several threads ---- */

static bool is_finite_f16(const uint16_t *bits, int64_t count)
{
    bool finite = true;
    for (int64_t i = 0; i < count; i++) finite &= (bits[i] & 0x7c00) != 0x7c00;
    return finite;
}

static bool is_finite_f32(const uint32_t *bits, int64_t count)
{
    bool finite = true;
    for (int64_t i = 0; i < count; i++) finite &= (bits[i] & 0x7f800000) != 0x7f800000;
    return finite;
}

static bool is_finite(const PfCacheTap *tap, const void *row)
{
    int64_t count = pf_shape_count(&tap->shape);
    switch (tap->dtype) {
    case PF_DTYPE_F16: return is_finite_f16(row, count);
    case PF_DTYPE_F32: return is_finite_f32(row, count);
    default: return true;
    }
}

static void check_rows(Verification *check, const PfCacheBlock *block)
{
    size_t row_bytes =
        (size_t)pf_shape_count(&check->tap->shape) * pf_dtype_size(check->tap->dtype);
    for (int64_t i = 0; i < block->count; i++) {
        const unsigned char *row = (const unsigned char *)block->rows + (size_t)i * row_bytes;
        check->hashes[block->first + i] = XXH3_64bits(row, row_bytes);
        check->states[block->first + i] = is_finite(check->tap, row) ? ROW_GOOD : ROW_NOT_FINITE;
    }
}

/* The first line of the error says what and where; what follows is the same for all. */
static void note_bad_block(Verification *check, const PfCacheBlock *block)
{
    char *why =
        pf_asprintf(NULL, "%.*s", (int)strcspn(block->error->message, "\n"), block->error->message);
    pthread_mutex_lock(&check->lock);
    if (why && !pf_grow(&check->bad, &check->bad_capacity, check->bad_count + 1, sizeof *check->bad,
                        NULL)) {
        check->bad[check->bad_count++] = (BadBlock){block->first, block->count, why};
    } else {
        free(why);
        check->bad_unlisted++;
    }
    pthread_mutex_unlock(&check->lock);
}

static int check_block(void *context, const PfCacheBlock *block)
{
    Verification *check = context;
    if (block->rows)
        check_rows(check, block);
    else
        note_bad_block(check, block);
    atomic_fetch_add(&check->blocks, 1);
    int64_t done = atomic_fetch_add(&check->rows_done, block->count) + block->count;
    if (pthread_equal(pthread_self(), check->main_thread))
        pf_progress_update(&check->progress, done, NULL);
    return check->interrupted && *check->interrupted;
}

/* ---- a tap's findings ---- */

/* " (a.jpg, b.jpg, c.jpg, ...)" of rows [first, first + count). */
static void paths_text(const Verification *check, int64_t first, int64_t count, char *text,
                       size_t size)
{
    size_t used = 0;
    *text = '\0';
    for (int64_t i = 0; check->paths && i < count && i < PATHS_SHOWN && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : " (",
                                 check->paths[first + i]);
    if (check->paths && used < size)
        snprintf(text + used, size - used, "%s)", count > PATHS_SHOWN ? ", ..." : "");
}

static int compare_blocks(const void *a, const void *b)
{
    const BadBlock *x = a, *y = b;
    return (x->first > y->first) - (x->first < y->first);
}

static void tell_bad_blocks(Verification *check)
{
    char paths[1000];
    if (check->bad_count) qsort(check->bad, check->bad_count, sizeof *check->bad, compare_blocks);
    pf_findings_begin(check->findings);
    for (size_t i = 0; i < check->bad_count; i++) {
        paths_text(check, check->bad[i].first, check->bad[i].count, paths, sizeof paths);
        pf_findings_add(check->findings, "%" PF_SENTENCE "%s", check->bad[i].why, paths);
        free(check->bad[i].why);
    }
    if (check->bad_unlisted)
        pf_findings_add(check->findings, "%lld more blocks of /features/%s cannot be read",
                        (long long)check->bad_unlisted, check->tap->name);
    pf_findings_end(check->findings);
    check->bad_count = 0;
    check->bad_unlisted = 0;
}

static void tell_not_finite(Verification *check)
{
    char paths[1000];
    pf_findings_begin(check->findings);
    for (int64_t row = 0; row < check->row_count; row++) {
        if (check->states[row] != ROW_NOT_FINITE) continue;
        paths_text(check, row, 1, paths, sizeof paths);
        pf_findings_add(check->findings,
                        "row %lld of /features/%s holds numbers that are not finite%s",
                        (long long)row, check->tap->name, paths);
    }
    pf_findings_end(check->findings);
}

static bool same_digest(const Verification *check, uint32_t a, uint32_t b)
{
    return !memcmp(check->digests[a], check->digests[b], PF_DIGEST_SIZE) &&
           !pf_digest_is_none(check->digests[a]);
}

/* Rows of other bits that may be of different runtimes. numbers: room for both. */
static bool are_near(const Verification *check, uint32_t a, uint32_t b, float *numbers)
{
    int64_t count = pf_shape_count(&check->tap->shape);
    if (check->tap->dtype == PF_DTYPE_U8) return false;
    return !pf_cache_read_f32(check->cache, check->tap_index, a, 1, numbers, 1, NULL) &&
           !pf_cache_read_f32(check->cache, check->tap_index, b, 1, numbers + count, 1, NULL) &&
           pf_tolerance_agrees(check->tolerance, numbers, numbers + count, count);
}

/* Each row with the one before it among the rows of its image. */
static void tell_unequal(Verification *check, float *numbers)
{
    char paths[2][500];
    pf_findings_begin(check->findings);
    for (int64_t i = 1; check->order && i < check->row_count; i++) {
        uint32_t row = check->order[i], before = check->order[i - 1];
        if (check->states[row] == ROW_UNREAD || check->states[before] == ROW_UNREAD ||
            check->hashes[row] == check->hashes[before] || !same_digest(check, row, before))
            continue;
        if (are_near(check, before, row, numbers)) {
            check->near_rows++;
            continue;
        }
        paths_text(check, before, 1, paths[0], sizeof paths[0]);
        paths_text(check, row, 1, paths[1], sizeof paths[1]);
        pf_findings_add(check->findings,
                        "rows %lld%s and %lld%s of /features/%s differ, but their images are the "
                        "same by digest",
                        (long long)before, paths[0], (long long)row, paths[1], check->tap->name);
    }
    pf_findings_end(check->findings);
}

static int check_tap(Verification *check, int t, int threads, PfError *err)
{
    check->tap = pf_cache_tap(check->cache, t);
    check->tap_index = t;
    check->tolerance = pf_tolerance_of(pf_cache_identity(check->cache), check->tap->dtype);
    memset(check->states, ROW_UNREAD, (size_t)check->row_count);
    pf_cache_visit(check->cache, t, threads, check_block, check);
    pf_progress_end(&check->progress);
    tell_bad_blocks(check);
    tell_not_finite(check);
    if (check->interrupted && *check->interrupted)
        return pf_fail(err, PF_EXIT_INTERRUPTED, "interrupted while verifying '%s'",
                       pf_cache_path(check->cache));
    float *numbers =
        pf_calloc(2 * (size_t)pf_shape_count(&check->tap->shape), sizeof *numbers, err);
    if (numbers) tell_unequal(check, numbers);
    free(numbers);
    return numbers ? 0 : -1;
}

/* ---- all of them ---- */

static int compare_digests(const void *a, const void *b, void *context)
{
    const Verification *check = context;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    int difference = memcmp(check->digests[x], check->digests[y], PF_DIGEST_SIZE);
    return difference ? difference : (x > y) - (x < y);
}

static int sort_by_digest(Verification *check, int64_t *duplicates, PfError *err)
{
    check->order = pf_calloc((size_t)check->row_count, sizeof *check->order, err);
    if (!check->order) return -1;
    for (int64_t i = 0; i < check->row_count; i++) check->order[i] = (uint32_t)i;
    qsort_r(check->order, (size_t)check->row_count, sizeof *check->order, compare_digests, check);
    for (int64_t i = 1; i < check->row_count; i++)
        *duplicates += same_digest(check, check->order[i], check->order[i - 1]);
    return 0;
}

static int check_taps(Verification *check, int threads, PfVerifiedFeatures *verified, PfError *err)
{
    int tap_count = pf_cache_tap_count(check->cache);
    check->hashes = pf_calloc((size_t)check->row_count, sizeof *check->hashes, err);
    check->states = pf_calloc((size_t)check->row_count, sizeof *check->states, err);
    if (!check->hashes || !check->states) return -1;
    if (check->digests && sort_by_digest(check, &verified->duplicates, err)) return -1;
    pf_progress_start(&check->progress, "rows", check->row_count * tap_count);
    for (int t = 0; t < tap_count; t++)
        if (check_tap(check, t, threads, err)) return -1;
    verified->blocks = atomic_load(&check->blocks);
    verified->near_rows = check->near_rows;
    return 0;
}

int pf_verify_features(PfCache *cache, const uint8_t (*digests)[PF_DIGEST_SIZE],
                       const char *const *paths, int threads,
                       const volatile sig_atomic_t *interrupted, PfFindings *findings,
                       PfVerifiedFeatures *verified, PfError *err)
{
    Verification check = {.cache = cache,
                          .digests = digests,
                          .paths = paths,
                          .interrupted = interrupted,
                          .findings = findings,
                          .row_count = pf_cache_row_count(cache),
                          .main_thread = pthread_self()};
    *verified = (PfVerifiedFeatures){0};
    pthread_mutex_init(&check.lock, NULL);
    int failed = check_taps(&check, threads, verified, err);
    pthread_mutex_destroy(&check.lock);
    free(check.order);
    free(check.hashes);
    free(check.states);
    free(check.bad);
    return failed ? -1 : 0;
}
