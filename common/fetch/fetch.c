#include "common/fetch/fetch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/arch/spelling.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/fetch/download.h"
#include "common/weights/hub_cache.h"
#include "common/weights/weights.h"
#include "permafrost/arch.h"

#define MIRROR "PF_TORCH_HUB_MIRROR"

/* The file in the folder that its publisher names, or in the mirror's. */
static char *make_url(const PfWeightsEntry *entry, PfError *err)
{
    const char *mirror = getenv(MIRROR);
    if (!mirror || !*mirror) return pf_asprintf(err, "%s%s", entry->url, entry->file);
    const char *slash = mirror[strlen(mirror) - 1] == '/' ? "" : "/";
    return pf_asprintf(err, "%s%s%s", mirror, slash, entry->file);
}

/* What the server calls this version of the file, where its name tells no hash; "" where it does
 * not say. */
static int ask_version(PfDownload *download, char etag[PF_HTTP_TEXT_SIZE], PfError *err)
{
    PfHttpResponse response;
    const PfHttpRequest request = {
        .url = download->url, .is_head = true, .interrupted = download->interrupted};
    *etag = '\0';
    if (pf_http_perform(&request, &response, err) != PF_HTTP_ANSWERED) return -1;
    if (response.status == 200 && !response.is_weak)
        memcpy(etag, response.etag, sizeof response.etag);
    if (response.status == 200) download->size = response.length;
    if (response.status == 200 || response.status == 405 || response.status == 403) return 0;
    return pf_download_refused(download->url, &response, false, NULL, err);
}

/* The part of a file without a hash in its name is of one version. */
static char *part_path(const char *path, const char *etag, PfError *err)
{
    if (!*etag) return pf_asprintf(err, "%s.incomplete", path);
    return pf_asprintf(err, "%s.%016llx.incomplete", path,
                       (unsigned long long)pf_digest_xxh64_text(etag));
}

static void say_fetched(const char *path, const char *sha256, const char *digits)
{
    if (!*sha256) return;
    if (digits)
        pf_say("fetched '%s'; its SHA-256 begins as its name says", path);
    else
        pf_warn("fetched '%s', of which no hash is published; its SHA-256 is %s", path, sha256);
}

static int fetch_file(const PfWeightsEntry *entry, const char *path,
                      const volatile sig_atomic_t *interrupted, PfError *err)
{
    char sha256[PF_SHA256_TEXT_SIZE], etag[PF_HTTP_TEXT_SIZE] = "", digits[PF_SHA256_TEXT_SIZE];
    const char *named = pf_weights_published_digits(entry);
    if (named)
        snprintf(digits, sizeof digits, "%.*s", (int)strspn(named, "0123456789abcdef"), named);
    char *url = make_url(entry, err);
    PfDownload download = {.url = url,
                           .name = entry->file,
                           .path = path,
                           .sha256 = named ? digits : NULL,
                           .size = -1,
                           .interrupted = interrupted};
    int failed = !url || (!named && ask_version(&download, etag, err));
    char *part = failed ? NULL : part_path(path, etag, err);
    download.part = part;
    download.etag = *etag ? etag : NULL;
    if (!failed) failed = !part || pf_download(&download, sha256, err);
    if (!failed) say_fetched(path, sha256, named);
    free(part);
    free(url);
    return failed ? -1 : 0;
}

static int fetch_published(const PfWeightsEntry *entry, const volatile sig_atomic_t *interrupted,
                           char **place, PfError *err)
{
    char *folder = pf_weights_published_folder(err);
    *place = folder ? pf_asprintf(err, "%s/%s", folder, entry->file) : NULL;
    free(folder);
    return *place ? fetch_file(entry, *place, interrupted, err) : -1;
}

static int fetch_network(const PfArch *arch, const volatile sig_atomic_t *interrupted, char **place,
                         PfError *err)
{
    const PfWeightsEntry *entry = arch->weights;
    *place = pf_weights_published_path(arch);
    if (*place) {
        pf_say("%s: '%s' is there", arch->name, *place);
        return 0;
    }
    if (arch->weights_count && entry->url && entry->file)
        return fetch_published(entry, interrupted, place, err);
    if (!arch->weights_count || !entry->hub)
        return pf_fail(err, PF_EXIT_FAILED,
                       "%s has no published weights that could be fetched. Hint: --weights FILE",
                       arch->name);
    char *name = pf_asprintf(err, "hf:%s", entry->hub);
    int failed = !name || pf_fetch_repository(name, interrupted, place, err);
    free(name);
    return failed ? -1 : 0;
}

int pf_fetch(const char *name, const volatile sig_atomic_t *interrupted, char **place, PfError *err)
{
    PfArch *arch;
    PfSpelling found;
    *place = NULL;
    if (pf_hub_is_named(name)) return pf_fetch_repository(name, interrupted, place, err);
    if (pf_spelling_read(name, &found, err) || pf_arch_new(found.network, &arch, err)) return -1;
    if (found.entry) { /* this set alone */
        arch->weights = found.entry;
        arch->weights_count = 1;
    }
    int failed = fetch_network(arch, interrupted, place, err);
    pf_arch_free(&arch);
    if (failed) {
        free(*place);
        *place = NULL;
    }
    return failed;
}
