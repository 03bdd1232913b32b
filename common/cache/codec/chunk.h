/* One chunk of a feature dataset, between memory and file.
 *
 * The filters are HDF5's own, byte for byte, without HDF5: byte shuffle, then
 * one zstd frame or zlib stream, then Fletcher-32. */
#ifndef PF_COMMON_CACHE_CODEC_CHUNK_H
#define PF_COMMON_CACHE_CODEC_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "permafrost/error.h"
#include "permafrost/feature_cache.h"

/* any_level, shuffle and fletcher32 are truth values, but no bool: a child process that reads a
 * file hands the format over as bytes, which may be anything. */
typedef struct PfChunkFormat {
    size_t raw_bytes;     /* of a whole chunk */
    size_t element_bytes; /* what shuffle works on */
    int shuffle;
    PfCompression compression;
    int level;     /* of the compressor; the decoder does not care */
    int any_level; /* another would do as well: nobody has asked for this one */
    int fletcher32;
} PfChunkFormat;

/* Whether a chunk stored in one of the two formats is one of the other. The compressor's level
 * does not matter where any would do. */
bool pf_chunk_format_equal(const PfChunkFormat *a, const PfChunkFormat *b);

/* Contexts and scratch memory for one thread. */
typedef struct PfChunkCodec PfChunkCodec;

int pf_chunk_codec_new(PfChunkCodec **out, PfError *err);
void pf_chunk_codec_free(PfChunkCodec **codec);

/* The most bytes that an encoded chunk may take. */
size_t pf_chunk_bound(const PfChunkFormat *format);

/* Whether a file that has so many bytes for a chunk may unpack it to format->raw_bytes: no more
 * than its compressor can, and beyond 256 MB no more than 1024 times as much. */
bool pf_chunk_is_plausible(const PfChunkFormat *format, size_t stored_bytes);

/* raw: format->raw_bytes bytes. stored: room for pf_chunk_bound bytes, of which
 * *stored_bytes get used. */
int pf_chunk_encode(PfChunkCodec *codec, const PfChunkFormat *format, const void *raw, void *stored,
                    size_t *stored_bytes, PfError *err);

/* Fills raw with exactly format->raw_bytes bytes. NULL, or what is wrong with
 * the chunk in static words ("the checksum does not match"). */
const char *pf_chunk_decode(PfChunkCodec *codec, const PfChunkFormat *format, const void *stored,
                            size_t stored_bytes, void *raw);

/* The part of decoding that is cheap: whether the checksum, where there is one, holds. NULL, or
 * what is wrong. */
const char *pf_chunk_check(const PfChunkFormat *format, const void *stored, size_t stored_bytes);

/* As HDF5 computes it: big-endian 16-bit words, an odd last byte as the upper half of one. */
uint32_t pf_chunk_fletcher32(const void *bytes, size_t size);

/* Byte planes: the first bytes of all elements, then the second ones, and so
 * on; bytes after the last whole element stay where they are. */
void pf_chunk_shuffle(void *out, const void *in, size_t size, size_t element_bytes);
void pf_chunk_unshuffle(void *out, const void *in, size_t size, size_t element_bytes);

#endif
