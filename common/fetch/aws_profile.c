#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/fetch/s3.h"
#include "common/file/input_file.h"

#define MOST_BYTES (1 << 20)

/* malloc'ed; "" where there is no such file. */
static char *read_all(const char *file, PfError *err)
{
    struct stat status;
    if (stat(file, &status) && errno == ENOENT) return pf_strdup("", err);
    int fd = pf_input_file_open(AT_FDCWD, file, "file of AWS profiles", &status, err);
    if (fd < 0) return NULL;
    char *text = NULL;
    if (status.st_size > MOST_BYTES)
        pf_fail(err, PF_EXIT_FAILED, "'%s' has %lld bytes, too many for a file of AWS profiles",
                file, (long long)status.st_size);
    else if ((text = pf_calloc((size_t)status.st_size + 1, 1, err)) != NULL &&
             pread(fd, text, (size_t)status.st_size, 0) != status.st_size) {
        pf_fail(err, PF_EXIT_FAILED, "'%s' cannot be read", file);
        free(text);
        text = NULL;
    }
    close(fd);
    return text;
}

static char *trim(char *text)
{
    char *end = text + strlen(text);
    while (isspace((unsigned char)*text)) text++;
    while (end > text && isspace((unsigned char)end[-1])) end--;
    *end = '\0';
    return text;
}

/* Whether a line is "[section]", of which *is_it says whether it is that one. "[profile x]" is "x".
 */
static bool is_section(const char *line, const char *section, bool *is_it)
{
    const char *close = *line == '[' ? strchr(line, ']') : NULL;
    if (!close) return false;
    char *copy = strndup(line + 1, (size_t)(close - line - 1));
    char *name = copy ? trim(copy) : NULL;
    if (name && !strncmp(name, "profile", 7) && isspace((unsigned char)name[7]))
        name = trim(name + 7);
    *is_it = name && !strcmp(name, section);
    free(copy);
    return true;
}

/* Lines that begin with a blank belong to the setting above them. */
static bool is_setting(char *line, const char *name, char **value)
{
    char *equals = isspace((unsigned char)*line) ? NULL : strchr(line, '=');
    if (!equals) return false;
    *equals = '\0';
    *value = trim(equals + 1);
    return !strcmp(trim(line), name);
}

int pf_aws_profile_read(const char *file, const char *section, const char *name, char **value,
                        bool *found, PfError *err)
{
    char *text = read_all(file, err), *rest = text, *line, *setting;
    bool is_it = false;
    int failed = !text;
    *value = NULL;
    *found = false;
    while ((line = text ? strsep(&rest, "\n") : NULL) != NULL && !*value && !failed) {
        if (is_section(line, section, &is_it)) {
            *found |= is_it;
        } else if (is_it && *line != '#' && *line != ';' && is_setting(line, name, &setting) &&
                   *setting) {
            *value = pf_strdup(setting, err);
            failed = !*value;
        }
    }
    free(text);
    return failed ? -1 : 0;
}
