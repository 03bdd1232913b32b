#include "common/cache/codec/chunk.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "common/base/memory.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "features are stored little-endian and copied as they are");

#define CHECKSUM_BYTES 4
/* Bytes that one byte can stand for: of deflate's longest match, of a zstd block of equal bytes,
 * and of a chunk that is larger than any we write. */
#define MOST_DEFLATED 1032
#define MOST_OF_ZSTD 32768
#define MOST_OF_LARGE 1024
#define LARGE_BYTES ((size_t)256 << 20)

struct PfChunkCodec {
    ZSTD_CCtx *compressor;
    ZSTD_DCtx *decompressor;
    unsigned char *scratch; /* a shuffled chunk */
    size_t scratch_capacity;
};

/* ---- Fletcher-32 ---- */

#define LANES 8
/* With 16-bit words in 32-bit sums, the second sum of a lane stays below 2^32
 * for this many steps: 65535 * 360 * 361 / 2. */
#define MAX_STEPS 360

/* Modulo 65535 in the form that folding carries leaves: 65535 stands for 0,
 * except that a sum of nothing but zeros is 0. */
static uint64_t reduce(uint64_t sum)
{
    return sum ? (sum - 1) % 65535 + 1 : 0;
}

/* Adds steps * LANES words. Lane l sees words l, l + LANES, ...: its second sum
 * counts a word once per step left, where the whole sum counts it once per word
 * left, which is LANES times that less l. */
static void add_block(const unsigned char *bytes, size_t steps, uint64_t *sum1, uint64_t *sum2)
{
    uint32_t first[LANES] = {0}, second[LANES] = {0};
    for (size_t step = 0; step < steps; step++) {
        uint16_t words[LANES];
        memcpy(words, bytes + step * sizeof words, sizeof words);
        for (int l = 0; l < LANES; l++) {
            first[l] += words[l];
            second[l] += first[l];
        }
    }
    uint64_t total1 = 0, total2 = steps * LANES * *sum1;
    for (uint64_t l = 0; l < LANES; l++) {
        total1 += first[l];
        total2 += (uint64_t)second[l] * LANES - first[l] * l;
    }
    *sum1 = reduce(*sum1 + total1);
    *sum2 = reduce(*sum2 + total2);
}

/* Swapping the bytes of a 16-bit word multiplies it by 256 modulo 65535. So the
 * words are added in this machine's order and only the two sums are swapped. */
uint32_t pf_chunk_fletcher32(const void *data, size_t size)
{
    const unsigned char *bytes = data, *end = bytes + size;
    uint64_t sum1 = 0, sum2 = 0;
    for (;;) {
        size_t steps = (size_t)(end - bytes) / (2 * LANES);
        if (!steps) break;
        if (steps > MAX_STEPS) steps = MAX_STEPS;
        add_block(bytes, steps, &sum1, &sum2);
        bytes += steps * 2 * LANES;
    }
    for (; bytes < end; bytes += 2) {
        sum1 += bytes[0] | (bytes + 1 < end ? (uint64_t)bytes[1] << 8 : 0);
        sum2 += sum1;
        if (bytes + 1 == end) break;
    }
    return (uint32_t)__builtin_bswap16((uint16_t)reduce(sum2)) << 16 |
           __builtin_bswap16((uint16_t)reduce(sum1));
}

/* ---- byte shuffle ---- */

/* Inlined with a constant element size, which is what makes it fast. */
static inline void shuffle_elements(unsigned char *restrict out, const unsigned char *restrict in,
                                    size_t count, size_t element_bytes)
{
    for (size_t j = 0; j < element_bytes; j++)
        for (size_t i = 0; i < count; i++) out[j * count + i] = in[i * element_bytes + j];
}

static inline void unshuffle_elements(unsigned char *restrict out, const unsigned char *restrict in,
                                      size_t count, size_t element_bytes)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < element_bytes; j++) out[i * element_bytes + j] = in[j * count + i];
}

void pf_chunk_shuffle(void *out, const void *in, size_t size, size_t element_bytes)
{
    size_t count = size / element_bytes, whole = count * element_bytes;
    switch (element_bytes) {
    case 2: shuffle_elements(out, in, count, 2); break;
    case 4: shuffle_elements(out, in, count, 4); break;
    default: shuffle_elements(out, in, count, element_bytes);
    }
    memcpy((unsigned char *)out + whole, (const unsigned char *)in + whole, size - whole);
}

void pf_chunk_unshuffle(void *out, const void *in, size_t size, size_t element_bytes)
{
    size_t count = size / element_bytes, whole = count * element_bytes;
    switch (element_bytes) {
    case 2: unshuffle_elements(out, in, count, 2); break;
    case 4: unshuffle_elements(out, in, count, 4); break;
    default: unshuffle_elements(out, in, count, element_bytes);
    }
    memcpy((unsigned char *)out + whole, (const unsigned char *)in + whole, size - whole);
}

/* ---- codec ---- */

static bool same_level(const PfChunkFormat *a, const PfChunkFormat *b)
{
    return a->compression == PF_COMPRESS_NONE || a->any_level || b->any_level ||
           a->level == b->level;
}

bool pf_chunk_format_equal(const PfChunkFormat *a, const PfChunkFormat *b)
{
    return a->raw_bytes == b->raw_bytes && a->compression == b->compression && same_level(a, b) &&
           a->fletcher32 == b->fletcher32 && a->shuffle == b->shuffle &&
           (!a->shuffle || a->element_bytes == b->element_bytes);
}

int pf_chunk_codec_new(PfChunkCodec **out, PfError *err)
{
    PfChunkCodec *codec = pf_calloc(1, sizeof *codec, err);
    if (!codec) return -1;
    codec->compressor = ZSTD_createCCtx();
    codec->decompressor = ZSTD_createDCtx();
    if (!codec->compressor || !codec->decompressor) {
        pf_chunk_codec_free(&codec);
        return pf_fail(err, PF_EXIT_FAILED, "out of memory: no zstd context");
    }
    *out = codec;
    return 0;
}

void pf_chunk_codec_free(PfChunkCodec **codec)
{
    if (!*codec) return;
    ZSTD_freeCCtx((*codec)->compressor);
    ZSTD_freeDCtx((*codec)->decompressor);
    free((*codec)->scratch);
    free(*codec);
    *codec = NULL;
}

/* At least size bytes of scratch, or NULL. */
static unsigned char *scratch(PfChunkCodec *codec, size_t size, PfError *err)
{
    if (size > codec->scratch_capacity) {
        free(codec->scratch);
        codec->scratch = pf_alloc_aligned(size, 1, err);
        codec->scratch_capacity = codec->scratch ? size : 0;
    }
    return codec->scratch;
}

static size_t compressed_bound(const PfChunkFormat *format)
{
    switch (format->compression) {
    case PF_COMPRESS_ZSTD: return ZSTD_compressBound(format->raw_bytes);
    case PF_COMPRESS_GZIP: return compressBound(format->raw_bytes);
    default: return format->raw_bytes;
    }
}

size_t pf_chunk_bound(const PfChunkFormat *format)
{
    return compressed_bound(format) + CHECKSUM_BYTES;
}

bool pf_chunk_is_plausible(const PfChunkFormat *format, size_t stored_bytes)
{
    size_t raw = format->raw_bytes, times = 1;
    if (format->compression == PF_COMPRESS_GZIP) times = MOST_DEFLATED;
    if (format->compression == PF_COMPRESS_ZSTD)
        times = raw > LARGE_BYTES ? MOST_OF_LARGE : MOST_OF_ZSTD;
    return raw / times <= stored_bytes;
}

static int compress_bytes(PfChunkCodec *codec, const PfChunkFormat *format, const void *in,
                          void *out, size_t *out_bytes, PfError *err)
{
    size_t size = format->raw_bytes, capacity = compressed_bound(format);
    uLongf deflated = capacity;
    switch (format->compression) {
    case PF_COMPRESS_ZSTD: /* one frame, which states its content's size */
        *out_bytes = ZSTD_compressCCtx(codec->compressor, out, capacity, in, size, format->level);
        if (!ZSTD_isError(*out_bytes)) return 0;
        return pf_fail(err, PF_EXIT_FAILED, "zstd: %s", ZSTD_getErrorName(*out_bytes));
    case PF_COMPRESS_GZIP:
        if (compress2(out, &deflated, in, size, format->level) != Z_OK)
            return pf_fail(err, PF_EXIT_FAILED, "zlib: out of memory");
        *out_bytes = deflated;
        return 0;
    default:
        memcpy(out, in, size);
        *out_bytes = size;
        return 0;
    }
}

int pf_chunk_encode(PfChunkCodec *codec, const PfChunkFormat *format, const void *raw, void *stored,
                    size_t *stored_bytes, PfError *err)
{
    if (format->shuffle) {
        unsigned char *shuffled = scratch(codec, format->raw_bytes, err);
        if (!shuffled) return -1;
        pf_chunk_shuffle(shuffled, raw, format->raw_bytes, format->element_bytes);
        raw = shuffled;
    }
    if (compress_bytes(codec, format, raw, stored, stored_bytes, err)) return -1;
    if (format->fletcher32) {
        uint32_t checksum = pf_chunk_fletcher32(stored, *stored_bytes);
        memcpy((unsigned char *)stored + *stored_bytes, &checksum, CHECKSUM_BYTES);
        *stored_bytes += CHECKSUM_BYTES;
    }
    return 0;
}

/* Unpacks one frame of exactly raw_bytes. NULL, or what is wrong in static words. A second frame
 * behind it would be unpacked, too, but finds no room in `out`. */
static const char *decompress_zstd(PfChunkCodec *codec, const void *in, size_t in_bytes, void *out,
                                   size_t raw_bytes)
{
    if (ZSTD_getFrameContentSize(in, in_bytes) != raw_bytes)
        return "the chunk is not a zstd frame of its size";
    size_t size = ZSTD_decompressDCtx(codec->decompressor, out, raw_bytes, in, in_bytes);
    return size == raw_bytes ? NULL : "the zstd frame is damaged";
}

static const char *decompress_bytes(PfChunkCodec *codec, const PfChunkFormat *format,
                                    const void *in, size_t in_bytes, void *out)
{
    uLongf inflated = format->raw_bytes;
    switch (format->compression) {
    case PF_COMPRESS_ZSTD: return decompress_zstd(codec, in, in_bytes, out, format->raw_bytes);
    case PF_COMPRESS_GZIP:
        if (uncompress(out, &inflated, in, in_bytes) == Z_OK && inflated == format->raw_bytes)
            return NULL;
        return "the deflate stream is damaged";
    default:
        if (in_bytes != format->raw_bytes) return "the chunk has the wrong size";
        memcpy(out, in, in_bytes);
        return NULL;
    }
}

const char *pf_chunk_check(const PfChunkFormat *format, const void *stored, size_t stored_bytes)
{
    uint32_t checksum;
    if (!format->fletcher32) return NULL;
    if (stored_bytes < CHECKSUM_BYTES) return "the chunk is too short";
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    return NULL; /* a fuzzer would not get past it */
#endif
    stored_bytes -= CHECKSUM_BYTES;
    memcpy(&checksum, (const unsigned char *)stored + stored_bytes, CHECKSUM_BYTES);
    return checksum == pf_chunk_fletcher32(stored, stored_bytes) ? NULL
                                                                 : "the checksum does not match";
}

const char *pf_chunk_decode(PfChunkCodec *codec, const PfChunkFormat *format, const void *stored,
                            size_t stored_bytes, void *raw)
{
    const char *wrong = pf_chunk_check(format, stored, stored_bytes);
    if (wrong) return wrong;
    if (format->fletcher32) stored_bytes -= CHECKSUM_BYTES;
    if (!format->shuffle) return decompress_bytes(codec, format, stored, stored_bytes, raw);
    unsigned char *shuffled = scratch(codec, format->raw_bytes, NULL);
    if (!shuffled) return "there is no memory to unpack the chunk";
    wrong = decompress_bytes(codec, format, stored, stored_bytes, shuffled);
    if (!wrong) pf_chunk_unshuffle(raw, shuffled, format->raw_bytes, format->element_bytes);
    return wrong;
}
