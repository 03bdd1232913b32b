#include "inspect/findings/votes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/base/printable.h"

/* Pairs of classes of which less of the neighbours are shared are not listed. */
#define LEAST_SHARE 0.02

static const int choices[PF_KNN_CHOICES] = {10, 20, 100, 200};

int32_t pf_votes_count(const PfRows *rows, const PfNeighbours *neighbours, int64_t row, int k,
                       double *votes)
{
    double total = 0;
    int32_t best = -1;
    memset(votes, 0, (size_t)rows->class_count * sizeof *votes);
    for (int j = 0; j < k && j < neighbours->k; j++) {
        int64_t place = row * neighbours->k + j;
        int32_t other = neighbours->index[place];
        if (other < 0) break;
        if (rows->labels[other] < 0) continue;
        /* The largest weight is 1, so that none overflows. */
        double weight = exp(((double)neighbours->similarity[place] - 1) / PF_KNN_TEMPERATURE);
        votes[rows->labels[other]] += weight;
        total += weight;
    }
    if (!(total > 0)) return -1;
    for (int32_t c = 0; c < rows->class_count; c++) {
        votes[c] /= total;
        if (best < 0 || votes[c] > votes[best]) best = c;
    }
    return best;
}

static void add_row(const PfRows *rows, const PfNeighbours *neighbours, int64_t row, double *votes,
                    PfKnnScores *scores)
{
    for (int s = 0; s < scores->count; s++) {
        int32_t class = pf_votes_count(rows, neighbours, row, scores->scores[s].k, votes);
        scores->scores[s].count++;
        scores->scores[s].right += class == rows->labels[row];
    }
}

static void say_too_few(PfKnnScores *scores, int k, int64_t references)
{
    if (references > choices[0])
        pf_format(scores->status.reason, sizeof scores->status.reason,
                  "%d neighbours vote at least, and memory has room for %d; --memory allows more",
                  choices[0], k);
    else
        pf_format(scores->status.reason, sizeof scores->status.reason,
                  "%d neighbours vote at least, and only %lld train image%s a label", choices[0],
                  (long long)references, references == 1 ? " has" : "s have");
}

static void begin_scores(PfKnnScores *scores, int k, int64_t references, bool leave_one_out)
{
    scores->temperature = PF_KNN_TEMPERATURE;
    scores->leave_one_out = leave_one_out;
    for (int c = 0; c < PF_KNN_CHOICES; c++)
        if (choices[c] <= k && (!c || choices[c] < references))
            scores->scores[scores->count++].k = choices[c];
    if (!scores->count) say_too_few(scores, k, references);
}

static void finish_scores(PfKnnScores *scores, const char *missing)
{
    if (!scores->count) return; /* begin_scores has said why */
    if (!scores->scores[0].count) {
        scores->count = 0;
        pf_format(scores->status.reason, sizeof scores->status.reason, "%s", missing);
        return;
    }
    for (int s = 0; s < scores->count; s++) {
        PfKnnScore *score = &scores->scores[s];
        score->accuracy = (double)score->right / (double)score->count;
        score->interval = pf_interval_wilson(score->right, score->count);
    }
    scores->status.done = true;
}

int pf_votes_score(const PfRows *rows, const PfNeighbours *neighbours, PfKnnScores *train,
                   PfKnnScores *held_out, PfError *err)
{
    double *votes = pf_calloc((size_t)rows->class_count, sizeof *votes, err);
    int64_t references = 0;
    if (!votes) return -1;
    for (int64_t i = 0; i < rows->count; i++)
        references += !neighbours->references || neighbours->references[i];
    begin_scores(train, neighbours->k, references, true);
    begin_scores(held_out, neighbours->k, references, false);
    for (int64_t i = 0; i < rows->count; i++)
        if (rows->labels[i] >= 0 && !rows->broken[i])
            add_row(rows, neighbours, i, votes,
                    rows->splits[i] == PF_SPLIT_TRAIN ? train : held_out);
    free(votes);
    finish_scores(train, "there are no train rows with a label");
    finish_scores(held_out, "the cache has no val or test rows with a label");
    return 0;
}

/* ---- classes ---- */

static void count_rows(const PfRows *rows, PfClassFindings *out)
{
    out->most = out->fewest = -1;
    for (int64_t i = 0; i < rows->count; i++)
        if (rows->labels[i] < 0)
            out->unlabelled++;
        else
            out->counts[rows->labels[i] * PF_SPLIT_COUNT + rows->splits[i]]++;
    int64_t most = 0, fewest = INT64_MAX;
    for (int32_t c = 0; c < rows->class_count; c++) {
        int64_t total = 0;
        for (int s = 0; s < PF_SPLIT_COUNT; s++) total += out->counts[c * PF_SPLIT_COUNT + s];
        out->empty += !total;
        if (total > most) most = total, out->most = c;
        if (total && total < fewest) fewest = total, out->fewest = c;
    }
}

static int compare_pairs(const void *a, const void *b)
{
    const PfClassPair *x = a, *y = b;
    if (x->share != y->share) return x->share < y->share ? 1 : -1;
    if (x->of != y->of) return x->of < y->of ? -1 : 1;
    return (x->taken_for > y->taken_for) - (x->taken_for < y->taken_for);
}

static void measure_overlap(const PfRows *rows, const PfNeighbours *neighbours, int k,
                            PfClassFindings *out)
{
    int64_t classes = rows->class_count;
    for (int64_t i = 0; i < rows->count; i++) {
        if (rows->labels[i] < 0) continue;
        for (int j = 0; j < k; j++) {
            int32_t other = neighbours->index[i * neighbours->k + j];
            if (other < 0) break;
            if (rows->labels[other] >= 0)
                out->shares[rows->labels[i] * classes + rows->labels[other]]++;
        }
    }
    for (int64_t c = 0; c < classes; c++) {
        double total = 0;
        for (int64_t d = 0; d < classes; d++) total += out->shares[c * classes + d];
        for (int64_t d = 0; d < classes && total > 0; d++) out->shares[c * classes + d] /= total;
    }
}

static int list_pairs(PfClassFindings *out, PfError *err)
{
    size_t capacity = 0;
    for (int32_t c = 0; c < out->classes; c++)
        for (int32_t d = 0; d < out->classes; d++) {
            double share = out->shares[(int64_t)c * out->classes + d];
            if (c == d || share < LEAST_SHARE) continue;
            if (pf_grow(&out->pairs, &capacity, (size_t)out->pair_count + 1, sizeof *out->pairs,
                        err))
                return -1;
            out->pairs[out->pair_count++] = (PfClassPair){c, d, share};
        }
    if (out->pair_count)
        qsort(out->pairs, (size_t)out->pair_count, sizeof *out->pairs, compare_pairs);
    return 0;
}

int pf_votes_classes(const PfRows *rows, const PfNeighbours *neighbours, int k,
                     PfClassFindings *out, PfError *err)
{
    size_t classes = (size_t)rows->class_count;
    out->classes = rows->class_count;
    out->counts = pf_calloc(classes * PF_SPLIT_COUNT, sizeof *out->counts, err);
    if (!out->counts) return -1;
    count_rows(rows, out);
    out->status.done = true;
    if (!neighbours) return 0;
    out->k = k < neighbours->k ? k : neighbours->k;
    out->shares = pf_calloc(classes * classes, sizeof *out->shares, err);
    if (!out->shares) return -1;
    measure_overlap(rows, neighbours, out->k, out);
    out->has_overlap = true;
    return list_pairs(out, err);
}
