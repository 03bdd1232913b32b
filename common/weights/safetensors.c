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

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* No reader takes a file in which a name comes twice. */
static int check_names(const char *path, const PfNamedTensor *tensors, size_t count, PfError *err)
{
    const char **names = pf_calloc(count, sizeof *names, err);
    const char *twice = NULL;
    if (!names) return -1;
    for (size_t i = 0; i < count; i++) names[i] = tensors[i].name;
    qsort(names, count, sizeof *names, compare_names);
    for (size_t i = 1; i < count && !twice; i++)
        if (!strcmp(names[i - 1], names[i])) twice = names[i];
    free(names);
    if (!twice) return 0;
    return pf_fail(err, PF_EXIT_FAILED, "cannot write '%s': two of its tensors have the name '%s'",
                   path, twice);
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
    PfAtomicFile *file;
    if (check_names(path, tensors, tensor_count, err)) return -1;
    char *header = make_header(tensors, tensor_count, keys, values, pair_count, err);
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

/* Where a tensor lies. */
typedef struct Place {
    const uint8_t *data;
    size_t size;
} Place;

/* Bits of an element of a type that the format has and that is not read; 0 for one that is not
 * known. */
static int foreign_bits(const char *type)
{
    static const struct {
        const char *name;
        int bits;
    } types[] = {{"U16", 16},        {"U32", 32},    {"U64", 64},    {"C64", 64},
                 {"F8_E4M3", 8},     {"F8_E5M2", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8},
                 {"F8_E5M2FNUZ", 8}, {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"F4", 4}};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (!strcmp(type, types[i].name)) return types[i].bits;
    return 0;
}

/* *elements: the product of all *axes, of which *shape takes the first. */
static int read_shape(const cJSON *item, PfShape *shape, int *axes, int64_t *elements)
{
    const cJSON *dim;
    int64_t length;
    *shape = (PfShape){0};
    *axes = 0;
    *elements = 1;
    if (!cJSON_IsArray(item)) return -1;
    cJSON_ArrayForEach(dim, item)
    {
        if (read_whole(dim, &length) || __builtin_mul_overflow(*elements, length, elements))
            return -1;
        if (*axes < PF_MAX_RANK) shape->dims[shape->rank++] = length;
        ++*axes;
    }
    return 0;
}

static int read_place(PfWeights *weights, const cJSON *item, const uint8_t *data, size_t data_size,
                      Place *place, PfError *err)
{
    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(item, "data_offsets");
    int64_t begin, end;
    if (cJSON_GetArraySize(offsets) != 2 || read_whole(offsets->child, &begin) ||
        read_whole(offsets->child->next, &end))
        return bad_tensor(weights, item->string, "has no data_offsets", err);
    if (begin > end || (uint64_t)end > data_size)
        return bad_tensor(weights, item->string,
                          "lies outside the file. Was the download or copy cut off?", err);
    *place = (Place){data + begin, (size_t)(end - begin)};
    return 0;
}

static int read_tensor(PfWeights *weights, const cJSON *item, const uint8_t *data, size_t data_size,
                       Place *place, PfError *err)
{
    const char *name = item->string;
    const char *type = pf_json_member_text(item, "dtype");
    PfTensorView view;
    int axes;
    int64_t elements, bits;
    if (!type) return bad_tensor(weights, name, "has no dtype", err);
    const bool is_foreign = find_dtype(type, &view.dtype) != 0;
    const int element_bits = is_foreign ? foreign_bits(type) : 8 * (int)pf_dtype_size(view.dtype);
    if (read_shape(cJSON_GetObjectItemCaseSensitive(item, "shape"), &view.shape, &axes,
                   &elements) ||
        __builtin_mul_overflow(elements, element_bits, &bits))
        return bad_tensor(weights, name, "has no shape, or one that makes no sense", err);
    if (read_place(weights, item, data, data_size, place, err)) return -1;
    if (element_bits && (bits % 8 || (size_t)(bits / 8) != place->size))
        return bad_tensor(weights, name, "takes more or fewer bytes than its shape says", err);
    if (is_foreign) return pf_weights_add_foreign(weights, name, strlen(name), type, err);
    if (axes > PF_MAX_RANK)
        return pf_weights_add_foreign(weights, name, strlen(name), "of more than six axes", err);
    view.data = place->data;
    return pf_weights_add(weights, name, strlen(name), &view, err);
}

/* By where they lie; empty ones before the one that begins at the same place. */
static int compare_places(const void *a, const void *b)
{
    const Place *left = a, *right = b;
    if (left->data != right->data) return left->data > right->data ? 1 : -1;
    return (left->size > right->size) - (left->size < right->size);
}

/* Sorts the places, which must cover the data. */
static int check_layout(const PfWeights *weights, Place *places, size_t count, const uint8_t *data,
                        size_t data_size, PfError *err)
{
    const uint8_t *at = data;
    if (count) qsort(places, count, sizeof *places, compare_places);
    for (size_t i = 0; i < count; i++) {
        if (places[i].data != at)
            return damaged(weights, "its tensors overlap or leave holes", err);
        at += places[i].size;
    }
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

/* All of the header; places: room for as many as it has entries. */
static int read_entries(PfWeights *weights, const uint8_t *data, size_t data_size, Place *places,
                        PfError *err)
{
    size_t count = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, weights->header)
    {
        int failed = strcmp(item->string, "__metadata__")
                         ? read_tensor(weights, item, data, data_size, &places[count++], err)
                         : check_metadata(weights, item, err);
        if (failed) return -1;
    }
    return check_layout(weights, places, count, data, data_size, err);
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
    Place *places = pf_calloc((size_t)cJSON_GetArraySize(weights->header), sizeof *places, err);
    if (!places) return -1;
    int failed = read_entries(weights, data, data_size, places, err);
    free(places);
    return failed;
}
