#include "common/weights/safetensors.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/base/json.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/file/atomic_file.h"
#include "common/weights/internal.h"

#define ALIGNMENT 8 /* of the first tensor's bytes in the file */

static const char *const dtype_names[] = {
    [PF_DTYPE_F32] = "F32",   [PF_DTYPE_F16] = "F16", [PF_DTYPE_BF16] = "BF16",
    [PF_DTYPE_F64] = "F64",   [PF_DTYPE_U8] = "U8",   [PF_DTYPE_I8] = "I8",
    [PF_DTYPE_I16] = "I16",   [PF_DTYPE_I32] = "I32", [PF_DTYPE_I64] = "I64",
    [PF_DTYPE_BOOL] = "BOOL",
};

/* By the format's name, "F32"; fails on one that is not read here. */
static int find_dtype(const char *name, PfDtype *dtype)
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
    uint64_t length = strlen(header); /* little-endian: internal.h checks */
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

/* ==== reading ==== */

/* .safetensors: u64 header length, JSON header, tensors. The header gives every
 * tensor's dtype, shape and byte range after the header; the ranges must cover
 * the rest of the file without holes or overlaps. */

#define LENGTH_BYTES 8
#define MAX_HEADER_BYTES 100000000u /* the format's own limit */

static int damaged(const PfWeights *weights, const char *what, PfError *err)
{
    return pf_fail(err, PF_EXIT_FAILED, "weights '%s': not a valid safetensors file: %s",
                   weights->source, what);
}

static int bad_tensor(const PfWeights *weights, const char *name, const char *what, PfError *err)
{
    char text[PF_PRINTABLE_SIZE];
    return pf_fail(err, PF_EXIT_FAILED, "weights '%s': tensor '%s' %s", weights->source,
                   pf_printable_text(name, strlen(name), text), what);
}

/* A whole number from 0 to 2^53, where doubles are still exact. */
static int read_whole(const cJSON *item, int64_t *value)
{
    if (!cJSON_IsNumber(item)) return -1;
    double number = item->valuedouble;
    if (!(number >= 0 && number <= 0x1p53) || number != floor(number)) return -1;
    *value = (int64_t)number;
    return 0;
}

/* *size becomes the tensor's bytes. */
static int read_shape(const cJSON *item, PfDtype dtype, PfShape *shape, int64_t *size)
{
    const cJSON *dim;
    *shape = (PfShape){0};
    *size = (int64_t)pf_dtype_size(dtype);
    if (!cJSON_IsArray(item)) return -1;
    cJSON_ArrayForEach(dim, item)
    {
        int64_t *out = &shape->dims[shape->rank];
        if (shape->rank == PF_MAX_RANK || read_whole(dim, out) ||
            __builtin_mul_overflow(*size, *out, size))
            return -1;
        shape->rank++;
    }
    return 0;
}

static int read_tensor(PfWeights *weights, const cJSON *item, const uint8_t *data, size_t data_size,
                       PfError *err)
{
    const char *name = item->string;
    const cJSON *dtype = cJSON_GetObjectItemCaseSensitive(item, "dtype");
    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(item, "data_offsets");
    PfTensorView view;
    int64_t begin, end, size;
    if (!cJSON_IsString(dtype) || find_dtype(dtype->valuestring, &view.dtype))
        return bad_tensor(weights, name, "has no dtype that is read here", err);
    if (read_shape(cJSON_GetObjectItemCaseSensitive(item, "shape"), view.dtype, &view.shape, &size))
        return bad_tensor(weights, name, "has no shape, or one that makes no sense", err);
    if (cJSON_GetArraySize(offsets) != 2 || read_whole(offsets->child, &begin) ||
        read_whole(offsets->child->next, &end))
        return bad_tensor(weights, name, "has no data_offsets", err);
    if (begin > end || (uint64_t)end > data_size)
        return bad_tensor(weights, name, "lies outside the file. Was the download or copy cut off?",
                          err);
    if (end - begin != size)
        return bad_tensor(weights, name, "takes more or fewer bytes than its shape says", err);
    view.data = data + begin;
    return pf_weights_add(weights, name, strlen(name), &view, err);
}

/* By where they lie; empty ones before the one that begins at the same place. */
static int compare_places(const void *a, const void *b)
{
    const PfTensorView *left = *(const PfTensorView *const *)a;
    const PfTensorView *right = *(const PfTensorView *const *)b;
    const uint8_t *left_data = left->data, *right_data = right->data;
    if (left_data != right_data) return left_data > right_data ? 1 : -1;
    return (view_bytes(left) > view_bytes(right)) - (view_bytes(left) < view_bytes(right));
}

static int check_layout(const PfWeights *weights, const uint8_t *data, size_t data_size,
                        PfError *err)
{
    const PfTensorView **order = pf_calloc(weights->count, sizeof *order, err);
    if (!order) return -1;
    for (size_t i = 0; i < weights->count; i++) order[i] = &weights->tensors[i].view;
    qsort(order, weights->count, sizeof *order, compare_places);
    const uint8_t *at = data;
    int covers = 1;
    for (size_t i = 0; i < weights->count && covers; i++) {
        covers = order[i]->data == at;
        at += view_bytes(order[i]);
    }
    free(order);
    if (!covers) return damaged(weights, "its tensors overlap or leave holes", err);
    if (at != data + data_size) return damaged(weights, "bytes follow its last tensor", err);
    return 0;
}

static int parse_header(PfWeights *weights, size_t header_size, PfError *err)
{
    const char *text = (const char *)weights->bytes + LENGTH_BYTES, *end = NULL;
    if (pf_json_check_size(text, header_size, weights->source, "header", err)) return -1;
    weights->header = pf_json_read_front(text, header_size, &end);
    if (!cJSON_IsObject(weights->header)) return damaged(weights, "its header is not JSON", err);
    for (; end < text + header_size; end++)
        if (*end != ' ') return damaged(weights, "its header does not end after the JSON", err);
    return 0;
}

/* The format wants string to string. */
static int check_metadata(const PfWeights *weights, const cJSON *metadata, PfError *err)
{
    const cJSON *entry;
    if (!cJSON_IsObject(metadata))
        return damaged(weights, "its metadata is not an object of strings", err);
    cJSON_ArrayForEach(entry, metadata)
    {
        if (!cJSON_IsString(entry))
            return damaged(weights, "its metadata is not an object of strings", err);
    }
    return 0;
}

int pf_weights_read_safetensors(PfWeights *weights, PfError *err)
{
    uint64_t header_size = pf_little_endian(weights->bytes, LENGTH_BYTES);
    if (header_size > weights->size - LENGTH_BYTES || header_size > MAX_HEADER_BYTES)
        return damaged(weights, "its header is longer than the file. Was the download cut off?",
                       err);
    if (parse_header(weights, (size_t)header_size, err)) return -1;
    const uint8_t *data = weights->bytes + LENGTH_BYTES + header_size;
    size_t data_size = weights->size - LENGTH_BYTES - (size_t)header_size;
    const cJSON *item;
    cJSON_ArrayForEach(item, weights->header)
    {
        int failed = strcmp(item->string, "__metadata__")
                         ? read_tensor(weights, item, data, data_size, err)
                         : check_metadata(weights, item, err);
        if (failed) return -1;
    }
    return check_layout(weights, data, data_size, err);
}
