#include "train/sweep/ranking.h"

#include <math.h>
#include <stdlib.h>

static int compare_trials(const void *a, const void *b)
{
    const PfTrial *left = a, *right = b;
    if (left->tap != right->tap) return left->tap - right->tap;
    if (left->setting != right->setting) return left->setting - right->setting;
    if (left->fold != right->fold) return left->fold - right->fold;
    return (left->seed > right->seed) - (left->seed < right->seed);
}

/* Whether no trial has val rows, so that all are ranked by their train part. */
static bool has_only_train(const PfTrial *trials, int count)
{
    for (int i = 0; i < count; i++)
        if (!isnan(trials[i].val_loss) || !isnan(trials[i].val_score)) return false;
    return true;
}

/* What a trial is ranked by. */
static double score_of(const PfTrial *trial, bool of_train)
{
    return of_train ? trial->train_score : trial->val_score;
}

/* The val rows of a fold may have no score, as R2 of equal numbers, and a head that diverged has
 * none that means anything: the mean is of the others. */
static bool is_left_out(const PfTrial *trial, bool of_train)
{
    return isnan(score_of(trial, of_train)) || trial->diverged;
}

/* Of the trials that have a loss and did not diverge; NaN where there are none. */
static double mean_loss(const PfTrial *trials, int count, bool of_train)
{
    double sum = 0;
    int known = 0;
    for (int i = 0; i < count; i++) {
        double loss = of_train ? trials[i].train_loss : trials[i].val_loss;
        if (isnan(loss) || trials[i].diverged) continue;
        sum += loss;
        known++;
    }
    return known ? sum / known : NAN;
}

static PfRanked sum_up(const PfTrial *trials, int count, bool of_train)
{
    PfRanked ranked = {.setting = trials[0].setting,
                       .tap = trials[0].tap,
                       .of_train = of_train,
                       .trials = count,
                       .deviation = NAN,
                       .test_deviation = NAN,
                       .best_seed = trials[0].seed};
    double squares = 0, best = -INFINITY;
    int scored = 0, sound = 0;
    for (int i = 0; i < count; i++) {
        scored += !is_left_out(&trials[i], of_train);
        if (!trials[i].diverged && !sound++) ranked.best_seed = trials[i].seed;
    }
    ranked.diverged = count - sound;
    if (!scored) ranked.mean = NAN;
    if (!sound) ranked.test_mean = NAN;
    ranked.mean_loss = mean_loss(trials, count, of_train);
    for (int i = 0; i < count; i++) {
        double score = score_of(&trials[i], of_train);
        if (is_left_out(&trials[i], of_train)) continue;
        ranked.mean += score / scored;
        if (!(score > best)) continue;
        best = score;
        ranked.best_seed = trials[i].seed;
    }
    for (int i = 0; i < count; i++)
        if (!is_left_out(&trials[i], of_train))
            squares += pow(score_of(&trials[i], of_train) - ranked.mean, 2);
    if (scored > 1) ranked.deviation = sqrt(squares / (scored - 1));
    squares = 0;
    for (int i = 0; i < count; i++)
        if (!trials[i].diverged) ranked.test_mean += trials[i].test_score / sound;
    for (int i = 0; i < count; i++)
        if (!trials[i].diverged) squares += pow(trials[i].test_score - ranked.test_mean, 2);
    if (sound > 1) ranked.test_deviation = sqrt(squares / (sound - 1));
    return ranked;
}

/* No loss is worse than any. */
static double loss_of(const PfRanked *ranked)
{
    return isnan(ranked->mean_loss) ? INFINITY : ranked->mean_loss;
}

/* 0: all heads are sound; 1: some diverged; 2: there is no score; 3: all diverged. */
static int trouble_of(const PfRanked *ranked)
{
    return ranked->diverged == ranked->trials ? 3 : isnan(ranked->mean) ? 2 : ranked->diverged > 0;
}

/* Best first; what diverged last. */
static int compare_ranked(const void *a, const void *b)
{
    const PfRanked *left = a, *right = b;
    const int left_bad = trouble_of(left) > 1;
    if (trouble_of(left) != trouble_of(right)) return trouble_of(left) - trouble_of(right);
    if (!left_bad && left->mean != right->mean) return left->mean < right->mean ? 1 : -1;
    if (!left_bad && loss_of(left) != loss_of(right))
        return loss_of(left) > loss_of(right) ? 1 : -1;
    if (left->tap != right->tap) return left->tap - right->tap;
    return left->setting - right->setting;
}

int pf_ranking_make(PfTrial *trials, int count, PfRanked *ranking)
{
    const bool of_train = has_only_train(trials, count);
    int ranked = 0;
    qsort(trials, (size_t)count, sizeof *trials, compare_trials);
    for (int first = 0, end; first < count; first = end) {
        const PfTrial *trial = &trials[first];
        for (end = first + 1; end < count; end++)
            if (trials[end].setting != trial->setting || trials[end].tap != trial->tap) break;
        ranking[ranked++] = sum_up(trial, end - first, of_train);
    }
    qsort(ranking, (size_t)ranked, sizeof *ranking, compare_ranked);
    return ranked;
}
