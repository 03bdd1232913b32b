#include "common/fetch/object.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/address.h"
#include "common/base/memory.h"
#include "common/fetch/download.h"

/* ---- what a server refuses ---- */

static const char *hint_of(const PfHttpSigner *signer, const char *shown)
{
    if (!pf_address_is_s3(shown))
        return "an address that was signed beforehand may be out of date; or it takes a name and a "
               "password, as https://NAME:PASSWORD@HOST/...";
    if (!signer)
        return "the request was not signed, as neither AWS_ACCESS_KEY_ID nor a profile of "
               "~/.aws/credentials has keys";
    return "the keys of AWS_ACCESS_KEY_ID or AWS_PROFILE may be wrong, out of date, or of somebody "
           "who may not read this";
}

static void fail_refused(const char *shown, const PfHttpSigner *signer,
                         const PfHttpResponse *response, PfError *err)
{
    const char *comma = *response->reason ? ", " : "";
    const bool is_elsewhere =
        signer && *response->region && strcmp(response->region, signer->region) != 0;
    if (is_elsewhere)
        pf_fail(err, PF_EXIT_FAILED,
                "%s: the bucket lies in the region %s, and %s was asked (%ld%s%s). Hint: "
                "AWS_REGION=%s",
                shown, response->region, signer->region, response->status, comma, response->reason,
                response->region);
    else if (response->status == 401 || response->status == 403)
        pf_fail(err, PF_EXIT_FAILED, "%s: the server refuses it (%ld%s%s). Hint: %s", shown,
                response->status, comma, response->reason, hint_of(signer, shown));
    else if (response->status == 404 || response->status == 410)
        pf_fail(err, PF_EXIT_FAILED, "%s: there is no such file (%ld%s%s)", shown, response->status,
                comma, response->reason);
    else
        pf_fail(err, PF_EXIT_FAILED, "%s: the server answers %ld%s%s", shown, response->status,
                comma, response->reason);
}

/* ---- looking ---- */

typedef struct Look {
    PfObject *object;
    uint8_t *head;
    size_t head_size;
} Look;

static int begin(void *context, const PfHttpResponse *response, PfError *err)
{
    Look *look = context;
    PfObject *object = look->object;
    look->head_size = 0;
    object->size = response->status == 206 ? response->total : response->length;
    if (*response->etag && !response->is_weak && !object->etag)
        object->etag = pf_strdup(response->etag, err);
    if (*response->modified && !object->modified)
        object->modified = pf_strdup(response->modified, err);
    return (*response->etag && !response->is_weak && !object->etag) ||
                   (*response->modified && !object->modified)
               ? -1
               : 0;
}

static int take(void *context, const void *bytes, size_t size, PfError *err)
{
    Look *look = context;
    (void)err;
    if (size > PF_OBJECT_HEAD_BYTES - look->head_size)
        size = PF_OBJECT_HEAD_BYTES - look->head_size;
    memcpy(look->head + look->head_size, bytes, size);
    look->head_size += size;
    return 0;
}

static void forget_version(PfObject *object)
{
    free(object->etag);
    free(object->modified);
    object->etag = object->modified = NULL;
    object->size = -1;
}

/* 0, 1: may be better the next time, -1. */
static int ask(Look *look, const volatile sig_atomic_t *interrupted, PfError *err)
{
    PfObject *object = look->object;
    PfHttpResponse response;
    const PfHttpRequest request = {.url = object->url,
                                   .signer = object->signer,
                                   .most = PF_OBJECT_HEAD_BYTES,
                                   .begin = begin,
                                   .take = take,
                                   .context = look,
                                   .interrupted = interrupted};
    forget_version(object);
    const PfHttpOutcome outcome = pf_http_perform(&request, &response, err);
    if (outcome != PF_HTTP_ANSWERED) return outcome == PF_HTTP_BROKEN ? 1 : -1;
    if (response.status == 200 || response.status == 206) return 0;
    if (response.status == 416)
        return pf_fail(err, PF_EXIT_FAILED, "%s is empty (0 bytes)", object->shown);
    fail_refused(object->shown, object->signer, &response, err);
    return pf_download_may_be_better(response.status) ? 1 : -1;
}

int pf_object_look(const char *address, const PfS3 *s3, const volatile sig_atomic_t *interrupted,
                   PfObject *object, uint8_t head[PF_OBJECT_HEAD_BYTES], size_t *head_size,
                   PfError *err)
{
    Look look = {object, head, 0};
    const bool is_s3 = pf_address_is_s3(address);
    *object = (PfObject){.size = -1};
    object->shown = pf_address_shown(address, err);
    object->url = is_s3 ? pf_s3_url(s3, address, err) : pf_strdup(address, err);
    object->signer = is_s3 && s3->signer.key ? &s3->signer : NULL;
    if (!object->shown || !object->url) return -1;
    int status = 1;
    for (int tries = 1; status > 0 && tries <= PF_DOWNLOAD_TRIES; tries++) {
        status = ask(&look, interrupted, err);
        if (status > 0 && tries < PF_DOWNLOAD_TRIES && pf_http_wait(tries, interrupted, err))
            return -1;
    }
    *head_size = look.head_size;
    return status ? -1 : 0;
}

void pf_object_free(PfObject *object)
{
    forget_version(object);
    free(object->shown);
    free(object->url);
    *object = (PfObject){.size = -1};
}

/* ---- fetching ---- */

static void refused(const PfDownload *download, const PfHttpResponse *response, PfError *err)
{
    fail_refused(download->name, download->signer, response, err);
}

/* Whether the file is there. One of another size is no such file, and goes. */
static bool is_there(const PfObject *object, const char *path)
{
    struct stat status;
    if (stat(path, &status)) return false;
    if (!S_ISREG(status.st_mode) || object->size < 0 || status.st_size == object->size) return true;
    unlink(path);
    return false;
}

int pf_object_fetch(const PfObject *object, const char *path,
                    const volatile sig_atomic_t *interrupted, PfError *err)
{
    char sha256[PF_SHA256_TEXT_SIZE];
    char *part = pf_asprintf(err, "%s.incomplete", path);
    const PfDownload download = {.url = object->url,
                                 .name = object->shown,
                                 .signer = object->signer,
                                 .path = path,
                                 .part = part,
                                 .etag = object->etag,
                                 .modified = object->modified,
                                 .is_fixed = true,
                                 .size = object->size,
                                 .interrupted = interrupted,
                                 .refused = refused};
    int failed = !part || (!is_there(object, path) && pf_download(&download, sha256, err));
    free(part);
    return failed ? -1 : 0;
}
