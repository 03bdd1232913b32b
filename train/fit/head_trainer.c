#include "train/fit/head_trainer.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/base/random.h"
#include "train/features/feature_memory.h"
#include "train/features/row_choice.h"
#include "train/fit/decay_search.h"
#include "train/fit/head_optimizer.h"

/* Streams in pf_random_seeded: of the epochs' orders, this plus the epoch; of the
 * steps' dropout, this plus the step. */
#define SHUFFLE_STREAM ((uint64_t)0x73687566 << 32)
#define DROPOUT_STREAM ((uint64_t)0x64726f73 << 32)
#define BALANCE_STREAM ((uint64_t)0x62616c61 << 32)
/* Floats of a block's outputs, at most, where there are many classes or heads. */
#define EVALUATION_OUTPUTS (1 << 22)

typedef struct Trainer {
    const PfTrainingData *data;
    const PfHeadBatchConfig *config;
    const PfHeadBatchObserver *observer;
    PfHeadNetwork *network, *best;
    PfHeadPass *pass;
    PfHeadOptimizer *optimizer;
    PfTaskSum *sums;                     /* (heads, tasks) of the epoch or the validation */
    double *train_spreads, *val_spreads; /* (tasks) */
    PfTaskTruth truth;                   /* of the batch */
    int32_t *drawn;                      /* (train rows) of the epoch where classes are balanced */
    float *scales, *smoothing;           /* (heads) of the losses */
    double *rates;                       /* (heads) of the step */
    float *x_gradient;                   /* (batch, features) what the trunk is told; or NULL */
    int *waiting;                        /* (heads) epochs since the best one; -1: ended */
    int64_t steps_per_epoch, steps_done;
    int epochs_done, epochs_written; /* the latter: in the checkpoint */
    double last_written;
    PfHeadBatchResult *result;
} Trainer;

/* ---- setting up ---- */

static double *measure_spreads(const PfTrainingData *data, const int32_t *rows, int64_t count,
                               PfError *err)
{
    double *spreads = pf_calloc((size_t)data->task_count, sizeof *spreads, err);
    for (int t = 0; spreads && t < data->task_count; t++)
        spreads[t] = pf_task_spread(&data->tasks[t], rows, count);
    return spreads;
}

static int64_t batch_rows(const Trainer *trainer)
{
    int64_t batch = trainer->config->batch, count = trainer->data->train_count;
    return batch < count ? batch : count;
}

static int new_networks(Trainer *trainer, PfError *err)
{
    const PfTrainingData *data = trainer->data;
    const PfHeadBatchConfig *config = trainer->config;
    int64_t outputs = pf_task_outputs(data->tasks, data->task_count);
    uint64_t *seeds = pf_calloc((size_t)config->head_count, sizeof *seeds, err);
    if (!seeds) return -1;
    for (int h = 0; h < config->head_count; h++) seeds[h] = config->seed;
    int failed = pf_head_network_new(&config->spec, data->features, outputs, config->head_count,
                                     seeds, &trainer->network, err) ||
                 pf_head_network_new(&config->spec, data->features, outputs, config->head_count,
                                     seeds, &trainer->best, err);
    free(seeds);
    if (!failed && config->start) pf_head_network_copy_head(trainer->network, 0, config->start, 0);
    return failed ? -1 : 0;
}

static int new_histories(Trainer *trainer, PfError *err)
{
    int heads = trainer->config->head_count;
    PfHeadBatchResult *result = trainer->result;
    result->histories = pf_calloc((size_t)heads, sizeof *result->histories, err);
    if (!result->histories) return -1;
    result->head_count = heads;
    for (int h = 0; h < heads; h++) {
        PfHeadHistory *history = &result->histories[h];
        history->epochs = pf_calloc((size_t)trainer->config->epochs, sizeof *history->epochs, err);
        if (!history->epochs) return -1;
    }
    return 0;
}

static int set_up(Trainer *trainer, PfError *err)
{
    const PfTrainingData *data = trainer->data;
    const PfHeadBatchConfig *config = trainer->config;
    size_t heads = (size_t)config->head_count;
    int64_t batch = batch_rows(trainer);
    trainer->steps_per_epoch = (data->train_count + batch - 1) / batch;
    if (new_networks(trainer, err) || new_histories(trainer, err) ||
        pf_head_pass_new(trainer->network, batch, 1, &trainer->pass, err) ||
        pf_head_optimizer_new(trainer->network, config, &trainer->optimizer, err))
        return -1;
    trainer->train_spreads = measure_spreads(data, data->train_rows, data->train_count, err);
    trainer->val_spreads = measure_spreads(data, data->val_rows, data->val_count, err);
    trainer->sums = pf_calloc(heads * (size_t)data->task_count, sizeof *trainer->sums, err);
    trainer->drawn = pf_calloc((size_t)data->train_count, sizeof *trainer->drawn, err);
    trainer->rates = pf_calloc(heads, sizeof *trainer->rates, err);
    trainer->scales = pf_calloc(heads, sizeof *trainer->scales, err);
    trainer->smoothing = pf_calloc(heads, sizeof *trainer->smoothing, err);
    trainer->waiting = pf_calloc(heads, sizeof *trainer->waiting, err);
    if (!trainer->drawn || !trainer->train_spreads || !trainer->val_spreads || !trainer->sums ||
        !trainer->rates || !trainer->scales || !trainer->smoothing || !trainer->waiting)
        return -1;
    for (size_t h = 0; h < heads; h++)
        trainer->smoothing[h] = (float)config->settings[h].label_smoothing;
    if (!config->trunk) return 0;
    trainer->x_gradient = pf_alloc_aligned((size_t)(batch * data->features), sizeof(float), err);
    return trainer->x_gradient ? 0 : -1;
}

static void tear_down(Trainer *trainer)
{
    if (trainer->config->checkpoint) pf_checkpoint_forget(trainer->config->checkpoint);
    pf_head_network_free(&trainer->network);
    pf_head_network_free(&trainer->best);
    pf_head_pass_free(&trainer->pass);
    pf_head_optimizer_free(&trainer->optimizer);
    free(trainer->train_spreads);
    free(trainer->val_spreads);
    free(trainer->sums);
    free(trainer->rates);
    free(trainer->drawn);
    free(trainer->scales);
    free(trainer->smoothing);
    pf_task_truth_free(&trainer->truth);
    free(trainer->waiting);
    free(trainer->x_gradient);
}

/* ---- losses ---- */

static void clear_sums(Trainer *trainer)
{
    size_t count = (size_t)(trainer->config->head_count * trainer->data->task_count);
    memset(trainer->sums, 0, count * sizeof *trainer->sums);
}

static void zero_columns(float *outputs, int64_t n, int64_t stride, int width)
{
    for (int64_t i = 0; i < n; i++)
        memset(outputs + i * stride, 0, (size_t)width * sizeof *outputs);
}

/* No row of the batch has anything of this task: no gradient. */
static void zero_task(const Trainer *trainer, const PfTask *task, int64_t n, float *outputs)
{
    int heads = trainer->config->head_count;
    int64_t width = trainer->network->outputs;
    for (int h = 0; h < heads; h++)
        zero_columns(outputs + h * width, n, heads * width, task->outputs);
}

static int add_task(Trainer *trainer, int t, const PfRowBatch *batch, float *outputs,
                    bool gradients, PfError *err)
{
    const PfTask *task = &trainer->data->tasks[t];
    int heads = trainer->config->head_count;
    double weight = gradients ? pf_task_weight(task, batch->rows, batch->n) : 0;
    if (pf_task_gather(task, batch->rows, batch->n, &trainer->truth, err)) return -1;
    for (int h = 0; h < heads; h++)
        trainer->scales[h] = weight > 0 ? (float)(task->weight / weight) : 0;
    PfTaskColumns columns = {
        .outputs = outputs,
        .stride = heads * trainer->network->outputs,
        .head_stride = trainer->network->outputs,
        .heads = heads,
        .smoothing = gradients ? trainer->smoothing : NULL,
        .scale = gradients ? trainer->scales : NULL,
    };
    pf_task_losses(task, &trainer->truth, &columns, trainer->sums + t, trainer->data->task_count);
    if (gradients && !(weight > 0)) zero_task(trainer, task, batch->n, outputs);
    return 0;
}

/* Adds to the sums; with gradients, outputs become their own gradients. */
static int add_losses(Trainer *trainer, const PfRowBatch *batch, float *outputs, bool gradients,
                      PfError *err)
{
    const PfTrainingData *data = trainer->data;
    int64_t offset = 0;
    for (int t = 0; t < data->task_count; offset += data->tasks[t++].outputs)
        if (add_task(trainer, t, batch, outputs + offset, gradients, err)) return -1;
    return 0;
}

static void finish_sums(const Trainer *trainer, int head, const double *spreads, double *loss,
                        double *score)
{
    const PfTrainingData *data = trainer->data;
    pf_task_sums_finish(data->tasks, data->task_count, trainer->sums + head * data->task_count,
                        spreads, loss, score);
}

/* ---- an epoch ---- */

static double rate_of(const Trainer *trainer, const PfHeadSetting *setting, int epoch)
{
    double rate = pf_schedule_rate(&setting->schedule, setting->learning_rate, epoch - 1,
                                   trainer->config->epochs);
    double rising = setting->warmup_epochs * (double)trainer->steps_per_epoch;
    double step = (double)trainer->steps_done + 1;
    return step < rising ? rate * step / rising : rate;
}

/* From the gradients of head and trunk. */
static int learn(Trainer *trainer, int epoch, PfError *err)
{
    const PfHeadBatchConfig *config = trainer->config;
    const PfTrunk *trunk = config->trunk;
    PfTrunkStep step = {.clip = 1};
    double squares = 0;
    if (trunk) {
        pf_head_input_gradient(trainer->network, trainer->pass, trainer->x_gradient, config->pool);
        int clips = config->settings[0].clip_norm > 0;
        if (trunk->backward(trunk->context, trainer->x_gradient, clips ? &squares : NULL, err))
            return -1;
    }
    for (int h = 0; h < config->head_count; h++) {
        trainer->rates[h] = rate_of(trainer, &config->settings[h], epoch);
        step.clip =
            pf_head_optimizer_clip(trainer->optimizer, trainer->network, trainer->pass, h, squares);
    }
    pf_head_optimizer_step(trainer->optimizer, trainer->network, trainer->pass, trainer->rates);
    if (!trunk) return 0;
    step.progress = trainer->rates[0] / config->settings[0].learning_rate;
    return trunk->step(trunk->context, &step, err);
}

static int step(Trainer *trainer, const PfRowBatch *batch, int epoch, PfError *err)
{
    const PfHeadBatchConfig *config = trainer->config;
    uint64_t dropout = DROPOUT_STREAM | (uint64_t)trainer->steps_done;
    PfRandom random = pf_random_seeded(config->seed, dropout);
    float *outputs = pf_head_forward_training(trainer->network, trainer->pass, batch->x, batch->n,
                                              pf_random_u64(&random), config->pool);
    if (add_losses(trainer, batch, outputs, true, err)) return -1;
    pf_head_backward(trainer->network, trainer->pass, config->pool);
    if (learn(trainer, epoch, err)) return -1;
    trainer->steps_done++;
    return 0;
}

static bool interrupted(const Trainer *trainer, PfError *err)
{
    const PfHeadBatchObserver *observer = trainer->observer;
    int64_t total = trainer->steps_per_epoch * trainer->config->epochs;
    if (!observer || !observer->on_step ||
        !observer->on_step(observer->context, trainer->steps_done, total))
        return false;
    if (trainer->config->checkpoint && trainer->epochs_written)
        pf_fail(err, PF_EXIT_INTERRUPTED,
                "interrupted at step %lld of %lld; the same command goes on after epoch %d",
                (long long)trainer->steps_done, (long long)total, trainer->epochs_written);
    else
        pf_fail(err, PF_EXIT_INTERRUPTED, "interrupted at step %lld of %lld; nothing was written",
                (long long)trainer->steps_done, (long long)total);
    return true;
}

static int start_epoch(Trainer *trainer, int epoch, PfError *err)
{
    const PfTrainingData *data = trainer->data;
    const PfHeadBatchConfig *config = trainer->config;
    const int32_t *rows = data->train_rows;
    PfRandom order = pf_random_seeded(config->seed, SHUFFLE_STREAM | (uint32_t)epoch);
    if (config->balance) {
        PfRandom draw = pf_random_seeded(config->seed, BALANCE_STREAM | (uint32_t)epoch);
        if (pf_row_choice_draw_balanced(config->balance, rows, data->train_count, &draw,
                                        trainer->drawn, err))
            return -1;
        rows = trainer->drawn;
    }
    return data->loader->start(data->loader->context, rows, data->train_count, &order,
                               batch_rows(trainer), err);
}

static int train_epoch(Trainer *trainer, int epoch, PfError *err)
{
    PfBatchLoader *loader = trainer->data->loader;
    PfRowBatch batch;
    clear_sums(trainer);
    if (start_epoch(trainer, epoch, err)) return -1;
    for (;;) {
        if (loader->next(loader->context, &batch, err)) return -1;
        if (!batch.n) return 0;
        if (step(trainer, &batch, epoch, err) || interrupted(trainer, err)) return -1;
    }
}

static int add_validation(void *context, const PfRowBatch *batch, float *outputs, PfError *err)
{
    return add_losses(context, batch, outputs, false, err);
}

static int validate(Trainer *trainer, PfError *err)
{
    const PfTrainingData *data = trainer->data;
    clear_sums(trainer);
    return pf_visit_outputs(trainer->network, data->loader, data->val_rows, data->val_count,
                            trainer->config->pool, add_validation, trainer, err);
}

/* ---- what becomes of a head ---- */

static bool is_better(const PfHeadEpoch *epoch, const PfHeadEpoch *best)
{
    if (isnan(epoch->val_score)) return true; /* no val rows: the last one */
    if (epoch->val_score != best->val_score) return epoch->val_score > best->val_score;
    return epoch->val_loss < best->val_loss;
}

static PfHeadEpoch *current_epoch(const Trainer *trainer, int head, int epoch)
{
    return &trainer->result->histories[head].epochs[epoch - 1];
}

static void note_training(Trainer *trainer, int epoch)
{
    for (int h = 0; h < trainer->config->head_count; h++) {
        PfHeadHistory *history = &trainer->result->histories[h];
        if (trainer->waiting[h] < 0) continue;
        PfHeadEpoch *now = current_epoch(trainer, h, epoch);
        *now = (PfHeadEpoch){
            .epoch = epoch, .learning_rate = trainer->rates[h], .val_loss = NAN, .val_score = NAN};
        finish_sums(trainer, h, trainer->train_spreads, &now->train_loss, &now->train_score);
        if (isfinite(now->train_loss)) continue;
        history->diverged = 1;
        trainer->waiting[h] = -1;
    }
}

/* Without val rows nothing else sees what the last step did. */
static bool is_finite(const Trainer *trainer, int head)
{
    const PfHeadNetwork *network = trainer->network;
    for (int l = 0; l < network->layer_count; l++) {
        const PfHeadLayer *layer = &network->layers[l];
        for (int64_t i = 0; i < layer->rows; i++)
            for (int64_t c = 0; c < layer->width; c++)
                if (!isfinite(layer->parameters[i * layer->columns + head * layer->width + c]))
                    return false;
    }
    return true;
}

static int keep(Trainer *trainer, int head, PfError *err)
{
    const PfTrunk *trunk = trainer->config->trunk;
    pf_head_network_copy_head(trainer->best, head, trainer->network, head);
    return trunk ? trunk->keep(trunk->context, err) : 0;
}

static int note_validation(Trainer *trainer, int epoch, PfError *err)
{
    int patience = trainer->config->patience;
    for (int h = 0; h < trainer->config->head_count; h++) {
        PfHeadHistory *history = &trainer->result->histories[h];
        PfHeadEpoch *now = current_epoch(trainer, h, epoch);
        if (trainer->waiting[h] < 0) continue;
        if (trainer->data->val_count)
            finish_sums(trainer, h, trainer->val_spreads, &now->val_loss, &now->val_score);
        if (trainer->data->val_count ? !isfinite(now->val_loss) : !is_finite(trainer, h)) {
            history->diverged = 1;
            trainer->waiting[h] = -1;
            continue;
        }
        history->epoch_count = epoch;
        now->is_best =
            !history->best_epoch || is_better(now, &history->epochs[history->best_epoch - 1]);
        if (now->is_best) {
            history->best_epoch = epoch;
            trainer->waiting[h] = 0;
            if (keep(trainer, h, err)) return -1;
        } else if (++trainer->waiting[h] == patience) {
            trainer->waiting[h] = -1;
        }
    }
    return 0;
}

/* ---- checkpoints ---- */

/* Histories lie in checkpoints as they lie in memory: these sizes are part of the format. */
_Static_assert(sizeof(PfHeadEpoch) == 56, "a PfHeadEpoch in a checkpoint");
_Static_assert(sizeof(((PfHeadHistory *)0)->diverged) == 4, "a number in a checkpoint");

static int register_history(Trainer *trainer, int head, PfError *err)
{
    PfHeadHistory *history = &trainer->result->histories[head];
    PfCheckpoint *checkpoint = trainer->config->checkpoint;
    size_t bytes = (size_t)trainer->config->epochs * sizeof *history->epochs;
    struct {
        const char *what;
        void *data;
        size_t bytes;
    } const fields[] = {{"epoch_count", &history->epoch_count, sizeof history->epoch_count},
                        {"best_epoch", &history->best_epoch, sizeof history->best_epoch},
                        {"diverged", &history->diverged, sizeof history->diverged},
                        {"waiting", &trainer->waiting[head], sizeof *trainer->waiting}};
    char name[64];
    snprintf(name, sizeof name, "head.%d.epochs", head);
    if (pf_checkpoint_add_list(checkpoint, name, history->epochs, bytes, err)) return -1;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        snprintf(name, sizeof name, "head.%d.%s", head, fields[i].what);
        if (pf_checkpoint_add(checkpoint, name, fields[i].data, fields[i].bytes, err)) return -1;
    }
    return 0;
}

/* All that an epoch changes and the next one needs. */
static int register_state(Trainer *trainer, PfError *err)
{
    PfCheckpoint *checkpoint = trainer->config->checkpoint;
    const PfTrunk *trunk = trainer->config->trunk;
    for (int h = 0; h < trainer->config->head_count; h++)
        if (register_history(trainer, h, err)) return -1;
    return pf_checkpoint_add(checkpoint, "epochs_done", &trainer->epochs_done,
                             sizeof trainer->epochs_done, err) ||
                   pf_checkpoint_add(checkpoint, "steps_done", &trainer->steps_done,
                                     sizeof trainer->steps_done, err) ||
                   pf_head_network_checkpoint(trainer->network, "network", checkpoint, err) ||
                   pf_head_network_checkpoint(trainer->best, "best", checkpoint, err) ||
                   pf_head_optimizer_checkpoint(trainer->optimizer, trainer->network, checkpoint,
                                                err) ||
                   (trunk && trunk->checkpoint(trunk->context, checkpoint, err))
               ? -1
               : 0;
}

/* A head that has learned for an epoch, or has ended, has a best one, unless it diverged before. */
static bool is_possible(const Trainer *trainer, int head)
{
    const PfHeadHistory *history = &trainer->result->histories[head];
    const int waiting = trainer->waiting[head];
    return history->epoch_count >= 0 && history->epoch_count <= trainer->epochs_done &&
           history->best_epoch >= 0 && history->best_epoch <= history->epoch_count &&
           (history->best_epoch || history->diverged || (!trainer->epochs_done && waiting >= 0)) &&
           waiting >= -1;
}

/* What a checkpoint says is an index before long. */
static int check_state(const Trainer *trainer, PfError *err)
{
    const PfHeadBatchConfig *config = trainer->config;
    bool fits = trainer->epochs_done >= 0 && trainer->epochs_done <= config->epochs &&
                trainer->steps_done >= 0 &&
                trainer->steps_done <= trainer->steps_per_epoch * trainer->epochs_done;
    for (int h = 0; h < config->head_count && fits; h++) fits = is_possible(trainer, h);
    if (fits) return 0;
    return pf_fail(
        err, PF_EXIT_FAILED,
        "'%s' counts other epochs than it can have: it is damaged.\nHint: --force starts "
        "the training from the beginning",
        pf_checkpoint_path(config->checkpoint));
}

static int begin_checkpoints(Trainer *trainer, PfError *err)
{
    const PfHeadBatchConfig *config = trainer->config;
    int found;
    if (!config->checkpoint) return 0;
    if (register_state(trainer, err)) return -1;
    if (!config->resume) return 0;
    if (pf_checkpoint_read(config->checkpoint, &found, err)) return -1;
    if (!found) return 0;
    if (check_state(trainer, err)) return -1;
    if (trainer->observer && trainer->observer->on_resume)
        trainer->observer->on_resume(trainer->observer->context, trainer->epochs_done);
    return config->trunk ? config->trunk->resumed(config->trunk->context, err) : 0;
}

/* ---- epochs ---- */

static bool all_ended(const Trainer *trainer)
{
    for (int h = 0; h < trainer->config->head_count; h++)
        if (trainer->waiting[h] >= 0) return false;
    return true;
}

/* After the first epoch that ends so many seconds behind the last one that was written. */
static int write_checkpoint(Trainer *trainer, PfError *err)
{
    const PfHeadBatchConfig *config = trainer->config;
    double now = pf_clock_seconds();
    if (!config->checkpoint || now - trainer->last_written < config->checkpoint_seconds) return 0;
    if (pf_checkpoint_write(config->checkpoint, err)) return -1;
    trainer->last_written = pf_clock_seconds();
    trainer->epochs_written = trainer->epochs_done;
    return 0;
}

static int run_epochs(Trainer *trainer, PfError *err)
{
    PfHeadBatchResult *result = trainer->result;
    if (begin_checkpoints(trainer, err)) return -1;
    trainer->last_written = pf_clock_seconds();
    trainer->epochs_written = trainer->epochs_done;
    while (trainer->epochs_done < trainer->config->epochs && !all_ended(trainer)) {
        int epoch = trainer->epochs_done + 1;
        double started = pf_clock_seconds();
        if (train_epoch(trainer, epoch, err)) return -1;
        note_training(trainer, epoch);
        double trained = pf_clock_seconds();
        if (trainer->data->val_count && validate(trainer, err)) return -1;
        if (note_validation(trainer, epoch, err)) return -1;
        trainer->epochs_done = epoch;
        if (write_checkpoint(trainer, err)) return -1;
        result->train_seconds += trained - started;
        result->val_seconds += pf_clock_seconds() - trained;
        if (trainer->observer && trainer->observer->on_epoch)
            trainer->observer->on_epoch(trainer->observer->context, epoch, result->histories);
    }
    return 0;
}

int pf_head_trainer_run(const PfTrainingData *data, const PfHeadBatchConfig *config,
                        const PfHeadBatchObserver *observer, PfHeadBatchResult *out, PfError *err)
{
    Trainer trainer = {.data = data, .config = config, .observer = observer, .result = out};
    double started = pf_clock_seconds();
    *out = (PfHeadBatchResult){0};
    int failed = set_up(&trainer, err) || run_epochs(&trainer, err);
    if (!failed) {
        out->network = trainer.best;
        trainer.best = NULL;
    }
    out->seconds = pf_clock_seconds() - started;
    tear_down(&trainer);
    if (failed) pf_head_batch_result_free(out);
    return failed ? -1 : 0;
}

void pf_head_batch_result_free(PfHeadBatchResult *result)
{
    pf_head_network_free(&result->network);
    for (int h = 0; result->histories && h < result->head_count; h++)
        free(result->histories[h].epochs);
    free(result->histories);
    pf_decay_search_free(&result->search);
    *result = (PfHeadBatchResult){0};
}

/* ---- evaluation ---- */

int pf_visit_outputs(PfHeadNetwork *network, PfBatchLoader *loader, const int32_t *rows,
                     int64_t count, PfThreadPool *pool, PfOutputVisitor *visit, void *context,
                     PfError *err)
{
    int64_t width = network->heads * network->outputs, block = EVALUATION_OUTPUTS / width;
    int64_t most = pf_feature_memory_evaluation_rows(loader->row_values);
    block = block < 1 ? 1 : block > most ? most : block;
    PfHeadPass *pass;
    PfRowBatch batch;
    if (pf_head_pass_new(network, block, 0, &pass, err)) return -1;
    int failed = loader->start(loader->context, rows, count, NULL, block, err);
    while (!failed) {
        failed = loader->next(loader->context, &batch, err);
        if (failed || !batch.n) break;
        failed =
            visit(context, &batch, pf_head_forward(network, pass, batch.x, batch.n, pool), err);
    }
    pf_head_pass_free(&pass);
    return failed ? -1 : 0;
}
