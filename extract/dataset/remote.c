/* Archives at addresses. Each is fetched whole into a file, from its beginning to its end, and read
 * from there as any archive is: docs/design/0060. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/base/address.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/size_text.h"
#include "common/fetch/download.h"
#include "common/fetch/object.h"
#include "extract/dataset/archives.h"

/* A file's name: digits of the SHA-256 of what it is a version of. A server chooses a part of that,
 * and must not meet the name of another's file. Before they were 16, of a weaker hash. */
#define DIGITS 32
#define DIGITS_BEFORE 16

typedef struct Fetching {
    PfDataset *dataset;
    const PfDatasetOptions *options;
    PfArchiveList addresses; /* of all shards */
    size_t first, count;     /* which of them are this one's */
    PfS3 s3;
    PfObject *objects;                 /* (count) */
    char version[PF_SHA256_TEXT_SIZE]; /* pf_dataset_fetched_version */
} Fetching;

/* ---- which ---- */

/* As evenly as whole archives go. */
static int choose_part(Fetching *fetching, PfError *err)
{
    const PfShard shard = fetching->options->shard;
    const int64_t all = (int64_t)fetching->addresses.count;
    fetching->count = fetching->addresses.count;
    if (!shard.count) return 0;
    if (fetching->options->sample)
        return pf_fail(err, PF_EXIT_USAGE,
                       "--sample with --shard: of archives at addresses a shard reads its own "
                       "only, and which images a sample of all has is not known from them");
    if (shard.count > all)
        return pf_fail(err, PF_EXIT_USAGE,
                       "--shard %lld/%lld: there are only %lld archives, and a shard has one of "
                       "them at least, as no archive is fetched by two",
                       (long long)shard.number, (long long)shard.count, (long long)all);
    fetching->first = (size_t)((shard.number - 1) * all / shard.count);
    fetching->count = (size_t)(shard.number * all / shard.count) - fetching->first;
    return 0;
}

static int note_names(Fetching *fetching, PfShards *shards, PfError *err)
{
    const PfArchiveList *addresses = &fetching->addresses;
    PfSha256 *sha256 = pf_sha256_new(err);
    shards->all_names = pf_calloc(addresses->count, sizeof *shards->all_names, err);
    int failed = !sha256 || !shards->all_names;
    if (!failed) pf_sha256_reset(sha256);
    for (size_t i = 0; i < addresses->count && !failed; i++) {
        char *name = shards->all_names[i] = pf_address_shown(addresses->paths[i], err);
        failed = !name;
        if (name) pf_sha256_add(sha256, name, strlen(name) + 1);
        if (name) shards->all_count++;
    }
    shards->is_part = shards->count < addresses->count;
    fetching->dataset->is_own_part = fetching->options->shard.count > 0;
    if (!failed && fetching->dataset->is_own_part)
        pf_sha256_text(sha256, fetching->dataset->listing);
    free(sha256);
    return failed ? -1 : 0;
}

/* ---- what there is ---- */

static int check_form(const PfObject *object, const uint8_t *head, size_t size, PfError *err)
{
    static const uint8_t zeros[PF_ARCHIVE_HEAD_BYTES];
    if (pf_archive_tell(head, size) != PF_ARCHIVE_NONE) return 0;
    if (size == sizeof zeros && !memcmp(head, zeros, size)) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "%s begins neither as a .tar nor as a .zip, and nothing else is fetched",
                   object->shown);
}

static int look_at_all(Fetching *fetching, PfError *err)
{
    for (size_t i = 0; i < fetching->count; i++) {
        uint8_t head[PF_OBJECT_HEAD_BYTES];
        size_t size = 0;
        PfObject *object = &fetching->objects[i];
        if (pf_object_look(fetching->addresses.paths[fetching->first + i], &fetching->s3,
                           fetching->options->interrupted, object, head, &size, err) ||
            check_form(object, head, size, err))
            return -1;
    }
    return 0;
}

/* What a server says of a version; NULL: nothing. */
static const char *version_of(const PfObject *object)
{
    return object->etag ? object->etag : object->modified;
}

static int find_version(Fetching *fetching, PfError *err)
{
    PfSha256 *sha256 = pf_sha256_new(err);
    bool is_known = true;
    if (!sha256) return -1;
    pf_sha256_reset(sha256);
    for (size_t i = 0; i < fetching->count && is_known; i++) {
        const PfObject *object = &fetching->objects[i];
        is_known = version_of(object) != NULL;
        if (!is_known) continue;
        pf_sha256_add(sha256, object->shown, strlen(object->shown) + 1);
        pf_sha256_add(sha256, &object->size, sizeof object->size);
        pf_sha256_add(sha256, version_of(object), strlen(version_of(object)) + 1);
    }
    if (is_known) pf_sha256_text(sha256, fetching->version);
    free(sha256);
    return 0;
}

/* A stamp of that version: no two have the same, as far as the server tells them apart. */
static PfFileStamp stamp_of(const PfObject *object)
{
    PfFileStamp stamp = {.size_bytes = object->size > 0 ? (uint64_t)object->size : 0};
    if (!version_of(object)) return stamp;
    stamp.mtime_ns = (int64_t)(pf_digest_xxh64_text(version_of(object)) >> 1) | 1;
    return stamp;
}

/* ---- where it goes ---- */

static char *default_folder(PfError *err)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (cache && *cache == '/') return pf_asprintf(err, "%s/permafrost/fetched", cache);
    if (home && *home == '/') return pf_asprintf(err, "%s/.cache/permafrost/fetched", home);
    pf_fail(err, PF_EXIT_FAILED,
            "no place for what is fetched: neither XDG_CACHE_HOME nor HOME is an absolute path");
    return NULL;
}

static char *file_path(const PfShards *shards, const PfObject *object, PfError *err)
{
    const char *version = version_of(object);
    char *text = pf_asprintf(err, "%s %lld %s", object->shown, (long long)object->size,
                             version ? version : "");
    char sha256[PF_SHA256_TEXT_SIZE];
    if (!text) return NULL;
    pf_digest_sha256_text(text, strlen(text), sha256);
    free(text);
    return pf_asprintf(err, "%s/%.*s", shards->fetched_folder, DIGITS, sha256);
}

/* What was fetched of a version that nobody can tell from another is not believed. */
static void drop_unknown(const PfObject *object, const char *path)
{
    if (!version_of(object)) unlink(path);
}

static int choose_paths(const Fetching *fetching, PfShards *shards, PfError *err)
{
    const char *given = fetching->options->fetch_folder;
    shards->fetched_folder = given ? pf_strdup(given, err) : default_folder(err);
    shards->is_own_folder = given != NULL;
    shards->fetched = pf_calloc(shards->count, sizeof *shards->fetched, err);
    if (!shards->fetched_folder || !shards->fetched) return -1;
    for (size_t i = 0; i < shards->count; i++) {
        shards->fetched[i] = file_path(shards, &fetching->objects[i], err);
        if (!shards->fetched[i]) return -1;
        drop_unknown(&fetching->objects[i], shards->fetched[i]);
        shards->files[i].stamp = stamp_of(&fetching->objects[i]);
    }
    return pf_download_make_folders(shards->fetched[0], err);
}

static int64_t size_of_file(const char *path)
{
    struct stat status;
    return stat(path, &status) ? 0 : status.st_size;
}

/* Bytes that are there already, of this archive. */
static int64_t size_there(const char *path)
{
    char *part = pf_asprintf(NULL, "%s.incomplete", path);
    const int64_t size = size_of_file(path);
    const int64_t more = part && !size ? size_of_file(part) : 0;
    free(part);
    return size + more;
}

/* Servers say the sizes, whatever they are: together they may be more than there are numbers. */
static int add_size(const Fetching *fetching, int64_t size, int64_t *total, PfError *err)
{
    if (size <= 0 || !__builtin_add_overflow(*total, size, total)) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "%s: the servers say sizes that are more than %lld bytes together; expected "
                   "archives that a disk can hold",
                   fetching->dataset->root, (long long)INT64_MAX);
}

/* Says how much it is, and fails where the disk cannot hold it. */
static int check_sizes(const Fetching *fetching, const PfShards *shards, PfError *err)
{
    int64_t total = 0, there = 0;
    bool is_known = true;
    struct statvfs disk;
    char text[PF_SIZE_TEXT], more[PF_SIZE_TEXT];
    for (size_t i = 0; i < shards->count; i++) {
        is_known &= fetching->objects[i].size >= 0;
        if (add_size(fetching, fetching->objects[i].size, &total, err)) return -1;
        there += size_there(shards->fetched[i]);
    }
    pf_say("%s: %zu of %zu archives, %s%s, %s of them there, into '%s' until they are done with",
           fetching->dataset->root, shards->count, fetching->addresses.count,
           is_known ? "" : "more than ", pf_size_text(total, text), pf_size_text(there, more),
           shards->fetched_folder);
    if (statvfs(shards->fetched_folder, &disk)) return 0;
    const double left = (double)disk.f_bavail * (double)disk.f_frsize;
    if ((double)(total - there) <= left) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s': %s more are needed, and %s are left on that disk. Hint: with --shard "
                   "any/%zu only one archive is there at a time",
                   shards->fetched_folder, pf_size_text(total - there, text),
                   pf_size_text((int64_t)left, more), fetching->addresses.count);
}

/* ---- all of it ---- */

static int fetch_all(const Fetching *fetching, PfShards *shards, PfError *err)
{
    for (size_t i = 0; i < shards->count; i++)
        if (pf_object_fetch(&fetching->objects[i], shards->fetched[i],
                            fetching->options->interrupted, err))
            return -1;
    return 0;
}

static int open_s3(Fetching *fetching, PfError *err)
{
    bool is_s3 = false;
    for (size_t i = 0; i < fetching->addresses.count; i++) {
        if (!pf_address_is(fetching->addresses.paths[i]))
            return pf_fail(err, PF_EXIT_USAGE, "'%s' is no address as the others are",
                           fetching->addresses.paths[i]);
        is_s3 |= pf_address_is_s3(fetching->addresses.paths[i]);
    }
    if (!is_s3) return 0;
    if (pf_s3_open(&fetching->s3, err)) return -1;
    pf_say("s3: %s%s, region %s, %s", fetching->s3.endpoint ? "at " : "Amazon",
           fetching->s3.endpoint ? fetching->s3.endpoint : "", fetching->s3.region,
           fetching->s3.key ? "requests are signed"
                            : "no keys (AWS_ACCESS_KEY_ID, AWS_PROFILE): requests are not signed");
    return 0;
}

/* Which archives there are, and which versions of them. */
static int look(Fetching *fetching, const char *operand, PfError *err)
{
    if (!fetching->options->may_fetch)
        return pf_fail(err, PF_EXIT_USAGE,
                       "'%s' is an address, and nothing is fetched that was not typed", operand);
    if (pf_archive_list_operand(operand, &fetching->addresses, err) || choose_part(fetching, err) ||
        open_s3(fetching, err))
        return -1;
    fetching->objects = pf_calloc(fetching->count, sizeof *fetching->objects, err);
    return !fetching->objects || look_at_all(fetching, err) || find_version(fetching, err) ? -1 : 0;
}

static void release(Fetching *fetching)
{
    for (size_t i = 0; fetching->objects && i < fetching->count; i++)
        pf_object_free(&fetching->objects[i]);
    free(fetching->objects);
    pf_archive_list_free(&fetching->addresses);
    pf_s3_free(&fetching->s3);
}

static int fetch(Fetching *fetching, const char *operand, PfError *err)
{
    PfDataset *dataset = fetching->dataset;
    if (look(fetching, operand, err) || pf_shards_allocate(dataset, fetching->count, err))
        return -1;
    PfShards *shards = dataset->of_format;
    shards->first = fetching->first;
    memcpy(shards->version, fetching->version, sizeof shards->version);
    dataset->root = pf_address_shown(operand, err);
    return !dataset->root || note_names(fetching, shards, err) ||
                   choose_paths(fetching, shards, err) || check_sizes(fetching, shards, err) ||
                   fetch_all(fetching, shards, err)
               ? -1
               : 0;
}

int pf_shards_fetch(PfDataset *dataset, const char *operand, const PfDatasetOptions *options,
                    PfError *err)
{
    Fetching fetching = {.dataset = dataset, .options = options};
    int failed = fetch(&fetching, operand, err);
    release(&fetching);
    return failed ? -1 : 0;
}

int pf_dataset_look_at_addresses(const char *operand, const PfDatasetOptions *options,
                                 char version[PF_SHA256_TEXT_SIZE], PfError *err)
{
    Fetching fetching = {.options = options};
    int failed = look(&fetching, operand, err);
    memcpy(version, fetching.version, sizeof fetching.version);
    release(&fetching);
    return failed ? -1 : 0;
}

void pf_shards_free_fetched(PfShards *shards)
{
    for (size_t i = 0; shards->fetched && i < shards->count; i++) free(shards->fetched[i]);
    for (size_t i = 0; i < shards->all_count; i++) free(shards->all_names[i]);
    free(shards->fetched);
    free(shards->all_names);
    free(shards->fetched_folder);
    shards->fetched = shards->all_names = NULL;
    shards->fetched_folder = NULL;
    shards->all_count = 0;
}

/* Of versions that were there before. */
static bool is_left_over(const char *name)
{
    const size_t digits = strspn(name, "0123456789abcdef");
    return (digits == DIGITS || digits == DIGITS_BEFORE) &&
           (!name[digits] || !strcmp(name + digits, ".incomplete"));
}

void pf_shards_remove_fetched(PfDataset *dataset)
{
    const PfShards *shards = dataset->of_format;
    if (!shards || !shards->fetched) return;
    for (size_t i = 0; i < shards->count; i++) unlink(shards->fetched[i]);
    DIR *folder = shards->is_own_folder ? opendir(shards->fetched_folder) : NULL;
    const struct dirent *entry;
    while (folder && (entry = readdir(folder)) != NULL)
        if (is_left_over(entry->d_name)) unlinkat(dirfd(folder), entry->d_name, 0);
    if (folder) closedir(folder);
    rmdir(shards->fetched_folder);
}
