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

int pf_comparison_score(const float *probabilities, int classes, const int32_t *labels,
                        int64_t cache_rows, const int32_t *rows, int64_t count,
                        PfComparedModel *out, PfError *err)
{
    int64_t *right = pf_calloc((size_t)classes, sizeof *right, err);
    int64_t *counts = pf_calloc((size_t)classes, sizeof *counts, err);
    out->predictions = pf_calloc((size_t)cache_rows, sizeof *out->predictions, err);
    int failed = !right || !counts || !out->predictions, there = 0;
    for (int64_t i = 0; i < cache_rows && !failed; i++) out->predictions[i] = -1;
    for (int64_t i = 0; i < count && !failed; i++) {
        const float *p = probabilities + (int64_t)rows[i] * classes;
        int32_t label = labels[rows[i]], best = pf_probe_best(p, classes);
        out->predictions[rows[i]] = best;
        out->right += best == label;
        right[label] += best == label;
        counts[label]++;
        out->log_loss -= log(fmax((double)p[label], LEAST_PROBABILITY)) / (double)count;
    }
    for (int c = 0; c < classes && !failed; c++) {
        if (!counts[c]) continue;
        out->macro_recall += (double)right[c] / (double)counts[c];
        there++;
    }
    if (there) out->macro_recall /= there;
    out->accuracy = count ? (double)out->right / (double)count : NAN;
    out->interval = pf_interval_wilson(out->right, count);
    free(right);
    free(counts);
    return failed ? -1 : 0;
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
