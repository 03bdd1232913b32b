#include "safetensors.h"

#include <cjson/cJSON.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "atomic_file.h"
#include "json.h"
#include "memory.h"

#define ALIGNMENT 8 /* of the first tensor's bytes in the file */

static const char *const dtype_names[] = {
    [PF_DTYPE_F32] = "F32",   [PF_DTYPE_F16] = "F16", [PF_DTYPE_BF16] = "BF16",
    [PF_DTYPE_F64] = "F64",   [PF_DTYPE_U8] = "U8",   [PF_DTYPE_I8] = "I8",
    [PF_DTYPE_I16] = "I16",   [PF_DTYPE_I32] = "I32", [PF_DTYPE_I64] = "I64",
    [PF_DTYPE_BOOL] = "BOOL",
};

int pf_safetensors_find_dtype(const char *name, PfDtype *dtype)
{
    for (size_t i = 0; i < sizeof dtype_names / sizeof dtype_names[0]; i++) {
        if (strcmp(name, dtype_names[i])) continue;
        *dtype = (PfDtype)i;
        return 0;
    }
    return -1;
}

static size_t view_bytes(const PfTensorView *view)
{
    return (size_t)pf_shape_count(&view->shape) * pf_dtype_size(view->dtype);
}

/* cJSON's adders return NULL (0 here) where memory is short. */
static int describe_tensor(cJSON *header, const PfNamedTensor *tensor, size_t begin)
{
    cJSON *entry = cJSON_AddObjectToObject(header, tensor->name);
    const PfShape *shape = &tensor->view.shape;
    if (!entry || !cJSON_AddStringToObject(entry, "dtype", dtype_names[tensor->view.dtype]))
        return -1;
    cJSON *dims = cJSON_AddArrayToObject(entry, "shape");
    for (int i = 0; i < shape->rank; i++)
        if (!cJSON_AddItemToArray(dims, cJSON_CreateNumber((double)shape->dims[i]))) return -1;
    cJSON *offsets = cJSON_AddArrayToObject(entry, "data_offsets");
    size_t end = begin + view_bytes(&tensor->view);
    return cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)begin)) &&
                   cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)end))
               ? 0
               : -1;
}

static int describe_metadata(cJSON *header, const char *const *keys, const char *const *values,
                             size_t count)
{
    cJSON *metadata = count ? cJSON_AddObjectToObject(header, "__metadata__") : header;
    for (size_t i = 0; i < count; i++)
        if (!cJSON_AddStringToObject(metadata, keys[i], values[i])) return -1;
    return metadata ? 0 : -1;
}

/* The header's JSON, malloc'ed and padded with spaces so that what follows is
 * aligned. */
static char *make_header(const PfNamedTensor *tensors, size_t tensor_count, const char *const *keys,
                         const char *const *values, size_t pair_count, PfError *err)
{
    cJSON *header = cJSON_CreateObject();
    int failed = !header || describe_metadata(header, keys, values, pair_count);
    size_t begin = 0;
    for (size_t i = 0; i < tensor_count && !failed; i++) {
        failed = describe_tensor(header, &tensors[i], begin);
        begin += view_bytes(&tensors[i].view);
    }
    char *json = failed ? NULL : pf_json_text(header);
    cJSON_Delete(header);
    if (!json) {
        pf_fail(err, PF_EXIT_FAILED, "out of memory for the header of a safetensors file");
        return NULL;
    }
    size_t size = strlen(json), padded = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    char *text = pf_asprintf(err, "%-*s", (int)padded, json);
    cJSON_free(json);
    return text;
}

static int write_content(FILE *file, const char *header, const PfNamedTensor *tensors,
                         size_t tensor_count)
{
    uint64_t length = strlen(header); /* little-endian: weights_internal.h checks */
    if (fwrite(&length, sizeof length, 1, file) != 1 || fputs(header, file) < 0) return -1;
    for (size_t i = 0; i < tensor_count; i++) {
        size_t size = view_bytes(&tensors[i].view);
        if (size && fwrite(tensors[i].view.data, size, 1, file) != 1) return -1;
    }
    return 0;
}

int pf_safetensors_write(const char *path, const PfNamedTensor *tensors, size_t tensor_count,
                         const char *const *keys, const char *const *values, size_t pair_count,
                         PfError *err)
{
    char *header = make_header(tensors, tensor_count, keys, values, pair_count, err);
    PfAtomicFile *file;
    if (!header || pf_atomic_file_begin(path, &file, err)) {
        free(header);
        return -1;
    }
    int failed = write_content(pf_atomic_file_stream(file), header, tensors, tensor_count);
    free(header);
    if (!failed) return pf_atomic_file_commit(&file, err);
    pf_fail_errno(err, "cannot write '%s'", path);
    pf_atomic_file_abandon(&file);
    return -1;
}
