/* A dataset while it is made: its texts and samples, and what there is to be said of it. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/memory.h"
#include "common/base/printable.h"
#include "extract/dataset/format.h"

/* ==== texts and samples ==== */

const char *pf_dataset_text(PfDataset *dataset, const char *text, size_t length, PfError *err)
{
    return pf_arena_text(&dataset->texts, text, length, err);
}

const char *pf_dataset_join(PfDataset *dataset, const char *folder, const char *name, PfError *err)
{
    size_t folder_length = strlen(folder), name_length = strlen(name);
    if (!folder_length) return pf_dataset_text(dataset, name, name_length, err);
    char *path = pf_arena_allocate(&dataset->texts, folder_length + name_length + 2, 1, err);
    if (!path) return NULL;
    memcpy(path, folder, folder_length);
    path[folder_length] = '/';
    memcpy(path + folder_length + 1, name, name_length + 1);
    return path;
}

int pf_dataset_set_root(PfDataset *dataset, const char *folder, PfError *err)
{
    dataset->root_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dataset->root_fd < 0) return pf_fail_errno(err, "dataset '%s' cannot be read", folder);
    dataset->root = pf_strdup(folder, err);
    return dataset->root ? 0 : -1;
}

int pf_dataset_add(PfDataset *dataset, const char *path, int32_t class_index, PfSplit split,
                   PfError *err)
{
    if (pf_grow(&dataset->samples, &dataset->capacity, dataset->count + 1, sizeof *dataset->samples,
                err))
        return -1;
    dataset->samples[dataset->count++] = (PfSample){path, class_index, split};
    return 0;
}

void pf_dataset_free_lists(PfDataset *dataset)
{
    pf_arena_free(&dataset->texts);
    for (int i = 0; i < PF_NOTE_COUNT; i++) pf_names_free(&dataset->notes[i]);
    pf_names_free(&dataset->by_content);
    pf_names_free(&dataset->tables);
    pf_sentences_free(&dataset->warnings);
    pf_sentences_free(&dataset->remarks);
    for (int t = 0; dataset->target_names && t < dataset->target_count; t++)
        free(dataset->target_names[t]);
    free(dataset->target_names);
    free(dataset->targets);
    free(dataset->class_indices);
    free(dataset->values);
    free(dataset->groups);
    free(dataset->classes);
    free(dataset->samples);
    free(dataset->listed);
}

/* ==== warnings and remarks ==== */

/* How each warning begins; the names of what it is about follow. */
static const char *const openings[PF_NOTE_COUNT] = {
    [PF_NOTE_HIDDEN_FOLDER] = "hidden folders left out (torchvision would take them)",
    [PF_NOTE_HIDDEN_IMAGE] = "hidden image files left out (torchvision would take them)",
    [PF_NOTE_UNREADABLE] = "folders that cannot be read, left out",
    [PF_NOTE_LOOP] = "links back to a folder that they lie in, not followed",
    [PF_NOTE_EMPTY_FOLDER] = "class folders without images, left out",
    [PF_NOTE_NOT_TRAINED] = "classes without training images",
    [PF_NOTE_LOOSE_IMAGE] = "images beside the class folders, left out",
    [PF_NOTE_BESIDE_SPLITS] = "folders beside the splits' folders, left out",
    [PF_NOTE_MISSING_FILE] = "files that this dataset usually has, not found",
    [PF_NOTE_ABSENT_IMAGE] = "images of the manifest that are not there",
    [PF_NOTE_REPEATED_PATH] = "paths in more than one line, each a row of its own",
};

int pf_names_add(PfNames *names, const char *folder, const char *name, PfError *err)
{
    char *path = pf_asprintf(err, "%s%s%s", folder, *folder ? "/" : "", name);
    if (!path) return -1;
    int held = names->count < PF_NAMED_MAX ? (int)names->count : PF_NAMED_MAX;
    int place = held;
    while (place > 0 && strcmp(path, names->first[place - 1]) < 0) place--;
    names->count++;
    if (place == PF_NAMED_MAX) {
        free(path);
        return 0;
    }
    if (held == PF_NAMED_MAX) free(names->first[--held]);
    memmove(names->first + place + 1, names->first + place,
            (size_t)(held - place) * sizeof *names->first);
    names->first[place] = path;
    return 0;
}

int pf_names_merge(PfNames *names, const PfNames *more, PfError *err)
{
    int64_t unnamed = more->count > PF_NAMED_MAX ? more->count - PF_NAMED_MAX : 0;
    for (int i = 0; i < PF_NAMED_MAX && i < more->count; i++)
        if (pf_names_add(names, "", more->first[i], err)) return -1;
    names->count += unnamed;
    return 0;
}

void pf_names_free(PfNames *names)
{
    for (int i = 0; i < PF_NAMED_MAX && i < names->count; i++) free(names->first[i]);
    *names = (PfNames){0};
}

int pf_dataset_note(PfDataset *dataset, PfNote note, const char *folder, const char *name,
                    PfError *err)
{
    return pf_names_add(&dataset->notes[note], folder, name, err);
}

/* Takes ownership of the sentence. NULL: making it has failed, and err says why. */
static int take_sentence(PfSentences *sentences, char *sentence, PfError *err)
{
    if (!sentence) return -1;
    if (pf_grow(&sentences->items, &sentences->capacity, sentences->count + 1,
                sizeof *sentences->items, err)) {
        free(sentence);
        return -1;
    }
    sentences->items[sentences->count++] = sentence;
    return 0;
}

static int add_sentence(PfSentences *sentences, const char *format, va_list arguments, PfError *err)
{
    char text[1024];
    pf_vformat(text, sizeof text, format, arguments);
    return take_sentence(sentences, pf_strdup(text, err), err);
}

int pf_dataset_warn(PfDataset *dataset, PfError *err, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int status = add_sentence(&dataset->warnings, format, arguments, err);
    va_end(arguments);
    return status;
}

int pf_dataset_remark(PfDataset *dataset, PfError *err, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int status = add_sentence(&dataset->remarks, format, arguments, err);
    va_end(arguments);
    return status;
}

void pf_sentences_free(PfSentences *sentences)
{
    for (size_t i = 0; i < sentences->count; i++) free(sentences->items[i]);
    free(sentences->items);
    *sentences = (PfSentences){0};
}

/* "opening: 'a', 'b' and 3 more", malloc'ed. */
static char *tell_names(const char *opening, const PfNames *names, PfError *err)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    if (!stream) {
        pf_fail_errno(err, "out of memory for a warning");
        return NULL;
    }
    pf_print(stream, "%s:", opening);
    for (int i = 0; i < PF_NAMED_MAX && i < names->count; i++)
        pf_print(stream, "%s '%s'", i ? "," : "", names->first[i]);
    if (names->count > PF_NAMED_MAX)
        pf_print(stream, " and %" PRId64 " more", names->count - PF_NAMED_MAX);
    if (fclose(stream)) {
        free(text);
        pf_fail_errno(err, "out of memory for a warning");
        return NULL;
    }
    return text;
}

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

static int warn_of_pictures(PfDataset *dataset, PfError *err)
{
    char *kinds = pf_dataset_kinds_text(&dataset->others, 1, err);
    int failed = !kinds;
    if (kinds && *kinds)
        failed =
            pf_dataset_warn(dataset, err,
                            "pictures left out that extract does not read, or that do not begin as "
                            "their names say: %s",
                            kinds);
    free(kinds);
    return failed ? -1 : 0;
}

static int tell_other_files(PfDataset *dataset, PfError *err)
{
    char *kinds = pf_dataset_kinds_text(&dataset->others, 0, err);
    int failed = !kinds;
    if (kinds && *kinds)
        failed = pf_dataset_remark(dataset, err, "other files, left out: %s", kinds);
    free(kinds);
    return failed ? -1 : 0;
}

static int tell_by_content(PfDataset *dataset, PfError *err)
{
    static const char opening[] =
        "images by their first bytes, not by their names (torchvision goes by names)";
    if (!dataset->by_content.count) return 0;
    return take_sentence(&dataset->remarks, tell_names(opening, &dataset->by_content, err), err);
}

/* The first of the tables that is read as a manifest; NULL: there is none. */
static const char *find_manifest(const PfNames *tables)
{
    for (int i = 0; i < PF_NAMED_MAX && i < tables->count; i++) {
        const char *dot = strrchr(tables->first[i], '.');
        if (!strcasecmp(dot, ".csv") || !strcasecmp(dot, ".tsv")) return tables->first[i];
    }
    return NULL;
}

/* How the sentence about them begins, malloc'ed: what is to be done with one that matters. */
static char *tables_opening(const PfDataset *dataset, PfError *err)
{
    const char *manifest = find_manifest(&dataset->tables);
    bool is_archive = dataset->format->tree != NULL;
    int length = (int)strlen(dataset->root);
    while (length > 1 && dataset->root[length - 1] == '/') length--;
    if (!manifest)
        return pf_asprintf(err,
                           "tables beside the images are not read (one that lists them: save it as "
                           ".csv%s, and name that in place of the %s)",
                           is_archive ? " beside the unpacked images" : "",
                           is_archive ? "archive" : "folder");
    if (is_archive)
        return pf_asprintf(err,
                           "tables in archives are not read (one that lists the images: unpack "
                           "the archive, and extract 'FOLDER/%s')",
                           manifest);
    return pf_asprintf(err,
                       "tables beside the images are not read (one that lists them: name it in "
                       "place of the folder, extract '%.*s/%s')",
                       length, dataset->root, manifest);
}

/* Without classes the labels are most likely in a table. */
static int tell_tables(PfDataset *dataset, PfError *err)
{
    PfSentences *to = dataset->class_count ? &dataset->remarks : &dataset->warnings;
    if (!dataset->tables.count) return 0;
    char *opening = tables_opening(dataset, err);
    int failed = !opening || take_sentence(to, tell_names(opening, &dataset->tables, err), err);
    free(opening);
    return failed ? -1 : 0;
}

int pf_dataset_finish_notes(PfDataset *dataset, PfError *err)
{
    if (warn_of_pictures(dataset, err) || tell_other_files(dataset, err) ||
        tell_by_content(dataset, err) || tell_tables(dataset, err))
        return -1;
    for (int i = 0; i < PF_NOTE_COUNT; i++)
        if (dataset->notes[i].count &&
            take_sentence(&dataset->warnings, tell_names(openings[i], &dataset->notes[i], err),
                          err))
            return -1;
    return 0;
}
