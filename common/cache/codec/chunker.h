/* Rows in, encoded chunks out: in order, compressed by threads, in bounded memory.
 *
 * The journal and the HDF5 writer are its sinks. The sink is called on the
 * caller's thread, inside the functions below, in the order of the rows of each
 * tap. */
#ifndef PF_COMMON_CACHE_CODEC_CHUNKER_H
#define PF_COMMON_CACHE_CODEC_CHUNKER_H

#include <stdint.h>

#include "common/cache/codec/tap_layout.h"
#include "permafrost/error.h"

/* Encoded rows [first_row, first_row + rows) of a tap. */
typedef struct PfEncodedChunk {
    int tap;
    int64_t first_row, rows;
    bool is_tail; /* these rows alone, by pf_chunker_flush_tails; else a whole chunk, zero-padded */
    const void *stored;
    size_t stored_bytes;
} PfEncodedChunk;

typedef int PfChunkSink(void *context, const PfEncodedChunk *chunk, PfError *err);

typedef struct PfChunker PfChunker;

/* layouts are lent and must outlive the chunker. */
int pf_chunker_new(const PfTapLayout *layouts, int tap_count, int threads, PfChunkSink *sink,
                   void *context, PfChunker **out, PfError *err);
/* Drops what is under way. */
void pf_chunker_free(PfChunker **chunker);

/* n rows of a tap after those it has, (n, shape) row-major, copied. */
int pf_chunker_append(PfChunker *chunker, int tap, int64_t n, const void *rows, PfError *err);
/* A chunk that is encoded already, copied: the tap's rows so far must end where
 * a chunk does, and `rows` be chunk_rows but for the tap's last chunk. */
int pf_chunker_append_encoded(PfChunker *chunker, int tap, int64_t rows, const void *stored,
                              size_t stored_bytes, PfError *err);
/* Waits until the sink has had every full chunk and, as tails, those rows of open
 * chunks that it has not had before. The chunks stay open, and come whole when they are full. */
int pf_chunker_flush_tails(PfChunker *chunker, PfError *err);
/* For resuming: the tap begins at `row` with the rows since the last chunk's
 * end already in the open chunk and already seen by the sink as tails. Before any append. */
int pf_chunker_resume(PfChunker *chunker, int tap, int64_t row, const void *open_rows,
                      PfError *err);
/* Waits until the sink has had every chunk that is full. */
int pf_chunker_drain(PfChunker *chunker, PfError *err);
/* The tap's open chunk, zero-padded, is encoded; nothing more may be appended to the tap. */
void pf_chunker_finish_tap(PfChunker *chunker, int tap);
/* The same for all taps, and waits until the sink has had every chunk. */
int pf_chunker_finish(PfChunker *chunker, PfError *err);

int64_t pf_chunker_rows(const PfChunker *chunker, int tap);
/* Seconds spent in encoding, summed over the threads. */
double pf_chunker_seconds(PfChunker *chunker);

#endif
