#include "common/weights/hub_cache.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/arch/spelling.h"
#include "common/base/json.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/file/input_file.h"
#include "common/file/path.h"
#include "common/weights/internal.h"

#define SCHEME "hf:"
#define NAME_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
#define REF_BYTES 200
#define CONFIG_BYTES ((off_t)16 << 20)
#define INDEX_BYTES ((off_t)64 << 20)

/* ---- names ---- */

bool pf_hub_is_named(const char *name)
{
    return !strncmp(name, SCHEME, strlen(SCHEME));
}

bool pf_hub_is_commit(const char *text)
{
    return strlen(text) == PF_HUB_COMMIT_SIZE - 1 &&
           strspn(text, "0123456789abcdef") == PF_HUB_COMMIT_SIZE - 1;
}

bool pf_hub_is_inner_path(const char *name)
{
    for (;;) {
        const size_t size = strspn(name, NAME_CHARACTERS "+");
        if (!size || *name == '.' || size > 200) return false;
        name += size;
        if (!*name) return true;
        if (*name++ != '/') return false;
    }
}

/* "ORG/NAME", or "NAME" alone. Folders have "--" for the slash. */
static bool is_repository_id(const char *id)
{
    const char *slash = strchr(id, '/');
    return pf_hub_is_inner_path(id) && !strstr(id, "--") && !strstr(id, "..") && !strchr(id, '+') &&
           *id != '-' && (!slash || !strchr(slash + 1, '/'));
}

int pf_hub_repository_read(const char *name, PfHubRepository *out, PfError *err)
{
    const char *id = name + strlen(SCHEME), *at = strchr(id, '@');
    const size_t size = at ? (size_t)(at - id) : strlen(id);
    const char *revision = at ? at + 1 : "main";
    if (size < sizeof out->id && strlen(revision) < sizeof out->revision) {
        snprintf(out->id, sizeof out->id, "%.*s", (int)size, id);
        snprintf(out->revision, sizeof out->revision, "%s", revision);
        if (is_repository_id(out->id) && pf_hub_is_inner_path(revision) && *revision != '-' &&
            !strstr(revision, ".."))
            return 0;
    }
    return pf_fail(err, PF_EXIT_USAGE,
                   "'%s': expected hf:ORG/NAME or hf:ORG/NAME@REVISION, of letters, digits and "
                   "'._-'",
                   name);
}

/* ---- where they lie ---- */

/* "$variable" and what is below, malloc'ed; NULL where the variable is not set, or with a failure.
 */
static char *below_variable(const char *variable, const char *below, PfError *err)
{
    const char *base = getenv(variable);
    return base && *base ? pf_asprintf(err, "%s%s", base, below) : NULL;
}

char *pf_hub_home(PfError *err)
{
    PfError memory = {0};
    char *path = below_variable("HF_HOME", "", &memory);
    if (!path) path = below_variable("XDG_CACHE_HOME", "/huggingface", &memory);
    if (!path) path = below_variable("HOME", "/.cache/huggingface", &memory);
    if (!path)
        pf_fail(err, PF_EXIT_FAILED,
                "no cache of the Hugging Face hub: none of HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME "
                "and HOME is set");
    return path;
}

char *pf_hub_cache(PfError *err)
{
    PfError memory = {0};
    char *path = below_variable("HF_HUB_CACHE", "", &memory);
    if (!path) path = below_variable("HUGGINGFACE_HUB_CACHE", "", &memory);
    if (path) return path;
    char *home = pf_hub_home(err);
    path = home ? pf_asprintf(err, "%s/hub", home) : NULL;
    free(home);
    return path;
}

char *pf_hub_folder(const PfHubRepository *repository, PfError *err)
{
    char *cache = pf_hub_cache(err);
    const char *slash = strchr(repository->id, '/');
    const int before = slash ? (int)(slash - repository->id) : 0;
    char *path =
        !cache  ? NULL
        : slash ? pf_asprintf(err, "%s/models--%.*s--%s", cache, before, repository->id, slash + 1)
                : pf_asprintf(err, "%s/models--%s", cache, repository->id);
    free(cache);
    return path;
}

/* ---- what lies there ---- */

static bool is_folder(const char *path)
{
    struct stat status;
    return !stat(path, &status) && S_ISDIR(status.st_mode);
}

/* The commit that refs/REVISION holds; "" where there is no such file. */
static int read_ref(const char *folder, const char *revision, char commit[PF_HUB_COMMIT_SIZE],
                    PfError *err)
{
    char *path = pf_asprintf(err, "%s/refs/%s", folder, revision);
    *commit = '\0';
    if (!path) return -1;
    char *text =
        access(path, F_OK) ? NULL : pf_input_file_read_text(path, "", REF_BYTES, NULL, err);
    int failed = !text && !access(path, F_OK);
    if (text) {
        text[strcspn(text, " \r\n")] = '\0';
        if (pf_hub_is_commit(text))
            memcpy(commit, text, PF_HUB_COMMIT_SIZE);
        else
            failed =
                pf_fail(err, PF_EXIT_FAILED, "'%s': expected a commit, of 40 hex digits", path);
    }
    free(text);
    free(path);
    return failed ? -1 : 0;
}

int pf_hub_find_snapshot(const PfHubRepository *repository, char **out, PfError *err)
{
    char commit[PF_HUB_COMMIT_SIZE] = "";
    char *folder = pf_hub_folder(repository, err);
    int failed = !folder;
    *out = NULL;
    if (!failed && pf_hub_is_commit(repository->revision))
        memcpy(commit, repository->revision, sizeof commit);
    else if (!failed)
        failed = read_ref(folder, repository->revision, commit, err);
    if (!failed && *commit) {
        *out = pf_asprintf(err, "%s/snapshots/%s", folder, commit);
        failed = !*out;
        if (*out && !is_folder(*out)) {
            free(*out);
            *out = NULL;
        }
    }
    free(folder);
    return failed ? -1 : 0;
}

const char *const *pf_hub_file_names(void)
{
    static const char *const names[] = {"model.safetensors.index.json",
                                        "model.safetensors",
                                        "pytorch_model.bin.index.json",
                                        "pytorch_model.bin",
                                        "open_clip_model.safetensors",
                                        "open_clip_pytorch_model.bin",
                                        "model.onnx",
                                        "onnx/model.onnx",
                                        NULL};
    return names;
}

bool pf_hub_is_onnx(const char *file)
{
    const size_t length = strlen(file);
    return length > 5 && !strcmp(file + length - 5, ".onnx");
}

/* The first of the usual files in the snapshot, malloc'ed; NULL where none is there, or with a
 * failure. */
static char *choose_file(const char *snapshot, PfError *err)
{
    for (const char *const *name = pf_hub_file_names(); *name; name++) {
        char *path = pf_asprintf(err, "%s/%s", snapshot, *name);
        if (!path || !access(path, F_OK)) return path;
        free(path);
    }
    return NULL;
}

/* Why the repository cannot be used from the cache, and what to do. */
static int not_there(const char *name, const PfHubRepository *repository, const char *snapshot,
                     PfError *err)
{
    char *folder = pf_hub_folder(repository, err);
    char *word = folder ? pf_path_shell_word(name, "hf:ORG/NAME", err) : NULL;
    if (word && snapshot)
        pf_fail(err, PF_EXIT_FAILED,
                "'%s': '%s' holds none of model.safetensors, pytorch_model.bin, their indexes, "
                "open_clip_model.safetensors, open_clip_pytorch_model.bin, model.onnx and "
                "onnx/model.onnx. Hint: fetch it with\n  extract --fetch %" PF_SENTENCE,
                name, snapshot, word);
    else if (word)
        pf_fail(err, PF_EXIT_FAILED,
                "'%s' is not in the cache of the Hugging Face hub ('%s', revision %s). Fetch it "
                "with\n  extract --fetch %" PF_SENTENCE,
                name, folder, repository->revision, word);
    free(word);
    free(folder);
    return -1;
}

char *pf_hub_snapshot(const char *name, PfError *err)
{
    PfHubRepository repository;
    char *snapshot;
    if (pf_hub_repository_read(name, &repository, err) ||
        pf_hub_find_snapshot(&repository, &snapshot, err))
        return NULL;
    if (!snapshot) not_there(name, &repository, NULL, err);
    return snapshot;
}

char *pf_hub_find_file(const char *name, PfError *err)
{
    PfError memory = {0};
    PfHubRepository repository;
    char *snapshot = pf_hub_snapshot(name, err);
    if (!snapshot) return NULL;
    char *path = choose_file(snapshot, &memory);
    if (!path && !pf_hub_repository_read(name, &repository, err))
        not_there(name, &repository, snapshot, err);
    free(snapshot);
    return path;
}

char *pf_hub_read_text(const char *path, PfError *err)
{
    return pf_input_file_read_text(path, "", INDEX_BYTES, NULL, err);
}

/* ---- which network it is ---- */

/* What config.json calls the network: timm's "architecture", malloc'ed, or NULL. */
static char *configured_architecture(const char *snapshot)
{
    char *path = pf_asprintf(NULL, "%s/config.json", snapshot);
    char *text = path && !access(path, F_OK)
                     ? pf_input_file_read_text(path, "", CONFIG_BYTES, NULL, NULL)
                     : NULL;
    cJSON *config = text && !pf_json_check_size(text, strlen(text), path, "config", NULL)
                        ? pf_json_read(text)
                        : NULL;
    const char *architecture = pf_json_member_text(config, "architecture");
    char *copy = architecture ? pf_strdup(architecture, NULL) : NULL;
    cJSON_Delete(config);
    free(text);
    free(path);
    return copy;
}

/* The network of a name, whoever's weights are meant by what follows a point in it. */
static bool find_by_name(const char *name, PfSpelling *out)
{
    char *untagged = pf_asprintf(NULL, "%.*s", (int)strcspn(name, "."), name);
    const bool is_known =
        !pf_spelling_read(name, out, NULL) || (untagged && !pf_spelling_read(untagged, out, NULL));
    free(untagged);
    return is_known;
}

/* By the "architecture" of its config.json, which alone counts where it is there, or by its name.
 */
static int find_by_contents(const char *name, const char *id, const char *snapshot, PfSpelling *out,
                            PfError *err)
{
    const char *slash = strrchr(id, '/');
    char *configured = configured_architecture(snapshot);
    int failed = !find_by_name(configured ? configured : slash ? slash + 1 : id, out);
    if (failed && configured)
        pf_fail(err, PF_EXIT_USAGE,
                "'%s': its config.json says that it is '%s', by which name no built-in network is "
                "known. Hint: --backbone NAME --weights %s, where it holds weights of one",
                name, configured, name);
    else if (failed)
        pf_fail(err, PF_EXIT_USAGE,
                "'%s': no built-in network is known by this name, and no config.json of timm's "
                "says which it is. Hint: --backbone NAME --weights %s, where it holds weights of "
                "one",
                name, name);
    free(configured);
    return failed ? -1 : 0;
}

int pf_hub_find_network(const char *name, const char **network, PfError *err)
{
    PfHubRepository repository;
    PfSpelling found;
    if (pf_hub_repository_read(name, &repository, err)) return -1;
    int failed = 0;
    if (pf_spelling_read(repository.id, &found, NULL)) {
        char *snapshot = pf_hub_snapshot(name, err);
        failed = !snapshot || find_by_contents(name, repository.id, snapshot, &found, err);
        free(snapshot);
    }
    *network = failed ? NULL : found.network;
    return failed ? -1 : 0;
}

const PfWeightsEntry *pf_hub_find_entry(const char *name, const PfArch *arch)
{
    PfHubRepository repository;
    PfSpelling found;
    if (pf_hub_repository_read(name, &repository, NULL) || strcmp(repository.revision, "main") ||
        pf_spelling_read(repository.id, &found, NULL) || strcmp(found.network, arch->name))
        return NULL;
    return found.entry;
}
