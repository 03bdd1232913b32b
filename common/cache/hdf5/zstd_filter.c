#include "common/cache/hdf5/zstd_filter.h"

#include <H5PLextern.h>
#include <stdint.h>
#include <stdlib.h>
#include <zstd.h>

size_t pf_hdf5_zstd_filter_limit = UINT32_MAX;

/* HDF5 owns the buffer and lets a filter replace it. malloc and free are what
 * its release builds use; calling H5allocate_memory instead would tie the plugin
 * to one build of the library, and Python packages carry their own. */
static size_t replace_buffer(void **buffer, size_t *buffer_size, void *filled, size_t capacity,
                             size_t size)
{
    if (!size || ZSTD_isError(size)) {
        free(filled);
        return 0;
    }
    free(*buffer);
    *buffer = filled;
    *buffer_size = capacity;
    return size;
}

/* Only a single frame that states its content's size and fills the chunk is
 * taken: anything else fails rather than reads as something it is not. */
static size_t decode(size_t size, size_t *buffer_size, void **buffer)
{
    unsigned long long content = ZSTD_getFrameContentSize(*buffer, size);
    /* No chunk is larger than that, and what stands for "unknown" and "error" is. */
    if (!content || content > pf_hdf5_zstd_filter_limit) return 0;
    void *out = malloc((size_t)content);
    if (!out) return 0;
    size_t decoded = ZSTD_decompress(out, (size_t)content, *buffer, size);
    return replace_buffer(buffer, buffer_size, out, (size_t)content,
                          decoded == content ? decoded : 0);
}

static size_t encode(int level, size_t size, size_t *buffer_size, void **buffer)
{
    size_t capacity = ZSTD_compressBound(size);
    void *out = malloc(capacity);
    if (!out) return 0;
    size_t encoded = ZSTD_compress(out, capacity, *buffer, size, level);
    return replace_buffer(buffer, buffer_size, out, capacity, encoded);
}

static size_t filter(unsigned flags, size_t value_count, const unsigned values[], size_t size,
                     size_t *buffer_size, void **buffer)
{
    if (flags & H5Z_FLAG_REVERSE) return decode(size, buffer_size, buffer);
    return encode(value_count ? (int)values[0] : 1, size, buffer_size, buffer);
}

const H5Z_class2_t pf_hdf5_zstd_filter = {
    .version = H5Z_CLASS_T_VERS,
    .id = PF_HDF5_FILTER_ZSTD,
    .encoder_present = 1,
    .decoder_present = 1,
    .name = "zstd",
    .filter = filter,
};

__attribute__((visibility("default"))) H5PL_type_t H5PLget_plugin_type(void)
{
    return H5PL_TYPE_FILTER;
}

__attribute__((visibility("default"))) const void *H5PLget_plugin_info(void)
{
    return &pf_hdf5_zstd_filter;
}
