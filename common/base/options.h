/* Command-line options from one table: the same rows parse and print --help.
 *
 * The parser only overwrites fields of the caller's settings struct, so its
 * defaults stay where nothing was given. "--name=value", "--name value", "-o
 * value", "-qj2" (flags, then one that takes what follows), "--" and operands in
 * any order. */
#ifndef PF_COMMON_BASE_OPTIONS_H
#define PF_COMMON_BASE_OPTIONS_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "permafrost/error.h"

typedef enum PfOptionKind {
    PF_OPTION_FLAG,   /* int field becomes 1 */
    PF_OPTION_TEXT,   /* const char * field, lent from argv */
    PF_OPTION_INT,    /* int field */
    PF_OPTION_LONG,   /* int64_t field */
    PF_OPTION_DOUBLE, /* double field */
    PF_OPTION_CALL,   /* parse(): anything else */
    PF_OPTION_GROUP,  /* no option: a heading in --help (name) */
} PfOptionKind;

/* What an option decides. */
typedef enum PfOptionEffect {
    PF_OPTION_ON_RESULT, /* what comes out */
    PF_OPTION_ON_HEAD,   /* what one of many heads is, so that a sweep may vary it */
    PF_OPTION_ON_RUN,    /* where results go, how fast, what is said: the same comes out */
} PfOptionEffect;

/* What a TEXT option that is given a second time, with another value, does. Of flags, numbers and
 * choices the last one always counts, and CALL does as its function does. */
typedef enum PfOptionRepeat {
    PF_OPTION_GIVEN_ONCE, /* is refused: it names one thing, and nobody means the other in vain */
    PF_OPTION_LAST_WINS,  /* the last one counts: makefiles and scripts put theirs behind */
} PfOptionRepeat;

typedef struct PfOption {
    const char *name; /* "weight-decay", without dashes; NULL ends the table */
    char letter;      /* 'o' or 0 */
    PfOptionKind kind;
    size_t offset;        /* of the field in the settings struct */
    const char *argument; /* "FILE", shown in --help; NULL for flags */
    const char *help;     /* one or more lines; \n allowed */
    const char *aliases;  /* other names for it, separated by blanks; NULL: none */
    const char *bare;     /* its value where it is the last word; NULL: it needs an argument */
    PfOptionEffect effect;
    PfOptionRepeat repeat;
    double minimum, maximum; /* INT, LONG, DOUBLE: allowed range where minimum < maximum */
    /* CALL: value is NULL for an option without argument. settings as given to parse. */
    int (*parse)(void *settings, const char *value, PfError *err);
} PfOption;

/* Parses argv[1..]. Operands are collected in order: operands[] has room for
 * argc entries, *operand_count is set. Unknown options: PF_EXIT_USAGE with what
 * other programs call so, else with the nearest known name. */
int pf_options_parse(const PfOption *table, void *settings, int argc, char **argv,
                     const char **operands, int *operand_count, PfError *err);

/* What a command line that pf_options_parse takes says, by the options' names in the table:
 * {"epochs": "20", "nesterov": true}; of one that adds to itself, as --target does, all values with
 * blanks between them. The caller deletes it; NULL where memory is short. */
cJSON *pf_options_given(const PfOption *table, int argc, char **argv);
/* The same in the order in which it was said, as words that pf_options_parse takes again: a list of
 * "--epochs=20" and "--nesterov". */
cJSON *pf_options_words(const PfOption *table, int argc, char **argv);
/* Takes what has only an effect on the run out of either. */
void pf_options_leave_result(const PfOption *table, cJSON *given);
/* The name in such a word, which is length bytes long. */
const char *pf_options_word_name(const char *word, size_t *length);
/* Whether a list of such words has one of the option that `word` names: "tap", "--tap=avgpool". */
bool pf_options_words_have(const cJSON *words, const char *word);
/* Takes those of an option out of such a list, which may come from a file: what else is in it, or
 * no list, stays as it is. */
void pf_options_words_drop(cJSON *words, const char *name);

/* Sets one option by its name, without dashes, as if it had been given; where, like
 * "--sweep", goes before what is wrong with the name. value: NULL for a flag. */
int pf_options_assign(const PfOption *table, void *settings, const char *where, const char *name,
                      const char *value, PfError *err);

/* The option that `word`, without dashes, is the name or an alias of; else NULL. */
const PfOption *pf_options_named(const PfOption *table, const char *word);
/* The option that a word of a command line names, "--name", "--name=value" or "-o"; NULL: none. */
const PfOption *pf_options_find(const PfOption *table, const char *word);

/* The table as help text on stdout, after the caller's usage lines. */
void pf_options_print(const PfOption *table);

/* "a,b,c" -> malloc'ed array of malloc'ed strings; an empty entry is an error. */
int pf_options_split_list(const char *text, char ***items, int *count, PfError *err);
void pf_options_free_list(char ***items, int *count);

/* The first length bytes of text as a number in plain decimal digits and nothing else: no blanks,
 * "+", "0x10", "nan" or "inf"; a double may have a point and an exponent. 0, or -1 where they are
 * none, or none that *out can hold. */
int pf_options_read_unsigned(const char *text, size_t length, uint64_t *out);
int pf_options_read_long(const char *text, size_t length, long long *out);
int pf_options_read_double(const char *text, size_t length, double *out);

/* Whole text as a number within [minimum, maximum]; what names it in errors. */
int pf_options_parse_double(const char *what, const char *text, double minimum, double maximum,
                            double *out, PfError *err);
int pf_options_parse_long(const char *what, const char *text, long long minimum, long long maximum,
                          long long *out, PfError *err);

/* Which of the choices value is; *index is its place among them. */
int pf_options_parse_choice(const char *what, const char *value, const char *const *choices,
                            size_t count, int *index, PfError *err);

/* The candidate nearest to word by edit distance, or NULL where none is near. */
const char *pf_options_nearest_word(const char *word, const char *const *candidates, size_t count);

#endif
