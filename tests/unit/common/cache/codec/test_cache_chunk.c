/* The chunk codec: HDF5's filters without HDF5. That HDF5 agrees about every
 * byte is checked by test_feature_cache, which reads our chunks through it. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "common/base/random.h"
#include "common/cache/codec/chunk.h"

/* ---- plain twins, as the HDF5 documentation describes the filters ---- */

static uint32_t plain_fletcher32(const unsigned char *bytes, size_t size)
{
    uint32_t sum1 = 0, sum2 = 0;
    for (size_t i = 0; i < size; i += 2) {
        uint32_t word = (uint32_t)bytes[i] << 8 | (i + 1 < size ? bytes[i + 1] : 0);
        sum1 += word;
        sum1 = (sum1 & 0xffff) + (sum1 >> 16);
        sum2 += sum1;
        sum2 = (sum2 & 0xffff) + (sum2 >> 16);
    }
    return sum2 << 16 | sum1;
}

static void plain_shuffle(unsigned char *out, const unsigned char *in, size_t size,
                          size_t element_bytes)
{
    size_t count = size / element_bytes;
    memcpy(out, in, size);
    for (size_t i = 0; i < count * element_bytes; i++)
        out[i % element_bytes * count + i / element_bytes] = in[i];
}

/* size bytes of noise between two poisoned ends. */
static unsigned char *poisoned(size_t size)
{
    unsigned char *block = malloc(size + 32);
    memset(block, 0xa5, size + 32);
    return block + 16;
}

static void check_poison(unsigned char *bytes, size_t size)
{
    for (int i = 0; i < 16; i++) {
        ck_assert_uint_eq(bytes[i - 16], 0xa5);
        ck_assert_uint_eq(bytes[size + (size_t)i], 0xa5);
    }
    free(bytes - 16);
}

static void fill(unsigned char *bytes, size_t size, uint64_t seed)
{
    PfRandom random = pf_random_seeded(seed, 0);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(pf_random_u64(&random) >> 56 & (seed % 3 ? 0xff : 0x03));
}

START_TEST(fletcher32_equals_its_plain_twin)
{
    static unsigned char bytes[40000];
    for (size_t size = 0; size < 700; size++) {
        fill(bytes, size, size);
        ck_assert_uint_eq(pf_chunk_fletcher32(bytes, size), plain_fletcher32(bytes, size));
    }
    for (size_t size = 30000; size < 30040; size++) {
        memset(bytes, 0xff, size); /* the largest sums that there are */
        ck_assert_uint_eq(pf_chunk_fletcher32(bytes, size), plain_fletcher32(bytes, size));
        fill(bytes, size, size);
        ck_assert_uint_eq(pf_chunk_fletcher32(bytes, size), plain_fletcher32(bytes, size));
        ck_assert_uint_eq(pf_chunk_fletcher32(bytes + 1, size), plain_fletcher32(bytes + 1, size));
        memset(bytes, 0, size);
        ck_assert_uint_eq(pf_chunk_fletcher32(bytes, size), 0);
    }
}
END_TEST

START_TEST(fletcher32_gives_known_sums)
{
    /* The published test vectors for 16-bit words, bytes swapped into big-endian words. */
    ck_assert_uint_eq(pf_chunk_fletcher32("badcfe", 6), 0x56502d2a);
    ck_assert_uint_eq(pf_chunk_fletcher32("badcfehg", 8), 0xebe19591);
    ck_assert_uint_eq(pf_chunk_fletcher32("", 0), 0);
}
END_TEST

START_TEST(shuffle_equals_its_plain_twin_and_comes_back)
{
    static const size_t elements[] = {1, 2, 3, 4, 8, 12};
    static unsigned char in[1200], expected[1200];
    for (size_t e = 0; e < sizeof elements / sizeof elements[0]; e++)
        for (size_t size = 0; size < sizeof in; size += 1 + size / 7) {
            unsigned char *out = poisoned(size), *back = poisoned(size);
            fill(in, size, size + 1);
            plain_shuffle(expected, in, size, elements[e]);
            pf_chunk_shuffle(out, in, size, elements[e]);
            ck_assert(!memcmp(out, expected, size));
            pf_chunk_unshuffle(back, out, size, elements[e]);
            ck_assert(!memcmp(back, in, size));
            check_poison(out, size);
            check_poison(back, size);
        }
}
END_TEST

/* ---- whole chunks ---- */

static PfChunkFormat format_of(int i)
{
    return (PfChunkFormat){
        .raw_bytes = (size_t[]){2, 4096, 100352}[i / 12],
        .element_bytes = i & 1 ? 2 : 4,
        .shuffle = i >> 1 & 1,
        .compression = (PfCompression)(i / 4 % 3),
        .level = 1,
        .fletcher32 = 1,
    };
}
#define FORMATS 36

START_TEST(levels_matter_where_they_are_named)
{
    PfChunkFormat one = format_of(8), nine = format_of(8);
    ck_assert_int_eq(one.compression, PF_COMPRESS_ZSTD);
    nine.level = 9;
    ck_assert(pf_chunk_format_equal(&one, &one));
    ck_assert(!pf_chunk_format_equal(&one, &nine) && !pf_chunk_format_equal(&nine, &one));
    one.any_level = 1;
    ck_assert(pf_chunk_format_equal(&one, &nine) && pf_chunk_format_equal(&nine, &one));
    one.any_level = 0;
    one.compression = nine.compression = PF_COMPRESS_NONE;
    ck_assert(pf_chunk_format_equal(&one, &nine));
}
END_TEST

START_TEST(chunks_come_back)
{
    PfChunkFormat format = format_of(_i);
    PfChunkCodec *codec;
    PfError err;
    ck_assert(!pf_chunk_codec_new(&codec, &err));
    size_t bound = pf_chunk_bound(&format), size;
    unsigned char *raw = poisoned(format.raw_bytes), *back = poisoned(format.raw_bytes);
    unsigned char *stored = poisoned(bound);
    for (uint64_t seed = 2; seed < 5; seed++) { /* 3 compresses, 2 and 4 do not */
        fill(raw, format.raw_bytes, seed);
        ck_assert(!pf_chunk_encode(codec, &format, raw, stored, &size, &err));
        ck_assert_uint_le(size, bound);
        ck_assert_ptr_null(pf_chunk_decode(codec, &format, stored, size, back));
        ck_assert(!memcmp(raw, back, format.raw_bytes));
    }
    pf_chunk_codec_free(&codec);
    check_poison(raw, format.raw_bytes);
    check_poison(back, format.raw_bytes);
    check_poison(stored, bound);
}
END_TEST

/* With or without a checksum, a damaged chunk never passes for a whole one of
 * the wrong size, and with it never at all. */
START_TEST(damage_is_found)
{
    PfChunkFormat format = format_of(_i);
    if (format.raw_bytes > 4096) return;
    PfChunkCodec *codec;
    PfError err;
    ck_assert(!pf_chunk_codec_new(&codec, &err));
    size_t size;
    unsigned char *raw = malloc(format.raw_bytes), *back = poisoned(format.raw_bytes);
    unsigned char *stored = malloc(pf_chunk_bound(&format));
    fill(raw, format.raw_bytes, 3);
    ck_assert(!pf_chunk_encode(codec, &format, raw, stored, &size, &err));
    for (size_t bit = 0; bit < size * 8; bit += 1 + size / 256) {
        stored[bit / 8] ^= (unsigned char)(1 << bit % 8);
        const char *wrong = pf_chunk_decode(codec, &format, stored, size, back);
        if (!wrong) ck_abort_msg("bit %zu was flipped unseen", bit);
        format.fletcher32 = 0;
        pf_chunk_decode(codec, &format, stored, size - 4, back);
        format.fletcher32 = 1;
        stored[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    for (size_t cut = 0; cut < size; cut++)
        if (!pf_chunk_decode(codec, &format, stored, cut, back))
            ck_abort_msg("a chunk of %zu bytes was read from %zu", size, cut);
    pf_chunk_codec_free(&codec);
    check_poison(back, format.raw_bytes);
    free(raw);
    free(stored);
}
END_TEST

/* What other zstd filters read as something it is not. */
START_TEST(only_one_frame_that_states_its_size_is_taken)
{
    enum { SIZE = 4096 };
    static unsigned char raw[SIZE], back[SIZE], stored[2 * SIZE];
    PfChunkFormat format = {
        .raw_bytes = SIZE, .element_bytes = 2, .compression = PF_COMPRESS_ZSTD, .level = 1};
    PfChunkCodec *codec;
    PfError err;
    ck_assert(!pf_chunk_codec_new(&codec, &err));
    fill(raw, SIZE, 3);
    size_t half = ZSTD_compress(stored, sizeof stored, raw, SIZE / 2, 1);
    size_t two = half + ZSTD_compress(stored + half, sizeof stored - half, raw, SIZE / 2, 1);
    ck_assert_ptr_nonnull(pf_chunk_decode(codec, &format, stored, half, back));
    ck_assert_ptr_nonnull(pf_chunk_decode(codec, &format, stored, two, back));
    size_t one = ZSTD_compress(stored, sizeof stored, raw, SIZE, 1);
    ck_assert_ptr_null(pf_chunk_decode(codec, &format, stored, one, back));
    ck_assert_ptr_nonnull(pf_chunk_decode(codec, &format, stored, one + 1, back));

    ZSTD_CCtx *context = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
    size_t unsized = ZSTD_compress2(context, stored, sizeof stored, raw, SIZE);
    ck_assert_ptr_nonnull(pf_chunk_decode(codec, &format, stored, unsized, back));
    ZSTD_freeCCtx(context);
    pf_chunk_codec_free(&codec);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache_chunk");
    TCase *filters = tcase_create("filters");
    tcase_add_test(filters, fletcher32_equals_its_plain_twin);
    tcase_add_test(filters, fletcher32_gives_known_sums);
    tcase_add_test(filters, shuffle_equals_its_plain_twin_and_comes_back);
    suite_add_tcase(suite, filters);
    TCase *chunks = tcase_create("chunks");
    tcase_set_timeout(chunks, 60);
    tcase_add_test(chunks, levels_matter_where_they_are_named);
    tcase_add_loop_test(chunks, chunks_come_back, 0, FORMATS);
    tcase_add_loop_test(chunks, damage_is_found, 0, FORMATS);
    tcase_add_test(chunks, only_one_frame_that_states_its_size_is_taken);
    suite_add_tcase(suite, chunks);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
