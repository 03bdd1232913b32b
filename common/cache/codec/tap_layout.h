/* How the rows of a tap lie in chunks, and what each chunk goes through. */
#ifndef PF_COMMON_CACHE_CODEC_TAP_LAYOUT_H
#define PF_COMMON_CACHE_CODEC_TAP_LAYOUT_H

#include "common/cache/codec/chunk.h"
#include "permafrost/feature_cache.h"

typedef struct PfTapLayout {
    PfCacheTap tap;
    size_t row_bytes;
    int64_t chunk_rows;   /* a power of two, so that the chunks of all taps and shards align */
    PfChunkFormat format; /* of a whole chunk */
} PfTapLayout;

/* level 0: the compressor's default here, and chunks of another level are as good. Fails where a
 * row is too large to be stored. */
int pf_tap_layout_plan(const PfCacheTap *tap, PfCompression compression, int level,
                       PfTapLayout *out, PfError *err);

/* The format of a chunk of so many rows alone, without padding. */
PfChunkFormat pf_tap_layout_format_of_rows(const PfTapLayout *layout, int64_t rows);

/* Whether a chunk in one of the two layouts is one in the other: the same shape and dtype,
 * as many rows, an equal format. The taps' names may differ. */
bool pf_tap_layout_equal(const PfTapLayout *a, const PfTapLayout *b);

#endif
