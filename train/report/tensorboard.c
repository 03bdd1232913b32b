#include "train/report/tensorboard.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/integers.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/cache/image_file.h"
#include "common/cache/split.h"
#include "common/file/atomic_file.h"
#include "extract/image/formats/thumbnail.h"
#include "train/metrics/classification.h"
#include "train/report/event_file.h"

#define MOST_SIDE 900
#define LEAST_CELL 4
#define MOST_CELL 40

/* Of hparams/plugin_data.proto, summary.proto and struct.proto. */
enum { VALUE_TAG = 1, VALUE_TENSOR = 8, VALUE_METADATA = 9, METADATA_PLUGIN = 1 };
enum { PLUGIN_NAME = 1, PLUGIN_CONTENT = 2, TENSOR_TYPE = 1, TENSOR_SHAPE = 2, SHAPE_SIZE = 2 };
enum { HPARAMS_START = 3, HPARAMS_END = 4, START_HPARAMS = 1, START_TIME = 5 };
enum { END_STATUS = 1, END_TIME = 2, ENTRY_KEY = 1, ENTRY_VALUE = 2 };
enum { STRUCT_NUMBER = 2, STRUCT_TEXT = 3 };

/* ---- folders ---- */

static int make_folder(const char *path, PfError *err)
{
    struct stat status;
    if (!mkdir(path, 0777) || (errno == EEXIST && !stat(path, &status) && S_ISDIR(status.st_mode)))
        return 0;
    return pf_fail_errno(err, "--tensorboard: the folder '%s' cannot be made", path);
}

/* malloc'ed; also makes it. */
static char *sub_folder(const char *folder, const char *name, PfError *err)
{
    char *path = pf_calloc(strlen(folder) + strlen(name) + 2, 1, err);
    if (!path) return NULL;
    strcpy(stpcpy(stpcpy(path, folder), "/"), name);
    if (!make_folder(path, err)) return path;
    free(path);
    return NULL;
}

int pf_tensorboard_check(const char *folder, PfError *err)
{
    if (make_folder(folder, err)) return -1;
    char *best = sub_folder(folder, "best", err);
    char *file = best ? pf_calloc(strlen(best) + 3, 1, err) : NULL;
    int failed = !file;
    if (file) {
        strcpy(stpcpy(file, best), "/x");
        failed = pf_atomic_file_check(file, err);
    }
    free(file);
    free(best);
    return failed ? -1 : 0;
}

/* ---- scalars ---- */

static void add_epochs(PfEventFile *file, const PfTrainRun *run)
{
    const PfHeadHistory *history = pf_train_run_history(run);
    const char *score = pf_train_run_score_name(run->sweep->table);
    char tag[64];
    for (int e = 0; e < history->epoch_count; e++) {
        const PfHeadEpoch *epoch = &history->epochs[e];
        pf_event_file_add_scalar(file, epoch->epoch, "loss/train", epoch->train_loss);
        pf_event_file_add_scalar(file, epoch->epoch, "loss/val", epoch->val_loss);
        snprintf(tag, sizeof tag, "%s/train", score);
        pf_event_file_add_scalar(file, epoch->epoch, tag, epoch->train_score);
        snprintf(tag, sizeof tag, "%s/val", score);
        pf_event_file_add_scalar(file, epoch->epoch, tag, epoch->val_score);
        pf_event_file_add_scalar(file, epoch->epoch, "learning_rate", epoch->learning_rate);
    }
}

static void add_metrics(PfEventFile *file, const PfTrainRun *run)
{
    int step = pf_train_run_best(run)->epoch;
    for (int split = 0; split < PF_SPLIT_COUNT; split++)
        for (int t = 0; run->metrics[split] && t < run->sweep->table->task_count; t++) {
            const void *values;
            const PfMetricField *field = pf_task_metric_fields(&run->metrics[split][t], &values);
            for (; field->key; field++) {
                char tag[160];
                snprintf(tag, sizeof tag, "%s/%s/%s", pf_split_names[split],
                         run->sweep->table->tasks[t].name, field->key);
                pf_event_file_add_scalar(file, step, tag, pf_field_value(field, values));
            }
        }
}

/* ---- the confusion matrix ---- */

/* Each cell as dark as its share of its row. */
static int add_confusion(PfEventFile *file, const PfTrainRun *run, int task, int split,
                         PfError *err)
{
    const PfClassificationMetrics *metrics = run->metrics[split][task].values;
    int classes = metrics->class_count;
    int cell = (int)pf_max(LEAST_CELL, pf_min(MOST_CELL, MOST_SIDE / classes));
    int side = cell * classes;
    uint8_t *pixels = pf_calloc((size_t)side * (size_t)side, 3, err), *jpeg;
    size_t size;
    char tag[160];
    if (!pixels) return -1;
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++) {
            int row = y / cell, column = x / cell;
            int64_t support = metrics->classes[row].support;
            double share =
                support ? (double)metrics->confusion[row * classes + column] / (double)support : 0;
            uint8_t *pixel = pixels + 3 * ((size_t)y * (size_t)side + (size_t)x);
            static const double dark[2][3] = {{230, 110, 20}, {20, 80, 170}};
            for (int c = 0; c < 3; c++)
                pixel[c] = (uint8_t)(255 - sqrt(share) * (255 - dark[row == column][c]));
        }
    int failed = pf_image_jpeg_encode(pixels, side, side, 92, &jpeg, &size, err);
    free(pixels);
    if (failed) return -1;
    snprintf(tag, sizeof tag, "confusion/%s/%s", pf_split_names[split],
             run->sweep->table->tasks[task].name);
    pf_event_file_add_image(file, pf_train_run_best(run)->epoch, tag, side, side, jpeg, size);
    free(jpeg);
    return 0;
}

static int add_confusions(PfEventFile *file, const PfTrainRun *run, PfError *err)
{
    for (int split = PF_SPLIT_VAL; split < PF_SPLIT_COUNT; split++)
        for (int t = 0; run->metrics[split] && t < run->sweep->table->task_count; t++) {
            const PfTaskMetrics *metrics = &run->metrics[split][t];
            if (metrics->metrics != &pf_classification || !metrics->count) continue;
            if (!((const PfClassificationMetrics *)metrics->values)->confusion) continue;
            if (add_confusion(file, run, t, split, err)) return -1;
        }
    return 0;
}

/* ---- settings of a sweep ---- */

static void put_setting(PfMessage *start, const char *name, const char *text)
{
    PfMessage entry = {0}, value = {0};
    char *end;
    double number = strtod(text, &end);
    if (*text && !*end)
        pf_message_put_double(&value, STRUCT_NUMBER, number);
    else
        pf_message_put_text(&value, STRUCT_TEXT, text);
    pf_message_put_text(&entry, ENTRY_KEY, name);
    pf_message_put_message(&entry, ENTRY_VALUE, &value);
    pf_message_put_message(start, START_HPARAMS, &entry);
}

/* A value that has no number but what the plugin reads. */
static void add_hparams(PfEventFile *file, const char *tag, int field, PfMessage *content)
{
    PfMessage value = {0}, metadata = {0}, plugin = {0}, data = {0};
    PfMessage tensor = {0}, shape = {0}, dimension = {0};
    pf_message_put_message(&data, field, content);
    pf_message_put_text(&plugin, PLUGIN_NAME, "hparams");
    pf_message_put_message(&plugin, PLUGIN_CONTENT, &data);
    pf_message_put_message(&metadata, METADATA_PLUGIN, &plugin);
    pf_message_put_int(&dimension, 1, 0);
    pf_message_put_message(&shape, SHAPE_SIZE, &dimension);
    pf_message_put_int(&tensor, TENSOR_TYPE, 1);
    pf_message_put_message(&tensor, TENSOR_SHAPE, &shape);
    pf_message_put_text(&value, VALUE_TAG, tag);
    pf_message_put_message(&value, VALUE_TENSOR, &tensor);
    pf_message_put_message(&value, VALUE_METADATA, &metadata);
    pf_event_file_add(file, 0, &value);
}

static int write_trial(const PfTrainOptions *options, const PfTrainRun *run, int index, double now,
                       PfError *err)
{
    const PfSweep *sweep = run->sweep;
    const PfTrial *trial = &sweep->trials[index];
    PfEventFile file = {.wall_time = now};
    PfMessage start = {0}, end = {0};
    char name[32], seed[24];
    for (int a = 0; a < options->axis_count; a++)
        put_setting(&start, options->axes[a].name, sweep->settings[trial->setting].values[a]);
    if (sweep->tap_count > 1)
        put_setting(&start, "tap", pf_cache_tap(run->cache, sweep->taps[trial->tap])->name);
    snprintf(seed, sizeof seed, "%lld", (long long)trial->seed);
    if (options->seeds > 1) put_setting(&start, "seed", seed);
    snprintf(seed, sizeof seed, "%d", trial->fold);
    if (trial->fold >= 0) put_setting(&start, "fold", seed);
    pf_message_put_double(&start, START_TIME, now);
    add_hparams(&file, "_hparams_/session_start_info", HPARAMS_START, &start);
    pf_event_file_add_scalar(&file, trial->best_epoch, "sweep/val_loss", trial->val_loss);
    snprintf(name, sizeof name, "sweep/val_%s", pf_train_run_score_name(sweep->table));
    pf_event_file_add_scalar(&file, trial->best_epoch, name, trial->val_score);
    pf_message_put_int(&end, END_STATUS, trial->diverged ? 2 : 1); /* failure, success */
    pf_message_put_double(&end, END_TIME, now);
    add_hparams(&file, "_hparams_/session_end_info", HPARAMS_END, &end);
    snprintf(name, sizeof name, "head-%04d", index + 1);
    char *folder = sub_folder(options->tensorboard, name, err);
    int failed = !folder || pf_event_file_write(&file, folder, err);
    pf_message_free(&file.records);
    free(folder);
    return failed ? -1 : 0;
}

/* The heads of an earlier, larger sweep would stand in the table of this one. A folder of theirs
 * that holds anything else stays. */
static int remove_more_trials(const char *folder, int count, PfError *err)
{
    struct stat status;
    size_t size = strlen(folder) + 32;
    char *path = pf_calloc(size, 1, err);
    if (!path) return -1;
    for (int index = count; index < INT_MAX; index++) {
        snprintf(path, size, "%s/head-%04d", folder, index + 1);
        if (stat(path, &status) || !S_ISDIR(status.st_mode)) break;
        pf_event_file_remove(path);
        rmdir(path);
    }
    free(path);
    return 0;
}

/* ---- the projector ---- */

static int open_text(const char *folder, const char *name, PfAtomicFile **out, PfError *err)
{
    char *path = pf_calloc(strlen(folder) + strlen(name) + 2, 1, err);
    if (!path) return -1;
    strcpy(stpcpy(stpcpy(path, folder), "/"), name);
    int failed = pf_atomic_file_begin(path, out, err);
    free(path);
    return failed;
}

/* The first number of a row, as the cache has it: a task holds numbers in units of their spread. */
static float first_number(const PfTask *task, int64_t row)
{
    const int32_t own = (int32_t)row;
    float numbers[2] = {0}; /* of points x and y are turned into those of the image together */
    PfTask first = *task;
    first.outputs = (int)pf_min(task->outputs, 2);
    memcpy(numbers, task->values + row * task->outputs, (size_t)first.outputs * sizeof *numbers);
    pf_task_to_target_units(&first, &own, 1, numbers, first.outputs);
    return numbers[0];
}

/* What the projector's files are written of. */
typedef struct Projector {
    const char *folder;
    PfCache *cache;
    const char *const *paths; /* (rows) NULL: the cache has none */
    const PfTrainRun *run;
} Projector;

static void put_row_metadata(FILE *stream, const Projector *projector, int64_t row)
{
    const PfFeatureTable *table = projector->run->sweep->table;
    char name[PF_ROW_NAME_SIZE];
    pf_print(stream, "%s\t%s",
             projector->paths ? projector->paths[row]
                              : pf_image_file_row_name(projector->cache, row, name),
             pf_split_names[table->splits[row]]);
    for (int t = 0; t < table->task_count; t++) {
        const PfTask *task = &table->tasks[t];
        int32_t class = pf_task_class(task, row);
        if (task->kind == PF_TARGET_CLASS)
            pf_print(stream, "\t%s", class >= 0 ? task->classes[class] : "");
        else
            pf_print(stream, "\t%.6g", (double)first_number(task, row));
    }
    pf_print(stream, "\n");
}

/* One after the other, so that no more than one waits to be given its name. */
static int write_text(const Projector *projector, const char *name, int kind, PfError *err)
{
    const PfSweep *sweep = projector->run->sweep;
    const PfFeatureTable *table = sweep->table;
    PfCache *cache = projector->cache;
    int64_t sample = pf_min(table->rows, PF_TENSORBOARD_ROWS);
    const int tap = sweep->taps[sweep->tap];
    const PfCacheTap *info = pf_cache_tap(cache, tap);
    int64_t all = pf_shape_count(&info->shape), features = all / table->views;
    PfAtomicFile *file;
    float *row = pf_calloc((size_t)all, sizeof *row, err);
    if (!row || open_text(projector->folder, name, &file, err)) {
        free(row);
        return -1;
    }
    FILE *stream = pf_atomic_file_stream(file);
    int failed = 0;
    if (kind == 1) {
        pf_print(stream, "path\tsplit");
        for (int t = 0; t < table->task_count; t++) pf_print(stream, "\t%s", table->tasks[t].name);
        pf_print(stream, "\n");
    } else if (kind == 2) {
        fputs("embeddings {\n  tensor_name: \"features\"\n  tensor_path: \"features.tsv\"\n"
              "  metadata_path: \"metadata.tsv\"\n}\n",
              stream);
    }
    for (int64_t i = 0; i < sample && !failed && kind < 2; i++) {
        int64_t from = i * table->rows / sample;
        if (kind == 1) {
            put_row_metadata(stream, projector, from);
            continue;
        }
        failed = pf_cache_read_f32(cache, tap, from, 1, row, 1, err);
        for (int64_t c = 0; c < features; c++)
            pf_print(stream, c ? "\t%.6g" : "%.6g", (double)row[c]);
        pf_print(stream, "\n");
    }
    free(row);
    if (!failed) return pf_atomic_file_commit(&file, err);
    pf_atomic_file_abandon(&file);
    return -1;
}

static int write_projector(const char *folder, const PfTrainRun *run, PfError *err)
{
    union { /* the run only lends it, and reading keeps no more than chunks */
        const PfCache *lent;
        PfCache *cache;
    } cache = {run->cache};
    static const char *const names[] = {"features.tsv", "metadata.tsv", "projector_config.pbtxt"};
    Projector projector = {.folder = folder, .cache = cache.cache, .run = run};
    if (pf_cache_has_paths(run->cache) && pf_cache_paths(cache.cache, &projector.paths, err))
        return -1;
    for (int kind = 0; kind < 3; kind++)
        if (write_text(&projector, names[kind], kind, err)) return -1;
    return 0;
}

int pf_tensorboard_write(const PfTrainOptions *options, const PfTrainRun *run, PfError *err)
{
    PfEventFile file = {.wall_time = (double)time(NULL)};
    double now = file.wall_time;
    char *best = sub_folder(options->tensorboard, "best", err);
    int failed = !best;
    if (!failed) {
        add_epochs(&file, run);
        add_metrics(&file, run);
        failed = add_confusions(&file, run, err) || pf_event_file_write(&file, best, err) ||
                 write_projector(best, run, err);
    }
    for (int i = 0; i < run->sweep->trial_count && !failed && run->sweep->trial_count > 1; i++)
        failed = write_trial(options, run, i, now, err);
    const int trials = run->sweep->trial_count > 1 ? run->sweep->trial_count : 0;
    if (!failed) failed = remove_more_trials(options->tensorboard, trials, err);
    pf_message_free(&file.records);
    free(best);
    if (!failed) pf_say("for TensorBoard: %s", options->tensorboard);
    return failed ? -1 : 0;
}
