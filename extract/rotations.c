#include "rotations.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "image.h"
#include "memory.h"
#include "parallel.h"

/* An orientation is among the first tags, and these before everything large. */
#define HEAD_BYTES 16384

typedef struct Look {
    const PfDataset *dataset;
    const volatile sig_atomic_t *interrupted;
    const int64_t *samples; /* that are looked at */
    _Atomic int64_t rotated;
} Look;

static void look_at(void *context, int64_t i)
{
    Look *look = context;
    uint8_t head[HEAD_BYTES];
    if (look->interrupted && *look->interrupted) return;
    size_t size = pf_dataset_read_head(look->dataset, look->samples[i], head, sizeof head);
    if (pf_image_orientation(head, size) > 1) atomic_fetch_add(&look->rotated, 1);
}

/* Spread evenly: of n the k-th is taken where k * limit / n steps up behind it. */
static void choose(const PfSurvey *survey, const PfRotations *rotations, int64_t *samples)
{
    int64_t n = rotations->to_compute, limit = rotations->looked_at, k = 0, count = 0;
    for (int64_t i = 0; i < survey->count; i++) {
        if (!survey->samples[i].missing) continue;
        if (k * limit / n != (k + 1) * limit / n) samples[count++] = i;
        k++;
    }
}

int pf_rotations_count(const PfSurvey *survey, int threads,
                       const volatile sig_atomic_t *interrupted, PfRotations *out, PfError *err)
{
    *out = (PfRotations){0};
    if (!pf_dataset_has_files(survey->dataset)) return 0;
    for (int64_t i = 0; i < survey->count; i++) out->to_compute += survey->samples[i].missing != 0;
    int64_t n = out->to_compute;
    out->looked_at = n < PF_ROTATIONS_LOOK_AT ? n : PF_ROTATIONS_LOOK_AT;
    int64_t *samples = pf_calloc((size_t)out->looked_at, sizeof *samples, err);
    if (!samples) return -1;
    choose(survey, out, samples);
    Look look = {.dataset = survey->dataset, .interrupted = interrupted, .samples = samples};
    pf_parallel_for(out->looked_at, threads, look_at, &look);
    out->rotated = look.rotated;
    free(samples);
    return 0;
}
