#include "common/file/rows_content.h"

#include <ctype.h>
#include <string.h>

/* Columns that are looked at; of more, the others are taken to be like these. */
#define MOST_COLUMNS 1024

typedef struct Text {
    const char *at;
    size_t length;
} Text;

/* ---- texts ---- */

static bool is(Text text, const char *word)
{
    return text.length == strlen(word) && !memcmp(text.at, word, text.length);
}

static bool begins(Text text, const char *word)
{
    return text.length >= strlen(word) && !memcmp(text.at, word, strlen(word));
}

static bool ends(Text text, const char *word)
{
    size_t length = strlen(word);
    return text.length >= length && !memcmp(text.at + text.length - length, word, length);
}

static bool has(Text text, const char *word)
{
    return memmem(text.at, text.length, word, strlen(word)) != NULL;
}

static Text rest_of(const PfFileContent *content, size_t from)
{
    return (Text){(const char *)content->begin + from, content->size - from};
}

/* ---- numbers ---- */

/* What was seen of numbers: predict writes up to seven digits, and nearly all of its numbers need
 * six or seven. */
typedef struct Numbers {
    int count, long_ones, others; /* others: of more digits, or no numbers */
} Numbers;

/* Significant digits of a text that is a number and nothing else; -1 of others. */
static int count_digits(Text text)
{
    size_t i = text.length && text.at[0] == '-';
    int digits = 0, all = 0, points = 0;
    for (; i < text.length && (isdigit((unsigned char)text.at[i]) || strchr(".,", text.at[i]));
         i++) {
        bool is_digit = isdigit((unsigned char)text.at[i]);
        points += !is_digit;
        all += is_digit;
        digits += is_digit && (digits || text.at[i] != '0');
    }
    if (i < text.length && text.at[i] == 'e') {
        i++;
        i += i < text.length && strchr("+-", text.at[i]);
        while (i < text.length && isdigit((unsigned char)text.at[i])) i++;
    }
    return i < text.length || !all || points > 1 ? -1 : digits;
}

static void add_number(Numbers *numbers, Text text)
{
    int digits = count_digits(text);
    numbers->count++;
    numbers->long_ones += digits == 6 || digits == 7;
    numbers->others += digits < 0 || digits > 7;
}

static bool are_predicted(const Numbers *numbers)
{
    return !numbers->others && 2 * numbers->long_ones > numbers->count;
}

/* ---- CSV ---- */

/* Takes the next field off the front. False where the text ends before the field does. */
static bool next_field(Text *rest, char delimiter, Text *field, bool *is_last)
{
    size_t i = 0, quoted = rest->length && rest->at[0] == '"';
    for (i = quoted; i < rest->length; i++) {
        if (quoted && rest->at[i] == '"') {
            if (i + 1 == rest->length || rest->at[i + 1] != '"') break;
            i++;
        }
        if (!quoted && (rest->at[i] == delimiter || strchr("\r\n", rest->at[i]))) break;
    }
    *field = (Text){rest->at + quoted, i - quoted};
    i += quoted;
    while (i < rest->length && rest->at[i] == '\r') i++;
    if (i >= rest->length) return false;
    *is_last = rest->at[i] == '\n';
    *rest = (Text){rest->at + i + 1, rest->length - i - 1};
    return true;
}

/* Of one target of classes: label,probability,label2,probability2,...,true,split,novelty. */
static bool is_plain(const Text *columns, int count)
{
    int i = 0;
    while (i + 1 < count && begins(columns[i], "label") && begins(columns[i + 1], "probability"))
        i += 2;
    if (!i || !is(columns[0], "label") || !is(columns[1], "probability")) return false;
    if (i + 1 < count && is(columns[i], "true") && is(columns[i + 1], "split")) i += 2;
    return i + is(columns[count - 1], "novelty") == count;
}

/* NAME,NAME_probability */
static bool has_class(const Text *columns, int count)
{
    for (int i = 0; i + 1 < count; i++) {
        Text name = columns[i], next = columns[i + 1];
        if (name.length && next.length == name.length + strlen("_probability") &&
            !memcmp(next.at, name.at, name.length) && ends(next, "_probability"))
            return true;
    }
    return false;
}

/* NAME,...,true,split or NAME,...,NAME_true,split, at the end or before novelty. */
static bool has_truth(const Text *columns, int count)
{
    int split = count - 1 - is(columns[count - 1], "novelty");
    if (split < 2 || !is(columns[split], "split")) return false;
    Text before = columns[split - 1];
    return is(before, "true") || begins(before, "true_") || ends(before, "_true") ||
           has(before, "_true_");
}

/* Numbers in every column but the path's; with a novelty, in the last. */
static bool has_numbers(Text rest, char delimiter, int count, bool has_novelty)
{
    Numbers numbers = {0};
    Text field;
    bool is_last;
    int rows = 0, tenths = 0;
    for (int i = 0; next_field(&rest, delimiter, &field, &is_last); i = is_last ? 0 : i + 1) {
        if (i && field.length && !(has_novelty && i == count)) add_number(&numbers, field);
        if (!is_last) continue;
        rows++;
        tenths += field.length > 2 && field.at[field.length - 2] == '.' && count_digits(field) >= 0;
    }
    return has_novelty ? rows && rows == tenths : are_predicted(&numbers);
}

bool pf_rows_content_is_csv(const PfFileContent *content)
{
    Text columns[MOST_COLUMNS], field, rest = rest_of(content, 0);
    bool is_last = false;
    int count = 0;
    if (!pf_file_content_is_text(content) || !begins(rest, "path") || rest.length < 6 ||
        !memchr(",;\t", rest.at[4], 3))
        return false;
    const char delimiter = rest.at[4];
    rest = rest_of(content, 5);
    while (!is_last && next_field(&rest, delimiter, &field, &is_last))
        if (count < MOST_COLUMNS) columns[count++] = field;
    if (!count) return false;
    if (is_last && !rest.length) return true; /* no rows: there is nothing to lose */
    bool has_novelty = count > 1 && is(columns[count - 1], "novelty");
    return is_plain(columns, count) || has_class(columns, count) || has_truth(columns, count) ||
           has_numbers(rest, delimiter, count, has_novelty);
}

/* ---- JSON ---- */

/* Behind the string that the text begins with; an empty text where it does not end. */
static Text behind_string(Text text)
{
    size_t i = 1;
    while (i < text.length && text.at[i] != '"') i += text.at[i] == '\\' ? 2 : 1;
    return i < text.length ? (Text){text.at + i + 1, text.length - i - 1} : (Text){text.at, 0};
}

/* All of them outside strings. */
static bool has_json_numbers(Text rest)
{
    Numbers numbers = {0};
    while (rest.length) {
        if (*rest.at == '"') {
            rest = behind_string(rest);
            continue;
        }
        size_t length = 0;
        while (length < rest.length && memchr("+-.eE0123456789", rest.at[length], 15)) length++;
        /* "e" alone is in "true". */
        bool is_number = length && (*rest.at == '-' || isdigit((unsigned char)*rest.at));
        if (is_number && length < rest.length) add_number(&numbers, (Text){rest.at, length});
        length += !length;
        rest = (Text){rest.at + length, rest.length - length};
    }
    return are_predicted(&numbers);
}

/* Of an object that begins with its path: what predict puts behind it, to the end of the line. */
static bool is_json_row(Text rest)
{
    rest = behind_string(rest);
    const char *end = memchr(rest.at, '\n', rest.length);
    Text line = {rest.at, end ? (size_t)(end - rest.at) : rest.length};
    bool is_class = begins(line, ", \"label\": ") || has(line, "\": {\"label\": ");
    return (is_class && has(line, ", \"probability\": ")) || has(line, "\": {\"labels\": [") ||
           (has(line, ", \"true\": ") && has(line, ", \"split\": ")) ||
           has(line, ", \"novelty\": ") || has_json_numbers(rest);
}

bool pf_rows_content_is_json(const PfFileContent *content)
{
    static const char evaluated[] = "{\"predictions\": ", row[] = "[\n {\"path\": ";
    Text rest = rest_of(content, 0);
    if (!pf_file_content_is_text(content)) return false;
    bool is_evaluated = begins(rest, evaluated);
    if (is_evaluated) rest = rest_of(content, strlen(evaluated));
    if (begins(rest, row))
        return is_json_row((Text){rest.at + strlen(row), rest.length - strlen(row)});
    return is_evaluated ? begins(rest, "[],\n\"evaluation\": ") : is(rest, "[]\n");
}
