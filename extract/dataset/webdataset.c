/* Archives with labels beside images, as the webdataset library reads them: the files of one
 * archive with the same name up to its first dot are one sample. x.jpg is its image, and x.cls,
 * x.json or x.txt says what it is. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/hash_index.h"
#include "common/base/json.h"
#include "common/base/memory.h"
#include "extract/dataset/archives.h"

#define NAME_SIZE 4096
/* Longer ones are texts. */
#define CLASS_NAME_MAX 200

/* Where a label may lie, in this order of preference. */
typedef enum LabelKind { CLS, JSON, TXT, LABEL_KINDS } LabelKind;
static const char *const label_endings[LABEL_KINDS] = {".cls", ".json", ".txt"};
/* Members of a .json that are taken for the label, in this order. */
static const char *const json_keys[] = {"cls", "label", "class"};
#define JSON_KEYS (sizeof json_keys / sizeof *json_keys)

/* The files of one key, which stand next to each other. */
typedef struct Group {
    size_t first, end;
    size_t images; /* "x.jpg", not "x.mask.png" */
    const PfMember *label[LABEL_KINDS];
} Group;

/* What all archives hold. */
typedef struct Survey {
    int64_t images, with[LABEL_KINDS];
    bool is_flat;     /* no image lies in a folder, unless that is a split's */
    bool in_splits;   /* all images lie in folders of splits */
    int64_t compound; /* "x.mask.png" */
    const char *first_compound;
} Survey;

typedef struct Listing {
    PfDataset *dataset;
    LabelKind kind; /* LABEL_KINDS: there are no labels */
    const char *json_key;
    bool in_splits;
    PfTextIndex names; /* of classes, in the dataset's texts */
    int64_t unlabelled;
    int64_t longest; /* text; of .txt */
} Listing;

/* ==== keys ==== */

/* The last part of a path. */
static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* What follows the key: from the first dot of the last part of the name on. */
static const char *ending_of(const char *path)
{
    const char *name = name_of(path), *dot = *name ? strchr(name + 1, '.') : NULL;
    return dot ? dot : path + strlen(path);
}

/* "__index__", "__notes__/x.jpg": what webdataset itself leaves out. */
static bool is_meta(const char *path)
{
    const size_t length = strcspn(path, "/");
    return length >= 4 && !memcmp(path, "__", 2) && !memcmp(path + length - 2, "__", 2);
}

static bool is_hidden(const char *path)
{
    return name_of(path)[0] == '.' || is_meta(path);
}

static bool has_image(const PfMember *member)
{
    return !is_hidden(member->path) &&
           (member->has_image || pf_dataset_is_image_name(member->path));
}

static bool is_image(const PfMember *member)
{
    const char *ending = ending_of(member->path);
    return !strchr(ending + (*ending == '.'), '.') && has_image(member);
}

static bool is_compound_image(const PfMember *member)
{
    return has_image(member) && !is_image(member);
}

/* Looks into the members whose names do not tell that they are images. */
static void find_images(const PfDataset *dataset)
{
    const PfShards *shards = dataset->of_format;
    for (size_t i = 0; i < shards->count; i++) {
        const PfArchive *archive = shards->files[i].archive;
        for (size_t m = 0; m < archive->count; m++) {
            PfMember *member = archive->members[m];
            const char *name = name_of(member->path);
            member->has_image = *name && !pf_dataset_is_image_name(name) &&
                                pf_dataset_member_has_image(dataset, name, member->path);
        }
    }
}

/* The group that begins with member `first` of the archive. */
static Group find_group(const PfArchive *archive, size_t first)
{
    Group group = {.first = first, .end = first};
    const char *path = archive->members[first]->path;
    size_t length = (size_t)(ending_of(path) - path);
    for (; group.end < archive->count; group.end++) {
        const PfMember *member = archive->members[group.end];
        const char *ending = ending_of(member->path);
        if ((size_t)(ending - member->path) != length || memcmp(member->path, path, length)) break;
        group.images += is_image(member);
        for (int kind = 0; kind < LABEL_KINDS; kind++)
            if (!strcasecmp(ending, label_endings[kind])) group.label[kind] = member;
    }
    return group;
}

/* ==== what there is ==== */

/* The split of the folder that a name begins with, or -1. */
static int split_of_path(const char *path)
{
    char name[NAME_SIZE];
    const char *slash = strchr(path, '/');
    if (!slash) return -1;
    memcpy(name, path, (size_t)(slash - path));
    name[slash - path] = '\0';
    return pf_dataset_split_of_name(name, false);
}

static void survey_group(Survey *survey, const PfArchive *archive, const Group *group)
{
    survey->images += (int64_t)group->images;
    for (int kind = 0; kind < LABEL_KINDS; kind++)
        if (group->images && group->label[kind]) survey->with[kind] += (int64_t)group->images;
    for (size_t m = group->first; m < group->end; m++) {
        const PfMember *member = archive->members[m];
        const char *path = member->path, *slash = strchr(path, '/');
        if (is_compound_image(member) && !survey->compound++) survey->first_compound = path;
        if (!is_image(member)) continue;
        bool in_split = split_of_path(path) >= 0;
        survey->in_splits &= in_split;
        survey->is_flat &= !slash || (in_split && !strchr(slash + 1, '/'));
    }
}

static Survey survey_all(const PfShards *shards)
{
    Survey survey = {.is_flat = true, .in_splits = true};
    for (size_t i = 0; i < shards->count; i++) {
        const PfArchive *archive = shards->files[i].archive;
        for (size_t m = 0; m < archive->count;) {
            Group group = find_group(archive, m);
            survey_group(&survey, archive, &group);
            m = group.end;
        }
    }
    return survey;
}

/* ==== labels ==== */

static bool is_number(const char *text)
{
    text += *text == '-';
    return *text && !text[strspn(text, "0123456789")];
}

/* The text without blanks around it; "" where that is none of a class. */
static const char *trimmed(char *text)
{
    char *end = text + strlen(text);
    while (isspace((unsigned char)*text)) text++;
    while (end > text && isspace((unsigned char)end[-1])) end--;
    *end = '\0';
    return text;
}

/* A whole number or a text; NULL of anything else. number: room for one. */
static const char *text_of_item(const cJSON *item, char *number, size_t size)
{
    if (cJSON_IsString(item)) return item->valuestring;
    if (!cJSON_IsNumber(item) || item->valuedouble != (double)(int64_t)item->valueint) return NULL;
    snprintf(number, size, "%d", item->valueint);
    return number;
}

static const char *find_json_key(const cJSON *object)
{
    char number[32];
    for (size_t i = 0; i < JSON_KEYS; i++)
        if (text_of_item(cJSON_GetObjectItemCaseSensitive(object, json_keys[i]), number,
                         sizeof number))
            return json_keys[i];
    return NULL;
}

/* Replaces the text of a .json by that of its label, "" where it has none. */
static int take_json_label(Listing *listing, const PfMember *member, char **text, PfError *err)
{
    const PfShards *shards = listing->dataset->of_format;
    const char *archive = shards->files[member->archive].archive->path;
    char number[32];
    if (pf_json_check_size(*text, strlen(*text), archive, member->path, err)) return -1;
    cJSON *object = pf_json_read(*text);
    if (!object)
        return pf_fail(err, PF_EXIT_FAILED, "archive '%s': '%s' is no JSON", archive, member->path);
    if (!listing->json_key) listing->json_key = find_json_key(object);
    const char *label =
        listing->json_key
            ? text_of_item(cJSON_GetObjectItemCaseSensitive(object, listing->json_key), number,
                           sizeof number)
            : NULL;
    free(*text);
    *text = pf_strdup(label ? label : "", err);
    cJSON_Delete(object);
    return *text ? 0 : -1;
}

static int find_class(Listing *listing, const char *name, int32_t *index, PfError *err)
{
    size_t length = strlen(name);
    int64_t known = pf_text_index_find(&listing->names, name, length);
    if (known < 0) {
        const char *copy = pf_dataset_text(listing->dataset, name, length, err);
        if (!copy || pf_text_index_add(&listing->names, copy, err)) return -1;
        known = (int64_t)listing->names.count - 1;
    }
    *index = (int32_t)known;
    return 0;
}

/* The class of a group, by its number among those seen so far; -1: it has none. */
static int read_label(Listing *listing, const Group *group, int32_t *index, PfError *err)
{
    const PfShards *shards = listing->dataset->of_format;
    const PfMember *member = listing->kind < LABEL_KINDS ? group->label[listing->kind] : NULL;
    char *text = NULL;
    *index = -1;
    if (!member) return 0;
    int failed = pf_shards_read_text(shards, member, &text, err) ||
                 (listing->kind == JSON && take_json_label(listing, member, &text, err));
    const char *name = failed ? "" : trimmed(text);
    int64_t length = (int64_t)strlen(name);
    if (length > listing->longest) listing->longest = length;
    if (!failed && listing->kind != TXT && length > CLASS_NAME_MAX)
        failed = pf_fail(
            err, PF_EXIT_FAILED, "archive '%s': '%s' has a label of %lld bytes, no name of a class",
            shards->files[member->archive].archive->path, member->path, (long long)length);
    if (!failed && *name && length <= CLASS_NAME_MAX)
        failed = find_class(listing, name, index, err);
    free(text);
    return failed ? -1 : 0;
}

/* ==== samples ==== */

static int split_of(const Listing *listing, const PfMember *member)
{
    const PfShards *shards = listing->dataset->of_format;
    if (shards->has_splits) return shards->files[member->archive].split;
    return listing->in_splits ? split_of_path(member->path) : PF_SPLIT_TRAIN;
}

static int add_group(Listing *listing, const PfArchive *archive, const Group *group, PfError *err)
{
    PfDataset *dataset = listing->dataset;
    int32_t index = -1;
    if (group->images && read_label(listing, group, &index, err)) return -1;
    for (size_t m = group->first; m < group->end; m++) {
        const PfMember *member = archive->members[m];
        if (!is_image(member)) continue;
        listing->unlabelled += index < 0;
        if (pf_dataset_add(dataset, member->path, index, (PfSplit)split_of(listing, member), err))
            return -1;
    }
    return 0;
}

static int add_all(Listing *listing, PfError *err)
{
    const PfShards *shards = listing->dataset->of_format;
    for (size_t i = 0; i < shards->count; i++) {
        const PfArchive *archive = shards->files[i].archive;
        for (size_t m = 0; m < archive->count;) {
            Group group = find_group(archive, m);
            if (add_group(listing, archive, &group, err)) return -1;
            m = group.end;
        }
    }
    return 0;
}

/* Train before val before test; then in the order in which they lie in the archives. */
static int compare_samples(const void *left, const void *right)
{
    const PfSample *a = left, *b = right;
    const PfMember *of_a = pf_shards_member(a->path), *of_b = pf_shards_member(b->path);
    if (a->split != b->split) return a->split < b->split ? -1 : 1;
    if (of_a->archive != of_b->archive) return of_a->archive < of_b->archive ? -1 : 1;
    return of_a->offset < of_b->offset ? -1 : of_a->offset > of_b->offset;
}

/* ---- classes ---- */

static int compare_numbers(const char *a, const char *b)
{
    double first = strtod(a, NULL), second = strtod(b, NULL);
    if (first != second) return first < second ? -1 : 1;
    return strcmp(a, b);
}

static bool are_numbers(const PfTextIndex *names)
{
    for (size_t i = 0; i < names->count; i++)
        if (!is_number(names->texts[i])) return false;
    return true;
}

static int settle_classes(Listing *listing, PfError *err)
{
    PfDataset *dataset = listing->dataset;
    size_t count = listing->names.count;
    if (!count) return 0;
    int32_t *renumbered = pf_calloc(count, sizeof *renumbered, err);
    dataset->classes = pf_calloc(count, sizeof *dataset->classes, err);
    int failed =
        !renumbered || !dataset->classes ||
        pf_text_index_sort(&listing->names, are_numbers(&listing->names) ? compare_numbers : strcmp,
                           renumbered, err);
    for (size_t i = 0; !failed && i < dataset->count; i++)
        if (dataset->samples[i].class_index >= 0)
            dataset->samples[i].class_index = renumbered[dataset->samples[i].class_index];
    for (size_t i = 0; !failed && i < count; i++) dataset->classes[i] = listing->names.texts[i];
    if (!failed) dataset->class_count = (int)count;
    free(renumbered);
    return failed ? -1 : 0;
}

/* ---- names that several archives have ---- */

static int compare_paths(const void *left, const void *right)
{
    const PfSample *const *a = left, *const *b = right;
    return strcmp((*a)->path, (*b)->path);
}

/* order: (count) the samples by their paths. */
static int rename_equal(PfDataset *dataset, PfSample **order, PfError *err)
{
    const PfShards *shards = dataset->of_format;
    int64_t renamed = 0;
    for (size_t i = 0, end; i < dataset->count; i = end) {
        const char *path = order[i]->path;
        for (end = i + 1; end < dataset->count && !strcmp(order[end]->path, path);) end++;
        for (size_t k = i; k < end && (end > i + 1 || shards->is_part); k++) {
            const char *name = pf_shards_name_by_archive(dataset, order[k]->path, err);
            if (!name) return -1;
            order[k]->path = name;
            renamed++;
        }
    }
    return pf_shards_tell_renamed(dataset, renamed, err);
}

static int tell_apart(PfDataset *dataset, PfError *err)
{
    PfSample **order = pf_calloc(dataset->count, sizeof *order, err);
    if (!order) return -1;
    for (size_t i = 0; i < dataset->count; i++) order[i] = &dataset->samples[i];
    qsort(order, dataset->count, sizeof *order, compare_paths);
    int failed = rename_equal(dataset, order, err);
    free(order);
    return failed;
}

/* ==== what is said ==== */

static int count_member(const Listing *listing, const PfMember *member, PfError *err)
{
    PfDataset *dataset = listing->dataset;
    const char *path = member->path, *name = name_of(path);
    bool is_label =
        listing->kind < LABEL_KINDS && !strcasecmp(ending_of(path), label_endings[listing->kind]);
    if (!*name || is_label) return 0;
    if (member->has_image)
        return is_image(member) ? pf_names_add(&dataset->by_content, "", path, err) : 0;
    if (!pf_dataset_is_image_name(name))
        return pf_dataset_count_member(dataset, "", name, path, err);
    return is_hidden(path) ? pf_dataset_note(dataset, PF_NOTE_HIDDEN_IMAGE, "", path, err) : 0;
}

/* Counts what belongs to no image, and whatever else an image's key has. */
static int count_others(const Listing *listing, PfError *err)
{
    const PfShards *shards = listing->dataset->of_format;
    for (size_t i = 0; i < shards->count; i++) {
        const PfArchive *archive = shards->files[i].archive;
        for (size_t m = 0; m < archive->count; m++)
            if (count_member(listing, archive->members[m], err)) return -1;
    }
    return 0;
}

static int tell(Listing *listing, const Survey *survey, PfError *err)
{
    PfDataset *dataset = listing->dataset;
    if (survey->compound &&
        pf_dataset_warn(dataset, err,
                        "images whose names have another part before their ending, left out: "
                        "%lld, such as '%s'",
                        (long long)survey->compound, survey->first_compound))
        return -1;
    if (listing->kind == LABEL_KINDS) return 0;
    if (pf_dataset_remark(dataset, err, "labels: the %s beside each image%s%s%s",
                          label_endings[listing->kind], listing->kind == JSON ? ", its '" : "",
                          listing->kind == JSON ? listing->json_key : "",
                          listing->kind == JSON ? "'" : ""))
        return -1;
    if (!listing->unlabelled) return 0;
    return pf_dataset_warn(dataset, err, "images without a label: %lld",
                           (long long)listing->unlabelled);
}

/* ==== all of it ==== */

static void forget(Listing *listing)
{
    listing->dataset->count = 0;
    pf_text_index_free(&listing->names);
    listing->unlabelled = 0;
    listing->longest = 0;
}

/* Texts are classes where they are short, and there are half as many of them as images at most. */
static bool has_labels(const Listing *listing)
{
    size_t names = listing->names.count;
    if (!names) return false;
    return listing->kind != TXT ||
           (listing->longest <= CLASS_NAME_MAX && names * 2 <= listing->dataset->count);
}

/* Lists with labels of that kind. *done: there were some. */
static int try_kind(Listing *listing, LabelKind kind, bool *done, PfError *err)
{
    listing->kind = kind;
    if (add_all(listing, err)) return -1;
    *done = has_labels(listing) || kind == LABEL_KINDS;
    if (!*done) forget(listing);
    return 0;
}

static int choose_kind(Listing *listing, const Survey *survey, bool *done, PfError *err)
{
    const PfShards *shards = listing->dataset->of_format;
    if (survey->with[CLS] && try_kind(listing, CLS, done, err)) return -1;
    for (int kind = JSON; kind <= TXT && survey->is_flat && !*done; kind++)
        if (survey->with[kind] * 2 >= survey->images &&
            try_kind(listing, (LabelKind)kind, done, err))
            return -1;
    /* Archives of splits that hold no class folders. */
    if (!*done && survey->is_flat && shards->has_splits)
        return try_kind(listing, LABEL_KINDS, done, err);
    return 0;
}

static int finish(Listing *listing, const Survey *survey, PfError *err)
{
    PfDataset *dataset = listing->dataset;
    if (settle_classes(listing, err) || count_others(listing, err) || tell(listing, survey, err) ||
        (dataset->class_count && pf_dataset_remark_classes(dataset, err)))
        return -1;
    qsort(dataset->samples, dataset->count, sizeof *dataset->samples, compare_samples);
    if (tell_apart(dataset, err)) return -1;
    snprintf(dataset->kind, sizeof dataset->kind, "%s",
             listing->kind < LABEL_KINDS ? "images with labels beside them (webdataset)"
                                         : "images without labels");
    return 0;
}

int pf_shards_list_keys(PfDataset *dataset, const PfDatasetOptions *options, bool *done,
                        PfError *err)
{
    find_images(dataset);
    Survey survey = survey_all(dataset->of_format);
    Listing listing = {.dataset = dataset, .in_splits = survey.in_splits};
    *done = false;
    if (!survey.images) return 0;
    int failed = choose_kind(&listing, &survey, done, err);
    if (!failed && *done && options->split_folders)
        failed = pf_fail(err, PF_EXIT_USAGE,
                         "--split-folders is for folders of images; '%s' has labels beside its "
                         "images, or archives of splits",
                         dataset->root);
    if (!failed && *done) failed = finish(&listing, &survey, err);
    pf_text_index_free(&listing.names);
    return failed ? -1 : 0;
}
