/* What a program tells other programs about itself, all of it from the table of its options: its
 * man page, which is made when it is built, and words for shells that complete a command line. */
#ifndef PF_COMMON_MANUAL_MANUAL_H
#define PF_COMMON_MANUAL_MANUAL_H

#include <stdbool.h>

#include "common/base/options.h"

/* A command line that is being typed. All is lent. */
typedef struct PfCompletion {
    const PfOption *table;
    const char *const *words; /* (word_count) whole words after the program's name */
    int word_count;
    const char *option; /* without dashes: its value is being typed; NULL: an operand is */
    const char *typed;  /* what there is of it, maybe "" */
    bool is_list;       /* values with commas between them */
} PfCompletion;

typedef struct PfManual {
    const char *program; /* "extract" */
    const char *purpose; /* one line, a phrase: "images into a cache of features" */
    const char *usage;   /* what --help prints before the options: lines "usage: ...", then
                            paragraphs after empty lines */
    const PfOption *table;
    /* Offers words that the table does not know, by pf_completion_offer; may be NULL. */
    void (*offer)(const PfCompletion *completion);
} PfManual;

/* Two calls that --help does not list, where argv[1] is one of these:
 *
 *     --man-page DATE       the page in roff on stdout, in man(7)'s macros; DATE as in 2026-01-31
 *     --complete WORD...    what the last WORD, maybe "", could become, after the others
 *
 * The second prints first what else completes the word, "files", "folders" or "nothing", then a
 * line a candidate: the whole word, or of "--name=value" the value; where there is one, a tab and
 * what it means. Whether it was such a call. */
bool pf_manual_answer(const PfManual *manual, int argc, char **argv);

/* The page alone, on stdout. */
void pf_man_page_print(const PfManual *manual, const char *date);
/* The candidates alone, on stdout; words: as in PfCompletion, and the one that is being typed. */
void pf_completion_print(const PfManual *manual, const char *const *words, int count);

/* For PfManual.offer. A word that does not go on from what is typed is passed over, and so is one
 * that could steer a terminal. help: its meaning, or NULL. */
void pf_completion_offer(const PfCompletion *completion, const char *word, const char *help);
/* The value of an option in the words before, the last one given; NULL where there is none. */
const char *pf_completion_value(const PfCompletion *completion, const char *option);
/* Whether a flag, or an option with a value, is in the words before. */
bool pf_completion_has(const PfCompletion *completion, const char *option);
/* The index-th word before that is no option and no value of one; NULL. */
const char *pf_completion_operand(const PfCompletion *completion, int index);

#endif
