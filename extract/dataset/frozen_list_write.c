/* Writing a frozen list. */
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/digest.h"
#include "common/base/json.h"
#include "common/base/memory.h"
#include "common/file/atomic_file.h"
#include "extract/dataset/format.h"
#include "extract/dataset/frozen_list.h"

/* What a line holds before it goes into the file. */
typedef struct Text {
    char *bytes;
    size_t size, capacity;
} Text;

typedef struct Writer {
    const PfDataset *dataset;
    FILE *stream;
    int64_t offset; /* bytes written */
    Text block;     /* lines of the current block */
    Text index;     /* the first line, then the index as far as it goes */
    size_t header;  /* bytes of the first line */
} Writer;

static int add(Text *text, const char *bytes, size_t size, PfError *err)
{
    if (pf_grow(&text->bytes, &text->capacity, text->size + size + 1, 1, err)) return -1;
    memcpy(text->bytes + text->size, bytes, size);
    text->size += size;
    return 0;
}

static int add_path(Text *text, const char *path, PfError *err)
{
    static const char digits[] = "0123456789ABCDEF";
    for (; *path; path++) {
        const unsigned char byte = (unsigned char)*path;
        const char escape[] = {'%', digits[byte >> 4], digits[byte & 15]};
        const bool is_plain = byte >= 0x20 && byte != 0x7f && byte != '%';
        if (add(text, is_plain ? path : escape, is_plain ? 1 : sizeof escape, err)) return -1;
    }
    return 0;
}

static int add_row(Writer *writer, int64_t row, PfError *err)
{
    const PfDataset *dataset = writer->dataset;
    const PfSample *sample = &pf_dataset_samples(dataset)[row];
    const int32_t *indices = pf_dataset_class_indices(dataset, row);
    const float *values = pf_dataset_values(dataset, row);
    char field[64];
    Text *block = &writer->block;
    int failed = add_path(block, sample->path, err);
    int length = snprintf(field, sizeof field, "\t%d", (int)sample->split);
    failed = failed || add(block, field, (size_t)length, err);
    if (!failed && pf_dataset_has_groups(dataset)) {
        length = snprintf(field, sizeof field, "\t%" PRIx64, pf_dataset_group(dataset, row));
        failed = add(block, field, (size_t)length, err);
    }
    for (int t = 0; t < dataset->target_count && !failed; t++) {
        const PfCacheTarget *target = &dataset->targets[t];
        if (target->kind != PF_TARGET_CLASS) continue;
        length = snprintf(field, sizeof field, "\t%" PRId32, *indices++);
        failed = add(block, field, (size_t)length, err);
    }
    for (int v = 0; v < dataset->values_per_row && !failed; v++) {
        length = isnan(values[v]) ? snprintf(field, sizeof field, "\tnan")
                                  : snprintf(field, sizeof field, "\t%.9g", (double)values[v]);
        failed = add(block, field, (size_t)length, err);
    }
    return failed ? -1 : add(block, "\n", 1, err);
}

static int write_bytes(Writer *writer, const char *bytes, size_t size, PfError *err)
{
    writer->offset += (int64_t)size;
    if (!size || fwrite(bytes, size, 1, writer->stream) == 1) return 0;
    return pf_fail_errno(err, "the list cannot be written");
}

static int end_block(Writer *writer, PfError *err)
{
    char line[PF_FROZEN_LIST_INDEX_LINE + 1];
    Text *block = &writer->block;
    snprintf(line, sizeof line, "%016" PRIx64 " %016" PRIx64 " %016" PRIx64 "\n",
             (uint64_t)writer->offset, (uint64_t)block->size,
             pf_digest_xxh64(block->bytes, block->size));
    if (add(&writer->index, line, PF_FROZEN_LIST_INDEX_LINE, err) ||
        write_bytes(writer, block->bytes, block->size, err))
        return -1;
    block->size = 0;
    return 0;
}

static int write_rows(Writer *writer, PfError *err)
{
    const int64_t count = pf_dataset_count(writer->dataset);
    for (int64_t row = 0; row < count; row++) {
        if (add_row(writer, row, err)) return -1;
        const bool is_last = row + 1 == count || (row + 1) % PF_FROZEN_LIST_BLOCK == 0;
        if (is_last && end_block(writer, err)) return -1;
    }
    return 0;
}

static int write_index(Writer *writer, PfError *err)
{
    char last[PF_FROZEN_LIST_LAST_LINE + 1];
    snprintf(last, sizeof last, "index %016" PRIx64 " %016" PRIx64 "\n", (uint64_t)writer->offset,
             pf_digest_xxh64(writer->index.bytes, writer->index.size));
    return write_bytes(writer, writer->index.bytes + writer->header,
                       writer->index.size - writer->header, err) ||
                   write_bytes(writer, last, PF_FROZEN_LIST_LAST_LINE, err)
               ? -1
               : 0;
}

/* ---- the first line ---- */

static void add_targets(cJSON *object, const PfDataset *dataset)
{
    cJSON *list = cJSON_AddArrayToObject(object, "targets");
    for (int t = 0; t < dataset->target_count; t++) {
        const PfCacheTarget *target = &dataset->targets[t];
        cJSON *item = cJSON_CreateObject();
        cJSON_AddStringToObject(item, "name", target->name);
        cJSON_AddStringToObject(item, "kind", pf_target_kind_name(target->kind));
        cJSON_AddNumberToObject(item, "width", target->width);
        if (target->class_count)
            cJSON_AddItemToObject(item, "classes",
                                  cJSON_CreateStringArray(target->classes, target->class_count));
        cJSON_AddItemToArray(list, item);
    }
}

static char *first_line(const PfDataset *dataset, PfError *err)
{
    char listing[PF_SHA256_TEXT_SIZE], root[PATH_MAX];
    if (pf_dataset_listing_digest(dataset, listing, err)) return NULL;
    if (!realpath(pf_dataset_root(dataset), root))
        return pf_fail_errno(err, "dataset '%s' cannot be read", pf_dataset_root(dataset)), NULL;
    pf_json_begin();
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "format", PF_FROZEN_LIST_FORMAT);
    cJSON_AddNumberToObject(object, "version", PF_FROZEN_LIST_VERSION);
    cJSON_AddStringToObject(object, "kind", pf_dataset_kind(dataset));
    cJSON_AddStringToObject(object, "root", root);
    cJSON_AddNumberToObject(object, "count", (double)pf_dataset_count(dataset));
    cJSON_AddStringToObject(object, PF_LISTING_KEY, listing);
    cJSON_AddBoolToObject(object, "has_groups", pf_dataset_has_groups(dataset));
    const PfDrawing *drawing = pf_dataset_drawing(dataset);
    if (drawing) {
        cJSON_AddNumberToObject(object, "val", drawing->val);
        cJSON_AddNumberToObject(object, "test", drawing->test);
    }
    add_targets(object, dataset);
    return pf_json_finish(object, "list", err);
}

/* What would be refused when the list is read is not written. */
static int check_limits(const PfDataset *dataset, const char *path, PfError *err)
{
    if (dataset->target_count > PF_FROZEN_LIST_TARGETS)
        return pf_fail(
            err, PF_EXIT_USAGE,
            "--list: '%s' has %d targets, and '%s' would hold %d at most.\nHint: several "
            "columns are one target with --target NAME:regression=FIRST..LAST, or "
            ":keypoints, or :multilabel; or --target names those that are needed",
            pf_dataset_root(dataset), dataset->target_count, path, PF_FROZEN_LIST_TARGETS);
    for (int t = 0; t < dataset->target_count; t++)
        if (dataset->targets[t].width > PF_FROZEN_LIST_WIDTH)
            return pf_fail(err, PF_EXIT_USAGE,
                           "--list: target '%s' has %d numbers in a row, and '%s' would hold %d at "
                           "most of a target.\nHint: several targets, each with a part of them; or "
                           "extract --shard without a list",
                           dataset->targets[t].name, dataset->targets[t].width, path,
                           PF_FROZEN_LIST_WIDTH);
    return 0;
}

static int check_header(const char *line, PfError *err)
{
    if (strlen(line) < PF_FROZEN_LIST_HEADER_BYTES) return 0;
    return pf_fail(err, PF_EXIT_USAGE,
                   "--list: the names of all classes take %zu bytes, and a list holds %lld at "
                   "most.\nHint: extract --shard without a list",
                   strlen(line), (long long)PF_FROZEN_LIST_HEADER_BYTES);
}

static int write_all(Writer *writer, PfError *err)
{
    char *line = first_line(writer->dataset, err);
    int failed = !line || check_header(line, err) || add(&writer->index, line, strlen(line), err) ||
                 add(&writer->index, "\n", 1, err);
    free(line);
    if (failed) return -1;
    writer->header = writer->index.size;
    return write_bytes(writer, writer->index.bytes, writer->header, err) ||
                   write_rows(writer, err) || write_index(writer, err)
               ? -1
               : 0;
}

int pf_frozen_list_write(const PfDataset *dataset, const char *path, PfFrozenListSummary *summary,
                         PfError *err)
{
    Writer writer = {.dataset = dataset};
    PfAtomicFile *file;
    if (!pf_dataset_has_files(dataset) || pf_dataset_is_archive(dataset))
        return pf_fail(err, PF_EXIT_USAGE,
                       "--list: '%s' is %s, whose images are no files of their own: they do not "
                       "change one by one, and every shard reads the same list anyway.\nHint: "
                       "extract it by --shard without a list, or one archive at a time",
                       pf_dataset_root(dataset), dataset->format->what);
    if (check_limits(dataset, path, err) || pf_atomic_file_begin(path, &file, err)) return -1;
    writer.stream = pf_atomic_file_stream(file);
    int failed = write_all(&writer, err);
    if (failed)
        pf_atomic_file_abandon(&file);
    else
        failed = pf_atomic_file_commit(&file, err);
    *summary = (PfFrozenListSummary){pf_dataset_count(dataset), writer.offset};
    free(writer.block.bytes);
    free(writer.index.bytes);
    return failed ? -1 : 0;
}
