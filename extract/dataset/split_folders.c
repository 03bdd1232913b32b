#include "extract/dataset/split_folders.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/base/options.h"

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

static bool has_split(const PfSplitFolders *folders, PfSplit split)
{
    for (int i = 0; i < folders->count; i++)
        if (folders->split[i] == split) return true;
    return false;
}

static void add(PfSplitFolders *folders, const char *folder, PfSplit split)
{
    folders->folder[folders->count] = folder;
    folders->split[folders->count++] = split;
}

/* Whether the folder `inner` is `outer`, or lies in it. */
static bool lies_in(const char *inner, const char *outer)
{
    size_t length = strlen(outer);
    return !strncmp(inner, outer, length) && (!inner[length] || inner[length] == '/');
}

bool pf_split_folders_has(const PfSplitFolders *folders, const char *name)
{
    for (int i = 0; i < folders->count; i++)
        if (lies_in(folders->folder[i], name)) return true;
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

static void take_exact(const PfListing *root, PfSplitFolders *out)
{
    for (size_t i = 0; i < EXACT_NAMES; i++)
        if (has_folder(root, exact_names[i].folder) && !has_split(out, exact_names[i].split))
            add(out, exact_names[i].folder, exact_names[i].split);
}

/* ---- by name and content ---- */

typedef enum Verdict { ARE_CLASSES, ARE_SPLITS, ARE_UNSURE } Verdict;

/* What the folders of a root turned out to be. */
typedef struct Look {
    int named;               /* that are called like splits, and hold images */
    int with_classes;        /* of those: that hold folders of images */
    bool train_is_flat;      /* train's folder holds images, and no folders of images */
    bool is_twice;           /* two are called like the same split */
    int others;              /* that are called otherwise, and hold images */
    bool only_exact;         /* all that are called like splits have one of exact_names */
    const char *other;       /* the last of the others */
    bool is_nested;          /* one holds nothing but a folder of its own split's name */
    PfSplitFolders found;    /* the first of each split */
    PfSplitFolders prefixed; /* of the others: with one prefix, each of another split */
    bool prefixed_nested;    /* the same of those with a prefix */
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
static void sort_splits(PfSplitFolders *folders)
{
    PfSplitFolders sorted = {.count = 0};
    for (int split = 0; split < PF_SPLIT_COUNT; split++)
        for (int i = 0; i < folders->count; i++)
            if (folders->split[i] == (PfSplit)split)
                add(&sorted, folders->folder[i], (PfSplit)split);
    *folders = sorted;
}

/* "train=Train,val=Val": as the option wants it. */
static const char *option_text(const PfSplitFolders *folders, char *text, size_t size)
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

/* Whether it is a path of names alone: "a/b", but not "a//b", "./a" or "a/../b", which would be
 * other ways to write another folder. */
static bool is_plain_path(const char *path)
{
    for (size_t length;; path += length + 1) {
        length = strcspn(path, "/");
        if (!length || (length <= 2 && !strncmp(path, "..", length))) return false;
        if (!path[length]) return true;
    }
}

/* An image would be on two sides. */
static int check_apart(const PfSplitFolders *folders, const char *folder, const char *entry,
                       PfError *err)
{
    for (int i = 0; i < folders->count; i++) {
        const char *other = folders->folder[i];
        if (!strcmp(folder, other))
            return pf_fail(err, PF_EXIT_USAGE, "--split-folders: '%s' comes a second time", entry);
        if (lies_in(folder, other) || lies_in(other, folder))
            return pf_fail(err, PF_EXIT_USAGE,
                           "--split-folders: of '%s' and '%s' one lies in the other, so that "
                           "images would be in two splits; expected folders beside each other",
                           other, folder);
    }
    return 0;
}

static int add_named(PfDataset *dataset, const char *entry, PfSplitFolders *out, PfError *err)
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
    if (has_split(out, (PfSplit)split))
        return pf_fail(err, PF_EXIT_USAGE, "--split-folders: '%s' comes a second time", entry);
    if (!is_plain_path(folder))
        return pf_fail(err, PF_EXIT_USAGE,
                       "--split-folders: expected a folder as it is called from '%s', A or A/B, "
                       "found '%s'",
                       dataset->root, folder);
    if (check_apart(out, folder, entry, err)) return -1;
    if (!pf_dataset_is_folder(dataset, folder))
        return pf_fail(err, PF_EXIT_USAGE, "--split-folders: '%s' is no folder in '%s'", folder,
                       dataset->root);
    add(out, folder, (PfSplit)split);
    return 0;
}

static int take_option(PfDataset *dataset, const char *text, PfSplitFolders *out, PfError *err)
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

static bool same_folders(const PfSplitFolders *a, const PfSplitFolders *b)
{
    for (int i = 0; i < a->count && a->count == b->count; i++)
        if (strcmp(a->folder[i], b->folder[i]) || a->split[i] != b->split[i]) return false;
    return a->count == b->count;
}

/* For a cache that is there, which goes on as it began: says so where the folders would be read
 * otherwise today. */
static int keep_names(PfDataset *dataset, const PfSplitFolders *before, const Look *look,
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

int pf_split_folders_choose(PfDataset *dataset, const PfListing *root,
                            const PfDatasetOptions *options, PfSplitFolders *out, PfError *err)
{
    Look look;
    *out = (PfSplitFolders){0};
    if (options->split_folders) return take_option(dataset, options->split_folders, out, err);
    if (!any_is_named(root)) return 0;
    if (look_at_root(dataset, root, &look, err)) return -1;
    bool is_well_known = look.only_exact && holds_exact_splits(root);
    Verdict verdict = judge(root, &look);
    sort_splits(&look.found);
    if (is_well_known && !look.is_nested) {
        look.found = (PfSplitFolders){0};
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
