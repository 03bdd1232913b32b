#include "common/onnx/external.h"

#include <string.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/file/input_file.h"

#define MAX_DATA_FILES 4096

/* The numbers of fields, as onnx.proto has them. */
enum { ENTRY_KEY = 1, ENTRY_VALUE = 2 };

/* "1234" in full. */
static int parse_size(const char *text, uint64_t *value)
{
    *value = 0;
    for (const char *c = text; *c; c++) {
        if (*c < '0' || *c > '9' || *value > UINT64_MAX / 16) return -1;
        *value = *value * 10 + (uint64_t)(*c - '0');
    }
    return *text ? 0 : -1;
}

int pf_onnx_take_entry(PfOnnxReader *reader, PfWire wire, PfOnnxPlace *place)
{
    PfWireField field;
    const char *key = "", *value = "";
    int got;
    while ((got = pf_wire_next(&wire, &field)) > 0) {
        if (field.number != ENTRY_KEY && field.number != ENTRY_VALUE) continue;
        const char *text = pf_onnx_take_text(reader, &field);
        if (!text) return -1;
        if (field.number == ENTRY_KEY)
            key = text;
        else
            value = text;
    }
    if (got < 0) return pf_onnx_broken(reader, "where a tensor's numbers lie");
    if (!strcmp(key, "location")) place->location = value;
    if (!strcmp(key, "offset") && parse_size(value, &place->offset))
        return pf_onnx_broken(reader, "the offset of a tensor");
    if (!strcmp(key, "length")) {
        place->has_length = true;
        if (parse_size(value, &place->length))
            return pf_onnx_broken(reader, "the length of a tensor");
    }
    return 0;
}

/* Inside of the model's folder, by a path that does not lead out of it. */
static bool is_inside(const char *location)
{
    if (!*location || *location == '/') return false;
    for (const char *part = location; *part;) {
        const size_t length = strcspn(part, "/");
        if (!length || (length == 2 && !strncmp(part, "..", 2))) return false;
        part += length;
        if (*part && !*++part) return false;
    }
    return true;
}

/* The same file, which was opened under another name; or NULL. */
static const PfOnnxData *find_same(const PfOnnxModel *model, const struct stat *status)
{
    for (size_t i = 0; i < model->data_count; i++)
        if (model->data[i].device == status->st_dev && model->data[i].inode == status->st_ino)
            return &model->data[i];
    return NULL;
}

static int map_data(PfOnnxReader *reader, int fd, const struct stat *status, PfOnnxData *data)
{
    const void *bytes = NULL;
    const PfOnnxData *same = find_same(reader->model, status);
    if (same) {
        data->bytes = same->bytes;
        data->size = same->size;
        data->is_lent = true;
        return 0;
    }
    if (status->st_size &&
        pf_input_file_map(fd, status, "external data", data->location, &bytes, reader->err))
        return -1;
    data->bytes = bytes;
    data->size = (size_t)status->st_size;
    reader->model->budget += data->size;
    return 0;
}

static int open_data(PfOnnxReader *reader, const PfOnnxPlace *place, PfOnnxData *data)
{
    const PfOnnxModel *model = reader->model;
    struct stat status;
    PfError reason = {0};
    if (model->folder < 0 || !is_inside(place->location))
        return pf_onnx_fail_tensor(
            reader, place->tensor,
            "expected its numbers in a file of the model's folder, found the path "
            "'%.200s'. Hint: onnx.save(model, FILE, save_as_external_data=True) "
            "writes such paths",
            place->location);
    int fd = pf_input_file_open(model->folder, place->location, "external data", &status, &reason);
    if (fd < 0)
        return pf_onnx_fail_tensor(
            reader, place->tensor,
            "%" PF_SENTENCE ". Hint: the files of a model stay in one folder", reason.message);
    *data =
        (PfOnnxData){.location = place->location, .device = status.st_dev, .inode = status.st_ino};
    int failed = map_data(reader, fd, &status, data);
    close(fd);
    return failed;
}

static int find_data(PfOnnxReader *reader, const PfOnnxPlace *place, const PfOnnxData **out)
{
    PfOnnxModel *model = reader->model;
    if (!place->location)
        return pf_onnx_fail_tensor(reader, place->tensor, "it does not say which file it is in");
    for (size_t i = model->data_count; i-- > 0;) {
        *out = &model->data[i];
        if (!strcmp((*out)->location, place->location)) return 0;
    }
    if (model->data_count == MAX_DATA_FILES)
        return pf_onnx_fail_tensor(reader, place->tensor, "the model lies in more than %d files",
                                   MAX_DATA_FILES);
    if (pf_grow(&model->data, &model->data_capacity, model->data_count + 1, sizeof *model->data,
                reader->err) ||
        open_data(reader, place, &model->data[model->data_count]))
        return -1;
    *out = &model->data[model->data_count++];
    return 0;
}

int pf_onnx_place_external(PfOnnxReader *reader, const PfOnnxPlace *place, size_t bytes,
                           PfOnnxTensor *tensor)
{
    const PfOnnxData *data = NULL;
    if (find_data(reader, place, &data)) return -1;
    if (place->has_length && place->length != bytes)
        return pf_onnx_fail_tensor(reader, place->tensor,
                                   "expected %zu bytes of external data, found %llu", bytes,
                                   (unsigned long long)place->length);
    if (place->offset > data->size || bytes > data->size - place->offset)
        return pf_onnx_fail_tensor(
            reader, place->tensor,
            "expected %zu bytes from byte %llu of '%.200s' on, found a file of %zu. "
            "Hint: was it copied in full?",
            bytes, (unsigned long long)place->offset, data->location, data->size);
    tensor->data = data->bytes ? data->bytes + place->offset : (const void *)"";
    return 0;
}
