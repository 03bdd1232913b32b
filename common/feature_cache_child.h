/* A child process that reads a file in this one's place, since HDF5 crashes on files that are
 * damaged: then the child is what ends, and its parent says so. */
#ifndef PF_FEATURE_CACHE_CHILD_H
#define PF_FEATURE_CACHE_CHILD_H

#include <stddef.h>
#include <stdint.h>

#include "permafrost/error.h"

typedef struct PfCacheChild PfCacheChild;

/* What a child answers: bytes, or an error. */
typedef struct PfChildReply {
    uint8_t *bytes; /* malloc'ed */
    size_t size, capacity;
} PfChildReply;

/* Answers one request in the child: 0 with the reply filled, or -1 with err. `context` lives from
 * request to request, NULL at first. */
typedef int PfChildServer(const char *path, void **context, const void *request,
                          PfChildReply *reply, PfError *err);

/* Starts a child that answers requests of request_bytes each, in a sandbox whose memory and work
 * go by the size of the file `path`. Under pf_h5_lock, which the child finds unlocked: all that
 * other threads hold is held for ever there, so `serve` may use HDF5, memory and files alone. */
int pf_cache_child_start(const char *path, PfChildServer *serve, size_t request_bytes,
                         PfCacheChild **out, PfError *err);
/* Asks for what becomes *reply, whose bytes the caller frees. From any thread. Where the
 * child has ended, now or before, the error says that the file is damaged. */
int pf_cache_child_ask(PfCacheChild *child, const void *request, PfChildReply *reply, PfError *err);
/* The same where the size of the reply is known: exactly `size` bytes into out. */
int pf_cache_child_ask_exactly(PfCacheChild *child, const void *request, void *out, size_t size,
                               PfError *err);
/* Ends it, whatever it does. NULL is left alone. */
void pf_cache_child_end(PfCacheChild **child);

/* Appends to a reply. */
int pf_child_reply_add(PfChildReply *reply, const void *bytes, size_t size, PfError *err);

#endif
