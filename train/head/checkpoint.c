#include "train/head/checkpoint.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/json.h"
#include "common/base/memory.h"
#include "common/base/options.h"
#include "common/weights/safetensors.h"
#include "common/weights/weights.h"
#include "train/head/run_difference.h"

/* As which the arrays' bytes lie in a .safetensors file. */
#define BYTES PF_DTYPE_U8
#define RUN_KEY "run"
#define RANKS_KEY "ranks" /* absent: one */

typedef enum PfArrayKind { PF_ARRAY, PF_ARRAY_WEIGHTS, PF_ARRAY_LIST } PfArrayKind;

struct PfCheckpoint {
    char *path, *run;
    bool may_grow;
    PfRankGroup *group; /* NULL: one process */
    bool group_found;   /* of a group: the file was there at the beginning */
    int ranks_before;
    char *runs_of_before[PF_CHECKPOINT_BEFORE]; /* what older versions wrote of it; or NULL */
    PfNamedTensor *arrays;                      /* (count) names owned */
    size_t count, capacity;
    unsigned char *kinds; /* (count) PfArrayKind */
    size_t kinds_capacity;
};

int pf_checkpoint_new(const char *path, const char *run, PfCheckpoint **out, PfError *err)
{
    PfCheckpoint *checkpoint = pf_calloc(1, sizeof *checkpoint, err);
    if (!checkpoint) return -1;
    checkpoint->path = pf_strdup(path, err);
    checkpoint->run = pf_strdup(run, err);
    if (!checkpoint->path || !checkpoint->run) {
        pf_checkpoint_free(&checkpoint);
        return -1;
    }
    *out = checkpoint;
    return 0;
}

int pf_checkpoint_take_also(PfCheckpoint *checkpoint, const char *run, PfError *err)
{
    int i = 0;
    while (i < PF_CHECKPOINT_BEFORE - 1 && checkpoint->runs_of_before[i]) i++;
    free(checkpoint->runs_of_before[i]);
    checkpoint->runs_of_before[i] = pf_strdup(run, err);
    return checkpoint->runs_of_before[i] ? 0 : -1;
}

void pf_checkpoint_let_epochs_grow(PfCheckpoint *checkpoint)
{
    checkpoint->may_grow = true;
}

void pf_checkpoint_forget(PfCheckpoint *checkpoint)
{
    for (size_t i = 0; i < checkpoint->count; i++)
        free((char *)(uintptr_t)checkpoint->arrays[i].name);
    checkpoint->count = 0;
}

void pf_checkpoint_free(PfCheckpoint **out)
{
    PfCheckpoint *checkpoint = *out;
    if (!checkpoint) return;
    pf_checkpoint_forget(checkpoint);
    free(checkpoint->arrays);
    free(checkpoint->kinds);
    for (int i = 0; i < PF_CHECKPOINT_BEFORE; i++) free(checkpoint->runs_of_before[i]);
    free(checkpoint->run);
    free(checkpoint->path);
    free(checkpoint);
    *out = NULL;
}

static int add(PfCheckpoint *checkpoint, const char *name, void *data, size_t bytes,
               PfArrayKind kind, PfError *err)
{
    char *copy;
    if (pf_grow(&checkpoint->arrays, &checkpoint->capacity, checkpoint->count + 1,
                sizeof *checkpoint->arrays, err) ||
        pf_grow(&checkpoint->kinds, &checkpoint->kinds_capacity, checkpoint->count + 1, 1, err) ||
        !(copy = pf_strdup(name, err)))
        return -1;
    checkpoint->kinds[checkpoint->count] = (unsigned char)kind;
    checkpoint->arrays[checkpoint->count++] =
        (PfNamedTensor){copy, {BYTES, {1, {(int64_t)bytes}}, data}};
    return 0;
}

int pf_checkpoint_add(PfCheckpoint *checkpoint, const char *name, void *data, size_t bytes,
                      PfError *err)
{
    return add(checkpoint, name, data, bytes, PF_ARRAY, err);
}

int pf_checkpoint_add_weights(PfCheckpoint *checkpoint, const char *name, float *weights,
                              size_t count, PfError *err)
{
    return add(checkpoint, name, weights, count * sizeof *weights, PF_ARRAY_WEIGHTS, err);
}

int pf_checkpoint_add_list(PfCheckpoint *checkpoint, const char *name, void *data, size_t bytes,
                           PfError *err)
{
    return add(checkpoint, name, data, bytes, PF_ARRAY_LIST, err);
}

int pf_checkpoint_share(PfCheckpoint *checkpoint, PfRankGroup *group, PfError *err)
{
    bool found = pf_checkpoint_is_there(checkpoint);
    if (pf_rank_group_broadcast(group, &found, sizeof found, err)) return -1;
    checkpoint->group_found = found;
    checkpoint->group = group;
    return 0;
}

int pf_checkpoint_ranks_before(const PfCheckpoint *checkpoint)
{
    return checkpoint->ranks_before;
}

int pf_checkpoint_write(const PfCheckpoint *checkpoint, PfError *err)
{
    char ranks[16];
    const int size = pf_rank_group_size(checkpoint->group);
    const char *keys[] = {RUN_KEY, RANKS_KEY}, *values[] = {checkpoint->run, ranks};
    if (pf_rank_group_rank(checkpoint->group)) return 0;
    snprintf(ranks, sizeof ranks, "%d", size);
    return pf_safetensors_write(checkpoint->path, checkpoint->arrays, checkpoint->count, keys,
                                values, size > 1 ? 2 : 1, err);
}

static bool is_written_so(const PfCheckpoint *checkpoint, const char *found)
{
    bool is = !strcmp(found, checkpoint->run);
    for (int i = 0; i < PF_CHECKPOINT_BEFORE; i++)
        is |= checkpoint->runs_of_before[i] && !strcmp(found, checkpoint->runs_of_before[i]);
    return is;
}

/* Of the same run, perhaps of fewer epochs. */
static int check_run(const PfCheckpoint *checkpoint, const char *found, PfError *err)
{
    char text[PF_RUN_DIFFERENCE_TEXT] = "it does not say of which";
    if (found && is_written_so(checkpoint, found)) return 0;
    if (found) {
        cJSON *before = pf_json_read(found), *now = pf_json_read(checkpoint->run);
        if (cJSON_IsObject(before)) pf_run_difference_text(before, now, checkpoint->may_grow, text);
        cJSON_Delete(before);
        cJSON_Delete(now);
    }
    if (!*text) return 0;
    return pf_fail(err, PF_EXIT_IDENTITY,
                   "'%s' is of another run: %s.\nHint: --force begins anew, and -o OTHER leaves it "
                   "where it is.",
                   checkpoint->path, text);
}

/* There, as large as in memory, and finite where it must be. */
static int check_array(const PfCheckpoint *checkpoint, size_t index, const PfWeights *file,
                       PfError *err)
{
    const PfNamedTensor *array = &checkpoint->arrays[index];
    const PfTensorView *view = pf_weights_find_tensor(file, array->name);
    bool is_list = checkpoint->kinds[index] == PF_ARRAY_LIST;
    if (!view || view->dtype != BYTES || view->shape.rank != 1 ||
        (is_list ? view->shape.dims[0] > array->view.shape.dims[0]
                 : view->shape.dims[0] != array->view.shape.dims[0]))
        return pf_fail(err, PF_EXIT_FAILED, "'%s' has no '%s' of the size that is needed",
                       checkpoint->path, array->name);
    if (checkpoint->kinds[index] != PF_ARRAY_WEIGHTS) return 0;
    int64_t count = view->shape.dims[0] / (int64_t)sizeof(float);
    PfTensorView floats = {PF_DTYPE_F32, {1, {count}}, view->data};
    if (pf_weights_find_not_finite(&floats) == (size_t)count) return 0;
    return pf_fail(
        err, PF_EXIT_FAILED,
        "'%s': its '%s' holds numbers that are not finite: the training diverged, or the "
        "file was damaged. Hint: --force starts the training from the beginning",
        checkpoint->path, array->name);
}

static int read_arrays(PfCheckpoint *checkpoint, const PfWeights *file, PfError *err)
{
    for (size_t i = 0; i < checkpoint->count; i++)
        if (check_array(checkpoint, i, file, err)) return -1;
    for (size_t i = 0; i < checkpoint->count; i++) {
        const PfTensorView *into = &checkpoint->arrays[i].view;
        const PfTensorView *from = pf_weights_find_tensor(file, checkpoint->arrays[i].name);
        memcpy((void *)(uintptr_t)into->data, from->data, (size_t)from->shape.dims[0]);
    }
    return 0;
}

static int read_file(PfCheckpoint *checkpoint, PfError *err)
{
    PfWeights *file;
    long long ranks;
    if (pf_weights_open(checkpoint->path, &file, err)) return -1;
    const char *run = pf_weights_metadata(file, RUN_KEY);
    const char *said = pf_weights_metadata(file, RANKS_KEY);
    int failed = check_run(checkpoint, run, err) || read_arrays(checkpoint, file, err);
    checkpoint->ranks_before =
        said && !pf_options_parse_long(RANKS_KEY, said, 1, INT32_MAX, &ranks, NULL) ? (int)ranks
                                                                                    : 1;
    pf_weights_close(&file);
    return failed ? -1 : 0;
}

/* What rank 0 has read, to all. */
static int share_arrays(PfCheckpoint *checkpoint, PfError *err)
{
    for (size_t i = 0; i < checkpoint->count; i++) {
        const PfTensorView *view = &checkpoint->arrays[i].view;
        if (pf_rank_group_broadcast(checkpoint->group, (void *)(uintptr_t)view->data,
                                    (size_t)view->shape.dims[0], err))
            return -1;
    }
    return pf_rank_group_broadcast(checkpoint->group, &checkpoint->ranks_before,
                                   sizeof checkpoint->ranks_before, err);
}

int pf_checkpoint_read(PfCheckpoint *checkpoint, int *found, PfError *err)
{
    *found = pf_checkpoint_is_there(checkpoint);
    if (!*found) return 0;
    int failed = !pf_rank_group_rank(checkpoint->group) && read_file(checkpoint, err);
    if (!checkpoint->group) return failed ? -1 : 0;
    return pf_rank_group_share_failure(checkpoint->group, failed, err) ||
                   share_arrays(checkpoint, err)
               ? -1
               : 0;
}

int pf_checkpoint_is_there(const PfCheckpoint *checkpoint)
{
    return checkpoint->group ? checkpoint->group_found : !access(checkpoint->path, F_OK);
}

void pf_checkpoint_remove(const PfCheckpoint *checkpoint)
{
    if (!pf_rank_group_rank(checkpoint->group)) unlink(checkpoint->path);
}

const char *pf_checkpoint_path(const PfCheckpoint *checkpoint)
{
    return checkpoint->path;
}
