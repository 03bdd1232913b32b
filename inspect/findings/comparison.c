#include "inspect/findings/comparison.h"

#include <math.h>
#include <stdlib.h>

#include "common/base/memory.h"
#include "inspect/findings/probe.h"

/* A probability of 0 would make the mean infinite. scikit-learn's log_loss() does likewise. */
#define LEAST_PROBABILITY 1.1920929e-07

double pf_comparison_mcnemar(int64_t a, int64_t b)
{
    int64_t n = a + b, least = a < b ? a : b;
    double sum = 0;
    for (int64_t i = 0; i <= least; i++)
        sum += exp(lgamma((double)n + 1) - lgamma((double)i + 1) - lgamma((double)(n - i) + 1) -
                   (double)n * log(2));
    return fmin(1, 2 * sum);
}

PfInterval pf_comparison_interval(int64_t a, int64_t b, int64_t rows)
{
    double n = (double)rows + 2, p = (double)(a + 1) / n, q = (double)(b + 1) / n;
    return pf_interval_normal(p - q, sqrt((p + q - (p - q) * (p - q)) / n), -1, 1);
}

int pf_comparison_score_start(PfComparisonScore *score, int classes, const int32_t *labels,
                              int64_t cache_rows, const int32_t *rows, int64_t count,
                              PfComparedModel *out, PfError *err)
{
    *score = (PfComparisonScore){
        .classes = classes, .labels = labels, .rows = rows, .count = count, .out = out};
    score->right = pf_calloc((size_t)classes, sizeof *score->right, err);
    score->present = pf_calloc((size_t)classes, sizeof *score->present, err);
    out->predictions = pf_calloc((size_t)cache_rows, sizeof *out->predictions, err);
    if (!score->right || !score->present || !out->predictions) return -1;
    for (int64_t i = 0; i < cache_rows; i++) out->predictions[i] = -1;
    return 0;
}

void pf_comparison_score_add(PfComparisonScore *score, int64_t first, int64_t count,
                             const float *probabilities)
{
    PfComparedModel *out = score->out;
    for (; score->next < score->count && score->rows[score->next] < first + count; score->next++) {
        const int32_t row = score->rows[score->next], label = score->labels[row];
        const float *p = probabilities + (row - first) * score->classes;
        const int32_t best = pf_probe_best(p, score->classes);
        out->predictions[row] = best;
        out->right += best == label;
        score->right[label] += best == label;
        score->present[label]++;
        out->log_loss -= log(fmax((double)p[label], LEAST_PROBABILITY)) / (double)score->count;
    }
}

void pf_comparison_score_end(PfComparisonScore *score)
{
    PfComparedModel *out = score->out;
    int present = 0;
    for (int c = 0; c < score->classes && score->right && score->present; c++) {
        if (!score->present[c]) continue;
        out->macro_recall += (double)score->right[c] / (double)score->present[c];
        present++;
    }
    if (present) out->macro_recall /= present;
    out->accuracy = score->count ? (double)out->right / (double)score->count : NAN;
    out->interval = pf_interval_wilson(out->right, score->count);
    free(score->right);
    free(score->present);
}

int pf_comparison_pairs(const int32_t *labels, const int32_t *rows, int64_t count,
                        PfModelComparison *out, PfError *err)
{
    size_t models = (size_t)out->model_count;
    out->pairs = pf_calloc(models * (models - 1) / 2, sizeof *out->pairs, err);
    if (!out->pairs) return -1;
    for (int a = 0; a < out->model_count; a++)
        for (int b = a + 1; b < out->model_count; b++) {
            PfComparedPair pair = {.a = a, .b = b};
            for (int64_t i = 0; i < count; i++) {
                bool first = out->models[a].predictions[rows[i]] == labels[rows[i]];
                bool second = out->models[b].predictions[rows[i]] == labels[rows[i]];
                pair.only_a += first && !second;
                pair.only_b += second && !first;
            }
            pair.p = pf_comparison_mcnemar(pair.only_a, pair.only_b);
            pair.difference = (double)(pair.only_a - pair.only_b) / (double)count;
            pair.interval = pf_comparison_interval(pair.only_a, pair.only_b, count);
            out->pairs[out->pair_count++] = pair;
        }
    return 0;
}
