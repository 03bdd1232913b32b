#include "script_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "input_file.h"
#include "mapped_file.h"
#include "memory.h"
#include "printable.h"

int pf_script_file_is_meant(const char *backbone)
{
    size_t length = strlen(backbone);
    return strchr(backbone, '/') || (length > 3 && !strcmp(backbone + length - 3, ".pt"));
}

static int open_regular(const char *path, struct stat *status, PfError *err)
{
    int fd = pf_input_open(AT_FDCWD, path, "", status, err);
    PfError holes;
    int has_holes = fd >= 0 && pf_check_holes(fd, status->st_size, &holes);
    if (fd < 0 || (status->st_size > 0 && !has_holes)) return fd;
    close(fd);
    if (has_holes) return pf_fail(err, PF_EXIT_FAILED, "'%s': %" PF_SENTENCE, path, holes.message);
    return pf_fail(err, PF_EXIT_FAILED, "'%s': not a file with something in it", path);
}

static int read_all(int fd, const char *path, void *bytes, size_t size, PfError *err)
{
    size_t done = 0;
    while (done < size) {
        ssize_t got = read(fd, (char *)bytes + done, size - done);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return pf_fail_errno(err, "'%s': cannot read it", path);
        if (!got) return pf_fail(err, PF_EXIT_FAILED, "'%s' has become shorter", path);
        done += (size_t)got;
    }
    return 0;
}

static int take_bytes(PfScriptFile *script, int fd, off_t size, PfError *err)
{
    script->size = (size_t)size;
    script->bytes = pf_alloc_aligned(script->size, 1, err);
    return !script->bytes || read_all(fd, script->path, script->bytes, script->size, err) ? -1 : 0;
}

static int take_digest(PfScriptFile *script, const PfKnownSha256 *known, PfError *err)
{
    struct stat status;
    const int64_t now = pf_file_time_now();
    int fd = open_regular(script->path, &status, err), failed = 0;
    if (fd < 0) return -1;
    script->stamp = pf_file_stamp_settled(pf_file_stamp(&status), now);
    const char *digest = pf_known_sha256(known, &script->stamp);
    if (digest) {
        snprintf(script->sha256, sizeof script->sha256, "%s", digest);
    } else {
        failed = take_bytes(script, fd, status.st_size, err);
        if (!failed) pf_sha256_text(script->bytes, script->size, script->sha256);
    }
    close(fd);
    return failed;
}

int pf_script_file_open(const char *path, const PfKnownSha256 *known, PfScriptFile **out,
                        PfError *err)
{
    PfScriptFile *script = pf_calloc(1, sizeof *script, err);
    if (!script) return -1;
    script->path = pf_strdup(path, err);
    if (!script->path || take_digest(script, known, err)) {
        pf_script_file_free(&script);
        return -1;
    }
    *out = script;
    return 0;
}

/* The bytes that have the digest. */
static int take_known_bytes(PfScriptFile *script, PfError *err)
{
    char sha256[PF_SHA256_TEXT_SIZE];
    struct stat status;
    int fd = open_regular(script->path, &status, err);
    if (fd < 0) return -1;
    int failed = take_bytes(script, fd, status.st_size, err);
    close(fd);
    if (failed) return -1;
    pf_sha256_text(script->bytes, script->size, sha256);
    if (!strcmp(sha256, script->sha256)) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s' was changed meanwhile: its sha256 is %.12s..., expected %.12s...",
                   script->path, sha256, script->sha256);
}

int pf_script_file_lend(PfScriptFile *script, PfScript *out, PfError *err)
{
    *out = (PfScript){0};
    if (!script) return 0;
    if (!script->bytes && take_known_bytes(script, err)) {
        free(script->bytes);
        script->bytes = NULL;
        return -1;
    }
    *out = (PfScript){script->path, script->bytes, script->size};
    return 0;
}

void pf_script_file_free(PfScriptFile **script)
{
    if (!*script) return;
    free((*script)->bytes);
    free((*script)->path);
    free(*script);
    *script = NULL;
}
