#include "common/base/options.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/base/memory.h"
#include "common/base/printable.h"

#define MAX_WORD 48

static size_t smallest(size_t a, size_t b, size_t c)
{
    return pf_min_size(pf_min_size(a, b), c);
}

/* Levenshtein distance by rows. Words longer than MAX_WORD count as far. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t length_a = strlen(a), length_b = strlen(b);
    if (length_a > MAX_WORD || length_b > MAX_WORD) return SIZE_MAX;
    size_t row[MAX_WORD + 1];
    for (size_t j = 0; j <= length_b; j++) row[j] = j;
    for (size_t i = 1; i <= length_a; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= length_b; j++) {
            size_t above = row[j];
            row[j] = smallest(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[length_b];
}

const char *pf_options_nearest_word(const char *word, const char *const *candidates, size_t count)
{
    const char *nearest = NULL;
    size_t best = strlen(word) / 2 + 1; /* further than that is not a typo */
    for (size_t i = 0; i < count; i++) {
        size_t distance = edit_distance(word, candidates[i]);
        if (distance < best) {
            best = distance;
            nearest = candidates[i];
        }
    }
    return nearest;
}

int pf_options_read_unsigned(const char *text, size_t length, uint64_t *out)
{
    uint64_t value = 0;
    for (size_t i = 0; i < length; i++)
        if (text[i] < '0' || text[i] > '9' || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, text[i] - '0', &value))
            return -1;
    *out = value;
    return length ? 0 : -1;
}

int pf_options_read_long(const char *text, size_t length, long long *out)
{
    bool is_negative = length && *text == '-';
    uint64_t size;
    if (pf_options_read_unsigned(text + is_negative, length - (size_t)is_negative, &size))
        return -1;
    if (size > (uint64_t)INT64_MAX + (uint64_t)is_negative) return -1;
    *out = is_negative && size ? -1 - (long long)(size - 1) : (long long)size;
    return 0;
}

/* How many digits there are from *at on, which are stepped over. */
static size_t step_over_digits(const char **at, const char *end)
{
    const char *start = *at;
    while (*at < end && **at >= '0' && **at <= '9') ++*at;
    return (size_t)(*at - start);
}

int pf_options_read_double(const char *text, size_t length, double *out)
{
    char copy[400]; /* strtod wants an end */
    const char *at = text, *end = text + length;
    if (at < end && *at == '-') at++;
    size_t digits = step_over_digits(&at, end);
    if (at < end && *at == '.') {
        at++;
        digits += step_over_digits(&at, end);
    }
    if (digits && at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '-' || *at == '+')) at++;
        if (!step_over_digits(&at, end)) return -1;
    }
    if (!digits || at != end || length >= sizeof copy) return -1;
    memcpy(copy, text, length);
    copy[length] = '\0';
    *out = strtod(copy, NULL);
    return isfinite(*out) ? 0 : -1;
}

int pf_options_parse_double(const char *what, const char *text, double minimum, double maximum,
                            double *out, PfError *err)
{
    double value;
    if (pf_options_read_double(text, strlen(text), &value))
        return pf_fail(err, PF_EXIT_USAGE, "%s: expected a number, found '%s'", what, text);
    if (value < minimum || value > maximum)
        return pf_fail(err, PF_EXIT_USAGE, "%s: expected a number from %g to %g, found '%s'", what,
                       minimum, maximum, text);
    *out = value;
    return 0;
}

int pf_options_parse_long(const char *what, const char *text, long long minimum, long long maximum,
                          long long *out, PfError *err)
{
    long long value;
    if (pf_options_read_long(text, strlen(text), &value))
        return pf_fail(err, PF_EXIT_USAGE, "%s: expected a whole number, found '%s'", what, text);
    if (value < minimum || value > maximum)
        return pf_fail(err, PF_EXIT_USAGE,
                       "%s: expected a whole number from %lld to %lld, found '%s'", what, minimum,
                       maximum, text);
    *out = value;
    return 0;
}

int pf_options_parse_choice(const char *what, const char *value, const char *const *choices,
                            size_t count, int *index, PfError *err)
{
    char list[256] = "";
    for (size_t i = 0; i < count; i++) {
        if (!strcmp(value, choices[i])) {
            *index = (int)i;
            return 0;
        }
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", choices[i]);
    }
    return pf_fail(err, PF_EXIT_USAGE, "%s: expected one of %s, found '%s'", what, list, value);
}

/* ==== names ==== */

/* Whether the first length bytes of word are one of the names in text, which blanks separate. */
static bool has_word(const char *text, const char *word, size_t length)
{
    for (; text && *text; text += strspn(text, " ")) {
        size_t here = strcspn(text, " ");
        if (here == length && !strncmp(text, word, length)) return true;
        text += here;
    }
    return false;
}

static const PfOption *find_long(const PfOption *table, const char *name, size_t length)
{
    for (const PfOption *option = table; option->name; option++)
        if (option->kind != PF_OPTION_GROUP &&
            ((strlen(option->name) == length && !strncmp(option->name, name, length)) ||
             has_word(option->aliases, name, length)))
            return option;
    return NULL;
}

static const PfOption *find_letter(const PfOption *table, char letter)
{
    for (const PfOption *option = table; option->name; option++)
        if (option->kind != PF_OPTION_GROUP && option->letter == letter) return option;
    return NULL;
}

const PfOption *pf_options_named(const PfOption *table, const char *word)
{
    return find_long(table, word, strlen(word));
}

/* What other programs call an option, and what it may be called here: the first that there is. */
static const struct {
    const char *words, *names;
} meanings[] = {
    {"gpu gpus cuda cpu accelerator", "device"},
    {"jobs cores num-threads nproc cpus", "threads"},
    {"num-workers", "workers threads"},
    {"network net model arch architecture encoder", "backbone"},
    {"layer layers feature features hook", "tap"},
    {"pretrained checkpoint-path state-dict", "weights"},
    {"download", "fetch"},
    {"out output-file outfile save destination dest", "output"},
    {"overwrite clobber restart fresh", "force"},
    {"silent", "quiet"},
    {"debug loud", "verbose"},
    {"report result results metrics", "json"},
    {"format output-format", "output json"},
    {"classes class-names names", "class-map target"},
    {"label labels column columns task tasks", "target"},
    {"num-classes", "classes target"},
    {"validation validation-split val-split holdout test-size", "val split"},
    {"test test-split", "split"},
    {"bs minibatch", "batch"},
    {"rate eta learning", "lr"},
    {"wd l2 decay regularization reg alpha", "weight-decay"},
    {"opt solver", "optimizer"},
    {"iterations max-iter max-epochs num-epochs passes", "epochs"},
    {"scheduler lr-scheduler lr-schedule", "schedule"},
    {"cv cross-validation kfold k-fold", "folds"},
    {"early-stopping", "patience"},
    {"hidden mlp classifier", "head"},
    {"shots few-shot", "per-class"},
    {"unfreeze fine-tune", "finetune"},
    {"amp half fp16 bf16 mixed-precision dtype", "precision"},
    {"augment augmentation augmentations tta", "views"},
    {"random-state random-seed", "seed"},
    {"grid search", "sweep"},
    {"size resolution input-size img-size", "image-size"},
    {"subset limit max-images examples", "sample"},
    {"describe show", "info"},
    {"check validate", "verify"},
    {"list list-models models", "backbones"},
    {"topk top-k best", "top"},
    {"ram max-memory", "memory"},
    {"continue", "resume"},
};

/* The option of the table that other programs call `word`, or NULL. */
static const PfOption *find_meant(const PfOption *table, const char *word)
{
    const PfOption *found = NULL;
    for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++) {
        if (!has_word(meanings[i].words, word, strlen(word))) continue;
        for (const char *name = meanings[i].names; *name && !found; name += strspn(name, " ")) {
            found = find_long(table, name, strcspn(name, " "));
            name += strcspn(name, " ");
        }
    }
    return found;
}

/* The name or alias that is spelled most like word, into text, which is returned; or NULL. */
static const char *find_spelled(const PfOption *table, const char *word, char text[MAX_WORD + 1])
{
    char words[192][MAX_WORD + 1];
    const char *names[192];
    size_t count = 0;
    for (const PfOption *option = table; option->name; option++) {
        const char *lists[] = {option->name, option->aliases};
        for (int i = 0; i < 2 && option->kind != PF_OPTION_GROUP; i++)
            for (const char *at = lists[i]; at && *at && count < 192; at += strspn(at, " ")) {
                int length = (int)strcspn(at, " ");
                snprintf(words[count], sizeof words[count], "%.*s", length, at);
                names[count] = words[count];
                count++;
                at += length;
            }
    }
    const char *near = pf_options_nearest_word(word, names, count);
    if (near) snprintf(text, MAX_WORD + 1, "%s", near);
    return near ? text : NULL;
}

const PfOption *pf_options_find(const PfOption *table, const char *word)
{
    if (word[1] == '-') return find_long(table, word + 2, strcspn(word + 2, "="));
    return word[1] ? find_letter(table, word[1]) : NULL;
}

static int unknown_option(const PfOption *table, const char *word, PfError *err)
{
    char bare[MAX_WORD + 1] = "", spelled[MAX_WORD + 1];
    size_t length = strcspn(word + strspn(word, "-"), "=");
    if (length <= MAX_WORD) memcpy(bare, word + strspn(word, "-"), length);
    for (char *at = bare; *at; at++)
        if (*at == '_') *at = '-';
    const PfOption *meant = find_meant(table, bare);
    const char *near = meant ? meant->name : find_spelled(table, bare, spelled);
    if (near)
        return pf_fail(err, PF_EXIT_USAGE, "unknown option '%s'. Did you mean --%s?", word, near);
    return pf_fail(err, PF_EXIT_USAGE, "unknown option '%s'. --help lists the options.", word);
}

static bool takes_argument(const PfOption *option)
{
    return option->argument != NULL;
}

static int store_number(const PfOption *option, char *field, const char *value, PfError *err)
{
    char what[MAX_WORD + 4];
    snprintf(what, sizeof what, "--%s", option->name);
    bool bounded = option->minimum < option->maximum;
    if (option->kind == PF_OPTION_DOUBLE)
        return pf_options_parse_double(what, value, bounded ? option->minimum : -1e300,
                                       bounded ? option->maximum : 1e300, (double *)(void *)field,
                                       err);
    bool is_int = option->kind == PF_OPTION_INT;
    long long parsed;
    long long low = bounded ? (long long)option->minimum : is_int ? INT32_MIN : INT64_MIN;
    long long high = bounded ? (long long)option->maximum : is_int ? INT32_MAX : INT64_MAX;
    if (pf_options_parse_long(what, value, low, high, &parsed, err)) return -1;
    if (is_int)
        *(int *)(void *)field = (int)parsed;
    else
        *(int64_t *)(void *)field = (int64_t)parsed;
    return 0;
}

static int store(const PfOption *option, void *settings, const char *value, PfError *err)
{
    char *field = (char *)settings + option->offset;
    switch (option->kind) {
    case PF_OPTION_FLAG: *(int *)(void *)field = 1; return 0;
    case PF_OPTION_TEXT: *(const char **)(void *)field = value; return 0;
    case PF_OPTION_CALL: return option->parse(settings, value, err);
    default: return store_number(option, field, value, err);
    }
}

/* Of the options of a table, so many are watched for being given twice. */
#define MAX_WATCHED 256

/* What becomes of the options: settings, or where given is set, what was said of each. */
typedef struct Sink {
    const PfOption *table;
    void *settings;
    cJSON *given;
    bool was_given[MAX_WATCHED]; /* by their places in the table */
} Sink;

/* A TEXT option's second value must not take the place of another in silence. */
static int check_repeated(const PfOption *option, Sink *sink, const char *value, PfError *err)
{
    const size_t place = (size_t)(option - sink->table);
    if (option->kind != PF_OPTION_TEXT || option->repeat == PF_OPTION_LAST_WINS ||
        place >= MAX_WATCHED)
        return 0;
    const char *before = *(const char **)(void *)((char *)sink->settings + option->offset);
    if (!sink->was_given[place] || !strcmp(before, value)) {
        sink->was_given[place] = true;
        return 0;
    }
    return pf_fail(err, PF_EXIT_USAGE,
                   "--%s is given twice: '%s', then '%s'. Expected one; leave out the other",
                   option->name, before, value);
}

/* One that may be repeated to add to itself has all of its values, of others the last one
 * counts.
 */
static void record(const PfOption *option, const char *value, cJSON *given)
{
    if (cJSON_IsArray(given)) {
        char *word = value ? pf_asprintf(NULL, "--%s=%s", option->name, value)
                           : pf_asprintf(NULL, "--%s", option->name);
        cJSON_AddItemToArray(given, cJSON_CreateString(word ? word : ""));
        free(word);
        return;
    }
    const cJSON *before = cJSON_GetObjectItemCaseSensitive(given, option->name);
    const bool adds = value && option->kind == PF_OPTION_CALL && cJSON_IsString(before);
    char *both = adds ? pf_asprintf(NULL, "%s %s", before->valuestring, value) : NULL;
    cJSON *item = value ? cJSON_CreateString(both ? both : value) : cJSON_CreateTrue();
    cJSON_DeleteItemFromObjectCaseSensitive(given, option->name);
    cJSON_AddItemToObject(given, option->name, item);
    free(both);
}

static int put(const PfOption *option, Sink *sink, const char *value, PfError *err)
{
    if (!sink->given)
        return check_repeated(option, sink, value, err) || store(option, sink->settings, value, err)
                   ? -1
                   : 0;
    record(option, value, sink->given);
    return 0;
}

/* value: what was given with the option's word, or NULL; *next is the index of the word that
 * may be its argument. */
static int take(const PfOption *option, const char *word, const char *value, Sink *sink, int argc,
                char **argv, int *next, PfError *err)
{
    if (!takes_argument(option)) {
        if (value)
            return pf_fail(err, PF_EXIT_USAGE, "option --%s takes no argument, found '%s'",
                           option->name, word);
        return put(option, sink, NULL, err);
    }
    if (!value) {
        if (*next >= argc && !option->bare)
            return pf_fail(err, PF_EXIT_USAGE, "option '%s' needs an argument: %s", word,
                           option->argument);
        value = *next >= argc ? option->bare : argv[(*next)++];
    }
    return put(option, sink, value, err);
}

/* "-o", "-oFILE", "-qj2". */
static int parse_letters(const PfOption *table, Sink *sink, int argc, char **argv, int *next,
                         PfError *err)
{
    const char *word = argv[*next - 1];
    /* "-json" would be -j with "son". */
    if (word[2] && find_long(table, word + 1, strcspn(word + 1, "=")))
        return unknown_option(table, word, err);
    for (const char *letter = word + 1; *letter; letter++) {
        const PfOption *option = find_letter(table, *letter);
        if (!option) return unknown_option(table, word, err);
        const bool ends = takes_argument(option);
        const char *value = ends && letter[1] ? letter + 1 : NULL;
        if (take(option, word, value, sink, argc, argv, next, err)) return -1;
        if (ends) return 0;
    }
    return 0;
}

/* One option word; *next is the index of the word that may be its argument. */
static int parse_word(const PfOption *table, Sink *sink, int argc, char **argv, int *next,
                      PfError *err)
{
    const char *word = argv[*next - 1];
    if (word[1] != '-') return parse_letters(table, sink, argc, argv, next, err);
    size_t length = strcspn(word + 2, "=");
    const PfOption *option = find_long(table, word + 2, length);
    if (!option) return unknown_option(table, word, err);
    const char *value = word[2 + length] == '=' ? word + 3 + length : NULL;
    return take(option, word, value, sink, argc, argv, next, err);
}

static int parse_all(const PfOption *table, Sink *sink, int argc, char **argv,
                     const char **operands, int *operand_count, PfError *err)
{
    bool only_operands = false;
    *operand_count = 0;
    for (int next = 1; next < argc;) {
        const char *word = argv[next++];
        if (only_operands || word[0] != '-' || !word[1]) {
            if (operands) operands[*operand_count] = word;
            ++*operand_count;
        } else if (!strcmp(word, "--")) {
            only_operands = true;
        } else if (parse_word(table, sink, argc, argv, &next, err))
            return -1;
    }
    return 0;
}

int pf_options_parse(const PfOption *table, void *settings, int argc, char **argv,
                     const char **operands, int *operand_count, PfError *err)
{
    Sink sink = {.table = table, .settings = settings};
    return parse_all(table, &sink, argc, argv, operands, operand_count, err);
}

static cJSON *given(const PfOption *table, int argc, char **argv, cJSON *into)
{
    int operands;
    Sink sink = {.table = table, .given = into};
    if (sink.given && parse_all(table, &sink, argc, argv, NULL, &operands, NULL)) {
        cJSON_Delete(sink.given);
        sink.given = NULL;
    }
    return sink.given;
}

cJSON *pf_options_given(const PfOption *table, int argc, char **argv)
{
    return given(table, argc, argv, cJSON_CreateObject());
}

cJSON *pf_options_words(const PfOption *table, int argc, char **argv)
{
    return given(table, argc, argv, cJSON_CreateArray());
}

void pf_options_leave_result(const PfOption *table, cJSON *given)
{
    const bool is_list = cJSON_IsArray(given);
    for (cJSON *item = given ? given->child : NULL, *next; item; item = next) {
        next = item->next;
        const PfOption *option = is_list ? pf_options_find(table, item->valuestring)
                                         : pf_options_named(table, item->string);
        if (option && option->effect == PF_OPTION_ON_RUN)
            cJSON_Delete(cJSON_DetachItemViaPointer(given, item));
    }
}

const char *pf_options_word_name(const char *word, size_t *length)
{
    const char *name = word + strspn(word, "-");
    *length = strcspn(name, "=");
    return name;
}

static bool is_of_option(const cJSON *word, const char *name, size_t length)
{
    size_t own;
    if (!cJSON_IsString(word)) return false;
    const char *given = pf_options_word_name(word->valuestring, &own);
    return own == length && !strncmp(name, given, length);
}

bool pf_options_words_have(const cJSON *words, const char *word)
{
    size_t length;
    const char *name = pf_options_word_name(word, &length);
    const cJSON *item;
    cJSON_ArrayForEach(item, words) if (is_of_option(item, name, length)) return true;
    return false;
}

void pf_options_words_drop(cJSON *words, const char *name)
{
    for (cJSON *item = cJSON_IsArray(words) ? words->child : NULL, *next; item; item = next) {
        next = item->next;
        if (is_of_option(item, name, strlen(name)))
            cJSON_Delete(cJSON_DetachItemViaPointer(words, item));
    }
}

int pf_options_assign(const PfOption *table, void *settings, const char *where, const char *name,
                      const char *value, PfError *err)
{
    const PfOption *option = find_long(table, name, strlen(name));
    if (!option) {
        PfError unknown;
        unknown_option(table, name, &unknown);
        return pf_fail(err, PF_EXIT_USAGE, "%s: %" PF_SENTENCE, where, unknown.message);
    }
    if (takes_argument(option) != (value != NULL))
        return pf_fail(err, PF_EXIT_USAGE, "%s: option --%s %s", where, name,
                       value ? "takes no value" : "needs a value");
    return store(option, settings, value, err);
}

static void print_option(const PfOption *option)
{
    char left[64];
    snprintf(left, sizeof left, "  %c%c%s--%s%s%s", option->letter ? '-' : ' ',
             option->letter ? option->letter : ' ', option->letter ? ", " : "  ", option->name,
             option->argument ? " " : "", option->argument ? option->argument : "");
    const char *line = option->help;
    if (strlen(left) > 30) {
        printf("%s\n", left);
        left[0] = '\0';
    }
    for (;;) {
        int length = (int)strcspn(line, "\n");
        printf("%-32s%.*s\n", left, length, line);
        left[0] = '\0';
        if (!line[length]) break;
        line += length + 1;
    }
    if (!option->aliases) return;
    printf("%-32salso", "");
    for (const char *at = option->aliases; *at; at += strspn(at, " ")) {
        int length = (int)strcspn(at, " ");
        printf("%s --%.*s", at > option->aliases ? "," : "", length, at);
        at += length;
    }
    putchar('\n');
}

void pf_options_print(const PfOption *table)
{
    for (const PfOption *option = table; option->name; option++)
        if (option->kind == PF_OPTION_GROUP)
            printf("\n%s\n", option->name);
        else
            print_option(option);
}

int pf_options_split_list(const char *text, char ***items, int *count, PfError *err)
{
    size_t capacity = 0;
    *items = NULL;
    *count = 0;
    for (const char *start = text;;) {
        size_t length = strcspn(start, ",");
        if (!length) {
            pf_options_free_list(items, count);
            return pf_fail(err, PF_EXIT_USAGE, "empty entry in the list '%s'", text);
        }
        if (pf_grow(items, &capacity, (size_t)*count + 1, sizeof **items, err)) break;
        char *item = strndup(start, length);
        if (!item) break;
        (*items)[(*count)++] = item;
        if (!start[length]) return 0;
        start += length + 1;
    }
    pf_options_free_list(items, count);
    return pf_fail(err, PF_EXIT_FAILED, "out of memory");
}

void pf_options_free_list(char ***items, int *count)
{
    for (int i = 0; i < *count; i++) free((*items)[i]);
    free(*items);
    *items = NULL;
    *count = 0;
}
