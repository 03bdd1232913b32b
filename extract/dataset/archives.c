/* Datasets in archives: .tar and .zip files, read where they are. What their members mean is
 * decided as for folders (folder.c), or, where labels lie beside images, by webdataset.c. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/address.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/file/file_stamp.h"
#include "common/file/input_file.h"
#include "common/thread/parallel.h"
#include "extract/dataset/archives.h"

/* Descriptors that stay open; of more archives each reading opens its own again. */
#define OPEN_ARCHIVES_MAX 256
/* A label is a word, or some JSON. */
#define LABEL_BYTES_MAX ((int64_t)1 << 20)

/* ==== opening ==== */

int pf_shards_allocate(PfDataset *dataset, size_t count, PfError *err)
{
    PfShards *shards = dataset->of_format = pf_calloc(1, sizeof *shards, err);
    if (!shards) return -1;
    shards->files = pf_calloc(count, sizeof *shards->files, err);
    if (!shards->files) return -1;
    shards->count = count;
    return 0;
}

static void close_shards(PfDataset *dataset)
{
    PfShards *shards = dataset->of_format;
    if (!shards) return;
    for (size_t i = 0; i < shards->count; i++) pf_archive_close(&shards->files[i].archive);
    pf_shards_free_fetched(shards);
    free(shards->files);
    free(shards->members);
    free(shards);
    dataset->of_format = NULL;
}

/* ---- one that is compressed as a whole ---- */

static int spool_stream(const char *path, FILE *stream, const uint8_t *head, size_t size,
                        int *spooled, PfError *err)
{
    if (fseek(stream, (long)size, SEEK_SET))
        return pf_fail_errno(err, "archive '%s' cannot be read", path);
    char *what = pf_asprintf(err, "archive '%s'", path);
    int failed = !what || pf_archive_spool(stream, what, head, size, spooled, err);
    free(what);
    return failed ? -1 : 0;
}

static int spool_file(const char *path, int fd, const uint8_t *head, size_t size, int *spooled,
                      PfError *err)
{
    FILE *stream = fdopen(fd, "rb");
    if (!stream) {
        pf_fail_errno(err, "archive '%s' cannot be read", path);
        close(fd);
        return -1;
    }
    int failed = spool_stream(path, stream, head, size, spooled, err);
    fclose(stream);
    return failed;
}

/* Decompresses it, where it is compressed, and opens it then. name: for messages. has_stamp: a
 * server has told which version it is. */
static int open_compressed(PfShardFile *file, const char *name, const char *path, bool has_stamp,
                           PfError *err)
{
    uint8_t head[PF_ARCHIVE_HEAD_BYTES];
    int spooled, fd = pf_input_file_open(AT_FDCWD, path, "archive", &file->file, err);
    if (fd < 0) return -1;
    ssize_t got = pread(fd, head, sizeof head, 0);
    PfArchiveForm form = got > 0 ? pf_archive_tell(head, (size_t)got) : PF_ARCHIVE_NONE;
    if (!has_stamp)
        file->stamp = pf_file_stamp_settled(pf_file_stamp(&file->file), pf_file_stamp_now());
    if (form != PF_ARCHIVE_GZIP && form != PF_ARCHIVE_ZSTD) {
        close(fd);
        return 0;
    }
    if (spool_file(name, fd, head, (size_t)got, &spooled, err)) return -1;
    return pf_archive_open(name, spooled, true, &file->archive, err);
}

/* ---- several at once: their headers are far apart, and each takes its time on a network ---- */

typedef struct Opening {
    PfShards *shards;
    char *const *names, *const *paths; /* (count) what they are called; what is opened */
    PfError *errors;                   /* (count) */
} Opening;

static void open_plain(void *context, int64_t i)
{
    const Opening *opening = context;
    PfShardFile *file = &opening->shards->files[i];
    bool keeps = opening->shards->count <= OPEN_ARCHIVES_MAX;
    if (!file->archive)
        pf_archive_open_as(opening->names[i], opening->paths[i], keeps, &file->archive,
                           &opening->errors[i]);
}

static int open_all(PfShards *shards, char *const *names, char *const *paths, PfError *err)
{
    for (size_t i = 0; i < shards->count; i++)
        if (open_compressed(&shards->files[i], names[i], paths[i], paths != names, err)) return -1;
    Opening opening = {shards, names, paths, pf_calloc(shards->count, sizeof(PfError), err)};
    if (!opening.errors) return -1;
    pf_parallel_for((int64_t)shards->count, 0, open_plain, &opening);
    int failed = 0;
    for (size_t i = 0; i < shards->count && !failed; i++) {
        failed = !shards->files[i].archive;
        if (failed) *err = opening.errors[i];
    }
    free(opening.errors);
    return failed ? -1 : 0;
}

/* Paths without the folders that all have in common, those of other shards, too. */
static void name_files(PfShards *shards)
{
    const char *first = shards->files[0].archive->path;
    size_t common = strlen(first);
    for (size_t i = 0; i < shards->count + shards->all_count; i++) {
        const char *path = i < shards->count ? shards->files[i].archive->path
                                             : shards->all_names[i - shards->count];
        size_t same = 0;
        while (same < common && path[same] == first[same]) same++;
        common = same;
    }
    while (common && first[common - 1] != '/') common--;
    for (size_t i = 0; i < shards->count; i++)
        shards->files[i].name = shards->files[i].archive->path + common;
}

/* ==== what is said ==== */

static const char *const left_out_names[PF_LEFT_OUT_COUNT] = {
    [PF_LEFT_OUT_SYMBOLIC_LINK] = "symbolic links", [PF_LEFT_OUT_HARD_LINK] = "hard links",
    [PF_LEFT_OUT_DEVICE] = "devices or pipes",      [PF_LEFT_OUT_SPARSE] = "sparse files",
    [PF_LEFT_OUT_OUTSIDE] = "names with '..'",      [PF_LEFT_OUT_MACOS] = "of macOS (__MACOSX)",
    [PF_LEFT_OUT_OTHER] = "of unknown types",
};

static int tell_left_out(PfDataset *dataset, PfError *err)
{
    const PfShards *shards = dataset->of_format;
    char text[512];
    size_t used = 0;
    for (int kind = 0; kind < PF_LEFT_OUT_COUNT; kind++) {
        int64_t count = 0;
        for (size_t i = 0; i < shards->count; i++)
            count += shards->files[i].archive->left_out[kind];
        if (count && used < sizeof text)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%lld %s", used ? ", " : "",
                                     (long long)count, left_out_names[kind]);
    }
    return used ? pf_dataset_warn(dataset, err, "members of archives left out: %s", text) : 0;
}

static int tell_ends(PfDataset *dataset, PfError *err)
{
    const PfShards *shards = dataset->of_format;
    for (size_t i = 0; i < shards->count; i++) {
        const PfArchive *archive = shards->files[i].archive;
        if (archive->has_no_end &&
            pf_dataset_warn(dataset, err,
                            "archive '%s' ends without the blocks of zeros that end a .tar; if it "
                            "was cut short, members are missing",
                            archive->path))
            return -1;
        if (archive->bytes_behind &&
            pf_dataset_warn(dataset, err,
                            "archive '%s': the last %lld bytes, behind its end, are left out",
                            archive->path, (long long)archive->bytes_behind))
            return -1;
    }
    return 0;
}

static int tell_count(PfDataset *dataset, PfError *err)
{
    const PfShards *shards = dataset->of_format;
    int64_t members = 0;
    for (size_t i = 0; i < shards->count; i++) members += (int64_t)shards->files[i].archive->count;
    return pf_dataset_remark(dataset, err, "archives: %zu, of %lld members", shards->count,
                             (long long)members);
}

/* ==== listing ==== */

static int list_members(PfDataset *dataset, const PfDatasetOptions *options, PfError *err)
{
    PfShards *shards = dataset->of_format;
    bool done;
    name_files(shards);
    if (tell_count(dataset, err) || tell_left_out(dataset, err) || tell_ends(dataset, err) ||
        pf_shards_sort(dataset, err) || pf_shards_strip_folder(dataset, err))
        return -1;
    pf_shards_find_splits(shards);
    if (pf_shards_list_keys(dataset, options, &done, err)) return -1;
    if (!done &&
        (pf_shards_build_tree(dataset, err) || pf_dataset_list_folders(dataset, options, err)))
        return -1;
    free(shards->members);
    shards->members = NULL;
    shards->member_count = 0;
    return 0;
}

static int list_addresses(PfDataset *dataset, const char *operand, const PfDatasetOptions *options,
                          PfError *err)
{
    if (pf_shards_fetch(dataset, operand, options, err)) return -1;
    PfShards *shards = dataset->of_format;
    return open_all(shards, shards->all_names + shards->first, shards->fetched, err) ||
                   list_members(dataset, options, err)
               ? -1
               : 0;
}

static int list(PfDataset *dataset, const char *operand, const PfDatasetOptions *options,
                PfError *err)
{
    PfArchiveList paths;
    if (pf_address_is(operand)) return list_addresses(dataset, operand, options, err);
    if (pf_archive_list_operand(operand, &paths, err)) return -1;
    dataset->root = pf_strdup(operand, err);
    int failed = !dataset->root || pf_archive_check_list(operand, &paths, err) ||
                 pf_shards_allocate(dataset, paths.count, err) ||
                 open_all(dataset->of_format, paths.paths, paths.paths, err) ||
                 list_members(dataset, options, err);
    pf_archive_list_free(&paths);
    return failed ? -1 : 0;
}

int pf_dataset_list_archive_stream(PfDataset *dataset, FILE *stream, const uint8_t *head,
                                   size_t head_size, const PfDatasetOptions *options, PfError *err)
{
    int fd;
    dataset->format = &pf_dataset_format_archive;
    dataset->root_fd = -1;
    if (pf_shards_allocate(dataset, 1, err) ||
        pf_archive_spool(stream, "standard input", head, head_size, &fd, err))
        return -1;
    PfShards *shards = dataset->of_format;
    PfArchive **archive = &shards->files[0].archive;
    if (pf_archive_open("standard input", fd, true, archive, err)) return -1;
    /* A program that was killed leaves nothing else to tell it by. */
    if ((*archive)->has_no_end)
        return pf_fail(err, PF_EXIT_FAILED,
                       "standard input ends without the blocks of zeros that end a .tar; what "
                       "wrote it was stopped, or leaves them out. Hint: if it is whole, put it "
                       "into a file and name that");
    return list_members(dataset, options, err);
}

/* ==== reading ==== */

const PfMember *pf_shards_member(const char *path)
{
    return (const PfMember *)(const void *)(path - offsetof(PfMember, path));
}

static PfFileStamp stamp_of(const PfShards *shards, const PfMember *member)
{
    PfFileStamp stamp = shards->files[member->archive].stamp;
    stamp.size_bytes = (uint64_t)member->size;
    return stamp;
}

static int read_member(const PfDataset *dataset, int64_t index, PfSampleBytes *bytes, PfError *err)
{
    const PfShards *shards = dataset->of_format;
    const PfMember *member = pf_shards_member(dataset->samples[index].path);
    const PfArchive *archive = shards->files[member->archive].archive;
    size_t size = (size_t)member->size;
    if (pf_archive_check_member(member, err) || pf_dataset_check_size(dataset, member->size, err) ||
        pf_sample_bytes_reserve(bytes, size, err) ||
        pf_archive_read(archive, member, bytes->data, size, err))
        return -1;
    bytes->size_bytes = size;
    bytes->width = bytes->height = 0;
    bytes->stamp = stamp_of(shards, member);
    return 0;
}

static int stat_member(const PfDataset *dataset, int64_t index, PfFileStamp *stamp)
{
    *stamp = stamp_of(dataset->of_format, pf_shards_member(dataset->samples[index].path));
    return 0;
}

int pf_shards_read_text(const PfShards *shards, const PfMember *member, char **text, PfError *err)
{
    const PfArchive *archive = shards->files[member->archive].archive;
    PfError problem = {0};
    if (member->size > LABEL_BYTES_MAX)
        return pf_fail(err, PF_EXIT_FAILED,
                       "archive '%s': the label '%s' has %lld bytes, more than the 1 MiB that is "
                       "read",
                       archive->path, member->path, (long long)member->size);
    *text = pf_calloc((size_t)member->size + 1, 1, err);
    if (!*text) return -1;
    if (!member->size ||
        !pf_archive_read(archive, member, (uint8_t *)*text, (size_t)member->size, &problem))
        return 0;
    free(*text);
    *text = NULL;
    return pf_fail(err, PF_EXIT_FAILED, "archive '%s': the label '%s' %" PF_SENTENCE, archive->path,
                   member->path, problem.message);
}

const PfDatasetFormat pf_dataset_format_archive = {
    .what = "an archive",
    .is_folder = true,
    .tree = &pf_shards_tree,
    .probe = pf_archive_is_operand,
    .list = list,
    .read = read_member,
    .stat = stat_member,
    .close = close_shards,
};
