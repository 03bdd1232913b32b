#include "common/weights/weights.h"

#include <ctype.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/file/foreign_file.h"
#include "common/file/input_file.h"
#include "common/file/path.h"
#include "common/weights/internal.h"

/* ---- building ---- */

int pf_weights_new(const char *source, PfWeights **out, PfError *err)
{
    PfWeights *weights = *out = pf_calloc(1, sizeof *weights, err);
    if (!weights) return -1;
    weights->source = pf_strdup(source, err);
    if (!weights->source) pf_weights_close(out);
    return weights->source ? 0 : -1;
}

void *pf_weights_allocate(PfWeights *weights, size_t size, PfError *err)
{
    return pf_arena_allocate(&weights->arena, size, 64, err);
}

/* Copies name without the path components that wrappers add: "module" by
 * DataParallel, which may sit around a part of a network
 * ("features.module.0.weight"), and "_orig_mod" by torch.compile. */
char *pf_weights_strip_wrappers(const char *name, size_t size, PfError *err)
{
    static const char *const wrappers[] = {"module.", "_orig_mod."};
    char *out = pf_calloc(size + 1, 1, err);
    if (!out) return NULL;
    size_t used = 0;
    for (size_t at = 0; at < size;) {
        size_t skip = 0;
        for (size_t i = 0; i < 2 && !skip; i++) {
            size_t length = strlen(wrappers[i]);
            if (length < size - at && !memcmp(name + at, wrappers[i], length)) skip = length;
        }
        at += skip;
        if (skip) continue;
        const char *dot = memchr(name + at, '.', size - at);
        size_t length = dot ? (size_t)(dot - (name + at)) + 1 : size - at;
        memcpy(out + used, name + at, length);
        used += length;
        at += length;
    }
    return out;
}

/* The name without its wrappers, for the caller to free; NULL with a failure. */
static char *take_name(PfWeights *weights, const char *name, size_t name_size, PfError *err)
{
    for (size_t i = 0; i < name_size; i++) {
        if (!iscntrl((unsigned char)name[i])) continue;
        char text[PF_PRINTABLE_SIZE];
        pf_fail(err, PF_EXIT_FAILED,
                "weights '%s': the name of tensor '%s' holds control characters", weights->source,
                pf_printable_text(name, name_size, text));
        return NULL;
    }
    /* Names that differ have bytes of their own; a pickle can name one text a million times. */
    weights->name_bytes += name_size;
    if (weights->bytes && weights->name_bytes > weights->size) {
        pf_fail(err, PF_EXIT_FAILED,
                "weights '%s': the names of its tensors are longer than the file: a name comes "
                "twice",
                weights->source);
        return NULL;
    }
    return pf_weights_strip_wrappers(name, name_size, err);
}

int pf_weights_add(PfWeights *weights, const char *name, size_t name_size, const PfTensorView *view,
                   PfError *err)
{
    if (pf_grow(&weights->tensors, &weights->capacity, weights->count + 1, sizeof *weights->tensors,
                err))
        return -1;
    char *stripped = take_name(weights, name, name_size, err);
    if (!stripped) return -1;
    weights->tensors[weights->count++] = (PfNamedTensor){.name = stripped, .view = *view};
    return 0;
}

int pf_weights_add_foreign(PfWeights *weights, const char *name, size_t name_size, const char *kind,
                           PfError *err)
{
    if (pf_grow(&weights->foreign, &weights->foreign_capacity, weights->foreign_count + 1,
                sizeof *weights->foreign, err))
        return -1;
    char *stripped = take_name(weights, name, name_size, err);
    if (!stripped) return -1;
    weights->foreign[weights->foreign_count++] = (PfForeignTensor){stripped, kind};
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp((*(const PfNamedTensor *const *)a)->name,
                  (*(const PfNamedTensor *const *)b)->name);
}

static int compare_foreign(const void *a, const void *b)
{
    return strcmp(((const PfForeignTensor *)a)->name, ((const PfForeignTensor *)b)->name);
}

static int comes_twice(const PfWeights *weights, const char *name, PfError *err)
{
    return pf_fail(err, PF_EXIT_FAILED, "weights '%s': tensor '%.200s' comes twice",
                   weights->source, name);
}

static int no_tensors(const PfWeights *weights, PfError *err)
{
    if (!weights->foreign_count)
        return pf_fail(err, PF_EXIT_FAILED, "weights '%s' hold no tensors", weights->source);
    return pf_fail(err, PF_EXIT_FAILED,
                   "weights '%s' hold no tensors of types that are read; of %zu others '%.200s' is "
                   "%.80s. Hint: save them in float32",
                   weights->source, weights->foreign_count, weights->foreign[0].name,
                   weights->foreign[0].kind);
}

/* Sorts the foreign ones; the others' index is there. */
static int index_foreign(PfWeights *weights, PfError *err)
{
    PfForeignTensor *foreign = weights->foreign;
    if (!foreign) return 0;
    qsort(foreign, weights->foreign_count, sizeof *foreign, compare_foreign);
    for (size_t i = 0; i < weights->foreign_count; i++)
        if (pf_weights_find_tensor(weights, foreign[i].name) ||
            (i && !compare_foreign(&foreign[i - 1], &foreign[i])))
            return comes_twice(weights, foreign[i].name, err);
    return 0;
}

int pf_weights_index(PfWeights *weights, PfError *err)
{
    size_t count = weights->count;
    const bool may_be_foreign = weights->as_before; /* a shard may hold nothing else */
    if (!count && !(may_be_foreign && weights->foreign_count)) return no_tensors(weights, err);
    free(weights->by_name);
    weights->by_name = pf_calloc(count, sizeof *weights->by_name, err);
    if (!weights->by_name) return -1;
    for (size_t i = 0; i < count; i++) weights->by_name[i] = &weights->tensors[i];
    qsort(weights->by_name, count, sizeof *weights->by_name, compare_names);
    for (size_t i = 1; i < count; i++) {
        if (compare_names(&weights->by_name[i - 1], &weights->by_name[i])) continue;
        return comes_twice(weights, weights->by_name[i]->name, err);
    }
    return index_foreign(weights, err);
}

/* ---- opening ---- */

static bool is_safetensors(const uint8_t *bytes, size_t size)
{
    return size > 8 && bytes[8] == '{';
}

static bool is_zip(const uint8_t *bytes, size_t size)
{
    return size > 4 && !memcmp(bytes, "PK\3\4", 4);
}

/* A pickle of protocol 2 or later that holds the long 0x1950a86a20f9469cfc6c. */
static bool is_legacy_pth(const uint8_t *bytes, size_t size)
{
    static const uint8_t magic[] = {0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46,
                                    0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};
    if (size < 32 || bytes[0] != 0x80) return false;
    size_t at = bytes[2] == 0x95 ? 11 : 2; /* from protocol 4 on a FRAME opcode comes first */
    return !memcmp(bytes + at, magic, sizeof magic);
}

static const struct {
    const char *name;
    bool (*probe)(const uint8_t *bytes, size_t size);
    int (*read)(PfWeights *weights, PfError *err);
} formats[] = {
    {"pth", is_zip, pf_weights_read_pth},
    {"pth (legacy)", is_legacy_pth, pf_weights_read_pth_legacy},
    {"safetensors", is_safetensors, pf_weights_read_safetensors},
};

/* "a text that begins 'Entry not found'", as servers answer; NULL where it is no text. */
static const char *describe_text(const PfWeights *weights, char *text, size_t size)
{
    size_t length = 0;
    while (length < weights->size && length < 60 && weights->bytes[length] != '\n' &&
           isprint(weights->bytes[length]))
        length++;
    if (length < 4 || (length < weights->size && length < 60 && weights->bytes[length] != '\n'))
        return NULL;
    pf_format(text, size, "a text that begins '%.*s'", (int)length, (const char *)weights->bytes);
    return text;
}

static int not_weights(const PfWeights *weights, PfError *err)
{
    char text[PF_PRINTABLE_SIZE];
    const char *what = pf_foreign_file_what(weights->bytes, weights->size, PF_FOREIGN_AS_WEIGHTS);
    if (!weights->size) what = "empty";
    if (!what && weights->bytes[0] == 0x80) what = "a pickle, but not one that torch.save wrote";
    if (!what) what = describe_text(weights, text, sizeof text);
    return pf_fail(err, PF_EXIT_FAILED,
                   "weights '%s': expected a .safetensors or torch .pth file; found: %s",
                   weights->source, what ? what : "something else");
}

static int read_content(PfWeights *weights, PfError *err)
{
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (!formats[i].probe(weights->bytes, weights->size)) continue;
        weights->format = formats[i].name;
        if (formats[i].read(weights, err)) return -1;
        const char *wanted = weights->wanted_entry;
        if (wanted && !*weights->entry && formats[i].read == pf_weights_read_safetensors) {
            snprintf(weights->entry, sizeof weights->entry, "%s", wanted);
            if (pf_weights_keep_prefix(weights, wanted, err)) return -1;
        }
        return pf_weights_index(weights, err);
    }
    return not_weights(weights, err);
}

static int open_bytes(const char *source, const void *bytes, size_t size, const char *entry,
                      bool as_before, PfWeights **out, PfError *err)
{
    if (pf_weights_new(source, out, err)) return -1;
    (*out)->wanted_entry = entry;
    (*out)->as_before = as_before;
    (*out)->bytes = bytes;
    (*out)->size = size;
    if (!read_content(*out, err)) {
        (*out)->wanted_entry = NULL;
        return 0;
    }
    pf_weights_close(out);
    return -1;
}

static int copy_tensor(PfWeights *weights, const PfNamedTensor *tensor, PfError *err)
{
    PfTensorView copy = tensor->view;
    const size_t size = (size_t)pf_shape_count(&copy.shape) * pf_dtype_size(copy.dtype);
    void *bytes = pf_weights_allocate(weights, size, err);
    if (!bytes) return -1;
    if (size) memcpy(bytes, tensor->view.data, size);
    copy.data = bytes;
    return pf_weights_add(weights, tensor->name, strlen(tensor->name), &copy, err);
}

int pf_weights_copy(const char *source, const PfNamedTensor *tensors, size_t count, PfWeights **out,
                    PfError *err)
{
    if (pf_weights_new(source, out, err)) return -1;
    (*out)->format = "memory";
    int failed = 0;
    for (size_t i = 0; i < count && !failed; i++) failed = copy_tensor(*out, &tensors[i], err);
    if (!failed) failed = pf_weights_index(*out, err);
    if (failed) pf_weights_close(out);
    return failed ? -1 : 0;
}

int pf_weights_open_bytes(const char *source, const void *bytes, size_t size, PfWeights **out,
                          PfError *err)
{
    return open_bytes(source, bytes, size, NULL, false, out, err);
}

int pf_weights_open_bytes_entry(const char *source, const void *bytes, size_t size,
                                const char *entry, PfWeights **out, PfError *err)
{
    return open_bytes(source, bytes, size, entry, false, out, err);
}

/* Maps the whole file; an empty one gives no mapping. */
static int map_file(const char *path, const uint8_t **bytes, size_t *size, PfFileStamp *stamp,
                    PfError *err)
{
    int64_t now = pf_file_stamp_now();
    struct stat status;
    int fd = pf_input_file_open(AT_FDCWD, path, "weights", &status, err);
    if (fd < 0) return -1;
    int failed = 0;
    *bytes = NULL;
    *size = 0;
    if (status.st_size > 0) {
        const void *map;
        failed = pf_input_file_map(fd, &status, "weights", path, &map, err);
        if (!failed) {
            *bytes = map;
            *size = (size_t)status.st_size;
        }
    }
    if (!failed) *stamp = pf_file_stamp_settled(pf_file_stamp(&status), now);
    close(fd);
    return failed;
}

static int open_file(const char *path, const char *entry, bool as_before, PfWeights **out,
                     PfError *err);

static int open_folder(const char *folder, const char *entry, bool as_before, PfWeights **out,
                       PfError *err)
{
    char *path = pf_weights_in_folder(folder, err);
    if (!path) return -1;
    int failed = open_file(path, entry, as_before, out, err);
    free(path);
    return failed;
}

static int open_file(const char *path, const char *entry, bool as_before, PfWeights **out,
                     PfError *err)
{
    struct stat status;
    if (entry && strlen(entry) >= PF_ENTRY_SIZE)
        return pf_fail(err, PF_EXIT_USAGE, "weights '%s': the key '%s' is longer than %d bytes",
                       path, entry, PF_ENTRY_SIZE - 1);
    const uint8_t *bytes = NULL;
    size_t size = 0;
    PfFileStamp stamp = {0};
    *out = NULL;
    if (!stat(path, &status) && S_ISDIR(status.st_mode))
        return open_folder(path, entry, as_before, out, err);
    if (pf_weights_is_index(path)) return pf_weights_open_index(path, entry, out, err);
    if (pf_weights_check_distributed(path, err)) return -1;
    if (map_file(path, &bytes, &size, &stamp, err)) return -1;
    if (open_bytes(path, bytes, size, entry, as_before, out, err)) {
        pf_input_file_unmap(bytes, size);
        return -1;
    }
    (*out)->is_mapped = size > 0;
    (*out)->stamp = stamp;
    /* What is noted with a stamp is the digest of the whole file. */
    if (*(*out)->entry) (*out)->stamp.mtime_ns = 0;
    return 0;
}

int pf_weights_open(const char *path, PfWeights **out, PfError *err)
{
    return open_file(path, NULL, false, out, err);
}

int pf_weights_open_entry(const char *path, const char *entry, PfWeights **out, PfError *err)
{
    return open_file(path, entry, false, out, err);
}

int pf_weights_open_as_before(const char *path, PfWeights **out, PfError *err)
{
    return open_file(path, NULL, true, out, err);
}

void pf_weights_close(PfWeights **weights)
{
    PfWeights *closing = *weights;
    *weights = NULL;
    if (!closing) return;
    for (size_t i = 0; i < closing->count; i++) free((void *)(uintptr_t)closing->tensors[i].name);
    for (size_t i = 0; i < closing->foreign_count; i++) free(closing->foreign[i].name);
    free(closing->foreign);
    pf_arena_free(&closing->arena);
    free(closing->tensors);
    free(closing->by_name);
    cJSON_Delete(closing->header);
    for (size_t i = 0; i < closing->shard_count; i++) pf_weights_close(&closing->shards[i]);
    free(closing->shards);
    if (closing->is_mapped) pf_input_file_unmap(closing->bytes, closing->size);
    free(closing->source);
    free(closing);
}

/* ---- asking ---- */

const PfNamedTensor *pf_weights_tensors(const PfWeights *weights, size_t *count)
{
    *count = weights->count;
    return weights->tensors;
}

const PfTensorView *pf_weights_find_tensor(const PfWeights *weights, const char *name)
{
    PfNamedTensor wanted = {.name = name};
    const PfNamedTensor *key = &wanted, **found;
    found = bsearch(&key, weights->by_name, weights->count, sizeof key, compare_names);
    return found ? &(*found)->view : NULL;
}

const PfForeignTensor *pf_weights_find_foreign(const PfWeights *weights, const char *name)
{
    const PfForeignTensor key = {.name = (char *)(uintptr_t)name};
    if (!weights->foreign_count) return NULL;
    return bsearch(&key, weights->foreign, weights->foreign_count, sizeof key, compare_foreign);
}

const char *pf_weights_source(const PfWeights *weights)
{
    return weights->source;
}

const char *pf_weights_entry(const PfWeights *weights)
{
    return *weights->entry ? weights->entry : NULL;
}

char *pf_weights_noted_source(const PfWeights *weights, PfError *err)
{
    const char *source = pf_weights_source(weights), *entry = pf_weights_entry(weights);
    const bool is_file = weights->bytes || weights->shard_count;
    char *path = is_file ? pf_path_absolute(source, err) : pf_strdup(source, err);
    if (!path || !entry) return path;
    char *noted = pf_asprintf(err, "%s#%s", path, entry);
    free(path);
    return noted;
}

const char *pf_weights_still_there(const char *noted)
{
    if (!noted) return NULL;
    if (!strncmp(noted, "random:", 7) || !access(noted, R_OK)) return noted;
    char *file = pf_strdup(noted, NULL);
    int is_there = file && pf_weights_split_entry(file) && !access(file, R_OK);
    free(file);
    return is_there ? noted : NULL;
}

void pf_weights_set_sha256(PfWeights *weights, const void *bytes, size_t size)
{
    pf_digest_sha256_text(bytes, size, weights->sha256);
    if (!*weights->entry) return;
    char text[PF_SHA256_TEXT_SIZE + PF_ENTRY_SIZE];
    int length = snprintf(text, sizeof text, "%s#%s", weights->sha256, weights->entry);
    pf_digest_sha256_text(text, (size_t)length, weights->sha256);
}

/* What was hashed last, by path: whoever opens the same file again need not. */
static struct {
    pthread_mutex_t lock;
    char *source;
    PfFileStampSha256 known;
} last_hashed = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Of the whole file, without its entry. */
static bool recall_hashed(const PfWeights *weights, char sha256[PF_SHA256_TEXT_SIZE])
{
    pthread_mutex_lock(&last_hashed.lock);
    const bool is_same = last_hashed.source && !strcmp(last_hashed.source, weights->source);
    const char *known = is_same ? pf_file_stamp_sha256(&last_hashed.known, &weights->stamp) : NULL;
    if (known) memcpy(sha256, known, PF_SHA256_TEXT_SIZE);
    pthread_mutex_unlock(&last_hashed.lock);
    return known;
}

static void note_hashed(const PfWeights *weights)
{
    char *source = weights->is_mapped ? pf_strdup(weights->source, NULL) : NULL;
    if (!source) return;
    pthread_mutex_lock(&last_hashed.lock);
    free(last_hashed.source);
    last_hashed.source = source;
    last_hashed.known.stamp = weights->stamp;
    memcpy(last_hashed.known.sha256, weights->sha256, PF_SHA256_TEXT_SIZE);
    pthread_mutex_unlock(&last_hashed.lock);
}

const char *pf_weights_sha256(PfWeights *weights)
{
    if (*weights->sha256 || recall_hashed(weights, weights->sha256)) return weights->sha256;
    pf_weights_set_sha256(weights, weights->bytes, weights->size);
    if (!*weights->entry) note_hashed(weights);
    return weights->sha256;
}

void pf_weights_recall_sha256(PfWeights *weights, const PfFileStampSha256 *known)
{
    const char *sha256 = pf_file_stamp_sha256(known, &weights->stamp);
    if (sha256 && !*weights->entry) snprintf(weights->sha256, sizeof weights->sha256, "%s", sha256);
}

const PfFileStamp *pf_weights_stamp(const PfWeights *weights)
{
    return &weights->stamp;
}

const char *pf_weights_format(const PfWeights *weights)
{
    return weights->format;
}

const char *pf_weights_metadata(const PfWeights *weights, const char *key)
{
    const cJSON *metadata = cJSON_GetObjectItemCaseSensitive(weights->header, "__metadata__");
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(metadata, key));
}
