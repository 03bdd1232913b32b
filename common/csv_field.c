#include "csv_field.h"

#include <string.h>

#include "options.h"
#include "printable.h"

/* A number is none, whatever its sign. */
static int is_formula(const char *text)
{
    double value;
    return *text && strchr("=+-@\t\r\n", *text) &&
           pf_parse_double("", text, -1e300, 1e300, &value, NULL);
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
    int is_quoted = name[strcspn(name, ",\"\r\n")] != '\0';
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
