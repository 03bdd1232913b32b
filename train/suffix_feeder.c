#include "suffix_feeder.h"

#include <stdlib.h>

#include "clock.h"
#include "memory.h"

typedef struct SuffixFeeder {
    const PfSuffixPlugin *plugin;
    PfSuffix *suffix;
    PfRowFeeder *rows;
    PfSuffixSeconds *seconds;
    int learning;
    PfRandom dropout; /* a draw for every batch of the pass */
    float *features;  /* (batch, output) */
    size_t capacity;
} SuffixFeeder;

static int start(void *context, const int32_t *rows, int64_t count, const PfRandom *shuffle,
                 int64_t batch, PfError *err)
{
    SuffixFeeder *feeder = context;
    const PfShape *shape = feeder->plugin->output_shape(feeder->suffix);
    size_t room = (size_t)(batch < count ? batch : count);
    feeder->learning = shuffle != NULL;
    if (shuffle) feeder->dropout = *shuffle;
    if (pf_grow(&feeder->features, &feeder->capacity, room,
                (size_t)pf_shape_count(shape) * sizeof *feeder->features, err))
        return -1;
    return feeder->rows->start(feeder->rows->context, rows, count, shuffle, batch, err);
}

static int run(SuffixFeeder *feeder, const PfRowBatch *batch, PfError *err)
{
    const PfSuffixPlugin *plugin = feeder->plugin;
    if (!feeder->learning)
        return plugin->forward(feeder->suffix, batch->x, batch->n, feeder->features, err);
    return plugin->forward_training(feeder->suffix, batch->x, batch->n,
                                    pf_random_u64(&feeder->dropout), feeder->features, err);
}

static int next(void *context, PfRowBatch *batch, PfError *err)
{
    SuffixFeeder *feeder = context;
    double started = pf_seconds();
    if (feeder->rows->next(feeder->rows->context, batch, err)) return -1;
    double read = pf_seconds();
    feeder->seconds->read += read - started;
    if (!batch->n) return 0;
    int failed = run(feeder, batch, err);
    *(feeder->learning ? &feeder->seconds->forward : &feeder->seconds->evaluate) +=
        pf_seconds() - read;
    batch->x = feeder->features;
    return failed;
}

static void free_feeder(void *context)
{
    SuffixFeeder *feeder = context;
    free(feeder->features);
    free(feeder);
}

int pf_suffix_feeder(const PfSuffixPlugin *plugin, PfSuffix *suffix, PfRowFeeder *rows,
                     PfSuffixSeconds *seconds, PfRowFeeder *out, PfError *err)
{
    SuffixFeeder *feeder = pf_calloc(1, sizeof *feeder, err);
    if (!feeder) return -1;
    feeder->plugin = plugin;
    feeder->suffix = suffix;
    feeder->rows = rows;
    feeder->seconds = seconds;
    *out = (PfRowFeeder){feeder, rows->row_values, start, next, free_feeder};
    return 0;
}
