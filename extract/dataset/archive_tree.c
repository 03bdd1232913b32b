/* The members of archives as one tree of folders, which is then understood as one on the disk is.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/cache/split.h"
#include "common/file/path.h"
#include "extract/dataset/archives.h"

#define NAME_SIZE 4096 /* no name in an archive is longer */

const char *pf_shards_name(const PfMember *member)
{
    return member->path + member->name;
}

static bool is_folder(const PfMember *member)
{
    return member->path[strlen(member->path) - 1] == '/';
}

/* ==== order ==== */

/* By name; one and the same by archive, and there by place. */
static int compare_members(const void *left, const void *right)
{
    const PfMember *a = *(const PfMember *const *)left, *b = *(const PfMember *const *)right;
    int order = strcmp(pf_shards_name(a), pf_shards_name(b));
    if (order) return order;
    if (a->archive != b->archive) return a->archive < b->archive ? -1 : 1;
    return a->offset < b->offset ? -1 : a->offset > b->offset;
}

/* The later one counts, as it does for programs that unpack. Returns how many were dropped. */
static int64_t drop_repeated(PfArchive *archive)
{
    size_t kept = 0;
    int64_t files = 0;
    for (size_t i = 0; i < archive->count; i++) {
        PfMember *member = archive->members[i];
        bool is_last =
            i + 1 == archive->count || strcmp(member->path, archive->members[i + 1]->path);
        if (is_last)
            archive->members[kept++] = member;
        else
            files += !is_folder(member);
    }
    archive->count = kept;
    return files;
}

int pf_shards_sort(PfDataset *dataset, PfError *err)
{
    PfShards *shards = dataset->of_format;
    int64_t repeated = 0;
    for (size_t i = 0; i < shards->count; i++) {
        PfArchive *archive = shards->files[i].archive;
        for (size_t m = 0; m < archive->count; m++) archive->members[m]->archive = (uint32_t)i;
        if (archive->count)
            qsort(archive->members, archive->count, sizeof *archive->members, compare_members);
        repeated += drop_repeated(archive);
    }
    if (!repeated) return 0;
    return pf_dataset_warn(dataset, err,
                           "members that their archive has once more later on, left out: %lld",
                           (long long)repeated);
}

/* ==== the folder around everything ==== */

/* Whether a member counts there: an image by its name, where there are such, else any file. */
static bool counts(const PfMember *member, bool images_alone)
{
    const char *slash = strrchr(member->path, '/');
    const char *name = slash ? slash + 1 : member->path;
    if (member->path[0] == '.' || !*name) return false;
    return !images_alone || (name[0] != '.' && pf_dataset_is_image_name(name));
}

/* The first part of the names of all that count, with its '/'; 0: there is no such. */
static size_t find_common(const PfShards *shards, bool images_alone, const char **folder)
{
    size_t length = 0;
    for (size_t i = 0; i < shards->count; i++) {
        const PfArchive *archive = shards->files[i].archive;
        for (size_t m = 0; m < archive->count; m++) {
            const PfMember *member = archive->members[m];
            const char *slash = strchr(member->path, '/');
            if (!counts(member, images_alone)) continue;
            if (!slash) return 0;
            size_t own = (size_t)(slash + 1 - member->path);
            if (length && (own != length || memcmp(member->path, *folder, own))) return 0;
            length = own;
            *folder = member->path;
        }
    }
    return length;
}

static bool has_images(const PfShards *shards)
{
    for (size_t i = 0; i < shards->count; i++)
        for (size_t m = 0; m < shards->files[i].archive->count; m++)
            if (counts(shards->files[i].archive->members[m], true)) return true;
    return false;
}

/* Whether all that count lie in a folder below that, whose name has so many bytes. The archives of
 * other shards may have other folders beside it: it is a class then. */
static bool have_folders(const PfShards *shards, bool images_alone, size_t length)
{
    for (size_t i = 0; i < shards->count; i++)
        for (size_t m = 0; m < shards->files[i].archive->count; m++) {
            const PfMember *member = shards->files[i].archive->members[m];
            if (counts(member, images_alone) && !strchr(member->path + length, '/')) return false;
        }
    return true;
}

/* What lies beside the folder keeps its name. */
static void strip(PfArchive *archive, const char *folder, size_t length)
{
    size_t kept = 0;
    for (size_t m = 0; m < archive->count; m++) {
        PfMember *member = archive->members[m];
        bool is_inside = !strncmp(member->path, folder, length);
        if (is_inside && !member->path[length]) continue; /* the folder itself */
        if (is_inside)
            memmove(member->path, member->path + length, strlen(member->path + length) + 1);
        archive->members[kept++] = member;
    }
    archive->count = kept;
    if (kept) qsort(archive->members, kept, sizeof *archive->members, compare_members);
    /* A file beside the folder may now be called as one in it. */
    drop_repeated(archive);
}

int pf_shards_strip_folder(PfDataset *dataset, PfError *err)
{
    PfShards *shards = dataset->of_format;
    const char *folder = NULL;
    char name[NAME_SIZE];
    bool images_alone = has_images(shards);
    for (size_t length; (length = find_common(shards, images_alone, &folder)) != 0;) {
        memcpy(name, folder, length - 1);
        name[length - 1] = '\0';
        if (pf_dataset_split_of_name(name, false) >= 0) return 0;
        if (shards->is_part && !have_folders(shards, images_alone, length)) return 0;
        if (pf_dataset_remark(dataset, err, "all images lie in '%s'; names are those inside it",
                              name))
            return -1;
        name[length - 1] = '/';
        name[length] = '\0';
        for (size_t i = 0; i < shards->count; i++) strip(shards->files[i].archive, name, length);
    }
    return 0;
}

/* ==== splits by the names of archives ==== */

static bool is_number_end(char letter)
{
    return letter >= '0' && letter <= '9';
}

/* The archive's name without folders, endings and numbers: of "x/train-00000-of-00128.tar.gz"
 * "train". */
static void find_stem(const char *path, char *stem, size_t size)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t length = pf_archive_stem_length(name);
    bool has_number = true;
    while (has_number) {
        size_t end = length;
        while (end && is_number_end(name[end - 1])) end--;
        has_number = end < length;
        if (has_number) length = end;
        if (has_number && length > 4 && !memcmp(name + length - 4, "-of-", 4)) length -= 3;
        while (has_number && length && strchr("-_.", name[length - 1])) length--;
    }
    snprintf(stem, size, "%.*s", (int)length, name);
}

/* Of the archive's name, else of the folder that it lies in. */
static int split_of_archive(const char *path)
{
    char stem[256];
    const char *end = strrchr(path, '/'), *from = end;
    find_stem(path, stem, sizeof stem);
    int split = pf_dataset_split_of_name(stem, true);
    if (split >= 0 || !end) return split;
    while (from > path && from[-1] != '/') from--;
    snprintf(stem, sizeof stem, "%.*s", (int)(end - from), from);
    return pf_dataset_split_of_name(stem, true);
}

void pf_shards_find_splits(PfShards *shards)
{
    unsigned seen = 0;
    shards->has_splits = true;
    for (size_t i = 0; i < shards->count; i++)
        shards->files[i].split = split_of_archive(shards->files[i].archive->path);
    for (size_t i = 0; i < shards->count + shards->all_count; i++) {
        int split = i < shards->count ? shards->files[i].split
                                      : split_of_archive(shards->all_names[i - shards->count]);
        shards->has_splits &= split >= 0;
        if (split >= 0) seen |= 1u << split;
    }
    shards->has_splits &= (seen & (seen - 1)) != 0; /* two different ones at least */
}

/* ==== one tree ==== */

static PfMember *rename_member(PfDataset *dataset, const PfMember *member, const char *prefix,
                               size_t length, PfError *err)
{
    size_t size = strlen(member->path) + 1;
    PfMember *copy = pf_arena_allocate(&dataset->texts, offsetof(PfMember, path) + length + size,
                                       _Alignof(PfMember), err);
    if (!copy) return NULL;
    memcpy(copy, member, offsetof(PfMember, path));
    memcpy(copy->path, prefix, length);
    memcpy(copy->path + length, member->path, size);
    return copy;
}

/* Whether all files of an archive lie in a folder of its split already. */
static bool has_split_folder(const PfShardFile *file)
{
    char name[NAME_SIZE];
    for (size_t m = 0; m < file->archive->count; m++) {
        const char *path = file->archive->members[m]->path, *slash = strchr(path, '/');
        if (path[0] == '.') continue;
        if (!slash) return false;
        memcpy(name, path, (size_t)(slash - path));
        name[slash - path] = '\0';
        if (pf_dataset_split_of_name(name, true) != file->split) return false;
    }
    return true;
}

static int put_into_split(PfDataset *dataset, PfShardFile *file, PfError *err)
{
    char folder[16];
    PfArchive *archive = file->archive;
    int length = snprintf(folder, sizeof folder, "%s/", pf_split_names[file->split]);
    for (size_t m = 0; m < archive->count; m++) {
        archive->members[m] =
            rename_member(dataset, archive->members[m], folder, (size_t)length, err);
        if (!archive->members[m]) return -1;
    }
    return 0;
}

static int gather(PfShards *shards, PfError *err)
{
    size_t total = 0;
    for (size_t i = 0; i < shards->count; i++) total += shards->files[i].archive->count;
    shards->members = pf_calloc(total, sizeof *shards->members, err);
    if (!shards->members) return -1;
    for (size_t i = 0; i < shards->count; i++) {
        PfArchive *archive = shards->files[i].archive;
        if (archive->count)
            memcpy(shards->members + shards->member_count, archive->members,
                   archive->count * sizeof *archive->members);
        shards->member_count += archive->count;
        free(archive->members);
        archive->members = NULL;
        archive->count = archive->capacity = 0;
    }
    if (total) qsort(shards->members, total, sizeof *shards->members, compare_members);
    return 0;
}

static bool share_a_name(const PfMember *a, const PfMember *b)
{
    return !strcmp(pf_shards_name(a), pf_shards_name(b));
}

const char *pf_shards_name_by_archive(PfDataset *dataset, const char *path, PfError *err)
{
    const PfShards *shards = dataset->of_format;
    const PfMember *member = pf_shards_member(path);
    const char *name = shards->files[member->archive].name;
    char prefix[NAME_SIZE];
    int length = snprintf(prefix, sizeof prefix, "%s#", name);
    if (length >= (int)sizeof prefix) {
        pf_fail(err, PF_EXIT_FAILED, "the archive's name '%s' is too long", name);
        return NULL;
    }
    PfMember *renamed = rename_member(dataset, member, prefix, (size_t)length, err);
    if (!renamed) return NULL;
    renamed->name = (uint16_t)length;
    return renamed->path;
}

int pf_shards_tell_renamed(PfDataset *dataset, int64_t renamed, PfError *err)
{
    const PfShards *shards = dataset->of_format;
    if (!renamed) return 0;
    if (shards->is_part)
        return pf_dataset_remark(dataset, err,
                                 "names have that of their archive in front (as '%s#...'): other "
                                 "shards may have the same",
                                 shards->files[0].name);
    return pf_dataset_remark(dataset, err,
                             "names that several archives have, given that of their archive (as "
                             "'%s#...'): %lld",
                             shards->files[0].name, (long long)renamed);
}

static int name_by_archive(PfDataset *dataset, const PfMember **member, PfError *err)
{
    const char *path = pf_shards_name_by_archive(dataset, (*member)->path, err);
    if (path) *member = pf_shards_member(path);
    return path ? 0 : -1;
}

/* Folders may be in many archives, and are one. */
static int tell_apart(PfDataset *dataset, int64_t *renamed, PfError *err)
{
    PfShards *shards = dataset->of_format;
    for (size_t i = 0, end; i < shards->member_count; i = end) {
        for (end = i + 1;
             end < shards->member_count && share_a_name(shards->members[i], shards->members[end]);)
            end++;
        if ((end == i + 1 && !shards->is_part) || is_folder(shards->members[i])) continue;
        for (size_t m = i; m < end; m++)
            if (name_by_archive(dataset, &shards->members[m], err)) return -1;
        *renamed += (int64_t)(end - i);
    }
    return 0;
}

int pf_shards_build_tree(PfDataset *dataset, PfError *err)
{
    PfShards *shards = dataset->of_format;
    int64_t renamed = 0;
    for (size_t i = 0; shards->has_splits && i < shards->count; i++)
        if (!has_split_folder(&shards->files[i]) && put_into_split(dataset, &shards->files[i], err))
            return -1;
    if (gather(shards, err) || tell_apart(dataset, &renamed, err)) return -1;
    return pf_shards_tell_renamed(dataset, renamed, err);
}

/* ==== as the dataset asks for it ==== */

/* The first of the members from `from` on, of which the last is before `end`, whose name is not
 * before the prefix; behind: the first that is behind all that begin with it. */
static size_t find_place(const PfShards *shards, size_t from, size_t end, const char *prefix,
                         size_t length, bool behind)
{
    while (from < end) {
        size_t middle = from + (end - from) / 2;
        int order = strncmp(pf_shards_name(shards->members[middle]), prefix, length);
        if (order < 0 || (behind && !order))
            from = middle + 1;
        else
            end = middle;
    }
    return from;
}

static int visit_tree(const PfDataset *dataset, const char *folder, PfTreeVisit visit,
                      void *context, PfError *err)
{
    const PfShards *shards = dataset->of_format;
    char prefix[NAME_SIZE * 2];
    size_t length = strlen(folder);
    if (length >= NAME_SIZE - 1) return 0;
    memcpy(prefix, folder, length);
    if (length && prefix[length - 1] != '/') prefix[length++] = '/';
    size_t at = find_place(shards, 0, shards->member_count, prefix, length, false);
    size_t end = find_place(shards, at, shards->member_count, prefix, length, true);
    int status = 0;
    while (at < end && !status) {
        const PfMember *member = shards->members[at];
        const char *name = pf_shards_name(member) + length, *slash = strchr(name, '/');
        if (slash) {
            size_t size = (size_t)(slash - name);
            memcpy(prefix + length, name, size + 1);
            at = find_place(shards, at, end, prefix, length + size + 1, true);
            prefix[length + size] = '\0';
            status = visit(context, prefix + length, NULL, err);
        } else {
            at++;
            if (*name) status = visit(context, name, member->path, err);
        }
    }
    return status;
}

static size_t read_front(const PfDataset *dataset, const char *path, uint8_t *bytes, size_t size)
{
    const PfShards *shards = dataset->of_format;
    const PfMember *member = pf_shards_member(path);
    PfError ignored;
    if ((int64_t)size > member->size) size = (size_t)member->size;
    return pf_archive_read(shards->files[member->archive].archive, member, bytes, size, &ignored)
               ? 0
               : size;
}

static bool has_file(const PfDataset *dataset, const struct stat *file)
{
    const PfShards *shards = dataset->of_format;
    for (size_t i = 0; i < shards->count; i++)
        if (pf_path_same_file(&shards->files[i].file, file)) return true;
    return false;
}

const PfDatasetTree pf_shards_tree = {visit_tree, read_front, has_file};
