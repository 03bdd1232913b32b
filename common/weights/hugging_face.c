/* Weights as Hugging Face lays them out: its names for ResNets, folders, and indexes of shards. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/file/input_file.h"
#include "common/weights/internal.h"

/* ==== names ==== */

/* Beginnings of names, as Hugging Face's ResNetForImageClassification has them and as torchvision
 * has them. '#' stands for a number; '+' for the same number and one more. */
static const struct {
    const char *theirs, *ours;
} resnet_names[] = {
    {"embedder.embedder.convolution.", "conv1."},
    {"embedder.embedder.normalization.", "bn1."},
    {"encoder.stages.#.layers.#.layer.#.convolution.", "layer+.#.conv+."},
    {"encoder.stages.#.layers.#.layer.#.normalization.", "layer+.#.bn+."},
    {"encoder.stages.#.layers.#.shortcut.convolution.", "layer+.#.downsample.0."},
    {"encoder.stages.#.layers.#.shortcut.normalization.", "layer+.#.downsample.1."},
    {"classifier.1.", "fc."},
};

#define MAX_NUMBERS 3 /* in a name */
#define NAME_SIZE 400

/* How long the beginning of name is that matches; 0 where it does not. */
static size_t match_name(const char *name, const char *theirs, unsigned numbers[MAX_NUMBERS])
{
    const char *at = name;
    int count = 0;
    for (; *theirs; theirs++) {
        if (*theirs != '#') {
            if (*at++ != *theirs) return 0;
            continue;
        }
        size_t digits = strspn(at, "0123456789");
        if (!digits || digits > 4) return 0;
        numbers[count++] = (unsigned)strtoul(at, NULL, 10);
        at += digits;
    }
    return (size_t)(at - name);
}

static void write_name(char out[NAME_SIZE], const char *ours, const unsigned *numbers,
                       const char *rest)
{
    size_t used = 0;
    for (; *ours && used < NAME_SIZE; ours++) {
        char text[16] = {*ours};
        if (*ours == '#' || *ours == '+')
            snprintf(text, sizeof text, "%u", *numbers++ + (*ours == '+'));
        used += (size_t)snprintf(out + used, NAME_SIZE - used, "%s", text);
    }
    if (used < NAME_SIZE) snprintf(out + used, NAME_SIZE - used, "%s", rest);
}

/* False where the name is none of theirs. */
static bool translate(const char *name, char out[NAME_SIZE])
{
    for (size_t i = 0; i < sizeof resnet_names / sizeof resnet_names[0]; i++) {
        unsigned numbers[MAX_NUMBERS];
        size_t length = match_name(name, resnet_names[i].theirs, numbers);
        if (!length) continue;
        write_name(out, resnet_names[i].ours, numbers, name + length);
        return true;
    }
    return false;
}

/* The tensor that tells their ResNets; *length: of what stands before its name, "resnet.". */
static const char *find_prefix(const PfWeights *weights, size_t *length)
{
    static const char first[] = "embedder.embedder.convolution.weight";
    for (size_t i = 0; i < weights->count; i++) {
        const char *name = weights->tensors[i].name, *found = strstr(name, first);
        if (!found || found[sizeof first - 1] || (found > name && found[-1] != '.')) continue;
        *length = (size_t)(found - name);
        return name;
    }
    return NULL;
}

/* "model.resnet." is dropped from names, and of the classifier, which stands beside it, "model.".
 */
static const char *drop_prefix(const char *name, const char *prefix, size_t length)
{
    static const char own[] = "resnet.";
    if (!strncmp(name, prefix, length)) return name + length;
    size_t outer = length;
    if (outer >= strlen(own) && !strncmp(prefix + outer - strlen(own), own, strlen(own)))
        outer -= strlen(own);
    return strncmp(name, prefix, outer) ? name : name + outer;
}

/* Puts ours in the place of their *name; *is_known: there is one. */
static int rename_tensor(char **name, const char *prefix, size_t length, bool *is_known,
                         PfError *err)
{
    char ours[NAME_SIZE];
    *is_known = translate(drop_prefix(*name, prefix, length), ours);
    char *owned = *is_known ? pf_strdup(ours, err) : NULL;
    if (!owned) return *is_known ? -1 : 0;
    free(*name);
    *name = owned;
    return 0;
}

int pf_weights_translate_names(PfWeights *weights, PfError *err)
{
    size_t length, unknown = 0;
    bool is_known = true;
    const char *first_unknown = NULL, *found = find_prefix(weights, &length);
    if (!found) return 0;
    if (pf_weights_check_resnet_config(weights, err)) return -1;
    char *prefix = pf_asprintf(err, "%.*s", (int)length, found);
    int failed = !prefix;
    for (size_t i = 0; i < weights->count && !failed; i++) {
        char *name = (char *)(uintptr_t)weights->tensors[i].name;
        failed = rename_tensor(&name, prefix, length, &is_known, err);
        weights->tensors[i].name = name;
        if (!is_known && !unknown++) first_unknown = name;
    }
    for (size_t i = 0; i < weights->foreign_count && !failed; i++)
        failed = rename_tensor(&weights->foreign[i].name, prefix, length, &is_known, err);
    free(prefix);
    if (failed) return -1;
    pf_say("weights '%s': a ResNet by Hugging Face's names, which are read as torchvision's",
           weights->source);
    if (unknown)
        pf_warn("weights '%s': %zu tensors have no counterpart in torchvision's ResNets; the first "
                "is '%s'",
                weights->source, unknown, first_unknown);
    return pf_weights_index(weights, err);
}

/* ==== shards ==== */

#define INDEX_BYTES ((off_t)64 << 20)

static bool is_plain_name(const char *name)
{
    return name && *name && *name != '.' && !strchr(name, '/');
}

/* A folder, which may hold an index, and an index could lead back here for ever. */
static bool leads_further(const char *path)
{
    struct stat status;
    return pf_weights_is_index(path) || (!stat(path, &status) && S_ISDIR(status.st_mode));
}

static PfWeights *find_shard(const PfWeights *weights, const char *path)
{
    for (size_t i = 0; i < weights->shard_count; i++)
        if (!strcmp(weights->shards[i]->source, path)) return weights->shards[i];
    return NULL;
}

static int open_shard(PfWeights *weights, const char *path, PfWeights **out, PfError *err)
{
    if ((*out = find_shard(weights, path))) return 0;
    if (pf_grow(&weights->shards, &weights->shard_capacity, weights->shard_count + 1,
                sizeof *weights->shards, err) ||
        pf_weights_open_as_before(path, out, err))
        return -1;
    weights->shards[weights->shard_count++] = *out;
    return 0;
}

/* A line of the index: the tensor must be in that shard. */
static int check_line(PfWeights *weights, const char *folder, const cJSON *line, PfError *err)
{
    const char *file = cJSON_GetStringValue(line);
    if (!is_plain_name(file))
        return pf_fail(err, PF_EXIT_FAILED,
                       "weights '%s': the index does not name a file beside it for tensor '%s'",
                       weights->source, line->string);
    char *path = pf_asprintf(err, "%s%s", folder, file);
    char *name = pf_weights_strip_wrappers(line->string, strlen(line->string), err);
    PfWeights *shard;
    int failed = !path || !name;
    if (!failed && leads_further(path))
        failed = pf_fail(err, PF_EXIT_FAILED,
                         "weights '%s': the index names '%s' for tensor '%s', which is no file of "
                         "tensors",
                         weights->source, path, line->string);
    failed = failed || open_shard(weights, path, &shard, err);
    if (!failed && !pf_weights_find_tensor(shard, name) && !pf_weights_find_foreign(shard, name))
        failed = pf_fail(err, PF_EXIT_FAILED,
                         "weights '%s': tensor '%s' should be in '%s', which does not hold it. "
                         "Hint: index and shards are of one download; fetch all again",
                         weights->source, line->string, path);
    free(name);
    free(path);
    return failed ? -1 : 0;
}

static int compare_sources(const void *a, const void *b)
{
    return strcmp((*(PfWeights *const *)a)->source, (*(PfWeights *const *)b)->source);
}

static int open_shards(PfWeights *weights, const cJSON *map, PfError *err)
{
    const char *slash = strrchr(weights->source, '/');
    char *folder =
        pf_asprintf(err, "%.*s", slash ? (int)(slash - weights->source) + 1 : 0, weights->source);
    const cJSON *line;
    int failed = !folder;
    cJSON_ArrayForEach(line, map) failed = failed || check_line(weights, folder, line, err);
    free(folder);
    if (failed) return -1;
    if (weights->shard_count)
        qsort(weights->shards, weights->shard_count, sizeof(PfWeights *), compare_sources);
    for (size_t s = 0; s < weights->shard_count; s++) {
        const PfWeights *shard = weights->shards[s];
        for (size_t i = 0; i < shard->count; i++)
            if (pf_weights_add(weights, shard->tensors[i].name, strlen(shard->tensors[i].name),
                               &shard->tensors[i].view, err))
                return -1;
        for (size_t i = 0; i < shard->foreign_count; i++)
            if (pf_weights_add_foreign(weights, shard->foreign[i].name,
                                       strlen(shard->foreign[i].name), shard->foreign[i].kind, err))
                return -1;
    }
    return 0;
}

static int digest_shards(PfWeights *weights, PfError *err)
{
    size_t room = 1, used = 0;
    for (size_t i = 0; i < weights->shard_count; i++)
        room += PF_SHA256_TEXT_SIZE + 2 + strlen(weights->shards[i]->source);
    char *text = pf_calloc(room, 1, err);
    if (!text) return -1;
    for (size_t i = 0; i < weights->shard_count; i++) {
        const char *path = weights->shards[i]->source, *slash = strrchr(path, '/');
        used += (size_t)snprintf(text + used, room - used, "%s  %s\n",
                                 pf_weights_sha256(weights->shards[i]), slash ? slash + 1 : path);
    }
    pf_weights_set_sha256(weights, text, used);
    free(text);
    return 0;
}

int pf_weights_open_index(const char *path, const char *entry, PfWeights **out, PfError *err)
{
    char *text = pf_input_file_read_text(path, "weights", INDEX_BYTES, NULL, err);
    *out = NULL;
    if (!text || pf_json_check_size(text, strlen(text), path, "index", err)) {
        free(text);
        return -1;
    }
    cJSON *index = pf_json_parse(text, path, "index", err);
    free(text);
    if (!index) return -1;
    const cJSON *map = cJSON_GetObjectItemCaseSensitive(index, "weight_map");
    int failed = pf_weights_new(path, out, err);
    if (!failed && !cJSON_IsObject(map))
        failed =
            pf_fail(err, PF_EXIT_FAILED,
                    "weights '%s': expected an index of shards, which has a 'weight_map'", path);
    if (!failed) {
        (*out)->format = "sharded";
        failed = open_shards(*out, map, err);
    }
    if (!failed && entry) {
        snprintf((*out)->entry, sizeof(*out)->entry, "%s", entry);
        failed = pf_weights_keep_prefix(*out, entry, err);
    }
    failed = failed || pf_weights_index(*out, err) || digest_shards(*out, err);
    cJSON_Delete(index);
    if (failed) pf_weights_close(out);
    return failed ? -1 : 0;
}

/* ==== folders ==== */

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), size = strlen(end);
    return length >= size && !strcmp(text + length - size, end);
}

bool pf_weights_is_index(const char *path)
{
    return ends_with(path, ".index.json");
}

static int is_distributed(const char *folder, PfError *err)
{
    return pf_fail(err, PF_EXIT_FAILED,
                   "weights '%s': a distributed checkpoint (torch.distributed.checkpoint), whose "
                   "tensors lie in pieces. Hint: python3 -m "
                   "torch.distributed.checkpoint.format_utils dcp_to_torch FOLDER w.pth makes one "
                   "file of it",
                   folder);
}

int pf_weights_check_distributed(const char *path, PfError *err)
{
    return ends_with(path, ".distcp") ? is_distributed(path, err) : 0;
}

/* The names in the folder that weights usually have, for the message that none was taken. */
static void list_candidates(const char *folder, char *list, size_t size)
{
    static const char *const ends[] = {".safetensors", ".bin", ".pth", ".pt", ".ckpt", ".th"};
    DIR *directory = opendir(folder);
    size_t used = 0;
    *list = 0;
    for (struct dirent *entry; directory && (entry = readdir(directory));)
        for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
            char name[PF_PRINTABLE_SIZE];
            if (!ends_with(entry->d_name, ends[i])) continue;
            pf_printable_text(entry->d_name, strlen(entry->d_name), name);
            if (used + strlen(name) + 8 > size) continue;
            pf_format(list + used, size - used, "%s'%s'", used ? ", " : "", name);
            used = strlen(list);
        }
    if (directory) closedir(directory);
}

char *pf_weights_in_folder(const char *folder, PfError *err)
{
    static const char *const usual[] = {"model.safetensors.index.json",
                                        "model.safetensors",
                                        "pytorch_model.bin.index.json",
                                        "pytorch_model.bin",
                                        "open_clip_model.safetensors",
                                        "open_clip_pytorch_model.bin",
                                        ".metadata"};
    const char *slash = ends_with(folder, "/") ? "" : "/";
    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++) {
        char *path = pf_asprintf(err, "%s%s%s", folder, slash, usual[i]);
        if (!path) return NULL;
        int is_there = !access(path, F_OK);
        if (is_there && *usual[i] != '.') return path;
        free(path);
        if (!is_there) continue;
        is_distributed(folder, err);
        return NULL;
    }
    char list[400];
    list_candidates(folder, list, sizeof list);
    pf_fail(err, PF_EXIT_FAILED,
            "weights '%s' is a folder, not a file, and holds no model.safetensors, "
            "pytorch_model.bin or index of shards. Hint: name a file%s%" PF_SENTENCE,
            folder, *list ? ": in it are " : "", list);
    return NULL;
}
