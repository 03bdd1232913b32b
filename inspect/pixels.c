#include "inspect/pixels.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/thread/parallel.h"
#include "extract/image/image.h"
#include "extract/image/perceptual_hash.h"
#include "extract/image/statistics.h"
#include "inspect/findings/odd_images.h"
#include "inspect/images/images.h"

/* Images between two looks at progress and interrupts; images that a task takes. */
#define BLOCK_ROWS 512
#define TASK_ROWS 8

typedef struct Reading {
    const PfRows *rows;
    const PfImages *images;
    int64_t first, count;
    float *statistics;           /* (rows, PF_PIXEL_STATISTICS) */
    uint64_t *perceptual_hashes; /* (rows) */
    _Atomic int64_t unreadable;
} Reading;

static int measure_image(Reading *reading, int64_t row, const PfImage *image, PfError *err)
{
    return pf_image_measure(image, reading->statistics + row * PF_PIXEL_STATISTICS, err) ||
                   pf_image_hash(image, &reading->perceptual_hashes[row], err)
               ? -1
               : 0;
}

static int measure(Reading *reading, int64_t row, PfSampleBytes *bytes, PfImage *image)
{
    PfError err = {0};
    if (pf_images_read(reading->images, row, bytes, &err)) return -1;
    if (bytes->width > 0) { /* CIFAR's and others' come decoded */
        PfImage raw = {.width = bytes->width, .height = bytes->height, .pixels = bytes->data};
        return measure_image(reading, row, &raw, &err);
    }
    return pf_images_decode(reading->images, bytes, PF_IMAGE_STATISTICS_SIDE, image, &err) ||
                   measure_image(reading, row, image, &err)
               ? -1
               : 0;
}

static void read_task(void *context, int64_t task)
{
    Reading *reading = context;
    PfSampleBytes bytes = {0};
    PfImage image = {0};
    int64_t end = pf_min(reading->count, (task + 1) * TASK_ROWS);
    for (int64_t i = task * TASK_ROWS; i < end; i++)
        if (measure(reading, reading->first + i, &bytes, &image)) reading->unreadable++;
    pf_image_free(&image);
    pf_sample_bytes_free(&bytes);
}

static int read_all(Reading *reading, void (*progress)(void *, int64_t, int64_t), void *context,
                    PfError *err)
{
    int64_t rows = reading->rows->count;
    for (reading->first = 0; reading->first < rows; reading->first += BLOCK_ROWS) {
        if (pf_rows_check_interrupt(reading->rows, err)) return -1;
        reading->count = pf_min(BLOCK_ROWS, rows - reading->first);
        pf_parallel_for((reading->count + TASK_ROWS - 1) / TASK_ROWS, reading->rows->threads,
                        read_task, reading);
        if (progress) progress(context, reading->first + reading->count, rows);
    }
    return 0;
}

int pf_pixels_find(const PfRows *rows, const char *root, int64_t max_pixels,
                   void (*progress)(void *context, int64_t done, int64_t total), void *context,
                   PfOddImages *out, PfError *err)
{
    PfImages *images;
    PfError why = {0};
    Reading reading = {.rows = rows};
    if (pf_images_open(rows->cache, root, &images, &why)) {
        pf_format(out->status.reason, sizeof out->status.reason, "%" PF_SENTENCE, why.message);
        return 0;
    }
    pf_images_set_max_pixels(images, max_pixels);
    out->statistics = pf_calloc((size_t)rows->count * PF_PIXEL_STATISTICS, sizeof(float), err);
    out->perceptual_hashes = pf_calloc((size_t)rows->count, sizeof *out->perceptual_hashes, err);
    int failed = !out->statistics || !out->perceptual_hashes;
    for (int64_t i = 0; i < rows->count * PF_PIXEL_STATISTICS && !failed; i++)
        out->statistics[i] = NAN;
    reading.images = images;
    reading.statistics = out->statistics;
    reading.perceptual_hashes = out->perceptual_hashes;
    if (!failed) failed = read_all(&reading, progress, context, err);
    out->unreadable = reading.unreadable;
    if (!failed) failed = pf_odd_images_judge(rows->count, out, err);
    pf_images_close(&images);
    return failed ? -1 : 0;
}

int pf_pixels_take(const PfRows *rows, PfOddImages *out, PfError *err)
{
    _Static_assert(PF_PIXEL_STATISTICS == PF_CACHE_STATISTICS, "the same numbers");
    out->statistics = pf_calloc((size_t)rows->count, sizeof *rows->files.statistics, err);
    if (!out->statistics) return -1;
    memcpy(out->statistics, rows->files.statistics,
           (size_t)rows->count * sizeof *rows->files.statistics);
    out->from_cache = true;
    out->unreadable = rows->count - rows->files.statistics_count;
    return pf_odd_images_judge(rows->count, out, err);
}
