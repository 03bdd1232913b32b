/* Weights from the net, on the user's word alone: what `--fetch` does. Files go where they are
 * looked for without it, torch.hub's cache and that of the Hugging Face hub. */
#ifndef PF_COMMON_FETCH_FETCH_H
#define PF_COMMON_FETCH_FETCH_H

#include <signal.h>

#include "permafrost/error.h"

/* Fetches the weights of a built-in network ("resnet18": the first of its published ones; by any of
 * the names of spelling.h, with a set of weights or without), or a
 * repository ("hf:ORG/NAME@REVISION": its network, and what its configuration says), unless they
 * are there. *place: where they lie, malloc'ed. Says what was fetched. interrupted may be NULL. */
int pf_fetch(const char *name, const volatile sig_atomic_t *interrupted, char **place,
             PfError *err);

/* ---- for this folder's files ---- */

int pf_fetch_repository(const char *name, const volatile sig_atomic_t *interrupted, char **place,
                        PfError *err);

#endif
