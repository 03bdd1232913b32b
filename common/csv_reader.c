#include "csv_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "mapped_file.h"
#include "memory.h"

#define MAX_FIELDS 1000000

struct PfCsvReader {
    const char *path;
    char *text; /* the file, and a NUL */
    size_t size;
    const char *first, *next, *end; /* of the records */
    char delimiter;
    int64_t line, next_line;
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
    FILE *stream = fopen(reader->path, "rb");
    if (!stream) return pf_fail_errno(err, "'%s' cannot be read", reader->path);
    int failed =
        !fstat(fileno(stream), &status) && pf_check_holes(fileno(stream), status.st_size, &holes)
            ? pf_fail(err, PF_EXIT_FAILED, "'%s': %s", reader->path, holes.message)
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

static int check_text(const PfCsvReader *reader, PfError *err)
{
    const unsigned char *text = (const unsigned char *)reader->text;
    if (reader->size >= 2 &&
        ((text[0] == 0xff && text[1] == 0xfe) || (text[0] == 0xfe && text[1] == 0xff)))
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s' is UTF-16 text; expected UTF-8. Hint: iconv -f UTF-16 -t UTF-8",
                       reader->path);
    const char *nul = memchr(reader->text, '\0', reader->size);
    if (!nul) return 0;
    return pf_fail(err, PF_EXIT_FAILED, "'%s' line %lld holds a NUL byte; expected CSV text",
                   reader->path, (long long)count_lines(reader->text, nul));
}

/* The one of comma, semicolon and tab that the first line has most of. */
static char guess_delimiter(const char *text)
{
    size_t commas = 0, semicolons = 0, tabs = 0;
    int quoted = 0;
    for (; *text && (quoted || !strchr("\r\n", *text)); text++) {
        if (*text == '"') quoted = !quoted;
        if (quoted) continue;
        commas += *text == ',';
        semicolons += *text == ';';
        tabs += *text == '\t';
    }
    if (tabs > commas && tabs > semicolons) return '\t';
    return semicolons > commas ? ';' : ',';
}

static char choose_delimiter(const PfCsvReader *reader)
{
    const char *dot = strrchr(reader->path, '.');
    return dot && !strcasecmp(dot, ".tsv") ? '\t' : guess_delimiter(reader->first);
}

int pf_csv_open(const char *path, PfCsvReader **out, PfError *err)
{
    PfCsvReader *reader = *out = pf_calloc(1, sizeof *reader, err);
    if (!reader) return -1;
    reader->path = pf_strdup(path, err);
    if (!reader->path || read_file(reader, err) || check_text(reader, err)) {
        pf_csv_close(out);
        return -1;
    }
    int has_mark = reader->size >= 3 && !memcmp(reader->text, "\xef\xbb\xbf", 3);
    reader->first = reader->text + (has_mark ? 3 : 0);
    reader->end = reader->text + reader->size;
    reader->delimiter = choose_delimiter(reader);
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
    reader->next_line = 1;
}

int64_t pf_csv_line(const PfCsvReader *reader)
{
    return reader->line;
}

/* ---- fields ---- */

static int is_space(const PfCsvReader *reader, char c)
{
    return c == ' ' || (c == '\t' && reader->delimiter != '\t');
}

static int is_end_of_field(const PfCsvReader *reader, const char *at)
{
    return at == reader->end || *at == reader->delimiter || *at == '\n' || *at == '\r';
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
        int doubled = quote + 1 < reader->end && quote[1] == '"';
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
    while (reader->next < reader->end && *reader->next == reader->delimiter) {
        reader->next++;
        if (read_field(reader, err)) return -1;
    }
    end_line(reader);
    if (point_to_fields(reader, err)) return -1;
    *fields = reader->fields;
    *count = reader->count;
    return 1;
}
