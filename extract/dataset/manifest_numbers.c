/* Numbers as people write them: what a column's fields say together of how to read each. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "extract/dataset/manifest.h"

/* Longest number, and longest sign or unit. */
#define MAX_TEXT 64
#define MAX_UNIT 4

/* What a field says of the mark before its decimals. */
typedef enum Mark {
    MARK_NONE,         /* it has no decimals, nor what could be some */
    MARK_POINT,        /* "1.5", "1,200.5", "1,200,300" */
    MARK_COMMA,        /* "1,5", "1.200,5", "1.200.300" */
    MARK_UNSURE_POINT, /* "1.200" */
    MARK_UNSURE_COMMA, /* "1,200" */
} Mark;

/* A number in parts. */
typedef struct Number {
    char digits[MAX_TEXT]; /* with sign, commas, points and exponent */
    char unit[MAX_UNIT];   /* "%", "$", or nothing */
    Mark mark;
    bool is_dressed; /* more than strtod reads */
} Number;

/* ---- a field ---- */

int pf_manifest_number(const char *field, double *value)
{
    char *end;
    size_t length = strlen(field);
    if (!length || length > 63 || strspn(field, "0123456789+-.eE") != length) return -1;
    *value = strtod(field, &end);
    return *end || !isfinite(*value) ? -1 : 0;
}

/* What is written instead of ASCII's signs, and the currencies and other units that are known. */
static const char *const signs[][2] = {
    {"\xc2\xa0", " "},     {"\xe2\x80\xaf", " "}, {"\xe2\x80\x89", " "},
    {"\xe2\x88\x92", "-"}, {"\xe2\x80\x99", "'"},
};
static const char *const units[] = {"%", "$", "\xe2\x82\xac", "\xc2\xa3", "\xc2\xa5"};

static bool begins_with(const char *text, const char *sign)
{
    return !strncmp(text, sign, strlen(sign));
}

/* Moves *text past a unit, if it begins with one: 1. 0: it does not; -1: the number already has a
 * unit. */
static int take_unit(const char **text, Number *number)
{
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (!begins_with(*text, units[i])) continue;
        if (*number->unit) return -1;
        strcpy(number->unit, units[i]);
        *text += strlen(units[i]);
        return 1;
    }
    return 0;
}

static char take_character(const char **text)
{
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (begins_with(*text, signs[i][0])) {
            *text += strlen(signs[i][0]);
            return signs[i][1][0];
        }
    return *(*text)++;
}

/* Copies the field to plain without its unit and outer spaces; -1 where a unit stands twice. */
static int undress(const char *field, char *plain, Number *number)
{
    size_t length = 0;
    while (*field && length < MAX_TEXT - 1) {
        int unit = take_unit(&field, number);
        if (unit < 0) return -1;
        char c = unit ? ' ' : take_character(&field);
        if (c != ' ' || length) plain[length++] = c;
    }
    while (length && plain[length - 1] == ' ') length--;
    plain[length] = '\0';
    return *field ? -1 : 0;
}

/* Digits in groups of three behind the first, as "1 200 300". */
static bool are_groups(const char *text, size_t length, const char *marks)
{
    size_t first = strspn(text, "0123456789"), at = first;
    if (first < 1 || first > 3) return false;
    for (; at < length; at += 4)
        if (!strchr(marks, text[at]) || at + 4 > length ||
            strspn(text + at + 1, "0123456789") < 3 ||
            (at + 4 < length && strspn(text + at + 1, "0123456789") > 3))
            return false;
    return at == length;
}

static size_t count_of(const char *text, size_t length, char c)
{
    size_t count = 0;
    for (size_t i = 0; i < length; i++) count += text[i] == c;
    return count;
}

/* Judges digits that have only one kind of mark between them; -1 where they are no number. */
static int judge_one_kind(const char *text, size_t length, char mark, Number *number)
{
    Mark decimal = mark == '.' ? MARK_POINT : MARK_COMMA;
    Mark unsure = mark == '.' ? MARK_UNSURE_POINT : MARK_UNSURE_COMMA;
    if (count_of(text, length, mark) == 1) {
        number->mark =
            are_groups(text, length, mark == '.' ? "." : ",") && *text != '0' ? unsure : decimal;
        return 0;
    }
    number->mark = decimal == MARK_POINT ? MARK_COMMA : MARK_POINT; /* it parts thousands */
    return are_groups(text, length, mark == '.' ? "." : ",") ? 0 : -1;
}

/* Judges the digits before an exponent, without a sign; -1 where they are no number. */
static int judge_marks(const char *text, size_t length, Number *number)
{
    size_t commas = count_of(text, length, ','), points = count_of(text, length, '.');
    size_t whole = strcspn(text, ".,");
    const char *last = text + length;
    while (last > text && !strchr(".,", last[-1])) last--;
    if (strcspn(text, " '") < length) { /* these part thousands, so that a mark is the decimals' */
        if (whole > length) whole = length;
        if (commas + points > 1 || !are_groups(text, whole, " '")) return -1;
        number->mark = commas ? MARK_COMMA : points ? MARK_POINT : MARK_NONE;
        return 0;
    }
    if (!commas && !points) return 0;
    if (!commas || !points) return judge_one_kind(text, length, commas ? ',' : '.', number);
    number->mark = last[-1] == ',' ? MARK_COMMA : MARK_POINT;
    if (count_of(text, length, last[-1]) > 1) return -1;
    return are_groups(text, (size_t)(last - text) - 1, last[-1] == ',' ? "." : ",") ? 0 : -1;
}

/* -1: it is no number. */
static int take_apart(const char *field, Number *number)
{
    char plain[MAX_TEXT];
    *number = (Number){0};
    if (undress(field, plain, number)) return -1;
    char *at = plain, *out = number->digits;
    if (*at == '-' || *at == '+') *out++ = *at++;
    at += strspn(at, " ");
    size_t length = strspn(at, "0123456789., '"), digits = 0;
    for (size_t i = 0; i < length; i++) {
        digits += at[i] >= '0' && at[i] <= '9';
        if (!strchr(" '", at[i])) *out++ = at[i];
    }
    if (!digits || judge_marks(at, length, number)) return -1;
    strcpy(out, at + length);
    if (at[length]) {
        const char *exponent = at + length + 1 + (at[length + 1] == '-' || at[length + 1] == '+');
        if (!strchr("eE", at[length]) || !*exponent || exponent[strspn(exponent, "0123456789")])
            return -1;
    }
    number->is_dressed =
        strcmp(number->digits, field) != 0 || strchr(field, ',') || number->mark == MARK_COMMA;
    return 0;
}

static int value_of(const Number *number, char decimal, double *value)
{
    char text[MAX_TEXT], *out = text;
    for (const char *at = number->digits; *at; at++)
        if (*at == decimal)
            *out++ = '.';
        else if (*at != ',' && *at != '.')
            *out++ = *at;
    *out = '\0';
    return pf_manifest_number(text, value);
}

/* ---- a column ---- */

/* What stands for nothing among numbers. */
static bool is_odd(const char *field)
{
    static const char *const marks[] = {"-", "--", "---", "?", ".", "\xe2\x80\x93", "\xe2\x80\x94"};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        if (!strcmp(field, marks[i])) return true;
    return false;
}

static bool is_infinite(const char *field)
{
    double value;
    char *end;
    field += *field == '-' || *field == '+';
    if (!strcasecmp(field, "inf") || !strcasecmp(field, "infinity")) return true;
    if (!*field || strspn(field, "0123456789+-.eE") != strlen(field)) return false;
    value = strtod(field, &end);
    return !*end && isinf(value);
}

bool pf_manifest_is_beyond(const char *field)
{
    return strpbrk(field, "0123456789") && is_infinite(field);
}

static void note_number(const PfManifest *manifest, int column, const Number *number,
                        const char *field)
{
    PfNumberForm *form = &manifest->forms[column];
    form->dressed += number->is_dressed;
    if (!form->numbers++) strcpy(form->unit, number->unit);
    if (number->mark != MARK_NONE)
        pf_manifest_note(&form->marked[number->mark], manifest, column, field);
    pf_manifest_note(&form->with_unit[strcmp(form->unit, number->unit) != 0], manifest, column,
                     field);
}

static void note_text(const PfManifest *manifest, int column, const char *field)
{
    PfNumberForm *form = &manifest->forms[column];
    pf_manifest_note(&form->texts, manifest, column, field);
    const char *digit = field + strspn(field, "+-$");
    if (*digit >= '0' && *digit <= '9')
        pf_manifest_note(&form->digit_first, manifest, column, field);
}

void pf_manifest_note_number(const PfManifest *manifest, int column, const char *field)
{
    Number number = {0};
    PfNumberForm *form = &manifest->forms[column];
    double value;
    bool is_plain = !pf_manifest_number(field, &value);
    if (is_plain && strspn(field, "-0123456789") == strlen(field)) {
        form->numbers++; /* most are such, and say nothing of the others */
        pf_manifest_note(&form->with_unit[*form->unit != '\0'], manifest, column, field);
    } else if (manifest->options->as_before) {
        if (!is_plain) pf_manifest_note(&form->texts, manifest, column, field);
        form->numbers += is_plain;
    } else if ((!take_apart(field, &number) || is_plain) && !is_infinite(field)) {
        note_number(manifest, column, &number, field);
    } else if (is_infinite(field)) {
        pf_manifest_note(&form->infinite, manifest, column, field);
    } else if (is_odd(field)) {
        pf_manifest_note(&form->odd, manifest, column, field);
        form->has_other_words |= strcmp(form->odd.text, field) != 0;
    } else {
        note_text(manifest, column, field);
    }
}

bool pf_manifest_is_odd_one(const PfManifest *manifest, const PfManifestTarget *target,
                            const char *field)
{
    return !manifest->options->as_before && is_odd(field) &&
           pf_manifest_is_numeric(&manifest->forms[target->columns[0]]);
}

bool pf_manifest_is_numeric(const PfNumberForm *form)
{
    return form->numbers && form->numbers >= form->odd.count && !form->texts.count;
}

/* ---- which mark it is ---- */

static int fail_two(const PfManifest *manifest, int column, const PfFoundField *first,
                    const PfFoundField *second, const char *what, PfError *err)
{
    return pf_fail(
        err, PF_EXIT_FAILED,
        "'%s', column '%s': found '%s' (line %lld) and '%s' (line %lld): %s.\nHint: write "
        "them alike, or --target NAME:class takes them as texts",
        manifest->path, manifest->columns[column], first->text, (long long)first->line,
        second->text, (long long)second->line, what);
}

static int fail_unsure(const PfManifest *manifest, int column, const PfFoundField *found,
                       PfError *err)
{
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s' line %lld, column '%s': found '%s', and no field says whether that mark "
                   "parts thousands or begins decimals.\nHint: --decimal point, or --decimal comma",
                   manifest->path, (long long)found->line, manifest->columns[column], found->text);
}

/* The mark before decimals that fields of any column of numbers are sure of; 0: they are sure of
 * none, or of both. */
static char mark_of_file(PfManifest *manifest)
{
    bool points = false, commas = false;
    if (manifest->knows_mark) return manifest->mark;
    manifest->knows_mark = true;
    for (int i = 0; i < manifest->column_count; i++) {
        const PfNumberForm *form = &manifest->forms[i];
        if (!pf_manifest_is_numeric(form)) continue;
        points |= form->marked[MARK_POINT].count > 0;
        commas |= form->marked[MARK_COMMA].count > 0;
    }
    manifest->mark = points == commas ? 0 : points ? '.' : ',';
    return manifest->mark;
}

/* For a column that has fields like "1.200" and none that is sure, in a file whose fields are not
 * parted by commas: the point may part thousands, as in a spreadsheet, or begin decimals. */
static int settle_points(const PfManifest *manifest, int column, PfNumberForm *form, char file,
                         PfError *err)
{
    const PfFoundField *found = &form->marked[MARK_UNSURE_POINT];
    if (!found->count || file == '.' || pf_csv_delimiter(manifest->csv) == ',') return 0;
    if (file == ',') {
        form->decimal = ',';
        return 0;
    }
    return pf_dataset_warn(manifest->dataset, err,
                           "column '%s': '%s' (line %lld) is read as %.9g; --decimal comma reads "
                           "the point as thousands', --decimal point says so",
                           manifest->columns[column], found->text, (long long)found->line,
                           strtod(found->text, NULL));
}

static int settle_mark(PfManifest *manifest, int column, PfNumberForm *form, PfError *err)
{
    const PfFoundField *point = &form->marked[MARK_POINT], *comma = &form->marked[MARK_COMMA];
    const char *option = manifest->options->table.decimal;
    char given = option ? *option : 0, file = mark_of_file(manifest);
    if (point->count && comma->count)
        return fail_two(manifest, column, point, comma, "two ways of writing decimals", err);
    if (given && (given == '.' ? comma : point)->count)
        return pf_manifest_fail_at(manifest, column, given == '.' ? comma : point,
                                   "the decimals that --decimal says", err);
    form->decimal = given ? given : comma->count ? ',' : '.';
    if (given || point->count || comma->count) return 0;
    const PfFoundField *unsure = &form->marked[MARK_UNSURE_COMMA];
    if (unsure->count) {
        form->decimal = file ? file : '.';
        return file || pf_csv_delimiter(manifest->csv) == ','
                   ? 0
                   : fail_unsure(manifest, column, unsure, err);
    }
    return settle_points(manifest, column, form, file, err);
}

/* Called for each target that has the column; the first call settles it. */
int pf_manifest_settle_number(PfManifest *manifest, int column, PfError *err)
{
    PfNumberForm *form = &manifest->forms[column];
    if (form->decimal) return 0;
    form->decimal = '.';
    if (manifest->options->as_before) return 0;
    if (form->with_unit[1].count)
        return fail_two(manifest, column, &form->with_unit[0], &form->with_unit[1],
                        "numbers of different units", err);
    return settle_mark(manifest, column, form, err);
}

int pf_manifest_column_number(const PfManifest *manifest, int column, const char *field,
                              double *value)
{
    Number number;
    const PfNumberForm *form = &manifest->forms[column];
    *value = NAN;
    if (form->decimal == '.' && !pf_manifest_number(field, value)) return 0;
    if (manifest->options->as_before) return -1;
    if (is_odd(field) && form->numbers >= form->odd.count) return 0;
    return take_apart(field, &number) ? -1 : value_of(&number, form->decimal, value);
}

/* ", '1,5' is 1.5": how a column that is written in a way of its own is read; else "". */
const char *pf_manifest_number_text(const PfManifest *manifest, int column, char *text, size_t size)
{
    const PfNumberForm *form = &manifest->forms[column];
    const PfFoundField *found = &form->with_unit[0];
    double value;
    *text = '\0';
    for (int i = MARK_POINT; i <= MARK_UNSURE_COMMA; i++)
        if (form->marked[i].count && (i >= MARK_UNSURE_POINT || found == &form->with_unit[0]))
            found = &form->marked[i];
    if ((form->dressed || form->decimal == ',') &&
        !pf_manifest_column_number(manifest, column, found->text, &value))
        snprintf(text, size, ", '%s' is %.9g", found->text, value);
    return text;
}
