#include "head.h"

#include <cblas.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "parallel.h"
#include "random.h"

/* Stream of the initial parameters in pf_random_seeded. */
#define INIT_STREAM 0x68656164u

/* Rows of one block of an evaluation: enough to feed the matrix product, few
 * enough that a block's logits and gathered rows stay in the cache. */
#define BLOCK_ROWS 256
#define BLOCK_LOGITS (1 << 22)

void pf_head_setup(void)
{
    openblas_set_num_threads(1);
}

static int allocate(int64_t features, int64_t outputs, PfHead **out, PfError *err)
{
    PfHead *head = pf_calloc(1, sizeof *head, err);
    if (!head) return -1;
    head->features = features;
    head->outputs = outputs;
    head->parameter_count = outputs * features + outputs;
    head->weight = pf_alloc_aligned((size_t)head->parameter_count, sizeof(float), err);
    if (!head->weight) return free(head), -1;
    head->bias = head->weight + outputs * features;
    *out = head;
    return 0;
}

int pf_head_new(int64_t features, int64_t outputs, uint64_t seed, PfHead **out, PfError *err)
{
    if (allocate(features, outputs, out, err)) return -1;
    double bound = 1.0 / sqrt((double)features);
    PfRandom random = pf_random_seeded(seed, INIT_STREAM);
    for (int64_t i = 0; i < (*out)->parameter_count; i++)
        (*out)->weight[i] = (float)(bound * (2.0 * pf_random_uniform(&random) - 1.0));
    return 0;
}

int pf_head_copy(const PfHead *head, PfHead **out, PfError *err)
{
    if (allocate(head->features, head->outputs, out, err)) return -1;
    pf_head_assign(*out, head);
    return 0;
}

void pf_head_assign(PfHead *head, const PfHead *source)
{
    memcpy(head->weight, source->weight, (size_t)head->parameter_count * sizeof(float));
}

void pf_head_free(PfHead **head)
{
    if (!*head) return;
    free((*head)->weight);
    free(*head);
    *head = NULL;
}

void pf_head_forward(const PfHead *head, const float *x, int64_t n, float *logits)
{
    int d = (int)head->features, outputs = (int)head->outputs;
    for (int64_t i = 0; i < n; i++)
        memcpy(logits + i * outputs, head->bias, (size_t)outputs * sizeof(float));
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)n, outputs, d, 1.0f, x, d,
                head->weight, d, 1.0f, logits, outputs);
}

void pf_head_backward(const PfHead *head, const float *x, const float *logits_gradient, int64_t n,
                      float *gradient)
{
    int d = (int)head->features, outputs = (int)head->outputs;
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, outputs, d, (int)n, 1.0f, logits_gradient,
                outputs, x, d, 0.0f, gradient, d);
    float *bias = gradient + head->outputs * head->features;
    memset(bias, 0, (size_t)outputs * sizeof(float));
    for (int64_t i = 0; i < n; i++)
        for (int c = 0; c < outputs; c++) bias[c] += logits_gradient[i * outputs + c];
}

static int64_t index_of_largest(const float *values, int64_t count)
{
    int64_t largest = 0;
    for (int64_t c = 1; c < count; c++)
        if (values[c] > values[largest]) largest = c;
    return largest;
}

/* -log softmax(z)_label = log(sum_c exp(z_c - max)) - (z_label - max) */
PfLossSum pf_softmax_cross_entropy(float *logits, int64_t n, int64_t classes, int64_t stride,
                                   const int32_t *labels, float scale)
{
    PfLossSum sum = {0};
    for (int64_t i = 0; i < n; i++) {
        float *z = logits + i * stride;
        int64_t largest = index_of_largest(z, classes);
        float max = z[largest], total = 0;
        double label_logit = (double)z[labels[i]] - (double)max;
        for (int64_t c = 0; c < classes; c++) {
            z[c] = expf(z[c] - max);
            total += z[c];
        }
        sum.loss += log((double)total) - label_logit;
        sum.correct += largest == labels[i];
        float factor = scale / total;
        for (int64_t c = 0; c < classes; c++) z[c] *= factor;
        z[labels[i]] -= scale;
    }
    return sum;
}

PfLossSum pf_softmax_score(const float *logits, int64_t n, int64_t classes, int64_t stride,
                           const int32_t *labels, int32_t *predictions)
{
    PfLossSum sum = {0};
    for (int64_t i = 0; i < n; i++) {
        const float *z = logits + i * stride;
        int64_t largest = index_of_largest(z, classes);
        float max = z[largest], total = 0;
        for (int64_t c = 0; c < classes; c++) total += expf(z[c] - max);
        sum.loss += log((double)total) - ((double)z[labels[i]] - (double)max);
        sum.correct += largest == labels[i];
        if (predictions) predictions[i] = (int32_t)largest;
    }
    return sum;
}

void pf_gather_rows(const float *features, int64_t width, const int32_t *rows, int64_t n,
                    float *out)
{
    for (int64_t i = 0; i < n; i++)
        memcpy(out + i * width, features + rows[i] * width, (size_t)width * sizeof(float));
}

typedef struct Evaluation {
    const PfHead *head;
    const float *features;
    const int32_t *labels, *rows;
    int64_t count, block_rows;
    int32_t *predictions;
    PfLossSum *sums; /* one a block */
    atomic_int out_of_memory;
} Evaluation;

/* rows is ascending: whether it has no holes, so that it need not be gathered. */
static int is_run(const int32_t *rows, int64_t n)
{
    return rows[n - 1] - rows[0] == n - 1;
}

static void evaluate_block(void *context, int64_t block)
{
    Evaluation *e = context;
    int64_t first = block * e->block_rows, width = e->head->features, outputs = e->head->outputs;
    int64_t n = e->count - first < e->block_rows ? e->count - first : e->block_rows;
    const int32_t *rows = e->rows + first;
    int direct = is_run(rows, n);
    float *logits = pf_alloc_aligned((size_t)(n * outputs), sizeof *logits, NULL);
    float *gathered = direct ? NULL : pf_alloc_aligned((size_t)(n * width), sizeof *gathered, NULL);
    if (!logits || (!direct && !gathered)) {
        e->out_of_memory = 1;
    } else {
        int32_t labels[BLOCK_ROWS];
        for (int64_t i = 0; i < n; i++) labels[i] = e->labels[rows[i]];
        if (!direct) pf_gather_rows(e->features, width, rows, n, gathered);
        pf_head_forward(e->head, direct ? e->features + rows[0] * width : gathered, n, logits);
        e->sums[block] = pf_softmax_score(logits, n, outputs, outputs, labels,
                                          e->predictions ? e->predictions + first : NULL);
    }
    free(gathered);
    free(logits);
}

int pf_head_evaluate(const PfHead *head, const float *features, const int32_t *labels,
                     const int32_t *rows, int64_t count, int threads, int32_t *predictions,
                     PfLossSum *sum, PfError *err)
{
    Evaluation evaluation = {.head = head,
                             .features = features,
                             .labels = labels,
                             .rows = rows,
                             .count = count,
                             .predictions = predictions};
    int64_t block_rows = BLOCK_LOGITS / head->outputs;
    evaluation.block_rows = block_rows < 1 ? 1 : block_rows > BLOCK_ROWS ? BLOCK_ROWS : block_rows;
    int64_t blocks = (count + evaluation.block_rows - 1) / evaluation.block_rows;
    *sum = (PfLossSum){0};
    evaluation.sums = pf_calloc((size_t)blocks, sizeof *evaluation.sums, err);
    if (!evaluation.sums) return -1;
    pf_parallel_for(blocks, threads, evaluate_block, &evaluation);
    for (int64_t i = 0; i < blocks; i++) {
        sum->loss += evaluation.sums[i].loss;
        sum->correct += evaluation.sums[i].correct;
    }
    free(evaluation.sums);
    if (evaluation.out_of_memory)
        return pf_fail(err, PF_EXIT_FAILED, "out of memory while evaluating %lld rows",
                       (long long)count);
    return 0;
}

/* W ((x - mean) * scale) + b  =  (W * scale) x + (b - (W * scale) mean) */
void pf_head_fold_normalization(PfHead *head, const float *mean, const float *scale)
{
    for (int64_t c = 0; c < head->outputs; c++) {
        float *weight = head->weight + c * head->features;
        double shift = 0;
        for (int64_t j = 0; j < head->features; j++) {
            weight[j] *= scale[j];
            shift += (double)weight[j] * (double)mean[j];
        }
        head->bias[c] = (float)((double)head->bias[c] - shift);
    }
}
