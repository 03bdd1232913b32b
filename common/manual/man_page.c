#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/manual/manual.h"

/* Lines of roff stay below this. */
#define WIDTH 68

/* ---- text ---- */

/* Characters that roff would take for something else are spelled as it wants them. */
static void put_escaped(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (text[i] == '\\')
            fputs("\\e", stdout);
        else if (text[i] == '-')
            fputs("\\-", stdout);
        else if (text[i] == '\'')
            fputs("\\(aq", stdout);
        else if (text[i] == '`')
            fputs("\\(ga", stdout);
        else if (text[i] == '^')
            fputs("\\(ha", stdout);
        else if (text[i] == '~')
            fputs("\\(ti", stdout);
        else
            putchar(text[i]);
}

/* A word at the beginning of a line may look like a request. */
static void put_word(const char *word, size_t length, bool begins_line)
{
    if (begins_line && (*word == '.' || *word == '\'')) fputs("\\&", stdout);
    put_escaped(word, length);
}

static bool ends_sentence(const char *word, size_t length)
{
    while (length && strchr(")'\"", word[length - 1])) length--;
    return length && strchr(".!?", word[length - 1]);
}

/* Text in which lines are filled; sentences begin lines of their own. */
static void put_text(const char *text, size_t length)
{
    size_t column = 0;
    const char *end = text + length;
    while (text < end) {
        while (text < end && isspace((unsigned char)*text)) text++;
        const char *word = text;
        while (text < end && !isspace((unsigned char)*text)) text++;
        size_t size = (size_t)(text - word);
        if (!size) break;
        if (column && column + 1 + size > WIDTH) {
            putchar('\n');
            column = 0;
        }
        if (column) putchar(' ');
        put_word(word, size, !column);
        column += size + (column > 0);
        if (ends_sentence(word, size)) {
            putchar('\n');
            column = 0;
        }
    }
    if (column) putchar('\n');
}

static size_t line_length(const char *text)
{
    return strcspn(text, "\n");
}

/* A line with two spaces in the middle belongs to a table: it stands alone. */
static bool is_row(const char *line, size_t length)
{
    for (size_t i = 0; i + 2 < length; i++)
        if (line[i] != ' ' && line[i + 1] == ' ' && line[i + 2] == ' ') return true;
    return false;
}

/* The help of an option: lines are filled, but for rows. */
static void put_help(const char *help)
{
    while (*help) {
        size_t length = line_length(help);
        while (help[length] && !is_row(help + length + 1, line_length(help + length + 1)) &&
               !is_row(help, length))
            length += 1 + line_length(help + length + 1);
        put_text(help, length);
        help += length;
        if (!*help) return;
        help++;
        puts(".br");
    }
}

/* ---- the page ---- */

/* The lines that --help begins with, "usage: " taken away. Returns what follows them. */
static const char *put_synopsis(const char *usage)
{
    static const char label[] = "usage: ";
    puts(".SH SYNOPSIS\n.nf");
    while (*usage && *usage != '\n') {
        size_t length = line_length(usage), skipped = 0;
        if (!strncmp(usage, label, sizeof label - 1))
            skipped = sizeof label - 1;
        else
            skipped = strspn(usage, " ");
        put_word(usage + skipped, length - skipped, true);
        putchar('\n');
        usage += length + (usage[length] == '\n');
    }
    puts(".fi");
    return usage;
}

static void put_paragraphs(const char *text)
{
    for (bool is_first = true; *text; is_first = false) {
        text += strspn(text, "\n");
        const char *end = strstr(text, "\n\n");
        size_t length = end ? (size_t)(end - text) : strlen(text);
        if (length && !is_first) puts(".PP");
        put_text(text, length);
        text += length;
    }
}

static void put_heading(const char *name)
{
    size_t length = strlen(name);
    if (length && name[length - 1] == ':') length--;
    fputs(".SS ", stdout);
    put_escaped(name, length);
    putchar('\n');
}

static void put_option(const PfOption *option)
{
    puts(".TP");
    if (option->letter) {
        fputs("\\fB\\-", stdout);
        putchar(option->letter);
        fputs("\\fR, ", stdout);
    }
    fputs("\\fB\\-\\-", stdout);
    put_escaped(option->name, strlen(option->name));
    fputs("\\fR", stdout);
    if (option->argument) {
        fputs(" \\fI", stdout);
        put_escaped(option->argument, strlen(option->argument));
        fputs("\\fR", stdout);
    }
    putchar('\n');
    put_help(option->help);
}

static void put_exit_status(void)
{
    puts(".SH EXIT STATUS\n"
         "0 done; 1 failed; 2 a command line that cannot be understood;\n"
         "3 more unusable images than allowed;\n"
         "4 another network or cache than the one that is asked for;\n"
         "5 an assertion that does not hold;\n"
         "75 another process is writing the same file, or was lost: run it again;\n"
         "130, 143 interrupted.");
}

/* The pages of the other programs: PF_PROGRAMS is their names with spaces between them. */
static void put_see_also(const PfManual *manual)
{
    bool is_first = true;
    puts(".SH SEE ALSO");
    for (const char *name = "permafrost " PF_PROGRAMS; *name;) {
        size_t length = strcspn(name, " ");
        if (length != strlen(manual->program) || strncmp(name, manual->program, length)) {
            fputs(is_first ? "" : ",\n", stdout);
            fputs(name == strstr(name, "permafrost") ? "\\fB" : "\\fBpermafrost\\-", stdout);
            put_escaped(name, length);
            fputs("\\fR(1)", stdout);
            is_first = false;
        }
        name += length + strspn(name + length, " ");
    }
    putchar('\n');
}

void pf_man_page_print(const PfManual *manual, const char *date)
{
    const bool is_command = !strcmp(manual->program, "permafrost");
    fputs(".TH PERMAFROST", stdout);
    if (!is_command) putchar('-');
    for (const char *c = is_command ? "" : manual->program; *c; c++)
        putchar(toupper((unsigned char)*c));
    fputs(" 1 \"", stdout);
    fputs(date, stdout);
    puts("\" \"permafrost " PF_VERSION "\" \"Permafrost\"");
    puts(".SH NAME");
    if (!is_command) {
        fputs("permafrost\\-", stdout);
        put_escaped(manual->program, strlen(manual->program));
        fputs(", ", stdout);
    }
    put_escaped(manual->program, strlen(manual->program));
    fputs(" \\- ", stdout);
    put_escaped(manual->purpose, strlen(manual->purpose));
    putchar('\n');
    const char *rest = put_synopsis(manual->usage);
    puts(".SH DESCRIPTION");
    put_paragraphs(rest);
    puts(".SH OPTIONS");
    for (const PfOption *option = manual->table; option->name; option++)
        if (option->kind == PF_OPTION_GROUP)
            put_heading(option->name);
        else
            put_option(option);
    put_exit_status();
    put_see_also(manual);
}
