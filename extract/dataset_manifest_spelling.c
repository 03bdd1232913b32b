/* Paths as they were written on another machine: what they are called here. */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "dataset_manifest.h"

/* Tried in this order where a path has none of an image's. */
static const char *const endings[] = {".jpg", ".jpeg", ".png",  ".JPG",  ".JPEG", ".PNG", ".bmp",
                                      ".ppm", ".pgm",  ".webp", ".tiff", ".tif",  ".gif"};

const char *pf_manifest_path(const PfManifest *manifest, const char *field,
                             char buffer[PF_MANIFEST_PATH_SIZE])
{
    const char *suffix = manifest->options->table.suffix;
    size_t length = strlen(field), added = suffix ? strlen(suffix) : 0;
    if (!added || !length || (length > added && !strcasecmp(field + length - added, suffix)) ||
        length + added >= PF_MANIFEST_PATH_SIZE)
        return field;
    memcpy(buffer, field, length);
    memcpy(buffer + length, suffix, added + 1);
    return buffer;
}

/* Folders called train and val make no column of splits one of paths. */
static int is_there(int folder, const char *path)
{
    struct stat status;
    return *path && !fstatat(folder, path, &status, 0) && !S_ISDIR(status.st_mode);
}

/* Behind so many folders; NULL where it has no more of them. */
static const char *without_folders(const char *path, int count)
{
    for (; count > 0 && path; count--) {
        path = strchr(path, '/');
        if (path) path++;
    }
    return path;
}

/* Adds an ending to the path in buffer so that it is one of a file that is there: 1. */
static int add_ending(int folder, char *buffer, const char **second)
{
    size_t length = strlen(buffer);
    const char *first = NULL;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        if (length + strlen(endings[i]) >= PF_MANIFEST_PATH_SIZE) return 0;
        strcpy(buffer + length, endings[i]);
        if (!is_there(folder, buffer)) continue;
        if (first) {
            if (second) *second = endings[i];
            break;
        }
        first = endings[i];
        if (!second) break;
    }
    strcpy(buffer + length, first ? first : "");
    return first != NULL;
}

const char *pf_manifest_spell(const PfManifest *manifest, int folder, const char *field,
                              char buffer[PF_MANIFEST_PATH_SIZE], const char **second)
{
    char suffixed[PF_MANIFEST_PATH_SIZE];
    const char *path = pf_manifest_path(manifest, field, suffixed);
    if (second) *second = NULL;
    int is_long = strlen(path) >= PF_MANIFEST_PATH_SIZE;
    if (is_long) return is_there(folder, path) ? path : NULL;
    strcpy(buffer, path);
    if (is_there(folder, buffer)) return buffer;
    if (manifest->options->as_before) return NULL;
    for (char *at = buffer; (at = strchr(at, '\\'));) *at = '/';
    const char *rest = without_folders(buffer, manifest->dropped);
    if (rest) memmove(buffer, rest, strlen(rest) + 1);
    if (is_there(folder, buffer)) return buffer;
    if (!manifest->adds_endings || !*buffer || pf_dataset_is_image_name(buffer)) return NULL;
    return add_ending(folder, buffer, second) ? buffer : NULL;
}
