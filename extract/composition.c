#include "composition.h"

#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "memory.h"

typedef struct Writing {
    const PfComposition *of;
    uint32_t *rows, *rejects; /* samples with and without features, in dataset order */
    int64_t row_count, reject_count;
    PfRowPlace before; /* of the row asked for last */
    PfProgress progress;
} Writing;

static PfRowPlace place(void *context, int tap, int64_t row)
{
    Writing *writing = context;
    const PfSurveySample *sample = &writing->of->survey->samples[writing->rows[row]];
    writing->before = pf_known_rows_place(writing->of->known, tap, sample->digest, writing->before);
    return writing->before;
}

static PfCacheSample sample_at(void *context, int64_t row)
{
    Writing *writing = context;
    uint32_t index = writing->rows[row];
    const PfSurveySample *surveyed = &writing->of->survey->samples[index];
    const PfSample *sample = &pf_dataset_samples(writing->of->survey->dataset)[index];
    PfCacheSample out = {.path = sample->path,
                         .stamp = surveyed->stamp,
                         .split = (PfSplit)surveyed->split,
                         .group = pf_dataset_group(writing->of->survey->dataset, index),
                         .class_indices =
                             pf_dataset_class_indices(writing->of->survey->dataset, index),
                         .values = pf_dataset_values(writing->of->survey->dataset, index)};
    pf_known_rows_image_size(writing->of->known, surveyed->digest, &out.width, &out.height);
    memcpy(out.digest, surveyed->digest, PF_DIGEST_SIZE);
    return out;
}

static PfCacheReject reject_at(void *context, int64_t index)
{
    const Writing *writing = context;
    const PfSurvey *survey = writing->of->survey;
    const PfSurveySample *surveyed = &survey->samples[writing->rejects[index]];
    PfCacheReject out = {.path = pf_dataset_samples(survey->dataset)[writing->rejects[index]].path,
                         .reason = surveyed->reason,
                         .stamp = surveyed->stamp};
    memcpy(out.digest, surveyed->digest, PF_DIGEST_SIZE);
    return out;
}

static void show_progress(void *context, int64_t done, int64_t total)
{
    Writing *writing = context;
    writing->progress.total = total;
    pf_progress_update(&writing->progress, done, NULL);
}

static int list_rows(Writing *writing, PfError *err)
{
    const PfSurvey *survey = writing->of->survey;
    writing->rows = pf_calloc((size_t)survey->count, sizeof *writing->rows, err);
    writing->rejects = pf_calloc((size_t)survey->count, sizeof *writing->rejects, err);
    if (!writing->rows || !writing->rejects) return -1;
    for (int64_t i = 0; i < survey->count; i++)
        if (survey->samples[i].state == PF_SAMPLE_REJECTED)
            writing->rejects[writing->reject_count++] = (uint32_t)i;
        else
            writing->rows[writing->row_count++] = (uint32_t)i;
    return 0;
}

static int write_rows(Writing *writing, const char *output, PfComposeStats *stats, PfError *err)
{
    const PfComposition *of = writing->of;
    int target_count;
    const PfCacheTarget *targets = pf_dataset_targets(of->survey->dataset, &target_count);
    PfComposePlan plan = {.taps = of->taps,
                          .tap_count = of->tap_count,
                          .targets = targets,
                          .target_count = target_count,
                          .identity = of->identity,
                          .provenance = of->provenance,
                          .compression = of->compression,
                          .level = of->level,
                          .threads = of->threads,
                          .row_count = writing->row_count,
                          .reject_count = writing->reject_count,
                          .context = writing,
                          .place = place,
                          .sample = sample_at,
                          .reject = reject_at,
                          .progress = show_progress,
                          .interrupted = of->interrupted};
    plan.sources = pf_known_rows_sources(of->known, &plan.source_count);
    pf_progress_start(&writing->progress, "rows gathered", writing->row_count);
    int failed = pf_cache_compose(output, &plan, stats, err);
    pf_progress_end(&writing->progress);
    return failed;
}

int pf_composition_write(const PfComposition *composition, const char *output,
                         PfComposeStats *stats, PfError *err)
{
    Writing writing = {.of = composition, .before = {-1, 0}};
    int failed = list_rows(&writing, err) || write_rows(&writing, output, stats, err);
    free(writing.rows);
    free(writing.rejects);
    return failed ? -1 : 0;
}
