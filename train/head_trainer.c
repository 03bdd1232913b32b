#include "head_trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "memory.h"
#include "random.h"

/* Streams of the epochs' shuffles in pf_random_seeded: this plus the epoch. */
#define SHUFFLE_STREAM ((uint64_t)0x73687566 << 32)

typedef struct Trainer {
    const PfFeatureTable *table;
    const PfTrainConfig *config;
    const PfTrainObserver *observer;
    PfHead *head, *best;
    PfOptimizer *optimizer;
    int32_t *order;  /* (train rows) of the epoch */
    float *x;        /* (batch, features) */
    float *logits;   /* (batch, outputs), then their gradient */
    float *gradient; /* (parameter_count) */
    int32_t *labels; /* (batch) */
    int64_t steps_done, steps_total;
} Trainer;

static void free_trainer(Trainer *trainer)
{
    pf_head_free(&trainer->head);
    pf_head_free(&trainer->best);
    pf_optimizer_free(&trainer->optimizer);
    free(trainer->order);
    free(trainer->x);
    free(trainer->logits);
    free(trainer->gradient);
    free(trainer->labels);
}

static int64_t train_rows(const Trainer *trainer)
{
    return trainer->table->split_counts[PF_SPLIT_TRAIN];
}

static int64_t batch_rows(const Trainer *trainer)
{
    return trainer->config->batch < train_rows(trainer) ? trainer->config->batch
                                                        : train_rows(trainer);
}

static int allocate_trainer(Trainer *trainer, PfError *err)
{
    const PfFeatureTable *table = trainer->table;
    const PfTrainConfig *config = trainer->config;
    int64_t batch = batch_rows(trainer), steps = (train_rows(trainer) + batch - 1) / batch;
    trainer->steps_total = steps * config->epochs;
    if (pf_head_new(table->features, table->class_count, config->seed, &trainer->head, err) ||
        pf_head_copy(trainer->head, &trainer->best, err))
        return -1;
    int64_t parameters = trainer->head->parameter_count;
    if (pf_optimizer_new(&config->optimizer, parameters, &trainer->optimizer, err)) return -1;
    trainer->order = pf_calloc((size_t)train_rows(trainer), sizeof *trainer->order, err);
    trainer->labels = pf_calloc((size_t)batch, sizeof *trainer->labels, err);
    trainer->x = pf_alloc_aligned((size_t)(batch * table->features), sizeof *trainer->x, err);
    trainer->logits =
        pf_alloc_aligned((size_t)(batch * table->class_count), sizeof *trainer->logits, err);
    trainer->gradient = pf_alloc_aligned((size_t)parameters, sizeof *trainer->gradient, err);
    return trainer->order && trainer->labels && trainer->x && trainer->logits && trainer->gradient
               ? 0
               : -1;
}

/* One step on table rows rows[0..n). */
static PfLossSum train_batch(Trainer *trainer, const int32_t *rows, int64_t n, double rate)
{
    const PfFeatureTable *table = trainer->table;
    PfHead *head = trainer->head;
    pf_gather_rows(table->x, table->features, rows, n, trainer->x);
    for (int64_t i = 0; i < n; i++) trainer->labels[i] = table->classes[rows[i]];
    pf_head_forward(head, trainer->x, n, trainer->logits);
    PfLossSum sum = pf_softmax_cross_entropy(trainer->logits, n, head->outputs, head->outputs,
                                             trainer->labels, 1.0f / (float)n);
    pf_head_backward(head, trainer->x, trainer->logits, n, trainer->gradient);
    pf_optimizer_step(trainer->optimizer, rate, head->weight, trainer->gradient);
    return sum;
}

static void shuffle_rows(Trainer *trainer, int epoch)
{
    size_t count = (size_t)train_rows(trainer);
    PfRandom random = pf_random_seeded(trainer->config->seed, SHUFFLE_STREAM | (uint32_t)epoch);
    memcpy(trainer->order, trainer->table->split_rows[PF_SPLIT_TRAIN],
           count * sizeof *trainer->order);
    pf_random_shuffle(&random, trainer->order, count);
}

static int interrupted(Trainer *trainer, PfError *err)
{
    const PfTrainObserver *observer = trainer->observer;
    trainer->steps_done++;
    if (!observer || !observer->on_step ||
        !observer->on_step(observer->context, trainer->steps_done, trainer->steps_total))
        return 0;
    pf_fail(err, PF_EXIT_INTERRUPTED, "interrupted at step %lld of %lld; nothing was written",
            (long long)trainer->steps_done, (long long)trainer->steps_total);
    return 1;
}

static int train_epoch(Trainer *trainer, PfEpochStats *stats, PfError *err)
{
    int64_t count = train_rows(trainer), batch = batch_rows(trainer);
    PfLossSum total = {0};
    double started = pf_seconds();
    shuffle_rows(trainer, stats->epoch);
    for (int64_t first = 0; first < count; first += batch) {
        int64_t n = count - first < batch ? count - first : batch;
        PfLossSum sum = train_batch(trainer, trainer->order + first, n, stats->learning_rate);
        total.loss += sum.loss;
        total.correct += sum.correct;
        if (interrupted(trainer, err)) return -1;
    }
    stats->train_loss = total.loss / (double)count;
    stats->train_accuracy = (double)total.correct / (double)count;
    stats->train_seconds = pf_seconds() - started;
    if (isfinite(stats->train_loss)) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "the training diverged: the loss of epoch %d is %s. Hint: a smaller --lr than "
                   "%g, or --normalize standardize.",
                   stats->epoch, isnan(stats->train_loss) ? "not a number" : "infinite",
                   trainer->config->learning_rate);
}

static int validate(Trainer *trainer, PfEpochStats *stats, PfError *err)
{
    const PfFeatureTable *table = trainer->table;
    int64_t count = table->split_counts[PF_SPLIT_VAL];
    PfLossSum sum;
    double started = pf_seconds();
    stats->val_loss = stats->val_accuracy = NAN;
    if (!count) return 0;
    if (pf_head_evaluate(trainer->head, table->x, table->classes, table->split_rows[PF_SPLIT_VAL],
                         count, trainer->config->threads, NULL, &sum, err))
        return -1;
    stats->val_loss = sum.loss / (double)count;
    stats->val_accuracy = (double)sum.correct / (double)count;
    stats->val_seconds = pf_seconds() - started;
    return 0;
}

/* Without val rows (NaN) every epoch is better than the one before. */
static int is_better(const PfEpochStats *stats, const PfEpochStats *best)
{
    if (isnan(stats->val_accuracy)) return 1;
    if (stats->val_accuracy != best->val_accuracy) return stats->val_accuracy > best->val_accuracy;
    return stats->val_loss < best->val_loss;
}

static int run_epochs(Trainer *trainer, PfTrainResult *result, PfError *err)
{
    const PfTrainConfig *config = trainer->config;
    for (int epoch = 1; epoch <= config->epochs; epoch++) {
        PfEpochStats *stats = &result->epochs[epoch - 1];
        stats->epoch = epoch;
        stats->learning_rate =
            pf_schedule_rate(&config->schedule, config->learning_rate, epoch - 1, config->epochs);
        if (train_epoch(trainer, stats, err) || validate(trainer, stats, err)) return -1;
        stats->is_best =
            !result->best_epoch || is_better(stats, &result->epochs[result->best_epoch - 1]);
        if (stats->is_best) {
            result->best_epoch = epoch;
            pf_head_assign(trainer->best, trainer->head);
        }
        result->epoch_count = epoch;
        if (trainer->observer && trainer->observer->on_epoch)
            trainer->observer->on_epoch(trainer->observer->context, stats);
    }
    return 0;
}

int pf_train_head(const PfFeatureTable *table, const PfTrainConfig *config,
                  const PfTrainObserver *observer, PfTrainResult *out, PfError *err)
{
    Trainer trainer = {.table = table, .config = config, .observer = observer};
    double started = pf_seconds();
    *out = (PfTrainResult){.epochs = pf_calloc((size_t)config->epochs, sizeof *out->epochs, err)};
    int failed = !out->epochs || allocate_trainer(&trainer, err) || run_epochs(&trainer, out, err);
    out->seconds = pf_seconds() - started;
    if (!failed) {
        out->head = trainer.best;
        trainer.best = NULL;
    }
    free_trainer(&trainer);
    if (failed) pf_train_result_free(out);
    return failed ? -1 : 0;
}

void pf_train_result_free(PfTrainResult *result)
{
    pf_head_free(&result->head);
    free(result->epochs);
    *result = (PfTrainResult){0};
}

int pf_evaluate_split(const PfFeatureTable *table, const PfHead *head, PfSplit split, int threads,
                      PfMetrics *out, PfError *err)
{
    int64_t count = table->split_counts[split];
    const int32_t *rows = table->split_rows[split];
    PfLossSum sum;
    *out = (PfMetrics){.class_count = table->class_count};
    if (!count) return 0;
    int32_t *predictions = pf_calloc((size_t)count, sizeof *predictions, err);
    int failed = !predictions ||
                 pf_head_evaluate(head, table->x, table->classes, rows, count, threads, predictions,
                                  &sum, err) ||
                 pf_metrics_compute(table->classes, rows, predictions, count, table->class_count,
                                    sum.loss / (double)count, out, err);
    free(predictions);
    return failed ? -1 : 0;
}
