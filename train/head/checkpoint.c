#include "train/head/checkpoint.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/weights/safetensors.h"
#include "common/weights/weights.h"

/* As which the arrays' bytes lie in a .safetensors file. */
#define BYTES PF_DTYPE_U8
#define RUN_KEY "run"

struct PfCheckpoint {
    char *path, *run;
    char *run_of_before;   /* what an older version wrote of the same run; may be NULL */
    PfNamedTensor *arrays; /* (count) names owned */
    size_t count, capacity;
    unsigned char *are_weights; /* (count) which of the arrays are floats that must be finite */
    size_t weights_capacity;
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
    free(checkpoint->run_of_before);
    checkpoint->run_of_before = pf_strdup(run, err);
    return checkpoint->run_of_before ? 0 : -1;
}

void pf_checkpoint_free(PfCheckpoint **out)
{
    PfCheckpoint *checkpoint = *out;
    if (!checkpoint) return;
    for (size_t i = 0; i < checkpoint->count; i++)
        free((char *)(uintptr_t)checkpoint->arrays[i].name);
    free(checkpoint->arrays);
    free(checkpoint->are_weights);
    free(checkpoint->run_of_before);
    free(checkpoint->run);
    free(checkpoint->path);
    free(checkpoint);
    *out = NULL;
}

static int add(PfCheckpoint *checkpoint, const char *name, void *data, size_t bytes,
               bool are_weights, PfError *err)
{
    char *copy;
    if (pf_grow(&checkpoint->arrays, &checkpoint->capacity, checkpoint->count + 1,
                sizeof *checkpoint->arrays, err) ||
        pf_grow(&checkpoint->are_weights, &checkpoint->weights_capacity, checkpoint->count + 1, 1,
                err) ||
        !(copy = pf_strdup(name, err)))
        return -1;
    checkpoint->are_weights[checkpoint->count] = (unsigned char)are_weights;
    checkpoint->arrays[checkpoint->count++] =
        (PfNamedTensor){copy, {BYTES, {1, {(int64_t)bytes}}, data}};
    return 0;
}

int pf_checkpoint_add(PfCheckpoint *checkpoint, const char *name, void *data, size_t bytes,
                      PfError *err)
{
    return add(checkpoint, name, data, bytes, false, err);
}

int pf_checkpoint_add_weights(PfCheckpoint *checkpoint, const char *name, float *weights,
                              size_t count, PfError *err)
{
    return add(checkpoint, name, weights, count * sizeof *weights, true, err);
}

int pf_checkpoint_write(const PfCheckpoint *checkpoint, PfError *err)
{
    const char *key = RUN_KEY, *value = checkpoint->run;
    return pf_safetensors_write(checkpoint->path, checkpoint->arrays, checkpoint->count, &key,
                                &value, 1, err);
}

static bool is_same_run(const PfCheckpoint *checkpoint, const char *found)
{
    const char *before = checkpoint->run_of_before;
    return found && (!strcmp(found, checkpoint->run) || (before && !strcmp(found, before)));
}

static int fail_other_run(const PfCheckpoint *checkpoint, const char *found, PfError *err)
{
    return pf_fail(
        err, PF_EXIT_IDENTITY,
        "'%s' is of another run:\n  it has     %s\n  asked for  %s\nHint: without --resume "
        "the training starts from the beginning.",
        checkpoint->path, found ? found : "nothing that says which", checkpoint->run);
}

/* There, as large as in memory, and finite where it must be. */
static int check_array(const PfCheckpoint *checkpoint, size_t index, const PfWeights *file,
                       PfError *err)
{
    const PfNamedTensor *array = &checkpoint->arrays[index];
    const PfTensorView *view = pf_weights_find_tensor(file, array->name);
    if (!view || view->dtype != BYTES || !pf_shape_equal(&view->shape, &array->view.shape))
        return pf_fail(err, PF_EXIT_FAILED, "'%s' has no '%s' of the size that is needed",
                       checkpoint->path, array->name);
    if (!checkpoint->are_weights[index]) return 0;
    int64_t count = view->shape.dims[0] / (int64_t)sizeof(float);
    PfTensorView floats = {PF_DTYPE_F32, {1, {count}}, view->data};
    if (pf_weights_find_not_finite(&floats) == (size_t)count) return 0;
    return pf_fail(
        err, PF_EXIT_FAILED,
        "'%s': its '%s' holds numbers that are not finite: the training diverged, or the "
        "file was damaged. Hint: without --resume the training starts from the beginning",
        checkpoint->path, array->name);
}

static int read_arrays(PfCheckpoint *checkpoint, const PfWeights *file, PfError *err)
{
    for (size_t i = 0; i < checkpoint->count; i++)
        if (check_array(checkpoint, i, file, err)) return -1;
    for (size_t i = 0; i < checkpoint->count; i++) {
        const PfTensorView *into = &checkpoint->arrays[i].view;
        memcpy((void *)(uintptr_t)into->data,
               pf_weights_find_tensor(file, checkpoint->arrays[i].name)->data,
               (size_t)into->shape.dims[0]);
    }
    return 0;
}

int pf_checkpoint_read(PfCheckpoint *checkpoint, int *found, PfError *err)
{
    PfWeights *file;
    *found = !access(checkpoint->path, F_OK);
    if (!*found) return 0;
    if (pf_weights_open(checkpoint->path, &file, err)) return -1;
    const char *run = pf_weights_metadata(file, RUN_KEY);
    int failed = is_same_run(checkpoint, run) ? read_arrays(checkpoint, file, err)
                                              : fail_other_run(checkpoint, run, err);
    pf_weights_close(&file);
    return failed ? -1 : 0;
}

void pf_checkpoint_remove(const PfCheckpoint *checkpoint)
{
    unlink(checkpoint->path);
}

const char *pf_checkpoint_path(const PfCheckpoint *checkpoint)
{
    return checkpoint->path;
}
