#include "common/cache/codec/tap_layout.h"

/* Big enough to compress well and to be read in one go, small enough to stay in
 * a processor's cache and to waste little where a row of it is wanted. */
#define CHUNK_BYTES (512 * 1024)
/* HDF5's limit of a chunk. */
#define MAX_ROW_BYTES (((int64_t)1 << 32) - 1)

/* Byte shuffle makes vectors smaller, and maps, which are full of zeros, larger. */
static bool is_map(const PfShape *shape)
{
    return shape->rank >= 3 && shape->dims[shape->rank - 1] * shape->dims[shape->rank - 2] > 1;
}

static int64_t plan_chunk_rows(size_t row_bytes)
{
    int64_t rows = 1;
    while ((size_t)rows * 2 * row_bytes <= CHUNK_BYTES) rows *= 2;
    return rows;
}

int pf_tap_layout_plan(const PfCacheTap *tap, PfCompression compression, int level,
                       PfTapLayout *out, PfError *err)
{
    size_t element_bytes = pf_dtype_size(tap->dtype);
    int64_t row_bytes = pf_shape_count(&tap->shape) * (int64_t)element_bytes;
    if (row_bytes < 1 || row_bytes > MAX_ROW_BYTES)
        return pf_fail(err, PF_EXIT_FAILED,
                       "tap '%s' has rows of %lld bytes; 1 to %lld can be stored", tap->name,
                       (long long)row_bytes, (long long)MAX_ROW_BYTES);
    *out = (PfTapLayout){
        .tap = *tap,
        .row_bytes = (size_t)row_bytes,
        .chunk_rows = plan_chunk_rows((size_t)row_bytes),
    };
    out->format = (PfChunkFormat){
        .element_bytes = element_bytes,
        .shuffle = compression != PF_COMPRESS_NONE && element_bytes > 1 && !is_map(&tap->shape),
        .compression = compression,
        .level = level ? level : 1,
        .any_level = !level,
        .fletcher32 = 1,
    };
    out->format = pf_tap_layout_format_of_rows(out, out->chunk_rows);
    return 0;
}

PfChunkFormat pf_tap_layout_format_of_rows(const PfTapLayout *layout, int64_t rows)
{
    PfChunkFormat format = layout->format;
    format.raw_bytes = (size_t)rows * layout->row_bytes;
    return format;
}

bool pf_tap_layout_equal(const PfTapLayout *a, const PfTapLayout *b)
{
    return a->tap.dtype == b->tap.dtype && pf_shape_equal(&a->tap.shape, &b->tap.shape) &&
           a->chunk_rows == b->chunk_rows && pf_chunk_format_equal(&a->format, &b->format);
}
