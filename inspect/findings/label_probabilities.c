#include <math.h>
#include <stdlib.h>

#include "common/base/memory.h"
#include "inspect/findings/label_errors.h"
#include "inspect/findings/probe.h"
#include "inspect/findings/votes.h"
#include "train/features/row_choice.h"

/* Rows by fold: those of the fold, and the others. */
typedef struct Folds {
    const PfRows *rows;
    int32_t *labelled; /* (count) */
    uint8_t *fold;     /* (count) of labelled rows */
    int32_t *inside, *outside;
    int64_t count, inside_count, outside_count;
} Folds;

static int deal_out(Folds *folds, const PfTask *task, int fold_count, uint64_t seed, PfError *err)
{
    const PfRows *rows = folds->rows;
    if (pf_probe_choose(rows, pf_probe_is_labelled, rows, &folds->labelled, &folds->count, err))
        return -1;
    folds->fold = pf_calloc((size_t)folds->count, 1, err);
    folds->inside = pf_calloc((size_t)folds->count, sizeof *folds->inside, err);
    folds->outside = pf_calloc((size_t)folds->count, sizeof *folds->outside, err);
    if (!folds->fold || !folds->inside || !folds->outside) return -1;
    return pf_row_choice_fold(task, folds->labelled, rows->alike, folds->count, fold_count, seed,
                              folds->fold, err);
}

static void choose_fold(Folds *folds, int fold)
{
    folds->inside_count = folds->outside_count = 0;
    for (int64_t i = 0; i < folds->count; i++)
        if (folds->fold[i] == fold)
            folds->inside[folds->inside_count++] = folds->labelled[i];
        else
            folds->outside[folds->outside_count++] = folds->labelled[i];
}

static int predict_fold(PfProbe *probe, const Folds *folds, float *probabilities, PfError *err)
{
    PfHeadNetwork *network;
    if (!folds->inside_count || !folds->outside_count) return 0;
    if (pf_probe_fit(probe, folds->outside, folds->outside_count, &network, err)) return -1;
    int failed =
        pf_probe_predict(probe, network, folds->inside, folds->inside_count, probabilities, err);
    pf_head_network_free(&network);
    return failed;
}

int pf_label_errors_out_of_fold(const PfRows *rows, int folds, uint64_t seed,
                                PfNeighboursProgress *progress, void *context, PfLabelErrors *out,
                                PfError *err)
{
    PfProbe probe;
    Folds dealt = {.rows = rows};
    int64_t values = rows->count * rows->class_count;
    out->folds = folds;
    out->probabilities = pf_alloc_aligned((size_t)values, sizeof *out->probabilities, err);
    int failed = !out->probabilities;
    for (int64_t i = 0; i < values && !failed; i++) out->probabilities[i] = NAN;
    if (failed) return -1;
    failed = pf_probe_new(rows, &probe, err) ||
             deal_out(&dealt, &probe.table->tasks[0], folds, seed, err);
    for (int fold = 0; fold < folds && !failed; fold++) {
        choose_fold(&dealt, fold);
        failed = predict_fold(&probe, &dealt, out->probabilities, err);
        if (!failed && progress) progress(context, fold + 1, folds);
    }
    pf_probe_free(&probe);
    free(dealt.labelled);
    free(dealt.fold);
    free(dealt.inside);
    free(dealt.outside);
    return failed ? -1 : 0;
}

int pf_label_errors_ask_neighbours(const PfRows *rows, const PfNeighbours *neighbours, int k,
                                   PfLabelErrors *out, PfError *err)
{
    double *votes = pf_calloc((size_t)rows->class_count, sizeof *votes, err);
    if (!votes) return -1;
    for (int64_t e = 0; e < out->count; e++) {
        PfLabelError *error = &out->errors[e];
        error->knn_label = pf_votes_count(rows, neighbours, error->row, k, votes);
        if (error->knn_label >= 0) error->knn_agreement = (float)votes[error->given];
    }
    free(votes);
    return 0;
}
