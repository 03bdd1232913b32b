/* idx files, as MNIST, Fashion-MNIST, KMNIST and EMNIST come: a header of big-endian numbers, then
 * one byte for each grey pixel, or for each label. http://yann.lecun.com/exdb/mnist/
 *
 * Their names say what is in them: [PREFIX-]train-images-idx3-ubyte, -labels-idx1-ubyte, t10k- or
 * test- for the other side, a '.' for the last but one '-', .gz behind it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/file/input_file.h"
#include "extract/dataset/records.h"

enum { HEADER_MAX = 16, RANK_MAX = 3, PREFIX_SIZE = 64, SIDE_MAX = 4096, UNSIGNED_BYTES = 0x08 };

/* Deflate makes at most 1,032 bytes of one. */
#define GZIP_RATIO_MAX 1032
#define UNPACKED_MAX ((int64_t)2 << 30)

/* ---- names ---- */

/* What a file's name says. */
typedef struct Name {
    char prefix[PREFIX_SIZE]; /* "", "emnist-letters-" */
    bool is_train, is_labels, is_gzip;
    char type[16]; /* "idx3-ubyte" */
} Name;

static const char *const sides[] = {"train", "t10k", "test"};

/* "train-images" at the end of a text of `length`: where it begins, or NULL. */
static const char *find_stem(const char *text, size_t length, Name *name)
{
    for (size_t s = 0; s < sizeof sides / sizeof *sides; s++)
        for (int labels = 0; labels < 2; labels++) {
            char stem[24];
            int size = snprintf(stem, sizeof stem, "%s-%s", sides[s], labels ? "labels" : "images");
            if (length < (size_t)size || memcmp(text + length - size, stem, (size_t)size)) continue;
            name->is_train = !s;
            name->is_labels = labels;
            return text + length - size;
        }
    return NULL;
}

static bool read_name(const char *text, Name *name)
{
    const char *type = strstr(text, "idx");
    *name = (Name){0};
    if (!type || type == text || (type[-1] != '-' && type[-1] != '.')) return false;
    const char *stem = find_stem(text, (size_t)(type - 1 - text), name);
    if (!stem || stem - text >= PREFIX_SIZE || (stem > text && stem[-1] != '-')) return false;
    size_t length = strlen(type);
    name->is_gzip = length > 3 && !strcmp(type + length - 3, ".gz");
    if (name->is_gzip) length -= 3;
    if (length < 6 || length >= sizeof name->type || type[3] < '0' || type[3] > '9' ||
        type[4] != '-')
        return false;
    memcpy(name->prefix, text, (size_t)(stem - text));
    memcpy(name->type, type, length);
    return true;
}

/* ---- what a folder holds ---- */

#define SIDES 2 /* train, test */

/* The files of one prefix, by side; "" where there is none. */
typedef struct Files {
    char prefix[PREFIX_SIZE];
    char images[SIDES][NAME_MAX + 1], labels[SIDES][NAME_MAX + 1];
    char other_prefix[PREFIX_SIZE]; /* files of a second prefix are there, too */
    bool has_any, has_other;
} Files;

/* An unpacked file goes before a packed one, then the name that comes first. */
static bool goes_before(const char *name, const char *other)
{
    Name a, b;
    if (!*other || !read_name(name, &a) || !read_name(other, &b)) return true;
    return a.is_gzip != b.is_gzip ? b.is_gzip : strcmp(name, other) < 0;
}

static void take_file(Files *files, const char *text, const Name *name, const char *prefix)
{
    if (prefix ? strcmp(prefix, name->prefix) != 0
               : files->has_any && strcmp(files->prefix, name->prefix)) {
        files->has_other = true;
        memcpy(files->other_prefix, name->prefix, sizeof files->other_prefix);
        return;
    }
    files->has_any = true;
    memcpy(files->prefix, name->prefix, sizeof files->prefix);
    char *place = name->is_labels ? files->labels[!name->is_train] : files->images[!name->is_train];
    if (goes_before(text, place)) snprintf(place, NAME_MAX + 1, "%s", text);
}

/* prefix: of the files that are wanted; NULL: all. */
static Files look_into(const char *folder, const char *prefix)
{
    Files files = {0};
    DIR *stream = opendir(folder);
    if (!stream) return files;
    for (struct dirent *entry; (entry = readdir(stream));) {
        Name name;
        if (read_name(entry->d_name, &name) && pf_records_has_file(folder, entry->d_name))
            take_file(&files, entry->d_name, &name, prefix);
    }
    closedir(stream);
    return files;
}

/* The folder, or else the folder raw/ in it, where torchvision puts them. */
static Files look_into_folder(char folder[PATH_MAX])
{
    Files files = look_into(folder, NULL);
    size_t length = strlen(folder);
    if (files.has_any || length + sizeof "/raw" > PATH_MAX) return files;
    strcpy(folder + length, "/raw");
    return look_into(folder, NULL);
}

/* The operand is a folder, or one of the files in it, whose prefix is then the wanted one. */
static Files find_files(const char *operand, char folder[PATH_MAX])
{
    struct stat status;
    Name name;
    snprintf(folder, PATH_MAX, "%s", operand);
    if (strlen(operand) >= PATH_MAX || stat(operand, &status)) return (Files){0};
    if (S_ISDIR(status.st_mode)) return look_into_folder(folder);
    char *slash = strrchr(folder, '/');
    if (!S_ISREG(status.st_mode) || !read_name(slash ? slash + 1 : folder, &name))
        return (Files){0};
    if (!slash)
        snprintf(folder, PATH_MAX, ".");
    else
        slash[slash == folder] = '\0';
    return look_into(folder, name.prefix);
}

static bool probe(const char *operand)
{
    char folder[PATH_MAX];
    Files files = find_files(operand, folder);
    return *files.images[0] || *files.images[1];
}

/* ---- headers ---- */

typedef struct Header {
    int rank;
    int64_t dims[RANK_MAX];
    int64_t size, elements; /* bytes of the header, of what follows it */
} Header;

static const char *type_name(int type)
{
    switch (type) {
    case UNSIGNED_BYTES: return "unsigned bytes";
    case 0x09: return "signed bytes";
    case 0x0b: return "16-bit integers";
    case 0x0c: return "32-bit integers";
    case 0x0d: return "32-bit floats";
    case 0x0e: return "64-bit floats";
    default: return "numbers of an unknown type";
    }
}

/* What the name says must be what is read; the header says it again. */
static int check_name(const PfDataset *dataset, const char *text, PfError *err)
{
    Name name;
    read_name(text, &name);
    const char *expected = name.is_labels ? "idx1-ubyte" : "idx3-ubyte";
    if (!strcmp(name.type, expected)) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "dataset '%s': %s holds %s by its name (%s); only %s is read: one unsigned byte "
                   "for each %s",
                   dataset->root, text, name.is_labels ? "labels" : "images", name.type, expected,
                   name.is_labels ? "label" : "grey pixel");
}

static int read_header(const PfDataset *dataset, const char *name, const uint8_t *bytes,
                       ssize_t size, int rank, Header *header, PfError *err)
{
    *header = (Header){.rank = rank, .size = 4 + 4 * rank, .elements = 1};
    if (size < 4 || bytes[0] || bytes[1])
        return pf_fail(err, PF_EXIT_FAILED,
                       "dataset '%s': %s is no idx file: those begin with two zero bytes",
                       dataset->root, name);
    if (bytes[2] != UNSIGNED_BYTES || bytes[3] != rank)
        return pf_fail(err, PF_EXIT_FAILED,
                       "dataset '%s': %s holds %s (type 0x%02x) along %d axes; expected unsigned "
                       "bytes (0x08) along %d",
                       dataset->root, name, type_name(bytes[2]), bytes[2], bytes[3], rank);
    if (size < header->size)
        return pf_fail(err, PF_EXIT_FAILED, "dataset '%s': %s ends within its header",
                       dataset->root, name);
    for (int i = 0; i < rank; i++) {
        const uint8_t *at = bytes + 4 + 4 * i;
        header->dims[i] = (int64_t)at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3];
        if (i && (header->dims[i] < 1 || header->dims[i] > SIDE_MAX))
            return pf_fail(err, PF_EXIT_FAILED,
                           "dataset '%s': %s claims images with a side of %lld pixels; expected 1 "
                           "to %d",
                           dataset->root, name, (long long)header->dims[i], SIDE_MAX);
        header->elements *= header->dims[i]; /* below 2^56 */
    }
    return 0;
}

static int fail_size(const PfDataset *dataset, const char *name, const Header *header,
                     const char *found, PfError *err)
{
    return pf_fail(err, PF_EXIT_FAILED,
                   "dataset '%s': %s claims %lld bytes after its header of %lld, and there are %s; "
                   "is it cut short?",
                   dataset->root, name, (long long)header->elements, (long long)header->size,
                   found);
}

/* ---- packed files ---- */

/* A file without a name, for as long as it is open. */
static int make_temporary(PfError *err)
{
    const char *folder = getenv("TMPDIR");
    char path[PATH_MAX];
    if (!folder || !*folder) folder = "/tmp";
    int length = snprintf(path, sizeof path, "%s/permafrost-XXXXXX", folder);
    int fd = length < (int)sizeof path ? mkostemp(path, O_CLOEXEC) : (errno = ENAMETOOLONG, -1);
    if (fd >= 0)
        unlink(path);
    else
        pf_fail_errno(err, "cannot make a temporary file in '%s' (TMPDIR)", folder);
    return fd;
}

static int write_all(int fd, const uint8_t *bytes, size_t size, PfError *err)
{
    for (size_t done = 0; done < size;) {
        ssize_t got = write(fd, bytes + done, size - done);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0)
            return pf_fail_errno(err, "cannot unpack into a temporary file (TMPDIR says where)");
        done += (size_t)got;
    }
    return 0;
}

/* A packed file while it is unpacked. */
typedef struct Unpacking {
    const PfDataset *dataset;
    const char *name;
    gzFile stream;
    int64_t packed_size;
    int to;
    int rank;
} Unpacking;

static int fail_gzip(const Unpacking *of, PfError *err)
{
    int code;
    const char *problem = gzerror(of->stream, &code);
    return pf_fail(err, PF_EXIT_FAILED, "dataset '%s': %s cannot be unpacked: %s",
                   of->dataset->root, of->name,
                   code == Z_OK || code == Z_BUF_ERROR ? "it ends too soon" : problem);
}

/* Unpacks `size` bytes, which the header claims, and checks that nothing follows. */
static int unpack_rest(const Unpacking *of, const Header *header, PfError *err)
{
    static const size_t block_size = 65536;
    uint8_t *block = pf_calloc(1, block_size, err);
    int failed = !block;
    for (int64_t left = header->elements; !failed && left > 0;) {
        size_t want = left < (int64_t)block_size ? (size_t)left : block_size;
        int got = gzread(of->stream, block, (unsigned)want);
        if (got > 0)
            failed = write_all(of->to, block, (size_t)got, err);
        else
            failed = fail_gzip(of, err);
        left -= got > 0 ? got : 0;
    }
    /* Reading on compares the checksum. */
    int more = failed ? 0 : gzread(of->stream, block, 1);
    free(block);
    if (failed) return -1;
    int code;
    gzerror(of->stream, &code);
    if (more < 0 || code != Z_OK) return fail_gzip(of, err);
    return more ? fail_size(of->dataset, of->name, header, "more", err) : 0;
}

static int unpack(const Unpacking *of, PfError *err)
{
    uint8_t bytes[HEADER_MAX];
    Header header;
    int size = gzread(of->stream, bytes, (unsigned)(4 + 4 * of->rank));
    if (size < 0) return fail_gzip(of, err);
    if (gzdirect(of->stream))
        return pf_fail(err, PF_EXIT_FAILED, "dataset '%s': %s is not packed by gzip",
                       of->dataset->root, of->name);
    if (read_header(of->dataset, of->name, bytes, size, of->rank, &header, err)) return -1;
    if (header.elements > UNPACKED_MAX || header.elements / GZIP_RATIO_MAX > of->packed_size)
        return pf_fail(err, PF_EXIT_FAILED,
                       "dataset '%s': %s claims to unpack to %lld bytes, and has %lld; at most "
                       "2 GB are unpacked",
                       of->dataset->root, of->name, (long long)header.elements,
                       (long long)of->packed_size);
    return write_all(of->to, bytes, (size_t)size, err) ? -1 : unpack_rest(of, &header, err);
}

/* Puts the unpacked file in the place of *fd. */
static int unpack_file(const PfDataset *dataset, const char *name, int rank, int *fd,
                       struct stat *status, PfError *err)
{
    Unpacking of = {.dataset = dataset, .name = name, .packed_size = status->st_size, .rank = rank};
    int copy = fcntl(*fd, F_DUPFD_CLOEXEC, 0);
    of.stream = copy < 0 ? NULL : gzdopen(copy, "rb");
    if (!of.stream) {
        if (copy >= 0) close(copy);
        return pf_fail_errno(err, "dataset '%s': %s cannot be read", dataset->root, name);
    }
    of.to = make_temporary(err);
    int failed = of.to < 0 || unpack(&of, err);
    gzclose(of.stream);
    if (!failed && fstat(of.to, status))
        failed = pf_fail_errno(err, "dataset '%s': %s cannot be read", dataset->root, name);
    if (failed) {
        if (of.to >= 0) close(of.to);
        return -1;
    }
    close(*fd);
    *fd = of.to;
    return 0;
}

/* ---- samples ---- */

/* Checks an open file against what is expected of it, and unpacks it first where it is packed. */
static int read_file(const PfDataset *dataset, const char *text, int *fd, struct stat *status,
                     Header *header, PfError *err)
{
    Name name;
    uint8_t bytes[HEADER_MAX];
    char found[32];
    read_name(text, &name);
    const int rank = name.is_labels ? 1 : 3;
    if (name.is_gzip && unpack_file(dataset, text, rank, fd, status, err)) return -1;
    ssize_t size = pread(*fd, bytes, sizeof bytes, 0);
    if (size < 0) return pf_fail_errno(err, "dataset '%s': %s cannot be read", dataset->root, text);
    if (read_header(dataset, text, bytes, size, rank, header, err)) return -1;
    snprintf(found, sizeof found, "%lld", (long long)status->st_size - (long long)header->size);
    return status->st_size - header->size == header->elements
               ? 0
               : fail_size(dataset, text, header, found, err);
}

/* (count) labels, malloc'ed; NULL on failure. */
static uint8_t *read_labels(const PfDataset *dataset, const char *name, int64_t count, PfError *err)
{
    struct stat status;
    Header header;
    uint8_t *labels = NULL;
    if (check_name(dataset, name, err)) return NULL;
    int fd = pf_input_file_open(dataset->root_fd, name, "dataset file", &status, err);
    if (fd < 0) return NULL;
    int failed = read_file(dataset, name, &fd, &status, &header, err);
    if (!failed && header.elements != count)
        failed = pf_fail(err, PF_EXIT_FAILED, "dataset '%s': %s has %lld labels for %lld images",
                         dataset->root, name, (long long)header.elements, (long long)count);
    if (!failed) labels = pf_calloc((size_t)count + 1, 1, err);
    if (labels && pread(fd, labels, (size_t)count, header.size) != count) {
        pf_fail_errno(err, "dataset '%s': %s cannot be read", dataset->root, name);
        free(labels);
        labels = NULL;
    }
    close(fd);
    return labels;
}

/* Opens a side's images: how many there are in *count. */
static int open_images(PfDataset *dataset, const char *name, int64_t *count, PfError *err)
{
    struct stat status;
    PfRecordFile *file;
    Header header;
    *count = 0;
    if (check_name(dataset, name, err) || pf_records_open(dataset, name, &status, &file, err))
        return -1;
    if (!file) return 0;
    if (read_file(dataset, name, &file->fd, &status, &header, err)) return -1;
    pf_records_lie(file, header.size, header.dims[1] * header.dims[2], 1, (int)header.dims[2],
                   (int)header.dims[1]);
    *count = header.dims[0];
    return 0;
}

/* How the files of a side usually begin: "train", "t10k", EMNIST's "emnist-letters-test". */
static void usual_name(const Files *files, int side, const char *what, char name[NAME_MAX + 1])
{
    snprintf(name, NAME_MAX + 1, "%s%s-%s", files->prefix,
             !side            ? "train"
             : *files->prefix ? "test"
                              : "t10k",
             what);
}

static int list_side(PfDataset *dataset, const Files *files, int side, int *highest, PfError *err)
{
    const char *images = files->images[side], *names = files->labels[side];
    const PfSplit split = side ? PF_SPLIT_TEST : PF_SPLIT_TRAIN;
    char missing[NAME_MAX + 1];
    int64_t count;
    usual_name(files, side, *images ? "labels-idx1-ubyte" : "images-idx3-ubyte", missing);
    if (!*images && !*names)
        return pf_dataset_note(dataset, PF_NOTE_MISSING_FILE, "", missing, err);
    if (!*images || !*names)
        return pf_fail(err, PF_EXIT_FAILED,
                       "dataset '%s': there is %s without its %s (%s), as MNIST has", dataset->root,
                       *images ? images : names, *images ? "labels" : "images", missing);
    if (open_images(dataset, images, &count, err)) return -1;
    uint8_t *labels = read_labels(dataset, names, count, err);
    int failed = !labels;
    for (int64_t i = 0; !failed && i < count; i++) {
        if (labels[i] > *highest) *highest = labels[i];
        failed = pf_records_add(dataset, images, i, labels[i], split, err);
    }
    free(labels);
    return failed ? -1 : 0;
}

/* How many classes the files of that prefix have; 0: their labels say. */
static int known_classes(const char *prefix)
{
    static const struct {
        const char *prefix;
        int classes;
    } known[] = {{"", 10},
                 {"emnist-balanced-", 47},
                 {"emnist-byclass-", 62},
                 {"emnist-bymerge-", 47},
                 {"emnist-letters-", 27},
                 {"emnist-digits-", 10},
                 {"emnist-mnist-", 10}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(prefix, known[i].prefix)) return known[i].classes;
    return 0;
}

static int list_classes(PfDataset *dataset, const Files *files, int highest, PfError *err)
{
    int count = known_classes(files->prefix);
    if (count && highest >= count)
        return pf_fail(err, PF_EXIT_FAILED,
                       "dataset '%s': there is a label %d; files of these names have 0 to %d",
                       dataset->root, highest, count - 1);
    if (!count) count = highest + 1;
    if (pf_records_reserve_classes(dataset, count, err)) return -1;
    return pf_records_number_classes(dataset, count, err);
}

static int list(PfDataset *dataset, const char *operand, const PfDatasetOptions *options,
                PfError *err)
{
    (void)options;
    char folder[PATH_MAX];
    Files files = find_files(operand, folder);
    struct stat status;
    int highest = 0;
    if (!stat(operand, &status) && S_ISDIR(status.st_mode) && files.has_other)
        return pf_fail(err, PF_EXIT_USAGE,
                       "dataset '%s' holds idx files of several sets, '%s' and '%s' at least. "
                       "Hint: name a file of the one that is meant instead of the folder, such as "
                       "'%s/%s'",
                       operand, *files.prefix ? files.prefix : "train-",
                       *files.other_prefix ? files.other_prefix : "train-", folder,
                       *files.images[0] ? files.images[0] : files.images[1]);
    if (pf_records_begin(dataset, folder, err)) return -1;
    snprintf(dataset->kind, sizeof dataset->kind, "idx files, as MNIST's");
    for (int side = 0; side < SIDES; side++)
        if (list_side(dataset, &files, side, &highest, err)) return -1;
    if (!dataset->count)
        return pf_fail(err, PF_EXIT_FAILED, "dataset '%s': its idx files are empty", operand);
    return list_classes(dataset, &files, highest, err);
}

const PfDatasetFormat pf_dataset_format_idx = {
    .what = "of idx files",
    .has_no_files = true,
    .probe = probe,
    .list = list,
    .read = pf_records_read,
    .stat = pf_records_stat,
    .close = pf_records_close,
};
