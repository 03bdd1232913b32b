/* Processes that train one network together: each is a rank, numbered from 0.
 *
 * The plugin brings them together and moves numbers between them. All ranks call the same functions
 * in the same order with the same sizes; each call returns once this rank has what it asked for.
 * Where a rank ended, or does not answer in time, a call fails with PF_EXIT_BUSY on all others,
 * after which nothing but leave() may be called. */
#ifndef PERMAFROST_RANKS_H
#define PERMAFROST_RANKS_H

#include <stddef.h>

#include "permafrost/error.h"

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

typedef struct PfRanksConfig {
    int rank, size;
    const char *address; /* where rank 0 listens: a name or a number of a host */
    int port;
    const char *job;     /* which of the jobs that may meet there; nobody else's names collide */
    double join_seconds; /* so long ranks wait for each other at the start */
    double peer_seconds; /* so long a call waits for a rank that does not answer */
} PfRanksConfig;

typedef struct PfRanks PfRanks; /* the plugin's own */

/* All functions: 0, or -1 with err filled. One caller at a time. */
typedef struct PfRanksPlugin {
    /* Waits for all ranks. On success *out is the caller's, to be given to leave(). */
    int (*join)(const PfRanksConfig *config, PfRanks **out, PfError *err);

    /* "Gloo"; what moves gradients, once a suffix with a device is open. Lent until leave(). */
    const char *(*describe)(const PfRanks *ranks);

    /* data: (bytes) rank 0's, on all ranks. */
    int (*broadcast)(PfRanks *ranks, void *data, size_t bytes, PfError *err);

    /* mine: (bytes); all: (size, bytes) of all ranks in their order. */
    int (*gather)(PfRanks *ranks, const void *mine, void *all, size_t bytes, PfError *err);

    /* Sets *ranks to NULL. After a failure nobody is waited for. */
    void (*leave)(PfRanks **ranks);
} PfRanksPlugin;

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
#endif
