#include "common/backbone/script_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/file/foreign_file.h"
#include "common/file/input_file.h"
#include "common/file/path.h"

bool pf_script_file_is_meant(const char *backbone)
{
    size_t length = strlen(backbone);
    return strchr(backbone, '/') || (length > 3 && !strcmp(backbone + length - 3, ".pt"));
}

static int open_regular(const char *path, struct stat *status, PfError *err)
{
    int fd = pf_input_file_open(AT_FDCWD, path, "", status, err);
    PfError holes;
    int has_holes = fd >= 0 && pf_input_file_check_holes(fd, status->st_size, &holes);
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

static int check_kind(const PfScriptFile *script, PfError *err)
{
    const char *what = pf_foreign_file_what(script->bytes, script->size, PF_FOREIGN_AS_BACKBONE);
    if (!what) return 0;
    return pf_fail(err, PF_EXIT_FAILED, "'%s' is not a TorchScript file: it is %s", script->path,
                   what);
}

static int take_digest(PfScriptFile *script, const PfFileStampSha256 *known, PfError *err)
{
    struct stat status;
    const int64_t now = pf_file_stamp_now();
    int fd = open_regular(script->path, &status, err), failed = 0;
    if (fd < 0) return -1;
    script->stamp = pf_file_stamp_settled(pf_file_stamp(&status), now);
    const char *digest = pf_file_stamp_sha256(known, &script->stamp);
    if (digest) {
        snprintf(script->sha256, sizeof script->sha256, "%s", digest);
    } else {
        failed = take_bytes(script, fd, status.st_size, err) || check_kind(script, err);
        if (!failed) pf_digest_sha256_text(script->bytes, script->size, script->sha256);
    }
    close(fd);
    return failed;
}

int pf_script_file_open(const char *path, const PfFileStampSha256 *known, PfScriptFile **out,
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
    pf_digest_sha256_text(script->bytes, script->size, sha256);
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

/* ==== which are trusted ==== */

#define DIGEST_LENGTH (PF_SHA256_TEXT_SIZE - 1)

/* ---- the list ---- */

/* malloc'ed; NULL with a failure where the environment names no place. */
static char *list_folder(PfError *err)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    if (state && *state == '/') return pf_asprintf(err, "%s/permafrost", state);
    if (home && *home == '/') return pf_asprintf(err, "%s/.local/state/permafrost", home);
    pf_fail(err, PF_EXIT_FAILED,
            "no place for the list of trusted files: neither XDG_STATE_HOME nor HOME is an "
            "absolute path");
    return NULL;
}

static int check_owner(const char *path, const struct stat *status, PfError *err)
{
    if (status->st_uid == geteuid() && !(status->st_mode & (S_IWGRP | S_IWOTH))) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s' is not believed: expected that you alone own it and can write it, found "
                   "owner %ld and mode %04o. Hint: look at what is in it, then chown and chmod "
                   "go-w",
                   path, (long)status->st_uid, (unsigned)(status->st_mode & 07777));
}

/* The list, which may be a hand's work but nobody else's. NULL with *err untouched where there is
 * none. */
static FILE *open_list(const char *folder, const char *path, PfError *err)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT) return NULL;
    if (fd < 0) {
        pf_fail_errno(err, "'%s': cannot open it", path);
        return NULL;
    }
    int failed = fstat(fd, &status) || !S_ISREG(status.st_mode)
                     ? pf_fail(err, PF_EXIT_FAILED, "'%s' is not a regular file", path)
                     : check_owner(path, &status, err);
    if (!failed && !stat(folder, &status)) failed = check_owner(folder, &status, err);
    FILE *list = failed ? NULL : fdopen(fd, "r");
    if (!list) close(fd);
    return list;
}

/* Whether the list holds the path, with the digest unless that is NULL. -1: it is not believed. */
static int list_holds(const char *folder, const char *absolute, const char *sha256, PfError *err)
{
    PfError refused = {0};
    char *path = pf_asprintf(err, "%s/trusted", folder), *line = NULL;
    size_t room = 0;
    ssize_t length;
    int found = 0;
    if (!path) return -1;
    FILE *list = open_list(folder, path, &refused);
    while (list && !found && (length = getline(&line, &room, list)) > 0) {
        if (line[length - 1] != '\n' || length < DIGEST_LENGTH + 4) continue;
        line[length - 1] = '\0';
        found = !strncmp(line + DIGEST_LENGTH, "  ", 2) &&
                !strcmp(line + DIGEST_LENGTH + 2, absolute) &&
                (!sha256 || !strncmp(line, sha256, DIGEST_LENGTH));
    }
    if (list) fclose(list);
    free(line);
    free(path);
    if (!refused.exit_code) return found;
    *err = refused;
    return -1;
}

/* ---- a file that something names ---- */

/* The program that notes the file: this one, unless it has no --trust. */
static const char *trusting_program(void)
{
    const char *own = program_invocation_short_name;
    return strcmp(own, "inspect") ? own : "extract";
}

static int refuse(const char *absolute, const char *by, bool is_changed, PfError *err)
{
    char *word = pf_path_shell_word(absolute, "FILE.pt", err);
    if (!word) return -1;
    pf_fail(err, PF_EXIT_FAILED,
            "%s names the TorchScript file '%s'%s. Such a file is a program, and is run only where "
            "you name it yourself.\n"
            "Hint: if you know where it comes from, add\n"
            "  --backbone %" PF_SENTENCE "\n"
            "to this command, or allow it for good with\n"
            "  %s --trust %" PF_SENTENCE,
            by, absolute, is_changed ? ", which is not the file that you trusted" : "", word,
            trusting_program(), word);
    free(word);
    return -1;
}

/* The list is asked twice, so that a file that was never trusted is not even opened. */
static int open_if_held(const char *folder, const char *absolute, const char *by,
                        PfScriptFile **out, PfError *err)
{
    int held = list_holds(folder, absolute, NULL, err);
    if (held < 0) return -1;
    if (!held) return refuse(absolute, by, false, err);
    if (pf_script_file_open(absolute, NULL, out, err)) return -1;
    held = list_holds(folder, absolute, (*out)->sha256, err);
    if (held > 0) return 0;
    pf_script_file_free(out);
    return held < 0 ? -1 : refuse(absolute, by, true, err);
}

int pf_script_file_open_trusted(const char *path, const char *by, PfScriptFile **out, PfError *err)
{
    char absolute[PATH_MAX];
    PfError no_place = {0};
    if (!realpath(path, absolute)) return pf_fail_errno(err, "'%s': cannot open it", path);
    char *folder = list_folder(&no_place);
    if (!folder) return refuse(absolute, by, false, err);
    int failed = open_if_held(folder, absolute, by, out, err);
    free(folder);
    return failed;
}

/* ---- --trust ---- */

/* All folders on the way that are not there, for the user alone. */
static int make_folders(char *folder, PfError *err)
{
    for (char *slash = folder + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        int failed = mkdir(folder, 0700) && errno != EEXIST;
        *slash = '/';
        if (failed) return pf_fail_errno(err, "cannot make the folder of '%s'", folder);
    }
    if (mkdir(folder, 0700) && errno != EEXIST)
        return pf_fail_errno(err, "cannot make the folder '%s'", folder);
    return 0;
}

static int write_line(int fd, const char *list, const char *line, PfError *err)
{
    struct stat status;
    char last = '\n';
    if (fstat(fd, &status) || !S_ISREG(status.st_mode))
        return pf_fail(err, PF_EXIT_FAILED, "'%s' is not a regular file", list);
    if (check_owner(list, &status, err)) return -1;
    if (status.st_size && pread(fd, &last, 1, status.st_size - 1) != 1)
        return pf_fail_errno(err, "'%s': cannot read it", list);
    const char *whole = last == '\n' ? line + 1 : line; /* what a crash has torn stays a line */
    const ssize_t size = (ssize_t)strlen(whole);
    if (write(fd, whole, (size_t)size) == size && !fsync(fd)) return 0;
    return pf_fail_errno(err, "cannot write '%s'", list);
}

static int append(const char *list, const PfScriptFile *script, PfError *err)
{
    char *line = pf_asprintf(err, "\n%s  %s\n", script->sha256, script->path);
    if (!line) return -1;
    int fd = open(list, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
                  S_IRUSR | S_IWUSR);
    int failed =
        fd < 0 ? pf_fail_errno(err, "cannot write '%s'", list) : write_line(fd, list, line, err);
    if (fd >= 0) close(fd);
    free(line);
    return failed;
}

static int record(const PfScriptFile *script, char *folder, PfError *err)
{
    int held =
        make_folders(folder, err) ? -1 : list_holds(folder, script->path, script->sha256, err);
    if (held < 0) return -1;
    char *list = pf_asprintf(err, "%s/trusted", folder);
    int failed = !list || (!held && append(list, script, err));
    if (!failed)
        pf_say("'%s' (sha256 %.12s...) may run where a model or a cache names it: %s '%s'",
               script->path, script->sha256, held ? "it was already in" : "noted in", list);
    free(list);
    return failed ? -1 : 0;
}

int pf_script_file_check_trust_operands(int count, PfError *err)
{
    if (!count) return 0;
    return pf_fail(err, PF_EXIT_USAGE,
                   "--trust FILE.pt stands alone: it notes the file and leaves");
}

int pf_script_file_trust(const char *path, PfError *err)
{
    char absolute[PATH_MAX];
    PfScriptFile *script;
    if (!realpath(path, absolute)) return pf_fail_errno(err, "--trust '%s': cannot open it", path);
    if (strpbrk(absolute, "\n\r"))
        return pf_fail(err, PF_EXIT_USAGE,
                       "--trust: a path with a line break in it cannot be listed");
    char *folder = list_folder(err);
    if (!folder) return -1;
    int failed = pf_script_file_open(absolute, NULL, &script, err);
    if (!failed) {
        failed = record(script, folder, err);
        pf_script_file_free(&script);
    }
    free(folder);
    return failed;
}
