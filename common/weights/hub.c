/* Published weights in torch.hub's cache, and the --weights option. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/arch/family.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/options.h"
#include "common/base/printable.h"
#include "common/file/path.h"
#include "common/weights/hub_cache.h"
#include "common/weights/internal.h"

#define HASH_DIGITS 8 /* of the SHA-256, in a published file's name */
#define MAX_FOLDERS 3

/* Where torch.hub keeps files: the first is where it would put a new one. */
typedef struct HubFolders {
    char *paths[MAX_FOLDERS];
    int count;
} HubFolders;

static int add_folder(HubFolders *folders, const char *variable, const char *below, PfError *err)
{
    const char *base = getenv(variable);
    if (!base || !*base) return 0;
    char *path = pf_asprintf(err, "%s%s/hub/checkpoints", base, below);
    if (!path) return -1;
    folders->paths[folders->count++] = path;
    return 0;
}

static void free_folders(HubFolders *folders)
{
    for (int i = 0; i < folders->count; i++) free(folders->paths[i]);
}

static int list_folders(HubFolders *folders, PfError *err)
{
    folders->count = 0;
    return add_folder(folders, "TORCH_HOME", "", err) ||
                   add_folder(folders, "XDG_CACHE_HOME", "/torch", err) ||
                   add_folder(folders, "HOME", "/.cache/torch", err)
               ? -1
               : 0;
}

/* The hash in "resnet18-f37072fd.pth"; NULL if the name has none, or there is no file. */
static const char *hash_in_name(const char *file)
{
    const char *dash = file ? strrchr(file, '-') : NULL;
    return dash && strspn(dash + 1, "0123456789abcdef") >= HASH_DIGITS ? dash + 1 : NULL;
}

/* sha256 may be NULL: no file has that. */
static bool has_hash(const PfWeightsEntry *entry, const char *sha256)
{
    const char *hash = hash_in_name(entry->file);
    return hash && sha256 && !strncmp(sha256, hash, HASH_DIGITS);
}

const PfWeightsEntry *pf_weights_published(const PfArch *arch, const char *sha256)
{
    for (int i = 0; i < arch->weights_count; i++)
        if (has_hash(&arch->weights[i], sha256)) return &arch->weights[i];
    return NULL;
}

/* Opens a file that has a published name and checks that it has the hash, where the name says one;
 * else it is taken for what its name says, and the log says so. */
static int open_published(const char *path, const PfWeightsEntry *entry,
                          const PfFileStampSha256 *known, PfWeights **out, PfError *err)
{
    if (pf_weights_open(path, out, err)) return -1;
    pf_weights_recall_sha256(*out, known);
    if (pf_weights_renew_names(*out, err)) {
        pf_weights_close(out);
        return -1;
    }
    if (!hash_in_name(entry->file)) {
        pf_warn("weights '%s': taken by their name, which holds no hash to check", path);
        return 0;
    }
    if (has_hash(entry, pf_weights_sha256(*out))) return 0;
    pf_fail(err, PF_EXIT_FAILED,
            "weights '%s': its SHA-256 begins with %.*s, its name says %.*s: the download is "
            "damaged or this is another file. Remove it and fetch %s%s again",
            path, HASH_DIGITS, pf_weights_sha256(*out), HASH_DIGITS, hash_in_name(entry->file),
            entry->url, entry->file);
    pf_weights_close(out);
    return -1;
}

/* 1: opened, 0: not there, -1: failed. */
static int try_folder(const char *folder, const PfWeightsEntry *entry,
                      const PfFileStampSha256 *known, PfWeights **out, PfError *err)
{
    if (!entry->file) return 0;
    char *path = pf_asprintf(err, "%s/%s", folder, entry->file);
    if (!path) return -1;
    int result = access(path, F_OK) ? 0 : open_published(path, entry, known, out, err) ? -1 : 1;
    free(path);
    return result;
}

/* The set of that name in the table; NULL where there is none. */
static const PfWeightsEntry *known_set(const PfArch *arch, const PfWeightsEntry *entry)
{
    const PfArchVariant *variant = pf_arch_find_variant(arch->name);
    for (int w = 0; variant && w < variant->weights_count; w++)
        if (!strcmp(variant->weights[w].name, entry->name)) return &variant->weights[w];
    return NULL;
}

/* What --fetch calls the entry: the network, and the set where it is not the network's first, as
 * arch may have been left with this one alone. Malloc'ed; NULL: failed. */
static char *fetch_name(const PfArch *arch, const PfWeightsEntry *entry, PfError *err)
{
    const PfArchVariant *variant = pf_arch_find_variant(arch->name);
    const PfWeightsEntry *known = known_set(arch, entry);
    if (entry->hub && known && (!known->hub || strcmp(entry->hub, known->hub) != 0))
        return pf_asprintf(err, "hf:%s", entry->hub);
    return !known || known == variant->weights ? pf_strdup(arch->name, err)
                                               : pf_asprintf(err, "%s.%s", arch->name, entry->name);
}

/* Of weights that a repository of the Hugging Face hub alone holds. */
static int not_in_hub(const PfArch *arch, const PfWeightsEntry *entry, PfError *err)
{
    char *name = fetch_name(arch, entry, err);
    if (!name) return -1;
    pf_fail(err, PF_EXIT_FAILED,
            "no weights for %s (%s) in the cache of the Hugging Face hub, as "
            "hf:%s\n"
            "Fetch them with\n"
            "  extract --fetch %s\n"
            "or give a file with --weights FILE, or random numbers with --weights random:0",
            arch->name, entry->name, entry->hub ? entry->hub : "", name);
    free(name);
    return -1;
}

static int not_found(const PfArch *arch, const PfWeightsEntry *entry, const HubFolders *folders,
                     PfError *err)
{
    if (!entry->url || !entry->file) return not_in_hub(arch, entry, err);
    char looked[1000] = "";
    int used = 0;
    for (int i = 0; i < folders->count && used < (int)sizeof looked; i++)
        used += pf_format(looked + used, sizeof looked - (size_t)used, "\n  %s/%s",
                          folders->paths[i], entry->file);
    if (entry->hub && used && used < (int)sizeof looked)
        pf_format(looked + used, sizeof looked - (size_t)used,
                  "\nnor hf:%s in the cache of the Hugging Face hub", entry->hub);
    char *path = pf_asprintf(err, "%s/%s", folders->count ? folders->paths[0] : ".", entry->file);
    char *word = path ? pf_path_shell_word(path, entry->file, err) : NULL;
    char *name = word ? fetch_name(arch, entry, err) : NULL;
    if (name)
        pf_fail(err, PF_EXIT_FAILED,
                "no weights for %s (%s) in%" PF_SENTENCE "\n"
                "Fetch them with\n"
                "  extract --fetch %s\n"
                "or\n"
                "  curl --create-dirs -o %" PF_SENTENCE " %s%s\n"
                "or give a file with --weights FILE, or random numbers with --weights random:0",
                arch->name, entry->name,
                folders->count ? looked : ": TORCH_HOME, XDG_CACHE_HOME and HOME are not set", name,
                word, entry->url, entry->file);
    free(name);
    free(word);
    free(path);
    return -1;
}

/* Whether the entry's name says that its weights are not the noted ones. */
static bool is_another(const PfWeightsEntry *entry, const PfNotedWeights *noted)
{
    return noted && noted->no_others && hash_in_name(entry->file) &&
           !has_hash(entry, noted->sha256);
}

/* The same of the weights themselves, which a name without a hash does not tell. */
static bool are_others(PfWeights *weights, const PfNotedWeights *noted)
{
    return noted && noted->no_others &&
           (!noted->sha256 || strcmp(pf_weights_sha256(weights), noted->sha256));
}

/* Whether these are to be used; else they are closed. noted may be NULL. */
static bool take(const PfWeightsEntry *candidate, const PfNotedWeights *noted, PfWeights **out,
                 const PfWeightsEntry **entry)
{
    *entry = are_others(*out, noted) ? NULL : candidate;
    if (!*entry) pf_weights_close(out);
    return *entry;
}

/* 1: opened, 0: not there, -1: failed. noted may be NULL. */
static int try_folders(const HubFolders *folders, const PfArch *arch, const PfNotedWeights *noted,
                       const PfFileStampSha256 *known, PfWeights **out,
                       const PfWeightsEntry **entry, PfError *err)
{
    int result = 0;
    for (int w = 0; w < arch->weights_count && !result; w++) {
        if (is_another(&arch->weights[w], noted)) continue;
        for (int f = 0; f < folders->count && !result; f++) {
            result = try_folder(folders->paths[f], &arch->weights[w], known, out, err);
            if (result > 0) result = take(&arch->weights[w], noted, out, entry);
            if (result > 0 && pf_weights_compose_names(*out, arch, err)) {
                pf_weights_close(out);
                *entry = NULL;
                result = -1;
            }
        }
    }
    return result;
}

static int open_named(const PfArch *arch, const char *path, const PfFileStampSha256 *known,
                      PfWeights **out, PfError *err);

/* The same for the repository of the Hugging Face hub that holds the entry. */
static int try_repository(const PfArch *arch, const char *repository,
                          const PfFileStampSha256 *known, PfWeights **out, PfError *err)
{
    char *name = pf_asprintf(err, "hf:%s", repository);
    char *path = name ? pf_hub_find_file(name, NULL) : NULL;
    int result = !name ? -1 : path && !pf_hub_is_onnx(path);
    if (result > 0 && open_named(arch, path, known, out, err)) result = -1;
    free(path);
    free(name);
    return result;
}

static int try_repositories(const PfArch *arch, const PfNotedWeights *noted,
                            const PfFileStampSha256 *known, PfWeights **out,
                            const PfWeightsEntry **entry, PfError *err)
{
    int result = 0;
    for (int w = 0; w < arch->weights_count && !result; w++) {
        const PfWeightsEntry *named = &arch->weights[w], *usual = known_set(arch, named);
        if (named->hub) result = try_repository(arch, named->hub, known, out, err);
        if (!result && usual && usual->hub && usual->hub != named->hub)
            result = try_repository(arch, usual->hub, known, out, err);
        if (result > 0) result = take(&arch->weights[w], noted, out, entry);
    }
    return result;
}

int pf_weights_find(const PfArch *arch, const PfFileStampSha256 *known, PfWeights **out,
                    const PfWeightsEntry **entry, PfError *err)
{
    HubFolders folders;
    int result = 0;
    *out = NULL;
    *entry = NULL;
    if (!arch->weights_count)
        return pf_fail(err, PF_EXIT_FAILED,
                       "%s has no published weights: give a file with --weights FILE, or random "
                       "numbers with --weights random:0",
                       arch->name);
    if (list_folders(&folders, err)) result = -1;
    if (!result) result = try_folders(&folders, arch, NULL, known, out, entry, err);
    if (!result) result = try_repositories(arch, NULL, known, out, entry, err);
    if (!result) not_found(arch, &arch->weights[0], &folders, err);
    free_folders(&folders);
    return result > 0 ? 0 : -1;
}

/* Where to fetch the noted weights, if they are published ones: into err; else it stays. */
static void print_where_published(const PfArch *arch, const HubFolders *folders,
                                  const PfNotedWeights *noted, PfError *err)
{
    PfError where = {0}, sentence;
    if (!err) return;
    for (int w = 0; w < arch->weights_count; w++) {
        if (!has_hash(&arch->weights[w], noted->sha256)) continue;
        sentence = *err;
        not_found(arch, &arch->weights[w], folders, &where);
        pf_fail(err, PF_EXIT_FAILED, "%" PF_SENTENCE "\n%" PF_SENTENCE, sentence.message,
                where.message);
        return;
    }
}

static int noted_not_found(const PfArch *arch, const HubFolders *folders,
                           const PfNotedWeights *noted, PfError *err)
{
    const char *sha256 = noted->sha256 ? noted->sha256 : "not noted";
    const char *key = noted->source ? strrchr(noted->source, '#') : NULL;
    char hint[PF_ENTRY_SIZE + 64];
    pf_format(hint, sizeof hint, "name the file with --weights FILE%s, wherever it is now",
              key ? key : "");
    if (!noted->source)
        pf_fail(err, PF_EXIT_FAILED,
                "%s was made with weights of %s whose SHA-256 is %s, and does not say where they "
                "were. Hint: %s",
                noted->by, arch->name, sha256, hint);
    else if (access(noted->source, R_OK))
        pf_fail(err, PF_EXIT_FAILED,
                "%s was made with the weights '%s' (SHA-256 %s), which are not to be had there any "
                "more: %s. Hint: %s",
                noted->by, noted->source, sha256, strerror(errno), hint);
    else
        pf_fail(err, PF_EXIT_FAILED,
                "%s was made with the weights '%s' (SHA-256 %s). Hint: to go on with them, name "
                "them with --weights",
                noted->by, noted->source, sha256);
    print_where_published(arch, folders, noted, err);
    return -1;
}

int pf_weights_find_noted(const PfArch *arch, const PfNotedWeights *noted,
                          const PfFileStampSha256 *known, PfWeights **out,
                          const PfWeightsEntry **entry, PfError *err)
{
    HubFolders folders;
    *out = NULL;
    *entry = NULL;
    if (!noted || (!noted->source && !noted->sha256))
        return pf_weights_find(arch, known, out, entry, err);
    int result = list_folders(&folders, err);
    if (!result) result = try_folders(&folders, arch, noted, known, out, entry, err);
    if (!result) result = try_repositories(arch, noted, known, out, entry, err);
    if (!result) noted_not_found(arch, &folders, noted, err);
    free_folders(&folders);
    return result > 0 ? 0 : -1;
}

static int load_random(const PfArch *arch, const char *seed, PfWeights **out, PfError *err)
{
    uint64_t value;
    if (pf_options_read_unsigned(seed, strlen(seed), &value))
        return pf_fail(err, PF_EXIT_USAGE,
                       "--weights random:%s: expected a whole number after 'random:'", seed);
    return pf_weights_random(arch, value, out, err);
}

/* Whether the file as a whole is what was used before. */
static bool is_known_whole(const PfWeights *weights, const PfFileStampSha256 *known)
{
    char whole[PF_SHA256_TEXT_SIZE];
    if (!known || !*known->sha256) return false;
    pf_digest_sha256_text(weights->bytes, weights->size, whole);
    return !strcmp(whole, known->sha256);
}

static int say_averaged(const PfWeights *weights, PfError *err)
{
    const char *key = weights->averaged;
    char *word = pf_weights_entry_word(weights, key, strlen(key), err);
    if (!word) return -1;
    pf_say("weights '%s': an averaged copy lies inside, too: --weights %" PF_SENTENCE " takes it",
           weights->source, word);
    free(word);
    return 0;
}

static int load_entry(const char *path, const char *entry, const PfFileStampSha256 *known,
                      PfWeights **out, PfError *err)
{
    if (pf_weights_open_entry(path, entry, out, err)) return -1;
    if (*(*out)->averaged && say_averaged(*out, err)) {
        pf_weights_close(out);
        return -1;
    }
    if (entry || !pf_weights_entry(*out)) return 0;
    PfWeights *before = NULL;
    if (is_known_whole(*out, known) && !pf_weights_open_as_before(path, &before, NULL)) {
        pf_weights_close(out);
        *out = before;
        pf_say("weights '%s': used as before; it holds an averaged copy, too, which new caches use",
               path);
    } else {
        pf_say("weights '%s': its entry '%s' is used; --weights FILE#KEY chooses another", path,
               pf_weights_entry(*out));
    }
    return 0;
}

/* FILE, or FILE#KEY where there is no such file. */
static int load_file(const char *spec, const PfFileStampSha256 *known, PfWeights **out,
                     PfError *err)
{
    char *path = pf_strdup(spec, err);
    if (!path) return -1;
    const char *entry = access(spec, F_OK) ? pf_weights_split_entry(path) : NULL;
    int failed = load_entry(path, entry && *entry ? entry : NULL, known, out, err);
    free(path);
    return failed;
}

/* A file by its path: its names become those of arch. */
static int open_named(const PfArch *arch, const char *path, const PfFileStampSha256 *known,
                      PfWeights **out, PfError *err)
{
    if (load_file(path, known, out, err)) return -1;
    if (pf_weights_translate_names(*out, err) || pf_weights_renew_names(*out, err) ||
        pf_weights_compose_names(*out, arch, err) ||
        pf_weights_see_through_prefix(*out, arch, err)) {
        pf_weights_close(out);
        return -1;
    }
    pf_weights_recall_sha256(*out, known);
    return 0;
}

/* hf:ORG/NAME, from the cache. */
static int open_repository(const PfArch *arch, const char *name, const PfFileStampSha256 *known,
                           PfWeights **out, PfError *err)
{
    char *path = pf_hub_find_file(name, err);
    int failed = !path;
    if (path && pf_hub_is_onnx(path))
        failed = pf_fail(err, PF_EXIT_USAGE,
                         "--weights %s: it holds '%s', a network with its own weights. Hint: "
                         "--backbone %s",
                         name, path, name);
    failed = failed || open_named(arch, path, known, out, err);
    free(path);
    return failed ? -1 : 0;
}

int pf_weights_load(const PfArch *arch, const char *spec, const PfFileStampSha256 *known,
                    PfWeights **out, const PfWeightsEntry **entry, PfError *err)
{
    *out = NULL;
    *entry = NULL;
    if (!spec) return pf_weights_find(arch, known, out, entry, err);
    if (!strncmp(spec, "random:", 7)) return load_random(arch, spec + 7, out, err);
    if (pf_hub_is_named(spec) ? open_repository(arch, spec, known, out, err)
                              : open_named(arch, spec, known, out, err))
        return -1;
    if (arch->weights_count) *entry = pf_weights_published(arch, pf_weights_sha256(*out));
    if (!*entry && pf_hub_is_named(spec)) *entry = pf_hub_find_entry(spec, arch);
    return 0;
}

/* The entry's file in one of the folders or in the hub's cache, malloc'ed; NULL where it is in
 * none.
 */
static char *find_entry(const HubFolders *folders, const PfWeightsEntry *entry)
{
    char *path = NULL;
    for (int f = 0; f < folders->count && entry->file; f++) {
        path = pf_asprintf(NULL, "%s/%s", folders->paths[f], entry->file);
        if (path && !access(path, F_OK)) return path;
        free(path);
    }
    char *name = entry->hub ? pf_asprintf(NULL, "hf:%s", entry->hub) : NULL;
    path = name ? pf_hub_find_file(name, NULL) : NULL;
    free(name);
    return path;
}

char *pf_weights_published_path(const PfArch *arch)
{
    HubFolders folders;
    char *path = NULL;
    if (!list_folders(&folders, NULL))
        for (int w = 0; w < arch->weights_count && !path; w++)
            path = find_entry(&folders, &arch->weights[w]);
    free_folders(&folders);
    return path;
}

char *pf_weights_published_folder(PfError *err)
{
    HubFolders folders;
    char *path = NULL;
    if (!list_folders(&folders, err)) {
        if (folders.count)
            path = pf_strdup(folders.paths[0], err);
        else
            pf_fail(err, PF_EXIT_FAILED,
                    "no place for weights: TORCH_HOME, XDG_CACHE_HOME and HOME are not set");
    }
    free_folders(&folders);
    return path;
}

const char *pf_weights_published_digits(const PfWeightsEntry *entry)
{
    return hash_in_name(entry->file);
}
