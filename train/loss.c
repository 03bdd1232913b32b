#include "loss.h"

#include <math.h>
#include <stdalign.h>
#include <string.h>

#include "kernels.h"

/* ---- softmax cross-entropy ---- */

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

static int is_turned(const Slices *slices)
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

static int is_first_largest(const float *logits, int64_t label, float largest)
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
    PfHeadSum *sums; /* (heads); NULL for probabilities */
} SoftmaxCall;

static void score_slices(Slices *slices, const SoftmaxCall *call)
{
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

static void normalise_slices(Slices *slices, const SoftmaxCall *call)
{
    (void)call;
    find_largest(slices);
    find_totals(slices);
    for (int i = 0; i < slices->count; i++) write_scaled(slices, i, 1.0f / slices->total[i]);
}

/* out: the logits, to be overwritten; or NULL. */
static void for_slices(const PfSoftmaxBatch *batch, const float *logits, float *out,
                       void (*work)(Slices *slices, const SoftmaxCall *call),
                       const SoftmaxCall *call)
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
            work(&slices, call);
            slices.count = 0;
        }
    if (slices.count) work(&slices, call);
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
                                                    .huber_delta = batch->huber_delta,
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
