#include "extract/plan/dataset_scan.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/digest.h"
#include "common/base/integers.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/cache/split.h"
#include "common/thread/parallel.h"
#include "extract/image/image.h"

/* Files that one thread reads before it asks for more, and all do before progress
 * is shown. */
enum { HASH_BLOCK = 16, HASH_ROUND = 1024 };

/* One scan under way. */
typedef struct Search {
    PfDatasetScan *scan;
    const PfRowIndex *known;
    const volatile sig_atomic_t *interrupted;
    uint32_t *unsure; /* samples whose bytes have to be read, ascending */
    int64_t unsure_count, round_first, round_end;
    pthread_mutex_t lock;
    PfError error; /* the first; exit_code 0 while there is none */
} Search;

static uint64_t all_taps(int count)
{
    return count < 64 ? ((uint64_t)1 << count) - 1 : UINT64_MAX;
}

/* ---- by path and stamp ---- */

static void recognise(PfScannedSample *sample, const PfJournalImage *image)
{
    sample->state = image->reason ? PF_SAMPLE_REJECTED : PF_SAMPLE_KNOWN;
    sample->reason = image->reason;
    memcpy(sample->file.digest, image->file.digest, PF_DIGEST_SIZE);
}

static bool is_unsure(const PfImageFile *file, const PfRowIndex *known)
{
    PfJournalImage image;
    return !file->stamp.size_bytes || pf_row_index_has_size(known, file->stamp.size_bytes) ||
           pf_row_index_unreadable(known, file->path, &image);
}

/* Until hash_unsure, was_hashed says that the sample has to be hashed. */
static void look_at_sample(void *context, int64_t index)
{
    Search *search = context;
    const PfDataset *dataset = search->scan->dataset;
    PfScannedSample *sample = &search->scan->samples[index];
    PfImageFile *file = &sample->file;
    PfJournalImage image;
    file->path = pf_dataset_samples(dataset)[index].path;
    sample->split = (uint8_t)pf_dataset_samples(dataset)[index].split;
    if (pf_dataset_stat(dataset, index, &file->stamp)) file->stamp = (PfFileStamp){0};
    if (pf_row_index_by_stamp(search->known, file->path, &file->stamp, &image)) {
        recognise(sample, &image);
        sample->was_rejected = image.reason != NULL;
    } else {
        sample->was_hashed = is_unsure(file, search->known);
    }
}

/* ---- by content ---- */

static void note_failure(Search *search, const PfError *error)
{
    pthread_mutex_lock(&search->lock);
    if (!search->error.exit_code) search->error = *error;
    pthread_mutex_unlock(&search->lock);
}

static bool has_failed(Search *search)
{
    pthread_mutex_lock(&search->lock);
    bool failed = search->error.exit_code != 0;
    pthread_mutex_unlock(&search->lock);
    return failed;
}

/* The same path was unreadable for the same reason before. */
static bool was_unreadable(const Search *search, const char *path, const char *reason)
{
    PfJournalImage image;
    return pf_row_index_unreadable(search->known, path, &image) && !strcmp(image.reason, reason);
}

static int note_unreadable(Search *search, int64_t index, PfError *err)
{
    PfScannedSample *sample = &search->scan->samples[index];
    const PfImageFile unread = {.path = sample->file.path};
    if (err->exit_code != PF_EXIT_BAD_IMAGES) return -1;
    PfError cause = *err;
    sample->was_rejected = was_unreadable(search, unread.path, cause.message);
    return pf_dataset_scan_note_rejected(search->scan, index, &unread, cause.message, err);
}

static int hash_sample(Search *search, int64_t index, PfSampleBytes *bytes, PfError *err)
{
    PfScannedSample *sample = &search->scan->samples[index];
    PfImageFile *file = &sample->file;
    PfJournalImage image;
    if (pf_dataset_read(search->scan->dataset, index, bytes, err))
        return note_unreadable(search, index, err);
    file->stamp = bytes->stamp;
    pf_digest_xxh128(bytes->data, bytes->size_bytes, file->digest);
    if (pf_row_index_by_digest(search->known, file->digest, &image)) {
        recognise(sample, &image);
        /* Of several images of these bytes the one that was found may lie elsewhere. */
        sample->was_rejected =
            image.reason && pf_row_index_was_rejected(search->known, file->path, file->digest);
    }
    return 0;
}

static void hash_block(void *context, int64_t block)
{
    Search *search = context;
    PfSampleBytes bytes = {0};
    PfError error = {0};
    int64_t first = search->round_first + block * HASH_BLOCK;
    int64_t end = pf_min(first + HASH_BLOCK, search->round_end);
    for (int64_t i = first; i < end && !has_failed(search); i++)
        if (hash_sample(search, search->unsure[i], &bytes, &error)) note_failure(search, &error);
    pf_sample_bytes_free(&bytes);
}

static int list_unsure(Search *search, PfError *err)
{
    const PfDatasetScan *scan = search->scan;
    search->unsure = pf_calloc((size_t)scan->count, sizeof *search->unsure, err);
    for (int64_t i = 0; search->unsure && i < scan->count; i++)
        if (scan->samples[i].was_hashed) search->unsure[search->unsure_count++] = (uint32_t)i;
    return search->unsure ? 0 : -1;
}

static int hash_unsure(Search *search, PfError *err)
{
    PfProgress progress;
    if (list_unsure(search, err)) return -1;
    pf_progress_start(&progress, "files compared", search->unsure_count);
    while (search->round_first < search->unsure_count && !has_failed(search)) {
        search->round_end = pf_min(search->round_first + HASH_ROUND, search->unsure_count);
        int64_t blocks = (search->round_end - search->round_first + HASH_BLOCK - 1) / HASH_BLOCK;
        pf_parallel_for(blocks, 0, hash_block, search);
        search->round_first = search->round_end;
        pf_progress_update(&progress, search->round_first, NULL);
        if (search->interrupted && *search->interrupted)
            pf_fail(&search->error, PF_EXIT_INTERRUPTED, "interrupted");
    }
    pf_progress_end(&progress);
    if (!search->error.exit_code) return 0;
    *err = search->error;
    return -1;
}

/* ---- the scan ---- */

static int search_all(Search *search, PfError *err)
{
    PfDatasetScan *scan = search->scan;
    pf_parallel_for(scan->count, 0, look_at_sample, search);
    int failed = hash_unsure(search, err);
    if (!failed) pf_dataset_scan_update(scan, search->known);
    free(search->unsure);
    return failed;
}

int pf_dataset_scan_new(const PfDataset *dataset, const PfRowIndex *known, int tap_count,
                        const volatile sig_atomic_t *interrupted, PfDatasetScan **out, PfError *err)
{
    PfError ignored;
    PfDatasetScan *scan = *out = pf_calloc(1, sizeof *scan, err);
    if (!scan) return -1;
    scan->dataset = dataset;
    scan->tap_count = tap_count;
    scan->count = pf_dataset_count(dataset);
    scan->samples = pf_calloc((size_t)scan->count, sizeof *scan->samples, err);
    Search search = {.scan = scan, .known = known, .interrupted = interrupted};
    pthread_mutex_init(&search.lock, NULL);
    int failed = !scan->samples || search_all(&search, err ? err : &ignored);
    pthread_mutex_destroy(&search.lock);
    if (failed) pf_dataset_scan_free(out);
    return failed ? -1 : 0;
}

static void drop_reason(PfScannedSample *sample)
{
    if (sample->owns_reason) free((void *)(uintptr_t)sample->reason);
    sample->owns_reason = false;
    sample->reason = NULL;
}

void pf_dataset_scan_free(PfDatasetScan **scan)
{
    if (!*scan) return;
    for (int64_t i = 0; (*scan)->samples && i < (*scan)->count; i++)
        drop_reason(&(*scan)->samples[i]);
    free((*scan)->samples);
    free(*scan);
    *scan = NULL;
}

void pf_dataset_scan_note_known(PfDatasetScan *scan, int64_t index, const PfImageFile *file)
{
    PfScannedSample *sample = &scan->samples[index];
    drop_reason(sample);
    sample->state = PF_SAMPLE_KNOWN;
    sample->file = *file;
}

int pf_dataset_scan_note_rejected(PfDatasetScan *scan, int64_t index, const PfImageFile *file,
                                  const char *reason, PfError *err)
{
    PfScannedSample *sample = &scan->samples[index];
    char *copy = pf_strdup(reason, err);
    if (!copy) return -1;
    pf_dataset_scan_note_known(scan, index, file);
    sample->state = PF_SAMPLE_REJECTED;
    sample->reason = copy;
    sample->owns_reason = true;
    return 0;
}

static uint64_t missing_taps(const PfDatasetScan *scan, const PfScannedSample *sample,
                             const PfRowIndex *known)
{
    switch (sample->state) {
    case PF_SAMPLE_NEW: return all_taps(scan->tap_count);
    case PF_SAMPLE_KNOWN: return pf_row_index_missing(known, sample->file.digest);
    default: return 0;
    }
}

void pf_dataset_scan_update(PfDatasetScan *scan, const PfRowIndex *known)
{
    for (int64_t i = 0; i < scan->count; i++)
        scan->samples[i].missing = missing_taps(scan, &scan->samples[i], known);
}

/* ---- sides ---- */

/* Samples whose side is drawn: known ones that are not held out by the dataset itself. */
static bool is_drawn(const PfDatasetScan *scan, int64_t index)
{
    return scan->samples[index].state == PF_SAMPLE_KNOWN &&
           pf_dataset_samples(scan->dataset)[index].split == PF_SPLIT_TRAIN;
}

/* keys, classes, splits: room for (count). */
static int draw_sides(PfDatasetScan *scan, const PfDrawing *drawing, uint64_t *keys,
                      int32_t *classes, uint8_t *splits, PfError *err)
{
    int64_t n = 0;
    for (int64_t i = 0; i < scan->count; i++) {
        if (!is_drawn(scan, i)) continue;
        keys[n] = pf_split_key(scan->samples[i].file.digest, pf_dataset_group(scan->dataset, i));
        classes[n++] = pf_dataset_samples(scan->dataset)[i].class_index;
    }
    if (pf_split_by_key(keys, classes, n, drawing->val, drawing->test, drawing->fill, splits, err))
        return -1;
    n = 0;
    for (int64_t i = 0; i < scan->count; i++)
        if (is_drawn(scan, i)) scan->samples[i].split = splits[n++];
    return 0;
}

int pf_dataset_scan_draw_sides(PfDatasetScan *scan, PfError *err)
{
    const PfDrawing *drawing = pf_dataset_drawing(scan->dataset);
    size_t count = (size_t)scan->count;
    if (!drawing) return 0;
    uint64_t *keys = pf_calloc(count, sizeof *keys, err);
    int32_t *classes = pf_calloc(count, sizeof *classes, err);
    uint8_t *splits = pf_calloc(count, 1, err);
    int failed =
        !keys || !classes || !splits || draw_sides(scan, drawing, keys, classes, splits, err);
    free(keys);
    free(classes);
    free(splits);
    return failed ? -1 : 0;
}

int pf_dataset_scan_count_equal(const PfDatasetScan *scan, PfEqualImages *out, PfError *err)
{
    enum { NO_PART = PF_SPLIT_COUNT };
    size_t count = (size_t)scan->count;
    uint8_t(*digests)[PF_DIGEST_SIZE] = pf_calloc(count, sizeof *digests, err);
    int32_t *labels = pf_calloc(count, sizeof *labels, err);
    uint8_t *splits = pf_calloc(count, 1, err);
    int failed = !digests || !labels || !splits;
    for (size_t i = 0; i < count && !failed; i++) {
        const PfScannedSample *sample = &scan->samples[i];
        splits[i] = sample->state == PF_SAMPLE_KNOWN ? sample->split : NO_PART;
        labels[i] = pf_dataset_samples(scan->dataset)[i].class_index;
        memcpy(digests[i], sample->file.digest, PF_DIGEST_SIZE);
    }
    if (!failed)
        failed = pf_equal_images_count((const uint8_t(*)[PF_DIGEST_SIZE])digests, splits, labels,
                                       scan->count, out, err);
    free(digests);
    free(labels);
    free(splits);
    return failed ? -1 : 0;
}

/* ---- what it says ---- */

PfScanCounts pf_dataset_scan_count(const PfDatasetScan *scan)
{
    PfScanCounts counts = {.images = scan->count};
    for (int64_t i = 0; i < scan->count; i++) {
        const PfScannedSample *sample = &scan->samples[i];
        counts.fresh += sample->state == PF_SAMPLE_NEW;
        counts.incomplete += sample->state == PF_SAMPLE_KNOWN && sample->missing;
        if (sample->state == PF_SAMPLE_KNOWN) counts.lacking |= sample->missing;
        counts.reused += sample->state == PF_SAMPLE_KNOWN && !sample->missing;
        counts.rejected += sample->state == PF_SAMPLE_REJECTED;
        counts.rejected_before += sample->state == PF_SAMPLE_REJECTED && sample->was_rejected;
        counts.hashed += sample->was_hashed;
        if (sample->was_hashed) counts.hashed_bytes += (int64_t)sample->file.stamp.size_bytes;
    }
    return counts;
}

/* Of all sets of missing taps the one with most taps, the first of several. */
static uint64_t choose_taps(const PfDatasetScan *scan)
{
    uint64_t chosen = 0;
    for (int64_t i = 0; i < scan->count; i++) {
        uint64_t missing = scan->samples[i].missing;
        if (__builtin_popcountll(missing) > __builtin_popcountll(chosen)) chosen = missing;
    }
    return chosen;
}

int pf_dataset_scan_next_group(const PfDatasetScan *scan, PfScanGroup *out, PfError *err)
{
    *out = (PfScanGroup){.taps = choose_taps(scan)};
    if (!out->taps) return 0;
    out->samples = pf_calloc((size_t)scan->count, sizeof *out->samples, err);
    if (!out->samples) return -1;
    for (int64_t i = 0; i < scan->count; i++)
        if (scan->samples[i].missing == out->taps) out->samples[out->count++] = i;
    return 0;
}

/* ---- rotations ---- */

/* An orientation is among the first tags, and these before everything large. */
#define HEAD_BYTES 16384

typedef struct Look {
    const PfDataset *dataset;
    const volatile sig_atomic_t *interrupted;
    const int64_t *samples; /* that are looked at */
    _Atomic int64_t rotated;
    pthread_mutex_t lock; /* of what is found out below */
    PfRotations *out;
} Look;

static void count_lacking(Look *look, const char *format, const char *reason)
{
    PfRotations *out = look->out;
    pthread_mutex_lock(&look->lock);
    for (size_t i = 0; i < sizeof out->lacking / sizeof *out->lacking; i++) {
        if (out->lacking[i].format && strcmp(out->lacking[i].format, format)) continue;
        if (!out->lacking[i].format)
            pf_format(out->lacking[i].reason, sizeof out->lacking[i].reason, "%" PF_SENTENCE,
                      reason);
        out->lacking[i].format = format;
        out->lacking[i].count++;
        break;
    }
    pthread_mutex_unlock(&look->lock);
}

static void look_at(void *context, int64_t i)
{
    Look *look = context;
    uint8_t head[HEAD_BYTES];
    if (look->interrupted && *look->interrupted) return;
    size_t size = pf_dataset_read_head(look->dataset, look->samples[i], head, sizeof head);
    PfError err = {0};
    const char *format = pf_image_lacks_library(head, size, &err);
    if (format) count_lacking(look, format, err.message);
    if (pf_image_orientation(head, size) > 1) atomic_fetch_add(&look->rotated, 1);
}

/* Spread evenly: of n images the k-th is taken where k * limit / n and (k + 1) * limit / n, rounded
 * down, differ. */
static void choose(const PfDatasetScan *scan, const PfRotations *rotations, int64_t *samples)
{
    int64_t n = rotations->to_compute, limit = rotations->looked_at, k = 0, count = 0;
    for (int64_t i = 0; i < scan->count; i++) {
        if (!scan->samples[i].missing) continue;
        if (k * limit / n != (k + 1) * limit / n) samples[count++] = i;
        k++;
    }
}

int pf_dataset_scan_count_rotations(const PfDatasetScan *scan, int threads,
                                    const volatile sig_atomic_t *interrupted, PfRotations *out,
                                    PfError *err)
{
    *out = (PfRotations){0};
    if (!pf_dataset_has_files(scan->dataset)) return 0;
    for (int64_t i = 0; i < scan->count; i++) out->to_compute += scan->samples[i].missing != 0;
    int64_t n = out->to_compute;
    out->looked_at = pf_min(n, PF_ROTATIONS_LOOK_AT);
    int64_t *samples = pf_calloc((size_t)out->looked_at, sizeof *samples, err);
    if (!samples) return -1;
    choose(scan, out, samples);
    Look look = {.dataset = scan->dataset,
                 .interrupted = interrupted,
                 .samples = samples,
                 .lock = PTHREAD_MUTEX_INITIALIZER,
                 .out = out};
    pf_parallel_for(out->looked_at, threads, look_at, &look);
    out->rotated = look.rotated;
    free(samples);
    return 0;
}
