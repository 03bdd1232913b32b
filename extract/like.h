/* extract CACHE.h5, and --like CACHE.h5: the options that a cache was made with, again.
 *
 * They lie in its provenance: "options", a list of "--name=value" as pf_options_words() has them,
 * without those that have an effect on the run only, and "operand", the dataset. Paths in both are
 * absolute. Caches of before this was written have neither.
 *
 * A cache may come from a stranger: only words that name an option of the table, in the form in
 * which they are written, are put on the command line, and nothing that they name is run for
 * that. */
#ifndef PF_EXTRACT_LIKE_H
#define PF_EXTRACT_LIKE_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "common/base/options.h"
#include "permafrost/error.h"

/* What a new cache keeps: adds "operand" and "options" to its provenance. words: as
 * pf_extract_options_words() has them; taken over. */
void pf_like_add(cJSON *provenance, const char *operand, cJSON *words);

/* A command line. The words are owned, and end with NULL. */
typedef struct PfLikeCommand {
    int argc;
    char **argv;
    bool names_backbone; /* the cache has named the network, and not who typed the command */
} PfLikeCommand;

/* argv with the options of `cache` before its own, of which those that argv gives itself (words:
 * pf_options_words of it) are left out, and with "-o CACHE" where it has none. dataset: the operand
 * of argv; NULL: that of the cache is added. Usage error where the cache does not say. */
int pf_like_command(const PfOption *table, const char *cache, const char *dataset, int argc,
                    char **argv, const cJSON *words, PfLikeCommand *out, PfError *err);
void pf_like_command_free(PfLikeCommand *command);

#endif
