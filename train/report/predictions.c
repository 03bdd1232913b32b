#include "train/report/predictions.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/cache/image_file.h"
#include "common/cache/split.h"
#include "common/file/atomic_file.h"
#include "common/file/csv.h"
#include "train/kernels/loss.h"

/* The numbers of a target as the cache has them, which tasks hold in units of their own. */
typedef struct TrueValues {
    const PfCacheTarget *target; /* lent by the cache */
    float *values;               /* (rows, width) owned; NULL of classes */
} TrueValues;

struct PfPredictionsFile {
    PfAtomicFile *atomic; /* NULL: stdout */
    const char *path;     /* lent by the options; NULL: stdout */
    PfCsv csv;
    PfCache *cache;
    const char *const *paths; /* lent by the cache; NULL: it has none */
    bool has_folds, has_head;
    TrueValues *truths; /* (pf_cache_target_count) owned */
    float *scratch;     /* (scratch_capacity) owned */
    size_t scratch_capacity;
    /* Of the part: */
    const PfTask *tasks;
    int task_count;
    PfSplit split;
    int fold;
};

/* ---- from the cache ---- */

static int read_truths(PfPredictionsFile *file, PfError *err)
{
    int count = pf_cache_target_count(file->cache);
    size_t rows = (size_t)pf_cache_row_count(file->cache);
    file->truths = pf_calloc((size_t)count + 1, sizeof *file->truths, err);
    if (!file->truths) return -1;
    for (int i = 0; i < count; i++) {
        TrueValues *own = &file->truths[i];
        own->target = pf_cache_target(file->cache, i);
        if (own->target->kind == PF_TARGET_CLASS) continue;
        own->values = pf_calloc(rows * (size_t)own->target->width, sizeof *own->values, err);
        if (!own->values || pf_cache_read_values(file->cache, i, own->values, err)) return -1;
    }
    return 0;
}

static const float *true_values(const PfPredictionsFile *file, const PfTask *task, int32_t row)
{
    const TrueValues *own = file->truths;
    while (strcmp(own->target->name, task->name)) own++; /* tasks are the cache's targets */
    return own->values + (int64_t)row * own->target->width;
}

static int open_stream(PfPredictionsFile *file, const PfTrainOptions *options, PfError *err)
{
    bool is_stdout = !strcmp(options->predictions, "-");
    file->path = is_stdout ? NULL : options->predictions;
    if (!is_stdout && pf_atomic_file_begin(options->predictions, &file->atomic, err)) return -1;
    file->csv = (PfCsv){.stream = is_stdout ? stdout : pf_atomic_file_stream(file->atomic),
                        .is_terminal = is_stdout && isatty(STDOUT_FILENO),
                        .shields_formulas = options->csv_safe};
    return 0;
}

int pf_predictions_open(const PfTrainOptions *options, PfCache *cache, PfPredictionsFile **out,
                        PfError *err)
{
    PfPredictionsFile *file = pf_calloc(1, sizeof *file, err);
    if (!file) return -1;
    file->cache = cache;
    file->has_folds = options->folds > 0;
    if (read_truths(file, err) ||
        (pf_cache_has_paths(cache) && pf_cache_paths(cache, &file->paths, err)) ||
        open_stream(file, options, err)) {
        pf_predictions_abandon(&file);
        return -1;
    }
    *out = file;
    return 0;
}

/* ---- the header ---- */

static bool is_points(const PfTask *task)
{
    return task->kind == PF_TARGET_KEYPOINTS;
}

/* How many pairs of true and predicted it has. */
static int pairs_of(const PfTask *task)
{
    return is_points(task) || task->kind == PF_TARGET_REGRESSION ? task->outputs : 1;
}

static void put_column(const PfPredictionsFile *file, const PfTask *task, const char *what,
                       int pair)
{
    char ending[64];
    bool only = file->task_count == 1;
    const char *line = only ? "" : "_";
    if (is_points(task))
        snprintf(ending, sizeof ending, "%s%s_%c%d", line, what, pair % 2 ? 'y' : 'x', pair / 2);
    else if (pairs_of(task) > 1)
        snprintf(ending, sizeof ending, "%s%s_%d", line, what, pair);
    else
        snprintf(ending, sizeof ending, "%s%s", line, what);
    fputc(',', file->csv.stream);
    pf_csv_write_column(&file->csv, only ? "" : task->name, ending);
}

static void put_head(PfPredictionsFile *file)
{
    fputs(file->has_folds ? "path,split,fold" : "path,split", file->csv.stream);
    for (int t = 0; t < file->task_count; t++) {
        const PfTask *task = &file->tasks[t];
        for (int pair = 0; pair < pairs_of(task); pair++) {
            put_column(file, task, "true", pair);
            put_column(file, task, "predicted", pair);
        }
        if (task->kind == PF_TARGET_CLASS) put_column(file, task, "probability", 0);
    }
    fputc('\n', file->csv.stream);
    file->has_head = true;
}

void pf_predictions_begin_part(PfPredictionsFile *file, const PfTask *tasks, int count,
                               PfSplit split, int fold)
{
    file->tasks = tasks;
    file->task_count = count;
    file->split = split;
    file->fold = fold;
    if (!file->has_head) put_head(file);
}

/* ---- rows ---- */

/* The name, or the number where classes have none; nothing of what is missing. */
static void put_class(const PfPredictionsFile *file, const PfTask *task, int32_t class)
{
    FILE *stream = file->csv.stream;
    fputc(',', stream);
    if (class >= 0 && task->classes) pf_csv_write_field(&file->csv, task->classes[class]);
    if (class >= 0 && !task->classes) fprintf(stream, "%d", class);
}

static int put_classes(PfPredictionsFile *file, const PfTask *task, int32_t row,
                       const float *logits, PfError *err)
{
    size_t classes = (size_t)task->outputs;
    int32_t first = 0;
    if (pf_grow(&file->scratch, &file->scratch_capacity, classes, sizeof *file->scratch, err))
        return -1;
    memcpy(file->scratch, logits, classes * sizeof *logits);
    PfSoftmaxBatch batch = {
        .rows = 1, .heads = 1, .classes = task->outputs, .stride = task->outputs};
    pf_softmax_probabilities(&batch, file->scratch);
    for (int32_t c = 1; c < task->outputs; c++)
        if (file->scratch[c] > file->scratch[first]) first = c;
    put_class(file, task, task->labels[row]);
    put_class(file, task, first);
    fprintf(file->csv.stream, ",%.6f", (double)file->scratch[first]);
    return 0;
}

/* "indoor;people": the labels whose value is above the limit. */
static int put_labels(const PfPredictionsFile *file, const PfTask *task, const float *values,
                      float limit, PfError *err)
{
    char *text = NULL;
    size_t size;
    int found = 0;
    FILE *joined = open_memstream(&text, &size);
    for (int c = 0; joined && c < task->outputs; c++) {
        if (!(values[c] > limit)) continue;
        if (found++) fputc(';', joined);
        if (task->classes)
            fwrite(task->classes[c], 1, strlen(task->classes[c]), joined);
        else
            fprintf(joined, "%d", c);
    }
    if (!joined || fclose(joined)) return pf_fail(err, PF_EXIT_FAILED, "out of memory");
    fputc(',', file->csv.stream);
    pf_csv_write_field(&file->csv, text);
    free(text);
    return 0;
}

static void put_number(const PfPredictionsFile *file, float value)
{
    fprintf(file->csv.stream, isfinite(value) ? ",%.7g" : ",", (double)value);
}

static int put_task(PfPredictionsFile *file, const PfTask *task, int32_t row, const float *outputs,
                    PfError *err)
{
    if (task->kind == PF_TARGET_CLASS) return put_classes(file, task, row, outputs, err);
    const float *values = true_values(file, task, row);
    if (task->kind == PF_TARGET_MULTILABEL)
        return put_labels(file, task, values, 0.5f, err) || put_labels(file, task, outputs, 0, err)
                   ? -1
                   : 0;
    for (int c = 0; c < task->outputs; c++) {
        put_number(file, values[c]);
        put_number(file, outputs[c]);
    }
    return 0;
}

static int put_row(PfPredictionsFile *file, int32_t row, const float *outputs, PfError *err)
{
    char name[PF_ROW_NAME_SIZE];
    const char *path =
        file->paths ? file->paths[row] : pf_image_file_row_name(file->cache, row, name);
    pf_csv_write_field(&file->csv, path);
    fprintf(file->csv.stream, ",%s", pf_split_names[file->split]);
    if (file->has_folds && file->fold >= 0) fprintf(file->csv.stream, ",%d", file->fold);
    if (file->has_folds && file->fold < 0) fputc(',', file->csv.stream);
    for (int t = 0; t < file->task_count; outputs += file->tasks[t++].outputs)
        if (put_task(file, &file->tasks[t], row, outputs, err)) return -1;
    fputc('\n', file->csv.stream);
    return 0;
}

static int fail_writing(const PfPredictionsFile *file, PfError *err)
{
    if (!file->path) return pf_fail_errno(err, "cannot write the predictions to standard output");
    return pf_fail_errno(err, "cannot write the predictions to '%s'", file->path);
}

static int put_rows(void *context, const PfRowBatch *batch, const float *outputs, int64_t stride,
                    PfError *err)
{
    PfPredictionsFile *file = context;
    for (int64_t i = 0; i < batch->n; i++)
        if (put_row(file, batch->rows[i], outputs + i * stride, err)) return -1;
    return ferror(file->csv.stream) ? fail_writing(file, err) : 0;
}

PfEvaluationSink pf_predictions_sink(PfPredictionsFile *file)
{
    return (PfEvaluationSink){.context = file, .rows = put_rows};
}

/* ---- the end ---- */

int pf_predictions_commit(PfPredictionsFile **file, PfError *err)
{
    int failed = (*file)->atomic ? pf_atomic_file_commit(&(*file)->atomic, err) : 0;
    pf_predictions_abandon(file);
    return failed;
}

void pf_predictions_abandon(PfPredictionsFile **file)
{
    if (!*file) return;
    if ((*file)->atomic) pf_atomic_file_abandon(&(*file)->atomic);
    int count = (*file)->truths ? pf_cache_target_count((*file)->cache) : 0;
    for (int i = 0; i < count; i++) free((*file)->truths[i].values);
    free((*file)->truths);
    free((*file)->scratch);
    free(*file);
    *file = NULL;
}
