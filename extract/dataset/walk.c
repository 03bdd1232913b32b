/* Folders: which images lie in them, listed in the order of torchvision's make_dataset, and what
 * else does. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/file/input_file.h"
#include "common/file/path.h"
#include "extract/dataset/format.h"
#include "extract/image/image.h"

/* What lies in a folder. */
typedef struct Entry {
    int folder_fd; /* of the folder that it lies in; -1 in an archive */
    const char *name;
    bool is_folder;
    const struct stat *target; /* of a link to a folder; else NULL */
    const char *path;          /* a file's in an archive, in the dataset's texts; else NULL */
} Entry;

/* ==== files whose names do not end like an image's ==== */

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

/* What operating systems leave behind in folders, beside hidden files. */
static const char *const litter[] = {"Thumbs.db", "ehthumbs.db", "desktop.ini", "Icon\r", NULL};

static bool is_one_of(const char *name, const char *const *names)
{
    for (; *names; names++)
        if (!strcasecmp(name, *names)) return true;
    return false;
}

/* What follows the last dot of a name; "" where there is none. */
static const char *ending_of(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot ? dot + 1 : "";
}

/* ---- by content ---- */

/* The file's first bytes, at most `size`: how many; 0 or less where it cannot be read. */
static ssize_t read_front(const PfDataset *dataset, const Entry *entry, uint8_t *bytes, size_t size)
{
    struct stat status;
    if (entry->path) return (ssize_t)dataset->format->tree->read(dataset, entry->path, bytes, size);
    int fd = pf_input_file_try(entry->folder_fd, entry->name, &status);
    if (fd < 0) return -1;
    ssize_t got = read(fd, bytes, size);
    close(fd);
    return got;
}

/* The format that the file's first bytes tell; NULL where it cannot be read, or they tell none. */
static const char *look_inside(const PfDataset *dataset, const Entry *entry, bool *is_decoded)
{
    uint8_t bytes[PF_IMAGE_SIGNATURE_BYTES];
    *is_decoded = false;
    ssize_t got = read_front(dataset, entry, bytes, sizeof bytes);
    return got > 0 ? pf_image_format_name(bytes, (size_t)got, is_decoded) : NULL;
}

/* ---- tables ---- */

/* Tables may say what the images are, as Hugging Face's metadata.csv does. */
static bool is_table(const char *name)
{
    static const char *const table_endings[] = {"csv", "tsv", "jsonl", "parquet", "xlsx", NULL};
    return is_one_of(ending_of(name), table_endings);
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

static bool is_plain_ending(const char *ending)
{
    size_t length = strlen(ending);
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)ending[i])) return false;
    return length && length <= 8;
}

/* "HEIC", ".txt", "without an ending" */
static void name_kind(const char *file, const char *format, PfFileKind *kind)
{
    const char *ending = ending_of(file);
    bool is_picture_ending = is_one_of(ending, picture_endings);
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
    if (is_table(name) && pf_names_add(&dataset->tables, folder, name, err)) return -1;
    if (dataset->ignored_count++) return 0;
    dataset->first_ignored = pf_dataset_join(dataset, folder, name, err);
    return dataset->first_ignored ? 0 : -1;
}

/* What look_inside says, but files with one of other_endings are not opened. */
static const char *format_of(const PfDataset *dataset, const Entry *entry, bool *is_decoded)
{
    *is_decoded = false;
    return is_one_of(ending_of(entry->name), other_endings)
               ? NULL
               : look_inside(dataset, entry, is_decoded);
}

static bool is_litter(const char *name)
{
    return name[0] == '.' || is_one_of(name, litter);
}

/* A file whose name does not end like an image's: 1 where its first bytes say that it is one, else
 * it is counted by its kind, and 0. */
static int look_at_file(PfDataset *dataset, const char *folder, const Entry *entry, PfError *err)
{
    bool is_decoded;
    if (is_litter(entry->name)) return 0;
    const char *format = format_of(dataset, entry, &is_decoded);
    if (!is_decoded) return count_file(dataset, folder, entry->name, format, err);
    return pf_names_add(&dataset->by_content, folder, entry->name, err) ? -1 : 1;
}

/* The same of one that is left out in any case: images are counted elsewhere. 0, or -1. */
static int count_beside(PfDataset *dataset, const char *folder, const Entry *entry, PfError *err)
{
    bool is_decoded;
    if (is_litter(entry->name)) return 0;
    const char *format = format_of(dataset, entry, &is_decoded);
    return is_decoded ? 0 : count_file(dataset, folder, entry->name, format, err);
}

/* Whether it is an image by its first bytes; counts nothing. */
static bool is_image_inside(const PfDataset *dataset, const Entry *entry)
{
    bool is_decoded;
    if (is_litter(entry->name)) return false;
    format_of(dataset, entry, &is_decoded);
    return is_decoded;
}

bool pf_dataset_member_has_image(const PfDataset *dataset, const char *name, const char *path)
{
    Entry entry = {.folder_fd = -1, .name = name, .path = path};
    return is_image_inside(dataset, &entry);
}

int pf_dataset_count_member(PfDataset *dataset, const char *folder, const char *name,
                            const char *path, PfError *err)
{
    Entry entry = {.folder_fd = -1, .name = name, .path = path};
    return count_beside(dataset, folder, &entry, err);
}

/* ==== images, and folders ==== */

/* torchvision.datasets.folder.IMG_EXTENSIONS */
static const char extensions[] = ".jpg .jpeg .png .ppm .bmp .pgm .tif .tiff .webp";

const char *pf_dataset_extensions(void)
{
    return extensions;
}

bool pf_dataset_is_image_name(const char *name)
{
    const char *dot = strrchr(name, '.');
    size_t size = dot ? strlen(dot) : 0, length;
    for (const char *at = extensions; size && *at; at += length + (at[length] == ' ')) {
        length = strcspn(at, " ");
        if (length == size && !strncasecmp(at, dot, size)) return true;
    }
    return false;
}

/* ---- one folder ---- */

typedef int (*Visit)(void *context, const Entry *entry, PfError *err);

/* What a file system keeps for itself in its root, where users may not look. */
static bool is_of_file_system(const char *folder)
{
    static const char *const names[] = {"lost+found", "System Volume Information", "$RECYCLE.BIN",
                                        NULL};
    const char *slash = strrchr(folder, '/');
    return is_one_of(slash ? slash + 1 : folder, names);
}

/* Images that may not be read are not the same as images that are not there: left out, a folder
 * would lose its rows from a cache that has them. */
static int fail_closed(const PfDataset *dataset, const char *folder, PfError *err)
{
    return pf_fail(err, PF_EXIT_FAILED,
                   "dataset '%s': folder '%s' cannot be read: %s. Expected one that may be listed "
                   "and entered, as its images belong to the dataset.\nHint: make it readable "
                   "(chmod u+rx), or move it out of the dataset",
                   dataset->root, folder, strerror(errno));
}

/* A folder that is gone is noted and left out, and so is what belongs to the file system. Any other
 * error ends the run: a folder that may not be read, or a system that is short of something, must
 * not make a dataset smaller. */
static int leave_out(PfDataset *dataset, const char *folder, PfError *err)
{
    bool is_closed = errno == EACCES || errno == EPERM;
    bool is_gone = errno == ENOENT || errno == ENOTDIR;
    if (!*folder) folder = ".";
    if (is_gone || (is_closed && is_of_file_system(folder)))
        return pf_dataset_note(dataset, PF_NOTE_UNREADABLE, "", folder, err);
    if (is_closed) return fail_closed(dataset, folder, err);
    return pf_fail_errno(err, "cannot read folder '%s' of '%s'", folder, dataset->root);
}

/* What a link leads to. A link to nowhere is a file that cannot be read, as it is for Python, and
 * so is one that is called like an image; any other may lead to a folder. */
static int follow(PfDataset *dataset, const char *folder, Entry *entry, struct stat *target,
                  PfError *err)
{
    if (!fstatat(entry->folder_fd, entry->name, target, 0)) {
        entry->is_folder = S_ISDIR(target->st_mode);
        if (entry->is_folder) entry->target = target;
        return 0;
    }
    bool is_nowhere = errno == ENOENT || errno == ENOTDIR || errno == ELOOP;
    if (is_nowhere || entry->name[0] == '.' || pf_dataset_is_image_name(entry->name)) return 0;
    int reason = errno;
    const char *path = pf_dataset_join(dataset, folder, entry->name, err);
    errno = reason;
    return path ? leave_out(dataset, path, err) : -1;
}

/* The folder that is visited. */
typedef struct Place {
    PfDataset *dataset;
    const char *folder;
    int fd;
} Place;

static int visit_entry(const Place *at, const struct dirent *found, Visit visit, void *context,
                       PfError *err)
{
    if (!strcmp(found->d_name, ".") || !strcmp(found->d_name, "..")) return 0;
    Entry entry = {at->fd, found->d_name, found->d_type == DT_DIR, NULL, NULL};
    struct stat target;
    bool is_unsure = found->d_type == DT_LNK || found->d_type == DT_UNKNOWN;
    if (is_unsure && follow(at->dataset, at->folder, &entry, &target, err)) return -1;
    return visit(context, &entry, err);
}

typedef struct TreeVisit {
    Visit visit;
    void *context;
} TreeVisit;

static int visit_tree_entry(void *context, const char *name, const char *path, PfError *err)
{
    const TreeVisit *to = context;
    Entry entry = {.folder_fd = -1, .name = name, .is_folder = !path, .path = path};
    return to->visit(to->context, &entry, err);
}

/* Calls visit for each entry, in the file system's order, or in that of names in a tree. */
static int visit_folder(PfDataset *dataset, const char *folder, Visit visit, void *context,
                        PfError *err)
{
    TreeVisit to = {visit, context};
    const PfDatasetTree *tree = dataset->format->tree;
    if (tree) return tree->visit(dataset, folder, visit_tree_entry, &to, err);
    int fd = openat(dataset->root_fd, *folder ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (!directory) {
        int status = leave_out(dataset, folder, err);
        if (fd >= 0) close(fd);
        return status;
    }
    const Place at = {dataset, folder, fd};
    int status = 0;
    for (bool is_end = false; !status && !is_end;) {
        errno = 0; /* readdir sets it where NULL is not the end */
        const struct dirent *found = readdir(directory);
        is_end = !found;
        if (found)
            status = visit_entry(&at, found, visit, context, err);
        else if (errno)
            status = leave_out(dataset, folder, err);
    }
    closedir(directory);
    return status;
}

/* ---- links back ---- */

static bool is_same_folder(int root_fd, const char *path, const struct stat *target)
{
    struct stat status;
    return !fstatat(root_fd, path, &status, 0) && pf_path_same_file(&status, target);
}

/* Whether a link found in `folder` leads to that folder or to one above it. */
static bool leads_back(int root_fd, const char *folder, const struct stat *target)
{
    char path[4096]; /* PATH_MAX: what openat took is shorter */
    size_t length = strlen(folder);
    if (length >= sizeof path) return true;
    memcpy(path, folder, length + 1);
    while (*path) {
        if (is_same_folder(root_fd, path, target)) return true;
        char *slash = strrchr(path, '/');
        *(slash ? slash : path) = '\0';
    }
    return is_same_folder(root_fd, ".", target);
}

/* ---- listing ---- */

typedef struct List {
    PfDataset *dataset;
    const char *folder;
    PfListing *listing;
} List;

static int list_entry(void *context, const Entry *entry, PfError *err)
{
    List *list = context;
    PfListing *listing = list->listing;
    bool is_hidden = entry->name[0] == '.';
    if (!entry->is_folder) {
        bool is_image =
            pf_dataset_is_image_name(entry->name) || is_image_inside(list->dataset, entry);
        if (is_hidden || !is_image) return 0;
        return pf_names_add(&listing->images, list->folder, entry->name, err);
    }
    if (is_hidden)
        return pf_dataset_note(list->dataset, PF_NOTE_HIDDEN_FOLDER, list->folder, entry->name,
                               err);
    if (entry->target && leads_back(list->dataset->root_fd, list->folder, entry->target))
        return pf_dataset_note(list->dataset, PF_NOTE_LOOP, list->folder, entry->name, err);
    if (pf_grow(&listing->folders, &listing->folder_capacity, listing->folder_count + 1,
                sizeof *listing->folders, err))
        return -1;
    const char *name = pf_dataset_text(list->dataset, entry->name, strlen(entry->name), err);
    listing->folders[listing->folder_count++] = name;
    return name ? 0 : -1;
}

int pf_dataset_compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int pf_dataset_list_folder(PfDataset *dataset, const char *folder, PfListing *listing, PfError *err)
{
    *listing = (PfListing){0};
    List list = {dataset, folder, listing};
    if (visit_folder(dataset, folder, list_entry, &list, err)) return -1;
    if (listing->folder_count)
        qsort(listing->folders, listing->folder_count, sizeof *listing->folders,
              pf_dataset_compare_names);
    return 0;
}

void pf_listing_free(PfListing *listing)
{
    pf_names_free(&listing->images);
    free(listing->folders);
    *listing = (PfListing){0};
}

/* ---- links ---- */

/* Few links to folders with links in them lead to the same few folders on very many ways. */
#define MOST_LINKED 1000000 /* folders behind links that one dataset may have */
#define MOST_LOOKED 100000  /* that are looked into before that */

static bool is_link(int folder, const char *path)
{
    struct stat status;
    return !fstatat(folder, path, &status, AT_SYMLINK_NOFOLLOW) && S_ISLNK(status.st_mode);
}

/* Some file systems do not say of what kind an entry is: then folders have a target, too. */
static bool is_linked_entry(const Entry *entry)
{
    return entry->target && is_link(entry->folder_fd, entry->name);
}

static bool is_linked_folder(const PfDataset *dataset, const char *folder)
{
    return *folder && !dataset->format->tree && is_link(dataset->root_fd, folder);
}

/* One more folder behind a link, of `most`. */
static int count_linked(const PfDataset *dataset, size_t *count, size_t most, const char *folder,
                        const char *name, PfError *err)
{
    if (++*count <= most) return 0;
    return pf_fail(
        err, PF_EXIT_FAILED,
        "dataset '%s': links lead to more than %zu folders, the last of them '%s/%s'. "
        "Links to folders with links in them make many folders out of a few.\nHint: "
        "remove those that are not meant; or put the images on a list (find photos -name "
        "'*.jpg' | extract - ...)",
        dataset->root, most, folder, name);
}

/* ---- walking ---- */

typedef struct Folder {
    const char *path;
    size_t first, count; /* its own samples */
    bool is_linked;      /* a link leads to it, or to a folder above it */
} Folder;

typedef struct Walk {
    PfDataset *dataset;
    Folder *folders; /* found so far; those from `current` on are still to be visited */
    size_t folder_count, folder_capacity;
    size_t current;
    bool deep;
    int32_t class_index;
    PfSplit split;
} Walk;

static int add_folder(Walk *walk, const char *path, bool is_linked, PfError *err)
{
    if (!path || pf_grow(&walk->folders, &walk->folder_capacity, walk->folder_count + 1,
                         sizeof *walk->folders, err))
        return -1;
    walk->folders[walk->folder_count++] = (Folder){.path = path, .is_linked = is_linked};
    return 0;
}

static int walk_folder_entry(Walk *walk, const char *folder, const Entry *entry, PfError *err)
{
    PfDataset *dataset = walk->dataset;
    if (!walk->deep) return 0;
    if (entry->name[0] == '.')
        return pf_dataset_note(dataset, PF_NOTE_HIDDEN_FOLDER, folder, entry->name, err);
    if (entry->target && leads_back(dataset->root_fd, folder, entry->target))
        return pf_dataset_note(dataset, PF_NOTE_LOOP, folder, entry->name, err);
    bool is_linked = walk->folders[walk->current].is_linked || is_linked_entry(entry);
    if (is_linked &&
        count_linked(dataset, &dataset->linked_folders, MOST_LINKED, folder, entry->name, err))
        return -1;
    return add_folder(walk, pf_dataset_join(dataset, folder, entry->name, err), is_linked, err);
}

static int walk_entry(void *context, const Entry *entry, PfError *err)
{
    Walk *walk = context;
    PfDataset *dataset = walk->dataset;
    const char *folder = walk->folders[walk->current].path;
    if (entry->is_folder) return walk_folder_entry(walk, folder, entry, err);
    int is_image =
        pf_dataset_is_image_name(entry->name) ? 1 : look_at_file(dataset, folder, entry, err);
    if (is_image < 1) return is_image;
    if (entry->name[0] == '.')
        return pf_dataset_note(dataset, PF_NOTE_HIDDEN_IMAGE, folder, entry->name, err);
    const char *path =
        entry->path ? entry->path : pf_dataset_join(dataset, folder, entry->name, err);
    return path ? pf_dataset_add(dataset, path, walk->class_index, walk->split, err) : -1;
}

static int compare_samples(const void *a, const void *b)
{
    return strcmp(((const PfSample *)a)->path, ((const PfSample *)b)->path);
}

static int compare_folders(const void *a, const void *b)
{
    return strcmp(((const Folder *)a)->path, ((const Folder *)b)->path);
}

/* Visits one folder; its samples end up sorted (they share all but the name). */
static int walk_folder(Walk *walk, PfError *err)
{
    PfDataset *dataset = walk->dataset;
    size_t first = dataset->count;
    if (visit_folder(dataset, walk->folders[walk->current].path, walk_entry, walk, err)) return -1;
    Folder *folder = &walk->folders[walk->current];
    folder->first = first;
    folder->count = dataset->count - first;
    if (folder->count)
        qsort(dataset->samples + first, folder->count, sizeof *dataset->samples, compare_samples);
    return 0;
}

/* Puts the folders' samples, which start at `first`, into the order of the
 * folders' paths: "a b" sorts before "a/b", so sorting samples by whole path
 * would not do. */
static int order_folders(Walk *walk, size_t first, PfError *err)
{
    PfDataset *dataset = walk->dataset;
    size_t count = dataset->count - first;
    if (walk->folder_count < 2 || !count) return 0;
    PfSample *ordered = pf_calloc(count, sizeof *ordered, err);
    if (!ordered) return -1;
    qsort(walk->folders, walk->folder_count, sizeof *walk->folders, compare_folders);
    size_t done = 0;
    for (size_t i = 0; i < walk->folder_count; i++) {
        const Folder *folder = &walk->folders[i];
        memcpy(ordered + done, dataset->samples + folder->first, folder->count * sizeof *ordered);
        done += folder->count;
    }
    memcpy(dataset->samples + first, ordered, count * sizeof *ordered);
    free(ordered);
    return 0;
}

int pf_dataset_walk(PfDataset *dataset, const char *folder, bool deep, int32_t class_index,
                    PfSplit split, PfError *err)
{
    Walk walk = {.dataset = dataset, .deep = deep, .class_index = class_index, .split = split};
    size_t first = dataset->count;
    int status = add_folder(&walk, folder, is_linked_folder(dataset, folder), err);
    for (; !status && walk.current < walk.folder_count; walk.current++)
        status = walk_folder(&walk, err);
    if (!status) status = order_folders(&walk, first, err);
    free(walk.folders);
    return status;
}

/* ---- files beside folders ---- */

static int count_entry(void *context, const Entry *entry, PfError *err)
{
    const List *list = context;
    if (entry->is_folder || pf_dataset_is_image_name(entry->name)) return 0;
    return count_beside(list->dataset, list->folder, entry, err);
}

int pf_dataset_count_files(PfDataset *dataset, const char *folder, PfError *err)
{
    List list = {dataset, folder, NULL};
    return visit_folder(dataset, folder, count_entry, &list, err);
}

/* ---- looking ---- */

#define LOOK_DEPTH 16
/* What a visit returns to end the listing without a failure. */
#define ENOUGH 1

typedef struct Look {
    PfDataset *dataset;
    const char *folder;
    int depth;
    bool is_linked; /* as a Folder's */
    PfHoldings *found;
} Look;

static int look_inside_folder(Look *look, PfError *err);

static int look_at_folder(const Look *look, const Entry *entry, PfError *err)
{
    PfDataset *dataset = look->dataset;
    PfHoldings inside = {0}, *found = look->found;
    Look below = {dataset, NULL, look->depth + 1, look->is_linked, &inside};
    if (entry->name[0] == '.' || look->depth == LOOK_DEPTH) return 0;
    if (entry->target && leads_back(dataset->root_fd, look->folder, entry->target)) return 0;
    found->folder_count++;
    if (found->has_folders) return 0;
    below.is_linked |= is_linked_entry(entry);
    if (below.is_linked && count_linked(dataset, &dataset->looked_folders, MOST_LOOKED,
                                        look->folder, entry->name, err))
        return -1;
    below.folder = pf_dataset_join(dataset, look->folder, entry->name, err);
    if (!found->first_folder) found->first_folder = below.folder;
    if (!below.folder || look_inside_folder(&below, err)) return -1;
    found->has_folders = inside.has_images || inside.has_folders;
    return 0;
}

static int look_at_entry(void *context, const Entry *entry, PfError *err)
{
    Look *look = context;
    PfHoldings *found = look->found;
    if (entry->is_folder) {
        if (look_at_folder(look, entry, err)) return -1;
    } else if (!found->has_images && entry->name[0] != '.') {
        found->has_images =
            pf_dataset_is_image_name(entry->name) || is_image_inside(look->dataset, entry);
    }
    bool is_enough = look->depth ? found->has_images || found->has_folders
                                 : found->has_images && found->has_folders;
    return is_enough ? ENOUGH : 0;
}

static int look_inside_folder(Look *look, PfError *err)
{
    PfDataset *dataset = look->dataset;
    if (!dataset->format->tree && is_of_file_system(look->folder)) return 0;
    return visit_folder(dataset, look->folder, look_at_entry, look, err) < 0 ? -1 : 0;
}

static int find_any(void *context, const Entry *entry, PfError *err)
{
    (void)context;
    (void)entry;
    (void)err;
    return ENOUGH;
}

bool pf_dataset_is_folder(PfDataset *dataset, const char *folder)
{
    struct stat status;
    if (dataset->format->tree) return visit_folder(dataset, folder, find_any, NULL, NULL) == ENOUGH;
    return !fstatat(dataset->root_fd, folder, &status, 0) && S_ISDIR(status.st_mode);
}

int pf_dataset_look_into(PfDataset *dataset, const char *folder, PfHoldings *out, PfError *err)
{
    *out = (PfHoldings){0};
    Look look = {dataset, folder, 0, is_linked_folder(dataset, folder), out};
    return look_inside_folder(&look, err);
}
