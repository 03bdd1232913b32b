#include "train/kernels/loss.h"

#include <assert.h>
#include <math.h>
#include <stdalign.h>
#include <stdio.h>
#include <string.h>

#include "common/base/options.h"
#include "train/kernels/kernels.h"

/* ---- the table ---- */

#define CURVATURE(id, word, title, serves, function, parameter, convex, curvature, classes)        \
    static double curvature_##id(int outputs)                                                      \
    {                                                                                              \
        (void)outputs;                                                                             \
        return curvature;                                                                          \
    }
PF_LOSSES(CURVATURE)

#define ROW(id, word, title, serves, function, parameter, convex, curvature, classes)              \
    [PF_LOSS_##id] = {word, title, serves, parameter, convex, curvature_##id, classes},
static const PfLoss losses[] = {PF_LOSSES(ROW)};

const PfLoss *pf_loss(PfLossKind kind)
{
    assert((unsigned)kind < PF_LOSS_COUNT);
    return &losses[kind];
}

bool pf_loss_serves(PfLossKind loss, PfTargetKind kind)
{
    return pf_loss(loss)->serves & PF_KIND_BIT(kind);
}

int pf_loss_parse(const char *option, const char *text, PfLossKind *kind, double *parameter,
                  PfError *err)
{
    const char *words[PF_LOSS_COUNT];
    char name[64];
    int chosen = 0;
    for (int i = 0; i < PF_LOSS_COUNT; i++) {
        const PfLoss *loss = &losses[i];
        size_t length = strlen(loss->word);
        words[i] = loss->word;
        if (!loss->parameter.key || strncmp(text, loss->word, length) || text[length] != ':')
            continue;
        *kind = (PfLossKind)i;
        snprintf(name, sizeof name, "%s %s", option, loss->word);
        return pf_options_parse_double(name, text + length + 1, loss->parameter.least,
                                       loss->parameter.most, parameter, err);
    }
    if (pf_options_parse_choice(option, text, words, PF_LOSS_COUNT, &chosen, err)) return -1;
    *kind = (PfLossKind)chosen;
    *parameter = losses[chosen].parameter.initial;
    return 0;
}

/* ---- classes ---- */

/* Slices are worked on 16 at a time. Those of few classes are turned, so that a
 * vector holds one class of 16 slices; in longer ones it holds 16 classes. Which of
 * the two it is decides the order of a sum, so the classes alone decide it. */
#define SLICES 16
#define BLOCK_CLASSES 32

typedef struct Slices {
    const PfSoftmaxBatch *batch;
    int count;
    int64_t row[SLICES], head[SLICES];
    const float *logits[SLICES];
    float *out[SLICES]; /* may be the logits; NULL where they are to stay */
    float largest[SLICES], total[SLICES], log_total[SLICES];
    alignas(64) float block[BLOCK_CLASSES * SLICES]; /* (classes, SLICES) exponentials */
} Slices;

static bool is_turned(const Slices *slices)
{
    return slices->batch->classes <= BLOCK_CLASSES;
}

/* Exponentials of the few classes come along; the logits stay. */
static void find_largest(Slices *slices)
{
    const PfKernels *kernels = pf_kernels();
    int64_t classes = slices->batch->classes;
    if (!is_turned(slices)) {
        for (int i = 0; i < slices->count; i++)
            slices->largest[i] = kernels->softmax_largest(slices->logits[i], classes);
        return;
    }
    memset(slices->block, 0, (size_t)(classes * SLICES) * sizeof *slices->block);
    for (int i = 0; i < slices->count; i++)
        for (int64_t c = 0; c < classes; c++) slices->block[c * SLICES + i] = slices->logits[i][c];
    kernels->softmax_exp_block(slices->block, classes, slices->largest, slices->total);
}

/* The rest of the exponentials, into `out` where there is one, and the logarithms. */
static void find_totals(Slices *slices)
{
    const PfKernels *kernels = pf_kernels();
    for (int i = 0; i < slices->count && !is_turned(slices); i++)
        slices->total[i] = kernels->softmax_exp(slices->logits[i], slices->batch->classes,
                                                slices->largest[i], slices->out[i]);
    kernels->log(slices->total, slices->count, slices->log_total);
}

/* What a slice's labels and settings ask for. */
typedef struct Target {
    int64_t label; /* -1: the slice does not count */
    float row_weight;
    float hit;                  /* weight of -log p_label: (1 - s) w_label */
    float spread;               /* of every class's -log p_c: s / classes w_c, without its w_c */
    const float *class_weights; /* (classes) or NULL */
    double label_weight;        /* w_label times the row's weight */
    double spread_sum;          /* sum_c spread w_c */
} Target;

static float class_weight(const Target *target, int64_t c)
{
    return target->class_weights ? target->class_weights[c] : 1.0f;
}

/* Fills target in place: returned by value, its fields would be read back in
 * larger pieces than they were just written in, which stalls. */
static void find_target(const Slices *slices, int i, Target *target)
{
    const PfSoftmaxBatch *batch = slices->batch;
    int64_t row = slices->row[i], head = slices->head[i];
    float smoothing = batch->smoothing ? batch->smoothing[head] : 0;
    target->label = batch->labels[row];
    target->row_weight = batch->row_weights ? batch->row_weights[row * batch->heads + head] : 1;
    if (!(target->row_weight > 0)) target->label = -1;
    if (target->label < 0) return;
    target->class_weights =
        batch->class_weights ? batch->class_weights + head * batch->classes : NULL;
    float label_weight = class_weight(target, target->label);
    target->hit = (1.0f - smoothing) * label_weight;
    target->label_weight = (double)target->row_weight * (double)label_weight;
    target->spread = smoothing > 0 ? smoothing / (float)batch->classes : 0;
    target->spread_sum = 0;
    for (int64_t c = 0; c < batch->classes && smoothing > 0; c++)
        target->spread_sum += (double)target->spread * (double)class_weight(target, c);
}

static int64_t index_of_largest(const float *logits, int64_t classes, float largest)
{
    for (int64_t c = 0; c < classes; c++)
        if (logits[c] == largest) return c;
    return 0; /* none is a number */
}

static bool is_first_largest(const float *logits, int64_t label, float largest)
{
    return logits[label] == largest && index_of_largest(logits, label + 1, largest) == label;
}

/* sum_c weight_c z_c of the loss  sum_c weight_c (log total + largest - z_c) */
static double weighted_logits(const Slices *slices, int i, const Target *target)
{
    const float *z = slices->logits[i];
    double sum = (double)target->hit * (double)z[target->label];
    for (int64_t c = 0; c < slices->batch->classes && target->spread > 0; c++)
        sum += (double)target->spread * (double)class_weight(target, c) * (double)z[c];
    return sum;
}

/* out = exponentials * factor; those of long slices are there already. */
static void write_scaled(const Slices *slices, int i, float factor)
{
    int64_t classes = slices->batch->classes;
    const float *restrict block = slices->block + i;
    float *restrict out = slices->out[i];
    if (is_turned(slices))
        for (int64_t c = 0; c < classes; c++) out[c] = block[c * SLICES] * factor;
    else
        for (int64_t c = 0; c < classes; c++) out[c] *= factor;
}

/* scale (e_c / total sum_c weight_c - weight_c) */
static void write_gradient(const Slices *slices, int i, const Target *target, float scale)
{
    int64_t classes = slices->batch->classes;
    float *out = slices->out[i];
    if (target->label < 0) {
        memset(out, 0, (size_t)classes * sizeof *out);
        return;
    }
    scale *= target->row_weight;
    write_scaled(slices, i, scale * (target->hit + (float)target->spread_sum) / slices->total[i]);
    float spread = scale * target->spread;
    for (int64_t c = 0; c < classes && target->spread > 0; c++)
        out[c] -= spread * class_weight(target, c);
    out[target->label] -= scale * target->hit;
}

static void count_slice(const Slices *slices, int i, const Target *target, double logit_sum,
                        PfHeadSum *sum)
{
    double level = (double)slices->largest[i] + (double)slices->log_total[i];
    double loss = ((double)target->hit + target->spread_sum) * level - logit_sum;
    sum->loss += (double)target->row_weight * loss;
    sum->weight += target->label_weight;
    sum->rows++;
}

typedef struct SoftmaxCall {
    const float *scale; /* (heads); NULL without gradients */
    int32_t *predictions;
    PfHeadSum *sums; /* (heads) */
} SoftmaxCall;

static void score_slices(Slices *slices, const void *context)
{
    const SoftmaxCall *call = context;
    const PfSoftmaxBatch *batch = slices->batch;
    Target targets[SLICES];
    double logit_sums[SLICES];
    find_largest(slices);
    for (int i = 0; i < slices->count; i++) { /* while the logits are there */
        const float *z = slices->logits[i];
        find_target(slices, i, &targets[i]);
        if (call->predictions)
            call->predictions[slices->row[i] * batch->heads + slices->head[i]] =
                (int32_t)index_of_largest(z, batch->classes, slices->largest[i]);
        if (targets[i].label < 0) continue;
        logit_sums[i] = weighted_logits(slices, i, &targets[i]);
        call->sums[slices->head[i]].correct +=
            is_first_largest(z, targets[i].label, slices->largest[i]);
    }
    find_totals(slices);
    for (int i = 0; i < slices->count; i++) {
        if (targets[i].label >= 0)
            count_slice(slices, i, &targets[i], logit_sums[i], &call->sums[slices->head[i]]);
        if (call->scale) write_gradient(slices, i, &targets[i], call->scale[slices->head[i]]);
    }
}

/* ---- losses of the label's margin ---- */

typedef struct MarginCall {
    PfLossKind kind;
    float parameter;
    const float *scale; /* (heads); NULL without gradients */
    PfHeadSum *sums;    /* (heads) */
} MarginCall;

/* Sum of the exponentials of all classes but the label; those of long slices go to `out`. */
static float sum_of_others(const Slices *slices, int i, int64_t label)
{
    const PfKernels *kernels = pf_kernels();
    int64_t classes = slices->batch->classes;
    const float *z = slices->logits[i];
    float *out = slices->out[i], largest = slices->largest[i], sum = 0;
    if (is_turned(slices)) {
        for (int64_t c = 0; c < classes; c++)
            if (c != label) sum += slices->block[c * SLICES + i];
        return sum;
    }
    sum = kernels->softmax_exp(z, label, largest, out);
    return sum + kernels->softmax_exp(z + label + 1, classes - label - 1, largest,
                                      out ? out + label + 1 : NULL);
}

/* Into margins (SLICES), from the labels' logits and the sums of the others, both (SLICES). A sum
 * below 1 is what a sure head leaves to the others, and its logarithm is taken of 1 / sum. */
static void find_margins(const Slices *slices, const float *label_logits, const float *others,
                         float *margins)
{
    float ratio[SLICES], logarithm[SLICES];
    for (int i = 0; i < slices->count; i++)
        ratio[i] = others[i] >= 1 || isnan(others[i]) ? others[i]
                   : others[i] > 0x1p-100f            ? 1 / others[i]
                                                      : 0x1p100f;
    pf_kernels()->log(ratio, slices->count, logarithm);
    for (int i = 0; i < slices->count; i++) {
        float above = label_logits[i] - slices->largest[i];
        margins[i] = others[i] < 1 ? above + logarithm[i] : above - logarithm[i];
    }
}

/* The label's logit has the margin's slope; the others share it as their exponentials are. */
static void write_margin_gradient(const Slices *slices, int i, const Target *target, float others,
                                  float slope)
{
    write_scaled(slices, i, others > 0 || isnan(others) ? -slope / others : 0);
    slices->out[i][target->label] = slope;
}

/* The loss of every margin and its slope, all (SLICES). */
static void lose_margins(const MarginCall *call, int count, const float *margins, double *values,
                         float *slopes)
{
    alignas(64) float ones[SLICES];
    alignas(64) double weights[SLICES] = {0};
    for (int i = 0; i < SLICES; i++) ones[i] = 1;
    pf_kernels()->pointwise(&(PfPointwiseBlock){.kind = call->kind,
                                                .parameter = call->parameter,
                                                .columns = count,
                                                .predictions = margins,
                                                .gradients = slopes,
                                                .targets = ones,
                                                .weights = ones,
                                                .scales = ones,
                                                .losses = values,
                                                .weight_sums = weights});
}

static void score_margins(Slices *slices, const void *context)
{
    const MarginCall *call = context;
    Target targets[SLICES];
    float label_logits[SLICES] = {0}, others[SLICES] = {0};
    alignas(64) float margins[SLICES], slopes[SLICES];
    alignas(64) double values[SLICES] = {0};
    find_largest(slices);
    for (int i = 0; i < slices->count; i++) {
        find_target(slices, i, &targets[i]);
        if (targets[i].label < 0) continue;
        label_logits[i] = slices->logits[i][targets[i].label];
        call->sums[slices->head[i]].correct +=
            is_first_largest(slices->logits[i], targets[i].label, slices->largest[i]);
        others[i] = sum_of_others(slices, i, targets[i].label);
    }
    find_margins(slices, label_logits, others, margins);
    lose_margins(call, slices->count, margins, values, slopes);
    for (int i = 0; i < slices->count; i++) {
        const Target *target = &targets[i];
        PfHeadSum *sum = &call->sums[slices->head[i]];
        if (target->label >= 0) {
            sum->loss += target->label_weight * values[i];
            sum->weight += target->label_weight;
            sum->rows++;
        }
        if (call->scale && target->label >= 0)
            write_margin_gradient(slices, i, target, others[i],
                                  call->scale[slices->head[i]] * target->row_weight * target->hit *
                                      slopes[i]);
        else if (call->scale)
            memset(slices->out[i], 0, (size_t)slices->batch->classes * sizeof *slices->out[i]);
    }
}

/* ---- all slices of a batch ---- */

static void normalise_slices(Slices *slices, const void *context)
{
    (void)context;
    find_largest(slices);
    find_totals(slices);
    for (int i = 0; i < slices->count; i++) write_scaled(slices, i, 1.0f / slices->total[i]);
}

/* out: the logits, to be overwritten; or NULL. */
static void for_slices(const PfSoftmaxBatch *batch, const float *logits, float *out,
                       void (*work)(Slices *slices, const void *context), const void *context)
{
    Slices slices = {.batch = batch};
    for (int64_t row = 0; row < batch->rows; row++)
        for (int64_t head = 0; head < batch->heads; head++) {
            int64_t at = row * batch->stride + head * batch->classes;
            int i = slices.count++;
            slices.row[i] = row;
            slices.head[i] = head;
            slices.logits[i] = logits + at;
            slices.out[i] = out ? out + at : NULL;
            if (slices.count < SLICES) continue;
            work(&slices, context);
            slices.count = 0;
        }
    if (slices.count) work(&slices, context);
}

void pf_softmax_loss(const PfSoftmaxBatch *batch, const float *logits, int32_t *predictions,
                     PfHeadSum *sums)
{
    for_slices(batch, logits, NULL, score_slices,
               &(SoftmaxCall){.predictions = predictions, .sums = sums});
}

void pf_softmax_gradient(const PfSoftmaxBatch *batch, const float *scale, float *logits,
                         PfHeadSum *sums)
{
    for_slices(batch, logits, logits, score_slices, &(SoftmaxCall){.scale = scale, .sums = sums});
}

void pf_margin_loss(const PfSoftmaxBatch *batch, PfLossKind kind, float parameter,
                    const float *scale, float *logits, PfHeadSum *sums)
{
    assert(!batch->smoothing && pf_loss(kind)->classes == PF_CLASSES_MARGIN);
    for_slices(batch, logits, scale ? logits : NULL, score_margins,
               &(MarginCall){.kind = kind, .parameter = parameter, .scale = scale, .sums = sums});
}

void pf_softmax_probabilities(const PfSoftmaxBatch *batch, float *logits)
{
    for_slices(batch, logits, logits, normalise_slices, NULL);
}

/* ---- losses of single values ---- */

/* Columns that are worked on at a time, all rows of them. */
#define CHUNK 256

typedef struct Chunk {
    const PfPointwiseBatch *batch;
    int64_t first, columns;
    alignas(64) float targets[CHUNK], weights[CHUNK], scales[CHUNK];
    alignas(64) double losses[CHUNK], weight_sums[CHUNK];
} Chunk;

static float output_weight(const PfPointwiseBatch *batch, int64_t row, int64_t column)
{
    float weight = batch->output_weights ? batch->output_weights[column] : 1.0f;
    if (batch->row_weights)
        weight *= batch->row_weights[row * batch->heads + column / batch->outputs];
    return weight;
}

/* A row's targets and weights, spread over the heads. */
static void spread_row(Chunk *chunk, int64_t row)
{
    const PfPointwiseBatch *batch = chunk->batch;
    const float *targets = batch->targets + row * batch->outputs;
    int64_t output = chunk->first % batch->outputs;
    for (int64_t j = 0; j < chunk->columns; j++) {
        chunk->targets[j] = targets[output];
        if (++output == batch->outputs) output = 0;
    }
    if (row && !batch->row_weights) return; /* the weights are the first row's */
    for (int64_t j = 0; j < chunk->columns; j++)
        chunk->weights[j] = output_weight(batch, row, chunk->first + j);
}

static void work_chunk(Chunk *chunk, const float *predictions, float *gradients)
{
    const PfPointwiseBatch *batch = chunk->batch;
    for (int64_t row = 0; row < batch->rows; row++) {
        int64_t at = row * batch->stride + chunk->first;
        spread_row(chunk, row);
        pf_kernels()->pointwise(&(PfPointwiseBlock){.kind = batch->kind,
                                                    .parameter = batch->parameter,
                                                    .columns = chunk->columns,
                                                    .predictions = predictions + at,
                                                    .gradients = gradients ? gradients + at : NULL,
                                                    .targets = chunk->targets,
                                                    .weights = chunk->weights,
                                                    .scales = chunk->scales,
                                                    .losses = chunk->losses,
                                                    .weight_sums = chunk->weight_sums});
    }
}

static void pointwise(const PfPointwiseBatch *batch, const float *scale, const float *predictions,
                      float *gradients, PfHeadSum *sums)
{
    int64_t columns = batch->heads * batch->outputs;
    for (int64_t first = 0; first < columns; first += CHUNK) {
        Chunk chunk = {.batch = batch, .first = first, .columns = columns - first};
        if (chunk.columns > CHUNK) chunk.columns = CHUNK;
        for (int64_t j = 0; j < chunk.columns && scale; j++)
            chunk.scales[j] = scale[(first + j) / batch->outputs];
        work_chunk(&chunk, predictions, gradients);
        for (int64_t j = 0; j < chunk.columns; j++) {
            PfHeadSum *sum = &sums[(first + j) / batch->outputs];
            sum->loss += chunk.losses[j];
            sum->weight += chunk.weight_sums[j];
        }
    }
}

void pf_pointwise_loss(const PfPointwiseBatch *batch, const float *predictions, PfHeadSum *sums)
{
    pointwise(batch, NULL, predictions, NULL, sums);
}

void pf_pointwise_gradient(const PfPointwiseBatch *batch, const float *scale, float *predictions,
                           PfHeadSum *sums)
{
    pointwise(batch, scale, predictions, predictions, sums);
}
