/* Class folders, train/val/test folders of class folders, and images without
 * labels: all one rule, applied to one or several parts. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/hash_index.h"
#include "common/base/memory.h"
#include "common/cache/split.h"
#include "extract/dataset/format.h"
#include "extract/dataset/split_folders.h"

/* So many classes are told of one by one. */
#define CLASSES_TOLD 10
/* So many images have a word that is taken for their class's name, on average. */
#define IMAGES_OF_A_NAME 4

/* A folder of class folders (or of images without labels), and what it is for. */
typedef struct Part {
    const char *folder; /* relative to the root; "" is the root */
    PfSplit split;
    PfListing listing;
} Part;

typedef struct Parts {
    Part part[PF_SPLIT_COUNT];
    int count;
} Parts;

static bool is_folder(const char *operand)
{
    struct stat status;
    return !stat(operand, &status) && S_ISDIR(status.st_mode);
}

/* ---- parts ---- */

/* Takes the root's listing over: it is the only part. */
static void take_root(PfListing *root, Parts *parts)
{
    parts->part[parts->count++] = (Part){"", PF_SPLIT_TRAIN, *root};
    *root = (PfListing){0};
}

/* What lies beside the splits' folders. */
static int note_others(PfDataset *dataset, const PfListing *root, const PfSplitFolders *folders,
                       PfError *err)
{
    for (size_t i = 0; i < root->folder_count; i++)
        if (!pf_split_folders_has(folders, root->folders[i]) &&
            pf_dataset_note(dataset, PF_NOTE_BESIDE_SPLITS, "", root->folders[i], err))
            return -1;
    return pf_names_merge(&dataset->notes[PF_NOTE_LOOSE_IMAGE], &root->images, err) ||
                   pf_dataset_count_files(dataset, "", err)
               ? -1
               : 0;
}

static int choose_parts(PfDataset *dataset, PfListing *root, const PfDatasetOptions *options,
                        Parts *parts, PfError *err)
{
    PfSplitFolders folders;
    if (pf_split_folders_choose(dataset, root, options, &folders, err)) return -1;
    if (!folders.count) {
        take_root(root, parts);
        return 0;
    }
    for (int i = 0; i < folders.count; i++) {
        Part *part = &parts->part[parts->count++];
        *part = (Part){.folder = folders.folder[i], .split = folders.split[i]};
        if (pf_dataset_list_folder(dataset, part->folder, &part->listing, err)) return -1;
    }
    return note_others(dataset, root, &folders, err);
}

/* ---- classes ---- */

/* The class folders of all parts, sorted, each once. */
static int collect_classes(PfDataset *dataset, const Parts *parts, PfError *err)
{
    size_t total = 0, capacity = 0;
    for (int p = 0; p < parts->count; p++) {
        const PfListing *listing = &parts->part[p].listing;
        if (pf_grow(&dataset->classes, &capacity, total + listing->folder_count,
                    sizeof *dataset->classes, err))
            return -1;
        for (size_t i = 0; i < listing->folder_count; i++)
            dataset->classes[total++] = listing->folders[i];
    }
    if (total) qsort(dataset->classes, total, sizeof *dataset->classes, pf_dataset_compare_names);
    for (size_t i = 0; i < total; i++)
        if (!dataset->class_count ||
            strcmp(dataset->classes[i], dataset->classes[dataset->class_count - 1]))
            dataset->classes[dataset->class_count++] = dataset->classes[i];
    return 0;
}

static int32_t class_of(const PfDataset *dataset, const char *name)
{
    const char **found = bsearch(&name, dataset->classes, (size_t)dataset->class_count,
                                 sizeof *dataset->classes, pf_dataset_compare_names);
    return (int32_t)(found - dataset->classes);
}

static int add_part(PfDataset *dataset, Part *part, PfError *err)
{
    PfListing *listing = &part->listing;
    size_t before = dataset->count;
    for (size_t i = 0; i < listing->folder_count; i++) {
        const char *name = listing->folders[i];
        size_t first = dataset->count;
        int64_t unread = dataset->notes[PF_NOTE_UNREADABLE].count;
        const char *folder = pf_dataset_join(dataset, part->folder, name, err);
        if (!folder ||
            pf_dataset_walk(dataset, folder, true, class_of(dataset, name), part->split, err))
            return -1;
        if (dataset->count == first && dataset->notes[PF_NOTE_UNREADABLE].count == unread &&
            pf_dataset_note(dataset, PF_NOTE_EMPTY_FOLDER, part->folder, name, err))
            return -1;
    }
    if (dataset->count > before)
        return pf_names_merge(&dataset->notes[PF_NOTE_LOOSE_IMAGE], &listing->images, err) ||
                       pf_dataset_count_files(dataset, part->folder, err)
                   ? -1
                   : 0;
    return pf_dataset_walk(dataset, part->folder, false, -1, part->split, err);
}

/* Drops classes without any image and numbers the others anew; notes those
 * that there is nothing to train on. */
static int settle_classes(PfDataset *dataset, PfError *err)
{
    enum { IMAGES = 1, TRAINING_IMAGES = 2 };
    bool trains = dataset->samples[0].split == PF_SPLIT_TRAIN; /* parts come in that order */
    size_t total = (size_t)dataset->class_count;
    unsigned char *seen = pf_calloc(total, 1, err);
    int32_t *renumbered = pf_calloc(total, sizeof *renumbered, err);
    int status = seen && renumbered ? 0 : -1;
    for (size_t i = 0; !status && i < dataset->count; i++) {
        const PfSample *sample = &dataset->samples[i];
        if (sample->class_index < 0) continue;
        seen[sample->class_index] |= sample->split == PF_SPLIT_TRAIN ? TRAINING_IMAGES : IMAGES;
    }
    dataset->class_count = 0;
    for (size_t i = 0; !status && i < total; i++) {
        if (!seen[i]) continue;
        const char *name = dataset->classes[i];
        if (trains && !(seen[i] & TRAINING_IMAGES))
            status = pf_dataset_note(dataset, PF_NOTE_NOT_TRAINED, "", name, err);
        renumbered[i] = dataset->class_count;
        dataset->classes[dataset->class_count++] = name;
    }
    for (size_t i = 0; !status && i < dataset->count; i++)
        if (dataset->samples[i].class_index >= 0)
            dataset->samples[i].class_index = renumbered[dataset->samples[i].class_index];
    free(seen);
    free(renumbered);
    return status;
}

/* One class whose images all lie deeper: most likely the folder above the one meant. */
static int warn_of_single_class(PfDataset *dataset, PfError *err)
{
    if (dataset->class_count != 1) return 0;
    for (size_t i = 0; i < dataset->count; i++) {
        const char *slash = strchr(dataset->samples[i].path, '/');
        if (!slash || !strchr(slash + 1, '/')) return 0;
    }
    const char *name = dataset->classes[0];
    if (dataset->format->tree)
        return pf_dataset_warn(
            dataset, err, "'%s' is the only class; folders inside it are not told apart", name);
    return pf_dataset_warn(dataset, err,
                           "'%s' is the only class; folders inside it are not told apart. "
                           "Did you mean '%s/%s'?",
                           name, dataset->root, name);
}

int pf_dataset_remark_classes(PfDataset *dataset, PfError *err)
{
    char text[CLASSES_TOLD * (PF_CACHE_NAME_SIZE + 24)] = "";
    int count = dataset->class_count, least = 0, most = 0;
    int64_t *sizes = pf_calloc((size_t)count, sizeof *sizes, err);
    if (!sizes) return -1;
    for (size_t i = 0; i < dataset->count; i++)
        if (dataset->samples[i].class_index >= 0) sizes[dataset->samples[i].class_index]++;
    for (int i = 0; i < count; i++) {
        size_t used = strlen(text);
        if (sizes[i] < sizes[least]) least = i;
        if (sizes[i] > sizes[most]) most = i;
        if (count <= CLASSES_TOLD)
            snprintf(text + used, sizeof text - used, "%s%.*s (%" PRId64 ")", i ? ", " : "",
                     PF_CACHE_NAME_SIZE, dataset->classes[i], sizes[i]);
    }
    if (count > CLASSES_TOLD)
        snprintf(text, sizeof text,
                 "%.*s (%" PRId64 ") has the fewest images, %.*s (%" PRId64 ") the most",
                 PF_CACHE_NAME_SIZE, dataset->classes[least], sizes[least], PF_CACHE_NAME_SIZE,
                 dataset->classes[most], sizes[most]);
    free(sizes);
    return pf_dataset_remark(dataset, err, "%d class%s: %s", count,
                             count > 1 ? "es" : ", so that there is nothing to tell apart", text);
}

/* ---- images without labels whose names begin with their classes ---- */

/* The length of "cat" in "dir/cat.12.jpg", "cat_12.jpg" or "cat12.jpg", at *stem; 0 where the name
 * is not made like that. */
static size_t stem_of_name(const char *path, const char **stem)
{
    const char *slash = strrchr(path, '/'), *dot;
    *stem = slash ? slash + 1 : path;
    dot = strrchr(*stem, '.');
    size_t length = dot ? (size_t)(dot - *stem) : strlen(*stem), whole = length;
    while (length && isdigit((unsigned char)(*stem)[length - 1])) length--;
    if (length == whole) return 0;
    while (length && strchr("._- (", (*stem)[length - 1])) length--;
    return length;
}

/* Says so where all names are of a few words with numbers behind them. */
static int remark_names(PfDataset *dataset, PfError *err)
{
    PfTextIndex words = {0};
    int failed = 0;
    bool are_classes = true;
    for (size_t i = 0; i < dataset->count && are_classes && !failed; i++) {
        const char *stem;
        size_t length = stem_of_name(dataset->samples[i].path, &stem);
        are_classes = length && words.count * IMAGES_OF_A_NAME <= dataset->count;
        if (!are_classes || pf_text_index_find(&words, stem, length) >= 0) continue;
        const char *copy = pf_dataset_text(dataset, stem, length, err);
        failed = !copy || pf_text_index_add(&words, copy, err);
    }
    if (!failed && are_classes && words.count > 1 &&
        words.count * IMAGES_OF_A_NAME <= dataset->count)
        failed = pf_dataset_remark(dataset, err,
                                   "names begin with %zu words, such as '%s' and '%s': to train on "
                                   "them, move the images into folders of these names, or list "
                                   "them in a CSV with the columns path and class",
                                   words.count, words.texts[0], words.texts[1]);
    pf_text_index_free(&words);
    return failed ? -1 : 0;
}

/* ---- the format ---- */

static void describe(PfDataset *dataset, const Parts *parts)
{
    const char *what = dataset->class_count ? "class folders" : "images without labels";
    char splits[40] = "";
    size_t used = 0;
    for (int i = 0; *parts->part[0].folder && i < parts->count && used < sizeof splits; i++)
        used += (size_t)snprintf(splits + used, sizeof splits - used, "%s%s", i ? "/" : "",
                                 parts->part[i].folder);
    snprintf(dataset->kind, sizeof dataset->kind, "%s%s%s", splits, *splits ? " " : "", what);
}

static bool has_archives(const PfFileKinds *kinds)
{
    static const char *const archives[] = {".tar", ".zip", ".gz", ".tgz", ".zst"};
    for (int i = 0; i < kinds->count; i++)
        for (size_t a = 0; a < sizeof archives / sizeof *archives; a++)
            if (!strcmp(kinds->kind[i].name, archives[a])) return true;
    return false;
}

static int fail_empty(const PfDataset *dataset, PfError *err)
{
    int64_t others = dataset->ignored_count;
    char found[1024] = "no other files either";
    char *kinds = pf_dataset_kinds_text(&dataset->others, -1, err);
    if (!kinds) return -1;
    if (others)
        snprintf(found, sizeof found, "%" PRId64 " other file%s, such as '%.400s': %.500s", others,
                 others == 1 ? "" : "s", dataset->first_ignored, kinds);
    free(kinds);
    return pf_fail(err, PF_EXIT_FAILED,
                   "dataset '%s': no images found. Looked for %s files in it and in its folders, "
                   "and found %s.%s",
                   dataset->root, pf_dataset_extensions(), found,
                   has_archives(&dataset->others) ? " Hint: archives inside are not looked into; "
                                                    "unpack what holds them, and name those"
                                                  : "");
}

static int list_parts(PfDataset *dataset, PfListing *root, const PfDatasetOptions *options,
                      Parts *parts, PfError *err)
{
    if (choose_parts(dataset, root, options, parts, err) || collect_classes(dataset, parts, err))
        return -1;
    for (int i = 0; i < parts->count; i++)
        if (add_part(dataset, &parts->part[i], err)) return -1;
    if (!dataset->count) return fail_empty(dataset, err);
    if (settle_classes(dataset, err)) return -1;
    describe(dataset, parts);
    if (!dataset->class_count) return remark_names(dataset, err);
    if (!*parts->part[0].folder && warn_of_single_class(dataset, err)) return -1;
    return pf_dataset_remark_classes(dataset, err);
}

int pf_dataset_list_folders(PfDataset *dataset, const PfDatasetOptions *options, PfError *err)
{
    PfListing root = {0};
    Parts parts = {0};
    int status = pf_dataset_list_folder(dataset, "", &root, err);
    if (!status) status = list_parts(dataset, &root, options, &parts, err);
    for (int i = 0; i < parts.count; i++) pf_listing_free(&parts.part[i].listing);
    pf_listing_free(&root);
    return status;
}

static int list(PfDataset *dataset, const char *operand, const PfDatasetOptions *options,
                PfError *err)
{
    return pf_dataset_set_root(dataset, operand, err) ||
                   pf_dataset_list_folders(dataset, options, err)
               ? -1
               : 0;
}

const PfDatasetFormat pf_dataset_format_folder = {
    .what = "a folder",
    .is_folder = true,
    .probe = is_folder,
    .list = list,
    .read = pf_dataset_read_file,
    .stat = pf_dataset_stat_file,
};
