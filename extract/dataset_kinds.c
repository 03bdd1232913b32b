/* Files whose names do not end like an image's: which of them are images all the same, and what the
 * others are. */
#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dataset_format.h"
#include "image.h"
#include "input_file.h"
#include "memory.h"

/* Endings of pictures that are not read. */
static const char *const picture_endings[] = {
    "heic", "heif", "avif", "gif", "tga", "jfif", "jpe", "jp2", "jxl", "psd", "svg", "ico", "dng",
    "cr2",  "cr3",  "nef",  "arw", "orf", "rw2",  "raf", "pcx", "exr", "hdr", "dcm", NULL};

/* Endings of what is no picture, and is not opened to see: labels often lie beside images, a file
 * each. */
static const char *const other_endings[] = {
    "txt", "json", "jsonl", "xml", "csv",   "tsv",  "yaml", "yml", "md",  "html",
    "pdf", "npy",  "npz",   "mat", "h5",    "hdf5", "pkl",  "pt",  "pth", "onnx",
    "zip", "tar",  "gz",    "7z",  "rar",   "mp4",  "mov",  "avi", "mkv", "webm",
    "wav", "mp3",  "log",   "py",  "ipynb", "db",   NULL};

/* What systems leave behind, hidden files apart. */
static const char *const litter[] = {"Thumbs.db", "ehthumbs.db", "desktop.ini", "Icon\r", NULL};

static int is_one_of(const char *name, const char *const *names)
{
    for (; *names; names++)
        if (!strcasecmp(name, *names)) return 1;
    return 0;
}

/* Behind the last dot; "" where there is none. */
static const char *ending_of(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot ? dot + 1 : "";
}

/* ---- by content ---- */

/* What the first bytes say of the file: NULL where it cannot be read, or they say nothing. */
static const char *look_inside(int folder_fd, const char *name, bool *is_decoded)
{
    uint8_t bytes[PF_IMAGE_SIGNATURE_BYTES];
    struct stat status;
    const char *format = NULL;
    *is_decoded = false;
    int fd = pf_input_try(folder_fd, name, &status);
    if (fd < 0) return NULL;
    ssize_t got = read(fd, bytes, sizeof bytes);
    if (got > 0) format = pf_image_format_name(bytes, (size_t)got, is_decoded);
    close(fd);
    return format;
}

/* ---- counting ---- */

static PfFileKind *find_kind(PfFileKinds *kinds, const char *name)
{
    for (int i = 0; i < kinds->count; i++)
        if (!strcmp(kinds->kind[i].name, name)) return &kinds->kind[i];
    if (kinds->count == PF_FILE_KINDS - 1) name = "of other kinds"; /* the last one */
    PfFileKind *kind =
        &kinds->kind[kinds->count < PF_FILE_KINDS ? kinds->count++ : PF_FILE_KINDS - 1];
    snprintf(kind->name, sizeof kind->name, "%s", name);
    return kind;
}

static int is_plain_ending(const char *ending)
{
    size_t length = strlen(ending);
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)ending[i])) return 0;
    return length && length <= 8;
}

/* "HEIC", ".txt", "without an ending" */
static void name_kind(const char *file, const char *format, PfFileKind *kind)
{
    const char *ending = ending_of(file);
    int is_picture_ending = is_one_of(ending, picture_endings);
    size_t length = strlen(ending);
    *kind = (PfFileKind){.is_picture = format || is_picture_ending};
    if (is_picture_ending) {
        for (size_t i = 0; i < length; i++) kind->name[i] = (char)toupper((unsigned char)ending[i]);
    } else if (format) {
        snprintf(kind->name, sizeof kind->name, "%s", format);
    } else if (!is_plain_ending(ending)) {
        snprintf(kind->name, sizeof kind->name, "without an ending");
    } else {
        kind->name[0] = '.';
        for (size_t i = 0; i < length; i++)
            kind->name[i + 1] = (char)tolower((unsigned char)ending[i]);
    }
}

static int count_file(PfDataset *dataset, const char *folder, const char *name, const char *format,
                      PfError *err)
{
    PfFileKind named;
    name_kind(name, format, &named);
    PfFileKind *kind = find_kind(&dataset->others, named.name);
    kind->count++;
    kind->is_picture |= named.is_picture;
    if (dataset->ignored_count++) return 0;
    dataset->first_ignored = pf_dataset_join(dataset, folder, name, err);
    return dataset->first_ignored ? 0 : -1;
}

/* What the file is, for those that are not read: NULL where nothing tells. */
static const char *format_of(int folder_fd, const char *name, bool *is_decoded)
{
    *is_decoded = false;
    return is_one_of(ending_of(name), other_endings) ? NULL
                                                     : look_inside(folder_fd, name, is_decoded);
}

static int is_litter(const char *name)
{
    return name[0] == '.' || is_one_of(name, litter);
}

int pf_dataset_look_at_file(PfDataset *dataset, int folder_fd, const char *folder, const char *name,
                            PfError *err)
{
    bool is_decoded;
    if (is_litter(name)) return 0;
    const char *format = format_of(folder_fd, name, &is_decoded);
    if (!is_decoded) return count_file(dataset, folder, name, format, err);
    return pf_names_add(&dataset->by_content, folder, name, err) ? -1 : 1;
}

int pf_dataset_count_beside(PfDataset *dataset, int folder_fd, const char *folder, const char *name,
                            PfError *err)
{
    bool is_decoded;
    if (is_litter(name)) return 0;
    const char *format = format_of(folder_fd, name, &is_decoded);
    return is_decoded ? 0 : count_file(dataset, folder, name, format, err);
}

int pf_dataset_is_image_inside(int folder_fd, const char *name)
{
    bool is_decoded;
    if (is_litter(name)) return 0;
    format_of(folder_fd, name, &is_decoded);
    return is_decoded;
}

/* ---- telling ---- */

static int compare_counts(const void *left, const void *right)
{
    const PfFileKind *a = left, *b = right;
    if (a->count != b->count) return a->count > b->count ? -1 : 1;
    return strcmp(a->name, b->name);
}

char *pf_dataset_kinds_text(const PfFileKinds *kinds, int pictures, PfError *err)
{
    PfFileKinds sorted = *kinds;
    char text[PF_FILE_KINDS * 48] = "";
    size_t used = 0;
    qsort(sorted.kind, (size_t)sorted.count, sizeof *sorted.kind, compare_counts);
    for (int i = 0; i < sorted.count; i++) {
        const PfFileKind *kind = &sorted.kind[i];
        if (pictures >= 0 && kind->is_picture != pictures) continue;
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%lld %s", used ? ", " : "",
                                 (long long)kind->count, kind->name);
    }
    return pf_strdup(text, err);
}
