/* Reading a frozen list: as a dataset, of which a shard reads its own lines only. */
#include "extract/dataset/frozen_list.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/integers.h"
#include "common/base/json.h"
#include "common/base/memory.h"
#include "common/base/options.h"
#include "common/file/input_file.h"
#include "extract/dataset/format.h"

#define HEAD "{\"format\":\"" PF_FROZEN_LIST_FORMAT "\""
#define MOST_IMAGES ((int64_t)1 << 40)
#define LEAST_LINE_BYTES 4  /* "a", tab, side, line break */
#define LEAST_FIELD_BYTES 2 /* tab, digit */

typedef struct List {
    PfDataset *dataset;
    const char *path; /* of the file */
    int fd;
    int64_t file_bytes;
    char *text; /* the first line, then the index */
    size_t header_bytes, text_bytes;
    int64_t index_offset;
    int64_t count, block_count; /* of the whole */
    bool has_groups;
} List;

static int fail_format(const List *list, const char *what, PfError *err)
{
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s' is no whole list of extract --list: %s.\nHint: make it again", list->path,
                   what);
}

static int read_at(const List *list, int64_t offset, void *bytes, size_t size, PfError *err)
{
    if (offset < 0 || (int64_t)size > list->file_bytes || offset > list->file_bytes - (int64_t)size)
        return fail_format(list, "it ends too early", err);
    for (size_t done = 0; done < size;) {
        const ssize_t got =
            pread(list->fd, (char *)bytes + done, size - done, offset + (off_t)done);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return pf_fail_errno(err, "'%s' cannot be read", list->path);
        if (!got) return fail_format(list, "it has become shorter", err);
        done += (size_t)got;
    }
    return 0;
}

/* Exactly 16 hex digits in lower case. */
static bool read_hex(const char *text, uint64_t *value)
{
    *value = 0;
    for (int i = 0; i < 16; i++) {
        const char *digit = memchr("0123456789abcdef", text[i], 16);
        if (!digit) return false;
        *value = *value << 4 | (uint64_t)(digit - &"0123456789abcdef"[0]);
    }
    return true;
}

/* ---- first line and index ---- */

static int read_last_line(List *list, uint64_t *hash, PfError *err)
{
    char line[PF_FROZEN_LIST_LAST_LINE];
    uint64_t offset;
    if (read_at(list, list->file_bytes - (int64_t)sizeof line, line, sizeof line, err)) return -1;
    if (memcmp(line, "index ", 6) != 0 || !read_hex(line + 6, &offset) || line[22] != ' ' ||
        !read_hex(line + 23, hash) || line[39] != '\n')
        return fail_format(list, "its last line is not that of a list", err);
    if (offset > (uint64_t)(list->file_bytes - (int64_t)sizeof line))
        return fail_format(list, "its index lies outside it", err);
    list->index_offset = (int64_t)offset;
    return 0;
}

/* Bytes of the first line with its line break. */
static int find_header(List *list, PfError *err)
{
    char piece[4096];
    for (int64_t at = 0; at < list->index_offset && at < PF_FROZEN_LIST_HEADER_BYTES;) {
        const int64_t left = list->index_offset - at;
        const size_t size = left < (int64_t)sizeof piece ? (size_t)left : sizeof piece;
        if (read_at(list, at, piece, size, err)) return -1;
        const char *end = memchr(piece, '\n', size);
        if (end) {
            list->header_bytes = (size_t)(at + (end - piece) + 1);
            return 0;
        }
        at += (int64_t)size;
    }
    return fail_format(list, "its first line has no end", err);
}

static int read_header_and_index(List *list, PfError *err)
{
    uint64_t hash;
    if (read_last_line(list, &hash, err) || find_header(list, err)) return -1;
    const int64_t index_bytes = list->file_bytes - PF_FROZEN_LIST_LAST_LINE - list->index_offset;
    list->text_bytes = list->header_bytes + (size_t)index_bytes;
    list->text = pf_calloc(list->text_bytes + 1, 1, err);
    if (!list->text || read_at(list, 0, list->text, list->header_bytes, err) ||
        read_at(list, list->index_offset, list->text + list->header_bytes, (size_t)index_bytes,
                err))
        return -1;
    if (index_bytes % PF_FROZEN_LIST_INDEX_LINE ||
        pf_digest_xxh64(list->text, list->text_bytes) != hash)
        return fail_format(list, "its first line or its index is damaged", err);
    list->block_count = index_bytes / PF_FROZEN_LIST_INDEX_LINE;
    list->text[list->header_bytes - 1] = '\0';
    return 0;
}

/* ---- what the first line says ---- */

static int take_names(List *list, const cJSON *classes, PfCacheTarget *target, const char ***names,
                      PfError *err)
{
    const int count = cJSON_GetArraySize(classes);
    const cJSON *item;
    if (!count) return 0;
    *names = pf_calloc((size_t)count, sizeof **names, err);
    if (!*names) return -1;
    int i = 0;
    cJSON_ArrayForEach(item, classes)
    {
        if (!cJSON_IsString(item)) return fail_format(list, "a class is no text", err);
        (*names)[i] =
            pf_dataset_text(list->dataset, item->valuestring, strlen(item->valuestring), err);
        if (!(*names)[i++]) return -1;
    }
    target->classes = *names;
    target->class_count = count;
    return 0;
}

static int take_target(List *list, const cJSON *item, int place, PfError *err)
{
    PfDataset *dataset = list->dataset;
    PfCacheTarget *target = &dataset->targets[place];
    const char *name = pf_json_member_text(item, "name"), *kind = pf_json_member_text(item, "kind");
    const cJSON *width = cJSON_GetObjectItemCaseSensitive(item, "width");
    if (!name || strlen(name) >= sizeof target->name || !kind ||
        pf_target_kind_from_name(kind, &target->kind) ||
        !pf_json_is_whole(width, 1, PF_FROZEN_LIST_WIDTH))
        return fail_format(list, "a target is described wrongly", err);
    memcpy(target->name, name, strlen(name) + 1);
    target->width = (int)width->valuedouble;
    if (take_names(list, cJSON_GetObjectItemCaseSensitive(item, "classes"), target,
                   &dataset->target_names[place], err))
        return -1;
    const bool is_class = target->kind == PF_TARGET_CLASS;
    if ((is_class && target->width != 1) ||
        (target->kind == PF_TARGET_MULTILABEL && target->class_count != target->width) ||
        (target->kind == PF_TARGET_KEYPOINTS && target->width % 2))
        return fail_format(list, "a target is described wrongly", err);
    dataset->indices_per_row += is_class;
    dataset->values_per_row += is_class ? 0 : target->width;
    return 0;
}

static int take_targets(List *list, const cJSON *targets, PfError *err)
{
    PfDataset *dataset = list->dataset;
    const int count = cJSON_GetArraySize(targets);
    const cJSON *item;
    if (count > PF_FROZEN_LIST_TARGETS) return fail_format(list, "it has too many targets", err);
    if (!count) return 0;
    dataset->targets = pf_calloc((size_t)count, sizeof *dataset->targets, err);
    dataset->target_names = pf_calloc((size_t)count, sizeof *dataset->target_names, err);
    if (!dataset->targets || !dataset->target_names) return -1;
    dataset->target_count = count;
    int place = 0;
    cJSON_ArrayForEach(item, targets)
    {
        if (take_target(list, item, place++, err)) return -1;
    }
    return 0;
}

static int take_drawing(List *list, const cJSON *header, bool is_part, PfError *err)
{
    const cJSON *val = cJSON_GetObjectItemCaseSensitive(header, "val");
    const cJSON *test = cJSON_GetObjectItemCaseSensitive(header, "test");
    if (!val && !test) return 0;
    if (!cJSON_IsNumber(val) || !cJSON_IsNumber(test) || !(val->valuedouble >= 0) ||
        !(test->valuedouble >= 0) || !(val->valuedouble + test->valuedouble < 1))
        return fail_format(list, "its shares of val and test are wrong", err);
    list->dataset->drawing = (PfDrawing){val->valuedouble, test->valuedouble, !is_part};
    return 0;
}

/* --root stands above the root that was noted. */
static int take_root(List *list, const cJSON *header, const char *given, PfError *err)
{
    const char *root = given ? given : pf_json_member_text(header, "root");
    const char *kind = pf_json_member_text(header, "kind");
    if (!root || !kind) return fail_format(list, "its first line lacks root or kind", err);
    snprintf(list->dataset->kind, sizeof list->dataset->kind, "a list of %s", kind);
    return pf_dataset_set_root(list->dataset, root, err);
}

static int take_header(List *list, const cJSON *header, const PfDatasetOptions *options,
                       PfError *err)
{
    const cJSON *count = cJSON_GetObjectItemCaseSensitive(header, "count");
    const char *listing = pf_json_member_text(header, PF_LISTING_KEY);
    const cJSON *version = cJSON_GetObjectItemCaseSensitive(header, "version");
    if (!pf_json_is_whole(version, 1, 1e9) || version->valuedouble > PF_FROZEN_LIST_VERSION)
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s' is a list of a later version; this program reads version %d",
                       list->path, PF_FROZEN_LIST_VERSION);
    if (!pf_json_is_whole(count, 1, (double)MOST_IMAGES) || !listing ||
        strlen(listing) != PF_SHA256_TEXT_SIZE - 1)
        return fail_format(list, "its first line lacks count or listing", err);
    list->count = (int64_t)count->valuedouble;
    const int64_t blocks = (list->count + PF_FROZEN_LIST_BLOCK - 1) / PF_FROZEN_LIST_BLOCK;
    if (blocks != list->block_count || list->count > list->file_bytes / LEAST_LINE_BYTES)
        return fail_format(list, "it counts other images than it has", err);
    memcpy(list->dataset->listing, listing, PF_SHA256_TEXT_SIZE);
    list->has_groups = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(header, "has_groups"));
    return take_root(list, header, options->image_root, err) ||
                   take_drawing(list, header, options->shard.count > 1, err) ||
                   take_targets(list, cJSON_GetObjectItemCaseSensitive(header, "targets"), err)
               ? -1
               : 0;
}

/* ---- the lines ---- */

static int decode_path(const List *list, const char *field, size_t length, const char **path,
                       PfError *err)
{
    static const char digits[] = "0123456789ABCDEF";
    char *copy = pf_calloc(length + 1, 1, err);
    if (!copy) return -1;
    size_t size = 0;
    bool is_right = length > 0;
    for (size_t i = 0; i < length && is_right; i++) {
        if (field[i] != '%') {
            copy[size++] = field[i];
            continue;
        }
        const char *high = i + 2 < length ? strchr(digits, field[i + 1]) : NULL;
        const char *low = high ? strchr(digits, field[i + 2]) : NULL;
        is_right = high && low && *high && *low && (high != digits || low != digits);
        if (is_right) copy[size++] = (char)((high - digits) << 4 | (low - digits));
        i += 2;
    }
    *path = is_right ? pf_dataset_text(list->dataset, copy, size, err) : NULL;
    free(copy);
    if (!is_right) return fail_format(list, "a path is written wrongly", err);
    return *path ? 0 : -1;
}

/* The next field, which ends at a tab or at the line's end; its end becomes a NUL. */
static char *next_field(char **line)
{
    char *field = *line;
    if (!field) return NULL;
    char *tab = strchr(field, '\t');
    if (tab) *tab = '\0';
    *line = tab ? tab + 1 : NULL;
    return field;
}

static int read_classes(const List *list, char **line, size_t row, PfError *err)
{
    PfDataset *dataset = list->dataset;
    int32_t *indices = dataset->class_indices + row * (size_t)dataset->indices_per_row;
    for (int t = 0; t < dataset->target_count; t++) {
        if (dataset->targets[t].kind != PF_TARGET_CLASS) continue;
        const char *field = next_field(line);
        long long index;
        if (!field || pf_options_read_long(field, strlen(field), &index) || index < -1 ||
            index >= dataset->targets[t].class_count)
            return fail_format(list, "a class index is wrong", err);
        *indices++ = (int32_t)index;
    }
    return 0;
}

static int read_values(const List *list, char **line, size_t row, PfError *err)
{
    PfDataset *dataset = list->dataset;
    float *values = dataset->values + row * (size_t)dataset->values_per_row;
    for (int v = 0; v < dataset->values_per_row; v++) {
        const char *field = next_field(line);
        double value = NAN;
        if (!field ||
            (strcmp(field, "nan") != 0 && pf_options_read_double(field, strlen(field), &value)))
            return fail_format(list, "a number is wrong", err);
        values[v] = (float)value;
    }
    return 0;
}

static int read_group(const List *list, char **line, size_t row, PfError *err)
{
    const char *field = next_field(line);
    char *end = NULL;
    errno = 0;
    if (!field || !*field || strspn(field, "0123456789abcdef") != strlen(field))
        return fail_format(list, "a group is wrong", err);
    list->dataset->groups[row] = strtoull(field, &end, 16);
    return errno ? fail_format(list, "a group is wrong", err) : 0;
}

static int read_line(const List *list, char *line, PfError *err)
{
    PfDataset *dataset = list->dataset;
    const size_t row = dataset->count;
    const char *field = next_field(&line), *path;
    if (decode_path(list, field, strlen(field), &path, err)) return -1;
    const char *side = next_field(&line);
    if (!side || side[0] < '0' || side[0] > '2' || side[1])
        return fail_format(list, "a side is wrong", err);
    if ((list->has_groups && read_group(list, &line, row, err)) ||
        (dataset->class_indices && read_classes(list, &line, row, err)) ||
        (dataset->values && read_values(list, &line, row, err)))
        return -1;
    if (line) return fail_format(list, "a line has too many fields", err);
    const int32_t index = dataset->class_indices
                              ? dataset->class_indices[row * (size_t)dataset->indices_per_row]
                              : -1;
    dataset->samples[row] = (PfSample){path, index, (PfSplit)(side[0] - '0')};
    dataset->count++;
    return 0;
}

/* Rows [first, end) of those that begin with row `begin`. text: (size + 1) bytes. */
static int read_block(const List *list, char *text, size_t size, int64_t begin, int64_t first,
                      int64_t end, PfError *err)
{
    const int64_t rows = pf_min(list->count - begin, PF_FROZEN_LIST_BLOCK);
    char *line = text;
    if (memchr(text, '\0', size)) return fail_format(list, "it holds a NUL", err);
    for (int64_t row = begin; row < begin + rows; row++) {
        char *stop = strchr(line, '\n');
        if (!stop) return fail_format(list, "a block has too few lines", err);
        *stop = '\0';
        if (row >= first && row < end && read_line(list, line, err)) return -1;
        line = stop + 1;
    }
    return *line ? fail_format(list, "a block has too many lines", err) : 0;
}

/* Where a block begins; of the one behind the last, where the index does. */
static bool find_block(const List *list, int64_t block, uint64_t *offset)
{
    *offset = (uint64_t)list->index_offset;
    if (block == list->block_count) return true;
    return read_hex(list->text + list->header_bytes + block * PF_FROZEN_LIST_INDEX_LINE, offset);
}

/* Blocks lie end to end: were several in the same bytes, a small list would have very many rows. */
static int open_block(const List *list, int64_t block, char **text, size_t *size, PfError *err)
{
    const char *line = list->text + list->header_bytes + block * PF_FROZEN_LIST_INDEX_LINE;
    uint64_t offset, bytes, next, hash;
    *text = NULL;
    if (!find_block(list, block, &offset) || !find_block(list, block + 1, &next) ||
        !read_hex(line + 17, &bytes) || !read_hex(line + 34, &hash) ||
        offset > (uint64_t)list->index_offset || bytes > (uint64_t)list->index_offset - offset ||
        offset + bytes != next || (!block && offset != list->header_bytes))
        return fail_format(list, "its index is wrong", err);
    *text = pf_calloc(bytes + 1, 1, err);
    if (!*text || read_at(list, (int64_t)offset, *text, bytes, err)) return -1;
    *size = bytes;
    if (pf_digest_xxh64(*text, bytes) == hash) return 0;
    return fail_format(list, "its lines are damaged", err);
}

/* Whether the file is as long as its lines are at least, each with all that the targets need:
 * before there is memory for that. */
static int check_bytes(const List *list, PfError *err)
{
    const int64_t fields = list->dataset->indices_per_row + list->dataset->values_per_row;
    const int64_t line = LEAST_LINE_BYTES + fields * LEAST_FIELD_BYTES;
    if (list->count <= list->file_bytes / line) return 0;
    return fail_format(list, "it is too short for its images and targets", err);
}

static int take_rows(List *list, int64_t first, int64_t count, PfError *err)
{
    PfDataset *dataset = list->dataset;
    const size_t rows = (size_t)count;
    dataset->samples = pf_calloc(rows, sizeof *dataset->samples, err);
    if (!dataset->samples) return -1;
    if (list->has_groups && !(dataset->groups = pf_calloc(rows, sizeof *dataset->groups, err)))
        return -1;
    if (dataset->indices_per_row &&
        !(dataset->class_indices = pf_calloc(rows * (size_t)dataset->indices_per_row,
                                             sizeof *dataset->class_indices, err)))
        return -1;
    if (dataset->values_per_row &&
        !(dataset->values =
              pf_calloc(rows * (size_t)dataset->values_per_row, sizeof *dataset->values, err)))
        return -1;
    int failed = 0;
    for (int64_t block = first / PF_FROZEN_LIST_BLOCK;
         block * PF_FROZEN_LIST_BLOCK < first + count && !failed; block++) {
        char *text;
        size_t size = 0;
        failed =
            open_block(list, block, &text, &size, err) ||
            read_block(list, text, size, block * PF_FROZEN_LIST_BLOCK, first, first + count, err);
        free(text);
    }
    return failed ? -1 : 0;
}

/* ---- the format ---- */

static int check_options(const List *list, const PfDatasetOptions *options, PfError *err)
{
    const bool draws = options->val_fraction > 0 || options->test_fraction > 0;
    if (!draws && !options->sample && !options->exclude) return 0;
    return pf_fail(err, PF_EXIT_USAGE, "%s was settled when '%s' was made: give it to --list",
                   draws             ? "--split"
                   : options->sample ? "--sample"
                                     : "--exclude",
                   list->path);
}

static int take_list(List *list, const PfDatasetOptions *options, PfError *err)
{
    struct stat status;
    int64_t first, count;
    list->fd = pf_input_file_open(AT_FDCWD, list->path, "list", &status, err);
    if (list->fd < 0) return -1;
    list->file_bytes = status.st_size;
    if (check_options(list, options, err) || read_header_and_index(list, err)) return -1;
    cJSON *header = pf_json_parse(list->text, list->path, "first line", err);
    int failed = !header || take_header(list, header, options, err);
    cJSON_Delete(header);
    if (failed || check_bytes(list, err)) return -1;
    if (options->shard.count > list->count)
        return pf_fail(err, PF_EXIT_USAGE,
                       "--shard %lld/%lld: '%s' has only %lld images; a shard has at least one",
                       (long long)options->shard.number, (long long)options->shard.count,
                       list->path, (long long)list->count);
    pf_dataset_shard_range(options->shard, list->count, &first, &count);
    list->dataset->whole = (size_t)list->count;
    return take_rows(list, first, count, err);
}

static int list_frozen(PfDataset *dataset, const char *operand, const PfDatasetOptions *options,
                       PfError *err)
{
    List list = {.dataset = dataset, .path = operand, .fd = -1};
    int failed = take_list(&list, options, err);
    if (list.fd >= 0) close(list.fd);
    free(list.text);
    return failed;
}

static bool probe(const char *operand)
{
    char head[sizeof HEAD - 1];
    struct stat status;
    const int fd = pf_input_file_try(AT_FDCWD, operand, &status);
    if (fd < 0) return false;
    const bool is_list =
        pread(fd, head, sizeof head, 0) == (ssize_t)sizeof head && !memcmp(head, HEAD, sizeof head);
    close(fd);
    return is_list;
}

const PfDatasetFormat pf_dataset_format_frozen_list = {
    .what = "a list of extract --list",
    .has_own_part = true,
    .probe = probe,
    .list = list_frozen,
    .read = pf_dataset_read_file,
    .stat = pf_dataset_stat_file,
};
