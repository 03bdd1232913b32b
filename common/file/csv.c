#include "common/file/csv.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/base/options.h"
#include "common/base/printable.h"
#include "common/file/input_file.h"
#include "common/file/text_encoding.h"

#define MAX_FIELDS 1000000

struct PfCsvReader {
    const char *path;
    char *text; /* the file, and a NUL */
    size_t size;
    const char *first, *next, *end; /* of the records */
    char delimiter;
    bool was_utf16;
    int64_t line, next_line, first_line;
    char *record; /* its fields, unquoted, each with a NUL; as large as the text could need */
    size_t record_capacity, record_used;
    size_t *starts; /* of the fields in record */
    size_t start_capacity, field_capacity;
    const char **fields;
    int count;
};

/* ---- the file ---- */

static int read_stream(PfCsvReader *reader, FILE *stream, PfError *err)
{
    size_t capacity = 0, got;
    do {
        if (pf_grow(&reader->text, &capacity, reader->size + 65536, 1, err)) return -1;
        got = fread(reader->text + reader->size, 1, capacity - reader->size - 1, stream);
        reader->size += got;
    } while (got);
    reader->text[reader->size] = '\0';
    return ferror(stream) ? pf_fail_errno(err, "'%s' cannot be read", reader->path) : 0;
}

static int read_file(PfCsvReader *reader, PfError *err)
{
    struct stat status;
    PfError holes;
    int fd = pf_input_file_open(AT_FDCWD, reader->path, "", &status, err);
    if (fd < 0) return -1;
    FILE *stream = fdopen(fd, "rb");
    if (!stream) {
        close(fd);
        return pf_fail_errno(err, "'%s' cannot be read", reader->path);
    }
    int failed =
        pf_input_file_check_holes(fd, status.st_size, &holes)
            ? pf_fail(err, PF_EXIT_FAILED, "'%s': %" PF_SENTENCE, reader->path, holes.message)
            : read_stream(reader, stream, err);
    fclose(stream);
    return failed;
}

static int64_t count_lines(const char *text, const char *end)
{
    int64_t lines = 1;
    while ((text = memchr(text, '\n', (size_t)(end - text)))) {
        lines++;
        text++;
    }
    return lines;
}

/* ---- its encoding ---- */

static bool has_mark(const PfCsvReader *reader, const char *mark, size_t size)
{
    return reader->size >= size && !memcmp(reader->text, mark, size);
}

static bool is_utf16(const PfCsvReader *reader)
{
    return has_mark(reader, "\xff\xfe", 2) || has_mark(reader, "\xfe\xff", 2);
}

static int convert(PfCsvReader *reader, const char *encoding, PfError *err)
{
    char *text;
    size_t size, bad;
    if (pf_text_encoding_to_utf8(encoding, reader->text, reader->size, &text, &size, &bad, err)) {
        if (bad == reader->size) return -1;
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s' line %lld: byte 0x%02x is no character of %s. Hint: --encoding says "
                       "what the file is in (utf-8, latin1, windows-1252, utf-16)",
                       reader->path, (long long)count_lines(reader->text, reader->text + bad),
                       (unsigned)(unsigned char)reader->text[bad], encoding);
    }
    free(reader->text);
    reader->text = text;
    reader->size = size;
    return 0;
}

static int decode(PfCsvReader *reader, const PfCsvOptions *options, PfError *err)
{
    if (options->encoding) return convert(reader, options->encoding, err);
    if (!is_utf16(reader)) return 0;
    if (options->only_first_line)
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s' is UTF-16 text; expected UTF-8. Hint: iconv -f UTF-16 -t UTF-8",
                       reader->path);
    reader->was_utf16 = true;
    return convert(reader, "UTF-16", err);
}

static int check_nul(const PfCsvReader *reader, PfError *err)
{
    const char *nul = memchr(reader->text, '\0', reader->size);
    if (!nul) return 0;
    return pf_fail(
        err, PF_EXIT_FAILED,
        "'%s' line %lld holds a NUL byte; expected CSV text. Hint: UTF-16 without a byte "
        "order mark is --encoding utf-16le",
        reader->path, (long long)count_lines(reader->text, nul));
}

/* ---- delimiters ---- */

/* How often each stands in the first line, outside quotes. */
typedef struct Counts {
    size_t commas, semicolons, tabs, bars, spaces;
} Counts;

static Counts count_delimiters(const char *text)
{
    Counts counts = {0};
    bool quoted = false;
    for (; *text && (quoted || !strchr("\r\n", *text)); text++) {
        if (*text == '"') quoted = !quoted;
        if (quoted) continue;
        counts.commas += *text == ',';
        counts.semicolons += *text == ';';
        counts.tabs += *text == '\t';
        counts.bars += *text == '|';
        counts.spaces += *text == ' ';
    }
    return counts;
}

/* Whether it divides all records into as many fields, more than one. */
static bool is_regular(PfCsvReader *reader, char delimiter)
{
    const char *const *fields;
    int count, first = 0, status;
    PfError err = {0};
    reader->delimiter = delimiter;
    pf_csv_rewind(reader);
    while ((status = pf_csv_next(reader, &fields, &count, &err)) > 0) {
        if (!first) first = count;
        if (count != first) return false;
    }
    return !status && first > 1;
}

static bool ends_like_image(const char *line, const char *end)
{
    static const char *const endings[] = {".jpg", ".jpeg", ".png",  ".ppm", ".bmp",  ".pgm",
                                          ".tif", ".tiff", ".webp", ".gif", ".heic", ".avif"};
    while (end > line && strchr(" \t\r", end[-1])) end--;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t length = strlen(endings[i]);
        if ((size_t)(end - line) > length && !strncasecmp(end - length, endings[i], length))
            return true;
    }
    return false;
}

/* Whether every line, or every one but the first, is a path and nothing else. */
static bool are_paths(const PfCsvReader *reader)
{
    bool is_first = true;
    int paths = 0;
    const char *next;
    for (const char *line = reader->first; line < reader->end; line = next, is_first = false) {
        const char *stop = memchr(line, '\n', (size_t)(reader->end - line));
        next = stop ? stop + 1 : reader->end;
        if (!stop) stop = reader->end;
        if (stop == line || (stop == line + 1 && *line == '\r')) continue;
        bool is_path = *line != '"' && ends_like_image(line, stop);
        if (!is_path && !is_first) return false;
        paths += is_path;
    }
    return paths > 0;
}

static char most_frequent(const Counts *counts)
{
    if (counts->tabs > counts->commas && counts->tabs > counts->semicolons) return '\t';
    return counts->semicolons > counts->commas ? ';' : ',';
}

/* The delimiter where the first line has no comma, semicolon or tab. */
static char choose_rare_delimiter(PfCsvReader *reader, const Counts *counts)
{
    if (are_paths(reader)) return '\n';
    if (counts->bars && is_regular(reader, '|')) return '|';
    return counts->spaces && is_regular(reader, ' ') ? ' ' : ',';
}

/* Whether the delimiter makes a field of the first line end like an image. */
static bool shows_image(const PfCsvReader *reader, char delimiter)
{
    const char *next, *end = reader->first + strcspn(reader->first, "\r\n");
    for (const char *field = reader->first; field < end; field = next + 1) {
        next = memchr(field, delimiter, (size_t)(end - field));
        if (!next) next = end;
        const char *stop = next > field && next[-1] == '"' ? next - 1 : next;
        if (ends_like_image(field, stop)) return true;
    }
    return false;
}

/* A delimiter of the first line other than its most frequent one. */
static char choose_other(PfCsvReader *reader, const Counts *counts, char best)
{
    const struct {
        char delimiter;
        size_t count;
    } others[] = {{';', counts->semicolons}, {'\t', counts->tabs}, {',', counts->commas}};
    bool image = shows_image(reader, best), regular = is_regular(reader, best);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        char other = others[i].delimiter;
        if (!others[i].count || other == best || !is_regular(reader, other)) continue;
        if (!regular || (!image && shows_image(reader, other))) return other;
    }
    return best;
}

static char choose_delimiter(PfCsvReader *reader, const PfCsvOptions *options)
{
    const char *dot = strrchr(reader->path, '.');
    Counts counts = count_delimiters(reader->first);
    char best = most_frequent(&counts);
    if (dot && !strcasecmp(dot, ".tsv") && (counts.tabs || options->only_first_line)) return '\t';
    if (options->only_first_line) return best;
    if (!counts.commas && !counts.semicolons && !counts.tabs)
        return choose_rare_delimiter(reader, &counts);
    if (!!counts.commas + !!counts.semicolons + !!counts.tabs == 1) return best;
    return choose_other(reader, &counts, best);
}

/* Spreadsheets take "sep=;" for the delimiter. */
static bool take_said_delimiter(PfCsvReader *reader)
{
    const char *text = reader->first;
    if (strncasecmp(text, "sep=", 4) || !text[4] || strchr("\r\n", text[4]) ||
        !strchr("\r\n", text[5]))
        return false;
    reader->delimiter = text[4];
    reader->first = text + 5 + strspn(text + 5, "\r");
    reader->first += *reader->first == '\n';
    reader->first_line = 2;
    return true;
}

/* ---- opening ---- */

static int read_text(PfCsvReader *reader, const PfCsvOptions *options, PfError *err)
{
    if (read_file(reader, err) || decode(reader, options, err) || check_nul(reader, err)) return -1;
    reader->first = reader->text + (has_mark(reader, "\xef\xbb\xbf", 3) ? 3 : 0);
    reader->end = reader->text + reader->size;
    reader->first_line = 1;
    return 0;
}

int pf_csv_open(const char *path, const PfCsvOptions *options, PfCsvReader **out, PfError *err)
{
    static const PfCsvOptions defaults;
    if (!options) options = &defaults;
    PfCsvReader *reader = *out = pf_calloc(1, sizeof *reader, err);
    if (!reader) return -1;
    reader->path = pf_strdup(path, err);
    if (!reader->path || read_text(reader, options, err)) {
        pf_csv_close(out);
        return -1;
    }
    if (options->only_first_line || !take_said_delimiter(reader))
        reader->delimiter = choose_delimiter(reader, options);
    pf_csv_rewind(reader);
    return 0;
}

void pf_csv_close(PfCsvReader **reader)
{
    if (!*reader) return;
    free((void *)(uintptr_t)(*reader)->path);
    free((*reader)->text);
    free((*reader)->record);
    free((*reader)->starts);
    free((*reader)->fields);
    free(*reader);
    *reader = NULL;
}

void pf_csv_rewind(PfCsvReader *reader)
{
    reader->next = reader->first;
    reader->line = 0;
    reader->next_line = reader->first_line;
}

int64_t pf_csv_line(const PfCsvReader *reader)
{
    return reader->line;
}

char pf_csv_delimiter(const PfCsvReader *reader)
{
    return reader->delimiter;
}

bool pf_csv_was_utf16(const PfCsvReader *reader)
{
    return reader->was_utf16;
}

/* ---- fields ---- */

static bool is_space(const PfCsvReader *reader, char c)
{
    return c == ' ' || (c == '\t' && reader->delimiter != '\t');
}

static bool is_end_of_field(const PfCsvReader *reader, const char *at)
{
    return at == reader->end || *at == reader->delimiter || *at == '\n' || *at == '\r' ||
           (reader->delimiter == ' ' && *at == '\t');
}

static int add_field(PfCsvReader *reader, size_t start, PfError *err)
{
    if (reader->count == MAX_FIELDS)
        return pf_fail(err, PF_EXIT_FAILED, "'%s' line %lld has more than %d fields", reader->path,
                       (long long)reader->line, MAX_FIELDS);
    if (pf_grow(&reader->starts, &reader->start_capacity, (size_t)reader->count + 1,
                sizeof *reader->starts, err))
        return -1;
    reader->record[reader->record_used++] = '\0';
    reader->starts[reader->count++] = start;
    return 0;
}

/* Room in the record for `more` characters and a NUL. */
static int reserve(PfCsvReader *reader, size_t more, PfError *err)
{
    return pf_grow(&reader->record, &reader->record_capacity, reader->record_used + more + 1, 1,
                   err);
}

static int copy(PfCsvReader *reader, const char *from, const char *to, PfError *err)
{
    size_t length = (size_t)(to - from);
    if (reserve(reader, length, err)) return -1;
    memcpy(reader->record + reader->record_used, from, length);
    reader->record_used += length;
    return 0;
}

static int read_plain(PfCsvReader *reader, PfError *err)
{
    const char *from = reader->next, *to = from;
    while (!is_end_of_field(reader, to)) to++;
    reader->next = to;
    while (to > from && is_space(reader, to[-1])) to--;
    return copy(reader, from, to, err);
}

static int64_t count_breaks(const char *from, const char *to)
{
    int64_t breaks = 0;
    for (; from < to; from++) breaks += *from == '\n' || (*from == '\r' && from[1] != '\n');
    return breaks;
}

/* next is behind the opening quote. */
static int read_quoted(PfCsvReader *reader, PfError *err)
{
    for (;;) {
        const char *from = reader->next;
        const char *quote = memchr(from, '"', (size_t)(reader->end - from));
        if (!quote)
            return pf_fail(err, PF_EXIT_FAILED,
                           "'%s' line %lld, field %d: the quote that opens it is never closed",
                           reader->path, (long long)reader->line, reader->count + 1);
        bool doubled = quote + 1 < reader->end && quote[1] == '"';
        reader->next_line += count_breaks(from, quote);
        reader->next = quote + 1 + doubled;
        if (copy(reader, from, quote + doubled, err)) return -1;
        if (!doubled) return 0;
    }
}

static void skip_spaces(PfCsvReader *reader)
{
    while (reader->next < reader->end && is_space(reader, *reader->next)) reader->next++;
}

static int read_field(PfCsvReader *reader, PfError *err)
{
    size_t start = reader->record_used;
    skip_spaces(reader);
    if (reader->next == reader->end || *reader->next != '"') {
        if (read_plain(reader, err)) return -1;
        return add_field(reader, start, err);
    }
    reader->next++;
    if (read_quoted(reader, err)) return -1;
    skip_spaces(reader);
    if (!is_end_of_field(reader, reader->next))
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s' line %lld, field %d: text follows its closing quote. Hint: a quote "
                       "within a quoted field is written twice",
                       reader->path, (long long)reader->line, reader->count + 1);
    return add_field(reader, start, err);
}

/* ---- records ---- */

static void end_line(PfCsvReader *reader)
{
    if (reader->next == reader->end) return;
    reader->next +=
        reader->next[0] == '\r' && reader->next + 1 < reader->end && reader->next[1] == '\n' ? 2
                                                                                             : 1;
    reader->next_line++;
}

static void skip_empty_lines(PfCsvReader *reader)
{
    while (reader->next < reader->end && (*reader->next == '\n' || *reader->next == '\r'))
        end_line(reader);
}

/* Goes to the next field of the line, if there is one. */
static bool has_field(PfCsvReader *reader)
{
    if (reader->delimiter == ' ') {
        skip_spaces(reader);
        return reader->next < reader->end && !strchr("\r\n", *reader->next);
    }
    if (reader->next == reader->end || *reader->next != reader->delimiter ||
        reader->delimiter == '\n')
        return false;
    reader->next++;
    return true;
}

static int point_to_fields(PfCsvReader *reader, PfError *err)
{
    if (pf_grow(&reader->fields, &reader->field_capacity, (size_t)reader->count,
                sizeof *reader->fields, err))
        return -1;
    for (int i = 0; i < reader->count; i++) reader->fields[i] = reader->record + reader->starts[i];
    return 0;
}

int pf_csv_next(PfCsvReader *reader, const char *const **fields, int *count, PfError *err)
{
    skip_empty_lines(reader);
    if (reader->next == reader->end) return 0;
    reader->line = reader->next_line;
    reader->record_used = 0;
    reader->count = 0;
    if (read_field(reader, err)) return -1;
    while (has_field(reader))
        if (read_field(reader, err)) return -1;
    end_line(reader);
    if (point_to_fields(reader, err)) return -1;
    *fields = reader->fields;
    *count = reader->count;
    return 1;
}

/* ==== writing ==== */

/* Whether a spreadsheet would take the text for a formula. A number is none, whatever its sign. */
static bool is_formula(const char *text)
{
    double value;
    return *text && strchr("=+-@\t\r\n", *text) &&
           pf_options_parse_double("", text, -1e300, 1e300, &value, NULL);
}

static void write_part(const PfCsv *csv, const char *text, size_t length)
{
    if (csv->is_terminal)
        pf_print(csv->stream, "%.*s", (int)length, text);
    else
        fwrite(text, 1, length, csv->stream);
}

void pf_csv_write_column(const PfCsv *csv, const char *name, const char *ending)
{
    bool is_quoted = name[strcspn(name, ",\"\r\n")] != '\0';
    if (is_quoted) fputc('"', csv->stream);
    if (csv->shields_formulas && is_formula(name)) fputc('\'', csv->stream);
    while (*name) {
        size_t length = strcspn(name, "\"");
        write_part(csv, name, length);
        name += length;
        if (*name == '"') {
            fputs("\"\"", csv->stream);
            name++;
        }
    }
    fputs(ending, csv->stream);
    if (is_quoted) fputc('"', csv->stream);
}

void pf_csv_write_field(const PfCsv *csv, const char *text)
{
    pf_csv_write_column(csv, text, "");
}
