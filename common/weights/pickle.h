/* The pickles inside torch .pth files, read as data.
 *
 * A pickle is a program for a stack machine that may import and call anything.
 * This reader knows only the opcodes that torch.save writes and a short list of
 * names (weights_pickle_globals.c), of which it calls none: it notes what they
 * would have made. Everything else is an error that names the opcode or the global. */
#ifndef PF_COMMON_WEIGHTS_PICKLE_H
#define PF_COMMON_WEIGHTS_PICKLE_H

#include "common/weights/pickle_values.h"

/* Reads the pickle at the start of bytes, which must outlive *pickle. `source`
 * names the file in messages. Free with pf_pickle_free, also after a failure. */
int pf_pickle_read(const char *source, const uint8_t *bytes, size_t size, PfPickle *pickle,
                   PfError *err);
void pf_pickle_free(PfPickle *pickle);

/* The value of a TEXT key in a DICT, or NULL. */
const PfPickleValue *pf_pickle_get(const PfPickleValue *dict, const char *key);

#endif
