#include "predict/model/class_map.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/file/input_file.h"
#include "common/file/text_encoding.h"

#define MOST_BYTES ((off_t)64 << 20)

/* The file's text, malloc'ed. */
static char *read_text(const char *path, PfError *err)
{
    size_t size;
    char *text = pf_input_file_read_text(path, "class map", MOST_BYTES, &size, err);
    if (!text || (!memchr(text, 0, size) && pf_text_encoding_utf8_length(text, size) == size))
        return text;
    pf_fail(err, PF_EXIT_FAILED, "class map '%s' is no text in UTF-8", path);
    free(text);
    return NULL;
}

/* Cuts the text into lines, whose ends, and blanks before them, become zeros. */
static int cut_lines(char *text, const char ***lines, size_t *count, PfError *err)
{
    size_t capacity = 0;
    *lines = NULL;
    *count = 0;
    if (!strncmp(text, "\xEF\xBB\xBF", 3)) text += 3;
    while (*text) {
        char *end = strchr(text, '\n'), *next = end ? end + 1 : text + strlen(text);
        end = end ? end : next;
        while (end > text && strchr(" \t\r", end[-1])) end--;
        *end = '\0';
        if (pf_grow(lines, &capacity, *count + 1, sizeof **lines, err)) return -1;
        (*lines)[(*count)++] = text;
        text = next;
    }
    while (*count && !*(*lines)[*count - 1]) --*count; /* empty ones at the end */
    return 0;
}

static int compare_lines(const void *a, const void *b)
{
    const char *const *left = *(const char *const *const *)a;
    const char *const *right = *(const char *const *const *)b;
    const int order = strcmp(*left, *right);
    return order ? order : (left > right) - (left < right);
}

/* No line is empty or comes twice. */
static int check_lines(const char *path, const char **lines, size_t count, PfError *err)
{
    const char ***sorted = pf_calloc(count + 1, sizeof *sorted, err);
    int failed = !sorted;
    for (size_t i = 0; i < count && !failed; i++) {
        sorted[i] = &lines[i];
        if (!*lines[i])
            failed = pf_fail(err, PF_EXIT_FAILED, "class map '%s': line %zu is empty", path, i + 1);
    }
    if (!failed) qsort(sorted, count, sizeof *sorted, compare_lines);
    for (size_t i = 1; i < count && !failed; i++)
        if (!strcmp(*sorted[i - 1], *sorted[i]))
            failed = pf_fail(err, PF_EXIT_FAILED,
                             "class map '%s': lines %zu and %zu are both '%s'. Hint: give each "
                             "class a name of its own",
                             path, (size_t)(sorted[i - 1] - lines) + 1,
                             (size_t)(sorted[i] - lines) + 1, *sorted[i]);
    free(sorted);
    return failed ? -1 : 0;
}

/* The one target that has classes. */
static int find_target(PfScorer *scorer, const char *path, PfScorerTarget **out, PfError *err)
{
    *out = NULL;
    for (int t = 0; t < scorer->target_count; t++) {
        if (!scorer->targets[t].classes) continue;
        if (*out)
            return pf_fail(err, PF_EXIT_USAGE,
                           "--class-map '%s': the model has several targets of classes, '%s' and "
                           "'%s'",
                           path, (*out)->name, scorer->targets[t].name);
        *out = &scorer->targets[t];
    }
    if (*out) return 0;
    return pf_fail(err, PF_EXIT_USAGE, "--class-map '%s': the model predicts no classes", path);
}

static int name_classes(PfScorer *scorer, const char *path, const char **lines, size_t count,
                        PfError *err)
{
    PfScorerTarget *target;
    if (find_target(scorer, path, &target, err) || check_lines(path, lines, count, err)) return -1;
    if (count != (size_t)target->outputs)
        return pf_fail(err, PF_EXIT_FAILED,
                       "class map '%s' has %zu names, and the model %d classes", path, count,
                       target->outputs);
    memcpy(target->classes, lines, count * sizeof *lines);
    return 0;
}

int pf_class_map_apply(PfScorer *scorer, const char *path, PfError *err)
{
    const char **lines = NULL;
    size_t count;
    if (!path) return 0;
    char *text = read_text(path, err);
    if (!text) return -1;
    int failed =
        cut_lines(text, &lines, &count, err) || name_classes(scorer, path, lines, count, err);
    free(lines);
    if (failed)
        free(text);
    else
        scorer->class_text = text;
    return failed ? -1 : 0;
}
