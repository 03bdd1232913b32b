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
#include "common/base/options.h"
#include "common/cache/split.h"
#include "extract/dataset/format.h"

/* So many classes are told of one by one. */
#define CLASSES_TOLD 10
/* So many images have a word that is taken for their class's name, on average. */
#define IMAGES_OF_A_NAME 4

/* ==== which folders are splits ==== */

/* In the order in which their rows come. count 0: there are none, every folder is a class. */
typedef struct SplitFolders {
    const char *folder[PF_SPLIT_COUNT]; /* relative to the root; in the dataset's texts */
    PfSplit split[PF_SPLIT_COUNT];
    int count;
} SplitFolders;

/* ---- names ---- */

/* The only names of splits that the first versions knew. Where a dataset has several for one split,
 * the first of them is taken. */
static const struct {
    const char *folder;
    PfSplit split;
} exact_names[] = {
    {"train", PF_SPLIT_TRAIN},    {"val", PF_SPLIT_VAL},   {"valid", PF_SPLIT_VAL},
    {"validation", PF_SPLIT_VAL}, {"test", PF_SPLIT_TEST},
};
#define EXACT_NAMES (sizeof exact_names / sizeof *exact_names)

/* Names of splits, in upper or lower case, alone or before one of the endings, with or without a
 * number behind all: "val2017". */
static const struct {
    const char *stem;
    PfSplit split;
} stems[] = {
    {"train", PF_SPLIT_TRAIN},  {"training", PF_SPLIT_TRAIN}, {"val", PF_SPLIT_VAL},
    {"valid", PF_SPLIT_VAL},    {"validation", PF_SPLIT_VAL}, {"dev", PF_SPLIT_VAL},
    {"eval", PF_SPLIT_VAL},     {"evaluation", PF_SPLIT_VAL}, {"test", PF_SPLIT_TEST},
    {"testing", PF_SPLIT_TEST},
};
static const char *const endings[] = {"set", "data", "dataset", "images", "split"};

static bool is_ending(const char *text)
{
    if (!*text) return true;
    text += *text == '_' || *text == '-' || *text == ' ';
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (!strcmp(text, endings[i])) return true;
    return false;
}

/* The split of that name, or -1. */
static int split_of_name(const char *name)
{
    char lower[32];
    size_t length = strlen(name);
    if (length >= sizeof lower) return -1;
    for (size_t i = 0; i <= length; i++) lower[i] = (char)tolower((unsigned char)name[i]);
    while (length && isdigit((unsigned char)lower[length - 1])) lower[--length] = '\0';
    if (length && strchr("_- ", lower[length - 1])) lower[length - 1] = '\0';
    for (size_t i = 0; i < sizeof stems / sizeof *stems; i++) {
        size_t size = strlen(stems[i].stem);
        if (!strncmp(lower, stems[i].stem, size) && is_ending(lower + size))
            return (int)stems[i].split;
    }
    return -1;
}

/* The split of a name behind a prefix, as in "seg_train", or -1. *prefix: the prefix's length. */
static int split_of_prefixed(const char *name, size_t *prefix)
{
    for (size_t i = 1; name[i]; i++)
        if (strchr("_- ", name[i]) && split_of_name(name + i + 1) >= 0) {
            *prefix = i;
            return split_of_name(name + i + 1);
        }
    return -1;
}

int pf_dataset_split_of_name(const char *name, bool prefixed)
{
    size_t prefix;
    int split = split_of_name(name);
    return split >= 0 || !prefixed ? split : split_of_prefixed(name, &prefix);
}

static bool is_called_like_split(const char *name)
{
    return pf_dataset_split_of_name(name, true) >= 0;
}

static bool is_exact_name(const char *name)
{
    for (size_t i = 0; i < EXACT_NAMES; i++)
        if (!strcmp(name, exact_names[i].folder)) return true;
    return false;
}

static bool has_folder(const PfListing *root, const char *name)
{
    for (size_t i = 0; i < root->folder_count; i++)
        if (!strcmp(root->folders[i], name)) return true;
    return false;
}

static bool has_split(const SplitFolders *folders, PfSplit split)
{
    for (int i = 0; i < folders->count; i++)
        if (folders->split[i] == split) return true;
    return false;
}

static void add(SplitFolders *folders, const char *folder, PfSplit split)
{
    folders->folder[folders->count] = folder;
    folders->split[folders->count++] = split;
}

/* Whether a folder of the root is one of them, or holds one. */
static bool has_split_folder(const SplitFolders *folders, const char *name)
{
    size_t length = strlen(name);
    for (int i = 0; i < folders->count; i++)
        if (!strncmp(folders->folder[i], name, length) &&
            (!folders->folder[i][length] || folders->folder[i][length] == '/'))
            return true;
    return false;
}

/* ---- as it was ---- */

/* A root of splits holds train/ and something held out, or nothing but splits:
 * a class may be called "train", if it stands among buses and ships. */
static bool holds_exact_splits(const PfListing *root)
{
    size_t splits = 0;
    for (size_t i = 0; i < root->folder_count; i++) splits += is_exact_name(root->folders[i]);
    return splits && (splits == root->folder_count || (splits > 1 && has_folder(root, "train")));
}

static void take_exact(const PfListing *root, SplitFolders *out)
{
    for (size_t i = 0; i < EXACT_NAMES; i++)
        if (has_folder(root, exact_names[i].folder) && !has_split(out, exact_names[i].split))
            add(out, exact_names[i].folder, exact_names[i].split);
}

/* ---- by name and content ---- */

typedef enum Verdict { ARE_CLASSES, ARE_SPLITS, ARE_UNSURE } Verdict;

/* What the folders of a root turned out to be. */
typedef struct Look {
    int named;             /* that are called like splits, and hold images */
    int with_classes;      /* of those: that hold folders of images */
    bool train_is_flat;    /* train's folder holds images, and no folders of images */
    bool is_twice;         /* two are called like the same split */
    int others;            /* that are called otherwise, and hold images */
    bool only_exact;       /* all that are called like splits have one of exact_names */
    const char *other;     /* the last of the others */
    bool is_nested;        /* one holds nothing but a folder of its own split's name */
    SplitFolders found;    /* the first of each split */
    SplitFolders prefixed; /* of the others: with one prefix, each of another split */
    bool prefixed_nested;  /* the same of those with a prefix */
} Look;

/* Whether the folder holds nothing but a folder of the same split's name: "train/train". */
static bool is_only_itself(PfSplit split, const PfHoldings *holdings)
{
    size_t prefix;
    if (holdings->has_images || holdings->folder_count != 1) return false;
    const char *inner = strrchr(holdings->first_folder, '/') + 1;
    return split_of_name(inner) == (int)split || split_of_prefixed(inner, &prefix) == (int)split;
}

static void note_named(Look *look, const char *name, PfSplit split, const PfHoldings *holdings)
{
    look->named++;
    look->with_classes += holdings->has_folders;
    look->train_is_flat |= split == PF_SPLIT_TRAIN && !holdings->has_folders;
    look->only_exact &= is_exact_name(name);
    bool is_nested = is_only_itself(split, holdings);
    look->is_nested |= is_nested;
    if (has_split(&look->found, split))
        look->is_twice = true;
    else
        add(&look->found, is_nested ? holdings->first_folder : name, split);
}

static void note_other(Look *look, const char *name, const PfHoldings *holdings)
{
    size_t prefix;
    int split = split_of_prefixed(name, &prefix);
    look->others++;
    look->other = name;
    if (split < 0 || !holdings->has_folders || has_split(&look->prefixed, (PfSplit)split) ||
        (look->prefixed.count && strncmp(look->prefixed.folder[0], name, prefix + 1)))
        return;
    bool is_nested = is_only_itself((PfSplit)split, holdings);
    look->prefixed_nested |= is_nested;
    add(&look->prefixed, is_nested ? holdings->first_folder : name, (PfSplit)split);
}

/* Names with a prefix are taken for splits if all folders have one. */
static void settle_prefixed(Look *look)
{
    if (!look->named && look->others > 1 && look->prefixed.count == look->others) {
        look->found = look->prefixed;
        look->named = look->with_classes = look->others;
        look->others = 0;
        look->only_exact = false;
        look->is_nested = look->prefixed_nested;
    }
}

static int look_at_root(PfDataset *dataset, const PfListing *root, Look *look, PfError *err)
{
    *look = (Look){.only_exact = true};
    for (size_t i = 0; i < root->folder_count; i++) {
        PfHoldings holdings;
        const char *name = root->folders[i];
        int split = split_of_name(name);
        if (pf_dataset_look_into(dataset, name, &holdings, err)) return -1;
        if (!holdings.has_images && !holdings.has_folders) continue;
        if (split >= 0)
            note_named(look, name, (PfSplit)split, &holdings);
        else
            note_other(look, name, &holdings);
    }
    settle_prefixed(look);
    return 0;
}

static bool any_is_named(const PfListing *root)
{
    for (size_t i = 0; i < root->folder_count; i++)
        if (is_called_like_split(root->folders[i])) return true;
    return false;
}

static Verdict judge(const PfListing *root, const Look *look)
{
    bool is_well_known = look->only_exact && holds_exact_splits(root);
    if (!look->named) return ARE_CLASSES;
    if (look->is_nested) return ARE_UNSURE;
    if (is_well_known && (look->with_classes || !look->others)) return ARE_SPLITS;
    if (look->others) return look->named == 1 && !look->with_classes ? ARE_CLASSES : ARE_UNSURE;
    return look->with_classes && !look->train_is_flat && !look->is_twice ? ARE_SPLITS : ARE_UNSURE;
}

/* Rows come in the order of splits, whatever the order of names is. */
static void sort_splits(SplitFolders *folders)
{
    SplitFolders sorted = {.count = 0};
    for (int split = 0; split < PF_SPLIT_COUNT; split++)
        for (int i = 0; i < folders->count; i++)
            if (folders->split[i] == (PfSplit)split)
                add(&sorted, folders->folder[i], (PfSplit)split);
    *folders = sorted;
}

/* "train=Train,val=Val": as the option wants it. */
static const char *option_text(const SplitFolders *folders, char *text, size_t size)
{
    size_t used = 0;
    *text = '\0';
    for (int i = 0; i < folders->count && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s=%.60s", i ? "," : "",
                                 pf_split_names[folders->split[i]], folders->folder[i]);
    return text;
}

static int fail_unsure(const PfDataset *dataset, const Look *look, PfError *err)
{
    char option[256], why[160];
    option_text(&look->found, option, sizeof option);
    if (look->others)
        snprintf(why, sizeof why, "'%.100s' beside them is not", look->other);
    else if (look->is_nested)
        snprintf(why, sizeof why, "one of them holds nothing but a folder that is called so again");
    else if (look->is_twice)
        snprintf(why, sizeof why, "two of them are like the same one");
    else
        snprintf(why, sizeof why, "they hold images, where class folders were expected");
    return pf_fail(err, PF_EXIT_USAGE,
                   "dataset '%s': are its folders splits or classes? '%s' %s called like a split, "
                   "and %s. Hint: --split-folders %s names the splits (train=A,val=B,test=C); "
                   "--split-folders none makes every folder a class",
                   dataset->root, look->found.folder[0], look->named > 1 ? "and others are" : "is",
                   why, option);
}

/* ---- as the option says ---- */

static int key_of(const char *entry, size_t length)
{
    for (int i = 0; i < PF_SPLIT_COUNT; i++)
        if (strlen(pf_split_names[i]) == length && !strncmp(entry, pf_split_names[i], length))
            return i;
    return -1;
}

static int add_named(PfDataset *dataset, const char *entry, SplitFolders *out, PfError *err)
{
    const char *equals = strchr(entry, '=');
    int split = equals ? key_of(entry, (size_t)(equals - entry)) : -1;
    if (split < 0 || !equals[1])
        return pf_fail(err, PF_EXIT_USAGE,
                       "--split-folders: expected train=A,val=B,test=C (one of them at least) or "
                       "none, found '%s'",
                       entry);
    size_t length = strlen(equals + 1);
    while (length > 1 && equals[length] == '/') length--;
    const char *folder = pf_dataset_text(dataset, equals + 1, length, err);
    if (!folder) return -1;
    if (has_split(out, (PfSplit)split) || has_split_folder(out, folder))
        return pf_fail(err, PF_EXIT_USAGE, "--split-folders: '%s' comes a second time", entry);
    if (*folder == '/' || !strncmp(folder, "..", 2) || !pf_dataset_is_folder(dataset, folder))
        return pf_fail(err, PF_EXIT_USAGE, "--split-folders: '%s' is no folder in '%s'", folder,
                       dataset->root);
    add(out, folder, (PfSplit)split);
    return 0;
}

static int take_option(PfDataset *dataset, const char *text, SplitFolders *out, PfError *err)
{
    char **items;
    int count, failed = 0;
    if (!strcmp(text, PF_NO_SPLIT_FOLDERS)) return 0;
    if (pf_options_split_list(text, &items, &count, err)) return -1;
    for (int i = 0; i < count && !failed; i++) failed = add_named(dataset, items[i], out, err);
    pf_options_free_list(&items, &count);
    if (!failed) sort_splits(out);
    return failed;
}

/* ---- choosing ---- */

static bool is_known_class(const PfDatasetOptions *options, const char *name)
{
    for (int i = 0; i < options->known_class_count; i++)
        if (!strcmp(options->known_classes[i], name)) return true;
    return false;
}

/* Whether all folders that are called like splits are classes of the cache that is there. */
static bool are_known_classes(const PfListing *root, const PfDatasetOptions *options)
{
    for (size_t i = 0; i < root->folder_count; i++)
        if (is_called_like_split(root->folders[i]) && !is_known_class(options, root->folders[i]))
            return false;
    return true;
}

static bool same_folders(const SplitFolders *a, const SplitFolders *b)
{
    for (int i = 0; i < a->count && a->count == b->count; i++)
        if (strcmp(a->folder[i], b->folder[i]) || a->split[i] != b->split[i]) return false;
    return a->count == b->count;
}

/* For a cache that is there, which goes on as it began: says so where the folders would be read
 * otherwise today. */
static int keep_names(PfDataset *dataset, const SplitFolders *before, const Look *look,
                      Verdict verdict, PfError *err)
{
    char option[256];
    bool is_same = verdict == ARE_CLASSES
                       ? !before->count
                       : verdict == ARE_SPLITS && same_folders(before, &look->found);
    if (is_same) dataset->keeps_split_names = false;
    if (is_same) return 0;
    return pf_dataset_remark(dataset, err,
                             "folders are splits and classes as they were when the cache was made; "
                             "--split-folders %s would say otherwise",
                             option_text(&look->found, option, sizeof option));
}

/* Which folders are splits: as options->split_folders says, else by their names and by what they
 * hold. Where that is not sure it fails with PF_EXIT_USAGE, and the message names the option that
 * settles it. With options->exact_split_names only exact_names are splits, and nothing is unsure;
 * where the rules of today would decide otherwise, dataset->keeps_split_names is set. */
static int choose_split_folders(PfDataset *dataset, const PfListing *root,
                                const PfDatasetOptions *options, SplitFolders *out, PfError *err)
{
    Look look;
    *out = (SplitFolders){0};
    if (options->split_folders) return take_option(dataset, options->split_folders, out, err);
    if (!any_is_named(root)) return 0;
    if (look_at_root(dataset, root, &look, err)) return -1;
    bool is_well_known = look.only_exact && holds_exact_splits(root);
    Verdict verdict = judge(root, &look);
    sort_splits(&look.found);
    if (is_well_known && !look.is_nested) {
        look.found = (SplitFolders){0};
        take_exact(root, &look.found);
    }
    bool is_known = are_known_classes(root, options);
    if (is_known || options->exact_split_names) {
        if (!is_known && holds_exact_splits(root)) take_exact(root, out);
        dataset->keeps_split_names = options->exact_split_names;
        return keep_names(dataset, out, &look, verdict, err);
    }
    if (verdict == ARE_UNSURE) return fail_unsure(dataset, &look, err);
    if (verdict == ARE_SPLITS) *out = look.found;
    return 0;
}

/* ==== parts and classes ==== */

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
static int note_others(PfDataset *dataset, const PfListing *root, const SplitFolders *folders,
                       PfError *err)
{
    for (size_t i = 0; i < root->folder_count; i++)
        if (!has_split_folder(folders, root->folders[i]) &&
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
    SplitFolders folders;
    if (choose_split_folders(dataset, root, options, &folders, err)) return -1;
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
        const char *folder = pf_dataset_join(dataset, part->folder, name, err);
        if (!folder ||
            pf_dataset_walk(dataset, folder, true, class_of(dataset, name), part->split, err))
            return -1;
        if (dataset->count == first &&
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
