#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/base/printable.h"
#include "common/manual/manual.h"

/* ---- words of the command line, as pf_options_parse takes them ---- */

/* What a word is: of the table, or an operand. */
typedef struct Word {
    const PfOption *option; /* NULL: an operand */
    const char *value;      /* of the option, or the operand; NULL: none, or not yet */
} Word;

/* The option that a word with a dash in front names, or NULL; *value is what it brings along. */
static const PfOption *named_option(const PfOption *table, const char *word, const char **value)
{
    *value = NULL;
    if (word[1] == '-') {
        const char *equals = strchr(word, '=');
        if (equals) *value = equals + 1;
    } else if (word[1] && word[2]) {
        *value = word + 2;
    }
    return pf_options_find(table, word);
}

/* Reads the word at *at and steps over it, and over the value that follows it. After "--", and
 * alone, "-" begins no option. */
static Word read_word(const PfCompletion *completion, int *at, bool *only_operands)
{
    const char *text = completion->words[(*at)++];
    if (*only_operands || text[0] != '-' || !text[1]) return (Word){NULL, text};
    if (!strcmp(text, "--")) {
        *only_operands = true;
        return (Word){NULL, NULL};
    }
    const char *value;
    const PfOption *option = named_option(completion->table, text, &value);
    if (option && option->argument && !value && *at < completion->word_count)
        value = completion->words[(*at)++];
    return (Word){option, value};
}

const char *pf_completion_value(const PfCompletion *completion, const char *option)
{
    bool only_operands = false;
    const char *value = NULL;
    for (int at = 0; at < completion->word_count;) {
        Word word = read_word(completion, &at, &only_operands);
        if (word.option && !strcmp(word.option->name, option)) value = word.value;
    }
    return value;
}

bool pf_completion_has(const PfCompletion *completion, const char *option)
{
    bool only_operands = false;
    for (int at = 0; at < completion->word_count;) {
        Word word = read_word(completion, &at, &only_operands);
        if (word.option && !strcmp(word.option->name, option)) return true;
    }
    return false;
}

const char *pf_completion_operand(const PfCompletion *completion, int index)
{
    bool only_operands = false;
    for (int at = 0; at < completion->word_count;) {
        Word word = read_word(completion, &at, &only_operands);
        if (!word.option && word.value && !index--) return word.value;
    }
    return NULL;
}

/* ---- candidates ---- */

static bool is_plain(const char *text)
{
    for (size_t length = strlen(text); length;) {
        uint32_t code;
        int size = pf_printable_utf8_character(text, length, &code);
        if (!size || pf_printable_needs_escape(code)) return false;
        text += size;
        length -= (size_t)size;
    }
    return true;
}

void pf_completion_offer(const PfCompletion *completion, const char *word, const char *help)
{
    const char *typed = completion->typed;
    const char *comma = completion->is_list ? strrchr(typed, ',') : NULL;
    size_t before = comma ? (size_t)(comma + 1 - typed) : 0;
    if (strncmp(word, typed + before, strlen(typed + before)) || !is_plain(word)) return;
    fwrite(typed, 1, before, stdout);
    fwrite(word, 1, strlen(word), stdout);
    if (help) {
        putchar('\t');
        fwrite(help, 1, strcspn(help, "\n"), stdout);
    }
    putchar('\n');
}

static void offer_options(const PfCompletion *completion)
{
    char name[64];
    for (const PfOption *option = completion->table; option->name; option++) {
        if (option->kind == PF_OPTION_GROUP) continue;
        snprintf(name, sizeof name, "--%s", option->name);
        pf_completion_offer(completion, name, option->help);
    }
}

/* The words of "zstd[:L]|gzip[:L]|none" and the beginnings of "FILE|hf:ORG/NAME|random:SEED": what
 * is in lower case stands for itself. */
static void offer_alternatives(const PfCompletion *completion, const char *argument)
{
    while (*argument) {
        char word[64];
        size_t length = strcspn(argument, "|"), kept = 0;
        while (kept < length && kept < sizeof word - 1 && argument[kept] != '[' &&
               argument[kept] != '=' && !isupper((unsigned char)argument[kept]))
            kept++;
        if (kept && kept < sizeof word - 1 && islower((unsigned char)argument[0])) {
            snprintf(word, sizeof word, "%.*s", (int)kept, argument);
            pf_completion_offer(completion, word, NULL);
        }
        argument += length + (argument[length] == '|');
    }
}

static const char *what_else(const PfOption *option)
{
    if (!option) return "files";
    const char *argument = option->argument;
    if (strstr(argument, "FILE") || strstr(argument, ".h5") || strstr(argument, "MODEL"))
        return "files";
    return strstr(argument, "DIR") ? "folders" : "nothing";
}

void pf_completion_print(const PfManual *manual, const char *const *words, int count)
{
    PfCompletion completion = {.table = manual->table,
                               .words = words,
                               .word_count = count ? count - 1 : 0,
                               .typed = count ? words[count - 1] : ""};
    const PfOption *option = NULL;
    bool only_operands = false;
    for (int at = 0; at < completion.word_count;) {
        Word word = read_word(&completion, &at, &only_operands);
        option = word.option && word.option->argument && !word.value ? word.option : NULL;
    }
    const bool has_dash = !option && !only_operands && *completion.typed == '-';
    const char *value = NULL;
    if (has_dash) option = named_option(manual->table, completion.typed, &value);
    if (has_dash && !(option && option->argument && value)) {
        puts("nothing");
        offer_options(&completion);
        return;
    }
    if (value) completion.typed = value;
    puts(what_else(option));
    if (option) {
        completion.option = option->name;
        completion.is_list = strstr(option->argument, "[,") != NULL;
        offer_alternatives(&completion, option->argument);
    }
    if (manual->offer) manual->offer(&completion);
}

bool pf_manual_answer(const PfManual *manual, int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "--man-page"))
        pf_man_page_print(manual, argv[2]);
    else if (argc > 2 && !strcmp(argv[1], "--complete"))
        pf_completion_print(manual, (const char *const *)argv + 2, argc - 2);
    else
        return false;
    return true;
}
