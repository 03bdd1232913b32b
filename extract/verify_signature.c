#include "verify_signature.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "digest.h"
#include "input_file.h"

#define LINE_SIZE 4400 /* a digest, two characters and a path */
enum { DIGITS = PF_SHA256_TEXT_SIZE - 1 };

typedef struct Signature {
    char digest[PF_SHA256_TEXT_SIZE];
    int lines, has_name; /* has_name: the digest is from the line of the file's own name */
} Signature;

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* "<64 digits>  name", or " *name" of a binary file; other lines are none. */
static void read_line(Signature *signature, char *line, const char *name)
{
    line[strcspn(line, "\r\n")] = '\0';
    if (strspn(line, "0123456789abcdefABCDEF") != DIGITS || (line[DIGITS] && line[DIGITS] != ' '))
        return;
    const char *rest = line + DIGITS + strspn(line + DIGITS, " *");
    int is_own = !strcmp(name_of(rest), name);
    signature->lines++;
    if (signature->has_name) return;
    signature->has_name = is_own;
    for (int i = 0; i < DIGITS; i++)
        signature->digest[i] =
            (char)(line[i] >= 'A' && line[i] <= 'F' ? line[i] - 'A' + 'a' : line[i]);
    signature->digest[DIGITS] = '\0';
}

static int read_signature(const char *path, const char *name, Signature *signature, PfError *err)
{
    char line[LINE_SIZE];
    FILE *file = fopen(path, "re");
    if (!file) return pf_fail_errno(err, "--signature '%s'", path);
    while (fgets(line, sizeof line, file)) read_line(signature, line, name);
    fclose(file);
    if (signature->has_name || signature->lines == 1) return 0;
    return pf_fail(
        err, PF_EXIT_FAILED,
        "--signature '%s' has no SHA-256 of '%s'; expected a line as sha256sum writes it", path,
        name);
}

static int hash_file(const char *path, char sha256[PF_SHA256_TEXT_SIZE], PfError *err)
{
    struct stat status;
    const void *bytes;
    int fd = pf_input_open(AT_FDCWD, path, "", &status, err);
    if (fd < 0) return -1;
    int failed = pf_map_file(fd, &status, "cache", path, &bytes, err);
    close(fd);
    if (failed) return -1;
    pf_sha256_text(bytes, (size_t)status.st_size, sha256);
    if (bytes) pf_unmap_file(bytes, (size_t)status.st_size);
    return 0;
}

int pf_signature_check(const char *signature, const char *path, PfError *err)
{
    Signature wanted = {0};
    char found[PF_SHA256_TEXT_SIZE];
    if (read_signature(signature, name_of(path), &wanted, err) || hash_file(path, found, err))
        return -1;
    if (!strcmp(found, wanted.digest)) return 0;
    return pf_fail(err, PF_EXIT_FAILED, "'%s' has SHA-256 %s, and '%s' says %s: it is another file",
                   path, found, signature, wanted.digest);
}
