/* Repositories of the Hugging Face hub, into its cache as its own libraries lay it out. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/address.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/fetch/download.h"
#include "common/fetch/fetch.h"
#include "common/file/atomic_file.h"
#include "common/file/input_file.h"
#include "common/onnx/network.h"
#include "common/weights/hub_cache.h"

#define LIST_BYTES ((size_t)32 << 20) /* of what the server says of a repository */
#define TOKEN_SIZE 1024

typedef struct Repository {
    const char *name; /* "hf:ORG/NAME" */
    PfHubRepository what;
    char *endpoint, *page; /* "https://huggingface.co", and the repository's address there */
    char *folder;          /* in the cache */
    char token[TOKEN_SIZE];
    cJSON *about; /* what the server says */
    const char *commit;
    const volatile sig_atomic_t *interrupted;
} Repository;

/* ---- who asks whom ---- */

static bool is_set(const char *variable)
{
    static const char *const yes[] = {"1", "true", "yes", "on"};
    const char *value = getenv(variable);
    for (size_t i = 0; value && i < sizeof yes / sizeof *yes; i++)
        if (!strcasecmp(value, yes[i])) return true;
    return false;
}

/* The file's first line. Nothing where there is none. */
static int read_token_file(char token[TOKEN_SIZE], PfError *err)
{
    struct stat status;
    const char *named = getenv("HF_TOKEN_PATH");
    char *home = named && *named ? NULL : pf_hub_home(NULL);
    char *path = named && *named ? pf_strdup(named, err)
                 : home          ? pf_asprintf(err, "%s/token", home)
                                 : NULL;
    int fd = path ? pf_input_file_try(AT_FDCWD, path, &status) : -1;
    const ssize_t got = fd < 0 ? 0 : read(fd, token, TOKEN_SIZE - 1);
    if (fd >= 0) close(fd);
    int failed = got < 0 ? pf_fail_errno(err, "'%s': cannot read it", path) : 0;
    token[got < 0 ? 0 : got] = '\0';
    free(home);
    free(path);
    return failed;
}

static int find_token(char token[TOKEN_SIZE], PfError *err)
{
    const char *given = getenv("HF_TOKEN");
    if (!given || !*given) given = getenv("HUGGING_FACE_HUB_TOKEN");
    *token = '\0';
    if (is_set("HF_HUB_DISABLE_IMPLICIT_TOKEN")) return 0;
    if (given && *given)
        snprintf(token, TOKEN_SIZE, "%s", given);
    else if (read_token_file(token, err))
        return -1;
    token[strcspn(token, " \r\n")] = '\0';
    for (const char *c = token; *c; c++)
        if (*c <= ' ' || *c > '~')
            return pf_fail(err, PF_EXIT_FAILED,
                           "the token in HF_TOKEN, or in the hub's file 'token', holds characters "
                           "that no token has");
    return 0;
}

static int find_endpoint(Repository *repository, PfError *err)
{
    const char *given = getenv("HF_ENDPOINT");
    if (!given || !*given) given = "https://huggingface.co";
    size_t size = strlen(given);
    while (size && given[size - 1] == '/') size--;
    repository->endpoint = pf_asprintf(err, "%.*s", (int)size, given);
    repository->page = repository->endpoint
                           ? pf_asprintf(err, "%s/%s", repository->endpoint, repository->what.id)
                           : NULL;
    return repository->page ? 0 : -1;
}

static const char *token_of(const Repository *repository)
{
    return *repository->token ? repository->token : NULL;
}

static int refuse(const Repository *repository, const char *url, const PfHttpResponse *response,
                  PfError *err)
{
    const bool is_gated = !strcmp(response->reason, "GatedRepo");
    if (!strcmp(response->reason, "RepoNotFound") || !strcmp(response->reason, "RevisionNotFound"))
        return pf_fail(err, PF_EXIT_FAILED, "'%s': %s has no such %s (%ld)%s", repository->name,
                       repository->endpoint,
                       strcmp(response->reason, "RepoNotFound") ? "revision" : "repository",
                       response->status,
                       token_of(repository) ? ", or the token may not read it"
                                            : ", or it is a private one, which needs a token in "
                                              "HF_TOKEN");
    return pf_download_refused(url, response, token_of(repository) != NULL,
                               is_gated ? repository->page : NULL, err);
}

/* ---- what it holds ---- */

typedef struct Text {
    char *bytes;
    size_t size, capacity;
} Text;

static int take_text(void *context, const void *bytes, size_t size, PfError *err)
{
    Text *text = context;
    if (text->size + size > LIST_BYTES)
        return pf_fail(err, PF_EXIT_FAILED, "the server's list of files is longer than %zu MB",
                       LIST_BYTES >> 20);
    if (pf_grow(&text->bytes, &text->capacity, text->size + size + 1, 1, err)) return -1;
    memcpy(text->bytes + text->size, bytes, size);
    text->size += size;
    text->bytes[text->size] = '\0';
    return 0;
}

/* As long as it may be better the next time, a few times. */
static int ask(const Repository *repository, PfHttpRequest *request, PfHttpResponse *response,
               PfError *err)
{
    request->token = token_of(repository);
    request->interrupted = repository->interrupted;
    for (int tries = 1;; tries++) {
        const PfHttpOutcome outcome = pf_http_perform(request, response, err);
        if (outcome == PF_HTTP_REFUSED) return -1;
        if (outcome == PF_HTTP_ANSWERED && !pf_download_may_be_better(response->status)) return 0;
        if (outcome == PF_HTTP_ANSWERED) refuse(repository, request->url, response, err);
        if (tries == PF_DOWNLOAD_TRIES) return -1;
        if (pf_http_wait(tries, repository->interrupted, err)) return -1;
        if (request->context) ((Text *)request->context)->size = 0;
    }
}

/* "refs/pr/1" as one part of an address. */
static char *revision_part(const char *revision, PfError *err)
{
    char *part = pf_calloc(3 * strlen(revision) + 1, 1, err);
    size_t used = 0;
    for (const char *c = revision; part && *c; c++)
        used += (size_t)snprintf(part + used, 4, *c == '/' ? "%%2F" : "%c", *c);
    return part;
}

static int read_about(Repository *repository, const char *url, const Text *text, PfError *err)
{
    if (!text->size || pf_json_check_size(text->bytes, text->size, url, "answer", err))
        return text->size ? -1 : pf_fail(err, PF_EXIT_FAILED, "%s: an empty answer", url);
    repository->about = pf_json_parse(text->bytes, url, "answer", err);
    if (!repository->about) return -1;
    repository->commit = pf_json_member_text(repository->about, "sha");
    if (repository->commit && pf_hub_is_commit(repository->commit)) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "%s: expected a commit of 40 hex digits as 'sha', which is no answer of a hub",
                   url);
}

static int list_files(Repository *repository, PfError *err)
{
    Text text = {0};
    PfHttpResponse response;
    char *revision = revision_part(repository->what.revision, err);
    char *url = revision ? pf_asprintf(err, "%s/api/models/%s/revision/%s", repository->endpoint,
                                       repository->what.id, revision)
                         : NULL;
    PfHttpRequest request = {.url = url, .take = take_text, .context = &text};
    int failed = !url || ask(repository, &request, &response, err);
    if (!failed && response.status != 200) failed = refuse(repository, url, &response, err);
    char *shown = failed ? NULL : pf_address_shown(url, err);
    failed = failed || !shown || read_about(repository, shown, &text, err);
    free(shown);
    free(text.bytes);
    free(url);
    free(revision);
    return failed ? -1 : 0;
}

static bool holds(const Repository *repository, const char *file)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(repository->about, "siblings"), *item;
    cJSON_ArrayForEach(item, list)
    {
        const char *name = pf_json_member_text(item, "rfilename");
        if (name && !strcmp(name, file)) return true;
    }
    return false;
}

/* ---- a file ---- */

static bool is_sha256(const char *etag)
{
    return strlen(etag) == PF_SHA256_TEXT_SIZE - 1 &&
           strspn(etag, "0123456789abcdef") == PF_SHA256_TEXT_SIZE - 1;
}

/* Makes the link in the snapshot to the blob. */
static int link_blob(const char *link, const char *file, const char *etag, PfError *err)
{
    char up[64] = "../../";
    for (const char *c = strchr(file, '/'); c && strlen(up) < 50; c = strchr(c + 1, '/'))
        strcat(up, "../");
    char *target = pf_asprintf(err, "%sblobs/%s", up, etag);
    int failed = !target || pf_download_make_folders(link, err);
    if (!failed && access(link, F_OK)) unlink(link); /* one that leads nowhere */
    if (!failed && symlink(target, link) && errno != EEXIST)
        failed = pf_fail_errno(err, "'%s': cannot make the link", link);
    free(target);
    return failed ? -1 : 0;
}

static int ask_version(const Repository *repository, const char *url, char etag[PF_HTTP_TEXT_SIZE],
                       int64_t *size, PfError *err)
{
    PfHttpResponse response;
    PfHttpRequest request = {.url = url, .is_head = true};
    if (ask(repository, &request, &response, err)) return -1;
    if (response.status >= 400) return refuse(repository, url, &response, err);
    const bool is_linked = *response.linked_etag;
    memcpy(etag, is_linked ? response.linked_etag : response.etag, PF_HTTP_TEXT_SIZE);
    *size = is_linked ? response.linked_size : response.length;
    if (pf_hub_is_inner_path(etag) && !strchr(etag, '/')) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "%s: the server gives no version of the file (ETag), which the cache names it "
                   "by",
                   url);
}

static int fetch_blob(const Repository *repository, const char *url, const char *file,
                      const char *etag, int64_t size, PfError *err)
{
    char sha256[PF_SHA256_TEXT_SIZE] = "";
    char *blob = pf_asprintf(err, "%s/blobs/%s", repository->folder, etag);
    char *part = blob ? pf_asprintf(err, "%s.incomplete", blob) : NULL;
    const PfDownload download = {.url = url,
                                 .name = file,
                                 .token = token_of(repository),
                                 .path = blob,
                                 .part = part,
                                 .sha256 = is_sha256(etag) ? etag : NULL,
                                 .etag = etag,
                                 .size = size,
                                 .interrupted = repository->interrupted};
    int failed = !part;
    if (!failed && access(blob, F_OK)) failed = pf_download(&download, sha256, err);
    if (!failed && *sha256 && is_sha256(etag))
        pf_say("fetched %s of %s; its SHA-256 is the one that the hub says", file,
               repository->name);
    else if (!failed && *sha256 && strstr(file, "json"))
        pf_say("fetched %s of %s", file, repository->name);
    else if (!failed && *sha256)
        pf_warn("fetched %s of %s, of which the hub says no hash; its SHA-256 is %s", file,
                repository->name, sha256);
    free(part);
    free(blob);
    return failed ? -1 : 0;
}

/* *place, if it is not NULL: the file in the snapshot, malloc'ed. */
static int fetch_file(const Repository *repository, const char *file, char **place, PfError *err)
{
    char etag[PF_HTTP_TEXT_SIZE];
    int64_t size = -1;
    char *url = pf_asprintf(err, "%s/resolve/%s/%s", repository->page, repository->commit, file);
    char *link =
        url ? pf_asprintf(err, "%s/snapshots/%s/%s", repository->folder, repository->commit, file)
            : NULL;
    int failed = !link;
    if (link && access(link, F_OK))
        failed = ask_version(repository, url, etag, &size, err) ||
                 fetch_blob(repository, url, file, etag, size, err) ||
                 link_blob(link, file, etag, err);
    free(url);
    if (!failed && place)
        *place = link;
    else
        free(link);
    return failed ? -1 : 0;
}

/* ---- all that belongs to the network ---- */

/* Of shards. The caller deletes it. NULL with a failure. */
static cJSON *read_index(const char *index, PfError *err)
{
    char *text = pf_hub_read_text(index, err);
    cJSON *json = text && !pf_json_check_size(text, strlen(text), index, "index", err)
                      ? pf_json_parse(text, index, "index", err)
                      : NULL;
    free(text);
    return json;
}

/* The next line of an index that names another file than this one: tensors of a shard mostly lie
 * one after the other. */
static const cJSON *next_shard(const cJSON *line)
{
    const char *file = cJSON_GetStringValue(line), *other;
    do line = line->next;
    while (line && file && (other = cJSON_GetStringValue(line)) && !strcmp(other, file));
    return line;
}

static int fetch_shards(const Repository *repository, const char *index, PfError *err)
{
    cJSON *json = read_index(index, err);
    const cJSON *map = cJSON_GetObjectItemCaseSensitive(json, "weight_map");
    int failed = !json;
    for (const cJSON *line = map ? map->child : NULL; line && !failed; line = next_shard(line)) {
        const char *file = cJSON_GetStringValue(line);
        if (!file || !pf_hub_is_inner_path(file) || strchr(file, '/') || !holds(repository, file))
            failed = pf_fail(err, PF_EXIT_FAILED,
                             "'%s': the index does not name a file beside it for tensor '%s'",
                             index, line->string);
        else
            failed = fetch_file(repository, file, NULL, err);
    }
    cJSON_Delete(json);
    return failed ? -1 : 0;
}

/* Whether every shard is beside the index. */
static bool has_shards(const char *index)
{
    PfError err = {0};
    cJSON *json = read_index(index, &err);
    const cJSON *map = cJSON_GetObjectItemCaseSensitive(json, "weight_map");
    const int folder = (int)(strrchr(index, '/') - index);
    bool is_there = cJSON_IsObject(map);
    for (const cJSON *line = map ? map->child : NULL; line && is_there; line = next_shard(line)) {
        const char *file = cJSON_GetStringValue(line);
        char *path = file ? pf_asprintf(&err, "%.*s/%s", folder, index, file) : NULL;
        is_there = path && !access(path, F_OK);
        free(path);
    }
    cJSON_Delete(json);
    return is_there;
}

/* Whether the cache has all of a network whose file it has: whoever was interrupted may have left
 * an index without its shards, or an ONNX file without its numbers. */
static bool is_whole(const char *place)
{
    if (pf_hub_is_onnx(place)) return pf_onnx_is_whole(place);
    return !strstr(strrchr(place, '/'), ".index.json") || has_shards(place);
}

/* The numbers that an ONNX file keeps beside it: "model.onnx_data", "model.onnx.data". */
static int fetch_outside_data(const Repository *repository, const char *file, PfError *err)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(repository->about, "siblings"), *item;
    const size_t size = strlen(file);
    cJSON_ArrayForEach(item, list)
    {
        const char *name = pf_json_member_text(item, "rfilename");
        if (!name || strncmp(name, file, size) || !strstr(name + size, "data") ||
            !pf_hub_is_inner_path(name))
            continue;
        if (fetch_file(repository, name, NULL, err)) return -1;
    }
    return 0;
}

static int fetch_configuration(const Repository *repository, PfError *err)
{
    static const char *const files[] = {"config.json", "preprocessor_config.json",
                                        "open_clip_config.json"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (holds(repository, files[i]) && fetch_file(repository, files[i], NULL, err)) return -1;
    return 0;
}

static int fetch_network(const Repository *repository, char **place, PfError *err)
{
    const char *const *name = pf_hub_file_names();
    while (*name && !holds(repository, *name)) name++;
    if (!*name)
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s' holds none of model.safetensors, pytorch_model.bin, their indexes, "
                       "open_clip_model.safetensors, open_clip_pytorch_model.bin, model.onnx and "
                       "onnx/model.onnx",
                       repository->name);
    if (fetch_configuration(repository, err) || fetch_file(repository, *name, place, err))
        return -1;
    if (pf_hub_is_onnx(*name)) return fetch_outside_data(repository, *name, err);
    return strstr(*name, ".index.json") ? fetch_shards(repository, *place, err) : 0;
}

/* Last of all, so that whoever finds the revision finds all of it. */
static int write_ref(const Repository *repository, PfError *err)
{
    if (pf_hub_is_commit(repository->what.revision)) return 0;
    char *path = pf_asprintf(err, "%s/refs/%s", repository->folder, repository->what.revision);
    int failed = !path || pf_download_make_folders(path, err) ||
                 pf_atomic_file_write(path, repository->commit, strlen(repository->commit), err);
    free(path);
    return failed ? -1 : 0;
}

static int fetch(Repository *repository, char **place, PfError *err)
{
    if (pf_hub_repository_read(repository->name, &repository->what, err)) return -1;
    repository->folder = pf_hub_folder(&repository->what, err);
    if (!repository->folder || find_endpoint(repository, err) || find_token(repository->token, err))
        return -1;
    if (is_set("HF_HUB_OFFLINE"))
        return pf_fail(err, PF_EXIT_FAILED, "'%s': HF_HUB_OFFLINE is set: nothing is fetched",
                       repository->name);
    return list_files(repository, err) || fetch_network(repository, place, err) ||
                   write_ref(repository, err)
               ? -1
               : 0;
}

int pf_fetch_repository(const char *name, const volatile sig_atomic_t *interrupted, char **place,
                        PfError *err)
{
    Repository repository = {.name = name, .interrupted = interrupted};
    *place = pf_hub_find_file(name, NULL);
    if (*place && is_whole(*place)) {
        pf_say("%s: '%s' is there", name, *place);
        return 0;
    }
    free(*place);
    *place = NULL;
    int failed = fetch(&repository, place, err);
    cJSON_Delete(repository.about);
    free(repository.endpoint);
    free(repository.page);
    free(repository.folder);
    memset(repository.token, 0, sizeof repository.token);
    if (!failed) return 0;
    free(*place);
    *place = NULL;
    return -1;
}
