/* The chunker: rows of several taps become chunks in order, whatever the threads;
 * tails show what is in open chunks; resuming goes on where a chunk was left. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/cache/codec/chunker.h"

/* Chunks of 4 and 16 rows. */
static const PfCacheTap TAPS[] = {
    {"avgpool", {1, {128000}}, PF_DTYPE_U8},
    {"layer4", {2, {10, 3000}}, PF_DTYPE_U8},
};
#define TAP_COUNT 2

static PfTapLayout layouts[TAP_COUNT];

static void plan_layouts(void)
{
    for (int t = 0; t < TAP_COUNT; t++)
        ck_assert(!pf_tap_layout_plan(&TAPS[t], PF_COMPRESS_ZSTD, 0, &layouts[t], NULL));
    ck_assert_int_eq(layouts[0].chunk_rows, 4);
    ck_assert_int_eq(layouts[1].chunk_rows, 16);
}

/* Rows [first, first + n) of a tap, malloc'ed. */
static unsigned char *make_rows(int tap, int64_t first, int64_t n)
{
    size_t row_bytes = layouts[tap].row_bytes;
    unsigned char *rows = malloc((size_t)n * row_bytes + 1);
    for (int64_t i = 0; i < n; i++)
        memset(rows + (size_t)i * row_bytes, (int)(first + i + tap * 100), row_bytes);
    return rows;
}

/* ---- a sink that decodes what it gets ---- */

typedef struct Sink {
    PfChunkCodec *codec;
    int64_t rows[TAP_COUNT];  /* so far, in chunks and tails */
    int64_t whole[TAP_COUNT]; /* in whole chunks */
    int chunks, tails;
    int fail_at; /* the call that fails; 0: none */
} Sink;

static int take_chunk(void *context, const PfEncodedChunk *chunk, PfError *err)
{
    Sink *sink = context;
    const PfTapLayout *layout = &layouts[chunk->tap];
    int64_t *whole = &sink->whole[chunk->tap], *rows = &sink->rows[chunk->tap];
    if (++sink->chunks == sink->fail_at) return pf_fail(err, PF_EXIT_FAILED, "the sink is full");
    sink->tails += chunk->is_tail;
    ck_assert_int_eq(chunk->first_row, chunk->is_tail ? *rows : *whole);
    ck_assert_int_gt(chunk->rows, 0);
    ck_assert_int_le(chunk->rows, layout->chunk_rows);
    *rows = chunk->first_row + chunk->rows;
    if (!chunk->is_tail) *whole = *rows;

    int64_t stored_rows = chunk->is_tail ? chunk->rows : layout->chunk_rows;
    PfChunkFormat format = pf_tap_layout_format_of_rows(layout, stored_rows);
    unsigned char *raw = malloc(layout->format.raw_bytes);
    unsigned char *expected = make_rows(chunk->tap, chunk->first_row, stored_rows);
    size_t used = (size_t)chunk->rows * layout->row_bytes;
    memset(expected + used, 0, format.raw_bytes - used);
    ck_assert_ptr_null(
        pf_chunk_decode(sink->codec, &format, chunk->stored, chunk->stored_bytes, raw));
    ck_assert(!memcmp(raw, expected, format.raw_bytes));
    free(expected);
    free(raw);
    return 0;
}

static PfChunker *start(Sink *sink, int threads)
{
    PfChunker *chunker;
    PfError err;
    plan_layouts();
    *sink = (Sink){0};
    ck_assert(!pf_chunk_codec_new(&sink->codec, &err));
    ck_assert(!pf_chunker_new(layouts, TAP_COUNT, threads, take_chunk, sink, &chunker, &err));
    return chunker;
}

static void stop(Sink *sink, PfChunker *chunker)
{
    pf_chunker_free(&chunker);
    ck_assert_ptr_null(chunker);
    pf_chunk_codec_free(&sink->codec);
}

static int append(PfChunker *chunker, int tap, int64_t n, PfError *err)
{
    unsigned char *rows = make_rows(tap, pf_chunker_rows(chunker, tap), n);
    int failed = pf_chunker_append(chunker, tap, n, rows, err);
    free(rows);
    return failed;
}

static void append_all(PfChunker *chunker, int64_t n)
{
    PfError err;
    for (int t = 0; t < TAP_COUNT; t++) ck_assert(!append(chunker, t, n, &err));
}

START_TEST(rows_become_chunks_in_order)
{
    Sink sink;
    PfError err;
    for (int batch = 1; batch < 40; batch += 6) {
        PfChunker *chunker = start(&sink, _i);
        int64_t rows = 0;
        for (; rows < 100; rows += batch) append_all(chunker, batch);
        ck_assert(!pf_chunker_finish(chunker, &err));
        for (int t = 0; t < TAP_COUNT; t++) {
            ck_assert_int_eq(pf_chunker_rows(chunker, t), rows);
            ck_assert_int_eq(sink.whole[t], rows);
        }
        ck_assert_int_eq(sink.tails, 0);
        ck_assert_int_eq(sink.chunks, (rows + 3) / 4 + (rows + 15) / 16);
        stop(&sink, chunker);
    }
}
END_TEST

START_TEST(draining_leaves_open_chunks_open)
{
    Sink sink;
    PfError err;
    PfChunker *chunker = start(&sink, 3);
    append_all(chunker, 19);
    ck_assert(!pf_chunker_drain(chunker, &err));
    ck_assert_int_eq(sink.rows[0], 16);
    ck_assert_int_eq(sink.rows[1], 16);
    append_all(chunker, 1);
    ck_assert(!pf_chunker_drain(chunker, &err));
    ck_assert_int_eq(sink.rows[0], 20);
    stop(&sink, chunker);
}
END_TEST

START_TEST(tails_hold_each_row_once)
{
    Sink sink;
    PfError err;
    PfChunker *chunker = start(&sink, 2);
    for (int64_t rows = 1; rows < 60; rows++) {
        append_all(chunker, 1);
        if (rows % _i) continue;
        ck_assert(!pf_chunker_flush_tails(chunker, &err));
        for (int t = 0; t < TAP_COUNT; t++) ck_assert_int_eq(sink.rows[t], rows);
        int chunks = sink.chunks;
        ck_assert(!pf_chunker_flush_tails(chunker, &err)); /* nothing new */
        ck_assert_int_eq(sink.chunks, chunks);
    }
    ck_assert(!pf_chunker_drain(chunker, &err));
    ck_assert_int_eq(sink.whole[0], 56);
    ck_assert_int_eq(sink.whole[1], 48);
    stop(&sink, chunker);
}
END_TEST

START_TEST(resuming_goes_on_within_a_chunk)
{
    for (int64_t row = 0; row < 36; row++) {
        Sink sink;
        PfError err;
        PfChunker *chunker = start(&sink, 2);
        for (int t = 0; t < TAP_COUNT; t++) {
            int64_t open_rows = row % layouts[t].chunk_rows;
            unsigned char *rows = make_rows(t, row - open_rows, open_rows);
            ck_assert(!pf_chunker_resume(chunker, t, row, rows, &err));
            ck_assert_int_eq(pf_chunker_rows(chunker, t), row);
            sink.rows[t] = row;
            sink.whole[t] = row - open_rows;
            free(rows);
        }
        ck_assert(!pf_chunker_flush_tails(chunker, &err));
        ck_assert_int_eq(sink.chunks, 0); /* they are known */
        append_all(chunker, 3);
        ck_assert(!pf_chunker_flush_tails(chunker, &err));
        append_all(chunker, 20);
        ck_assert(!pf_chunker_finish(chunker, &err));
        for (int t = 0; t < TAP_COUNT; t++) ck_assert_int_eq(sink.whole[t], row + 23);
        stop(&sink, chunker);
    }
}
END_TEST

START_TEST(encoded_chunks_take_their_place)
{
    Sink sink;
    PfError err;
    PfChunker *chunker = start(&sink, 2);
    unsigned char *stored = malloc(pf_chunk_bound(&layouts[0].format));
    size_t stored_bytes;
    for (int64_t row = 0; row < 100; row += 4) {
        int64_t rows = row < 96 ? 4 : 2; /* the last one is not full */
        if (row < 96 && row % 12 < 8) {
            ck_assert(!append(chunker, 0, 4, &err));
            continue;
        }
        unsigned char *raw = make_rows(0, row, 4);
        memset(raw + (size_t)rows * layouts[0].row_bytes, 0,
               (size_t)(4 - rows) * layouts[0].row_bytes);
        ck_assert(
            !pf_chunk_encode(sink.codec, &layouts[0].format, raw, stored, &stored_bytes, &err));
        ck_assert(!pf_chunker_append_encoded(chunker, 0, rows, stored, stored_bytes, &err));
        free(raw);
    }
    ck_assert(!pf_chunker_finish(chunker, &err));
    ck_assert_int_eq(sink.whole[0], 98);
    free(stored);
    stop(&sink, chunker);
}
END_TEST

START_TEST(a_sinks_failure_reaches_the_caller)
{
    Sink sink;
    PfError err = {0};
    PfChunker *chunker = start(&sink, 2);
    sink.fail_at = _i;
    int failed = 0;
    for (int i = 0; i < 60 && !failed; i++)
        failed = append(chunker, 0, 3, &err) || pf_chunker_flush_tails(chunker, &err);
    ck_assert(failed);
    ck_assert_str_eq(err.message, "the sink is full");
    stop(&sink, chunker); /* with work under way */
}
END_TEST

START_TEST(chunks_have_a_power_of_two_of_rows)
{
    for (int64_t dim = 1; dim < 300000; dim += dim / 3 + 1) {
        PfCacheTap tap = {"x", {1, {dim}}, PF_DTYPE_F16};
        PfTapLayout layout;
        ck_assert(!pf_tap_layout_plan(&tap, PF_COMPRESS_NONE, 0, &layout, NULL));
        ck_assert_int_eq(layout.chunk_rows & (layout.chunk_rows - 1), 0);
        ck_assert_uint_eq(layout.row_bytes, (size_t)dim * 2);
        ck_assert_uint_eq(layout.format.raw_bytes, (size_t)layout.chunk_rows * layout.row_bytes);
        ck_assert(layout.chunk_rows == 1 || layout.format.raw_bytes <= 512 * 1024);
        ck_assert_uint_gt(layout.format.raw_bytes * 2, 512 * 1024);
    }
    PfError err;
    PfTapLayout layout;
    PfCacheTap tap = {"huge", {2, {1 << 20, 1 << 12}}, PF_DTYPE_U8};
    ck_assert(pf_tap_layout_plan(&tap, PF_COMPRESS_NONE, 0, &layout, &err));
    ck_assert_ptr_nonnull(strstr(err.message, "4294967296"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache_chunker");
    TCase *cases = tcase_create("all");
    tcase_add_loop_test(cases, rows_become_chunks_in_order, 1, 5);
    tcase_add_test(cases, draining_leaves_open_chunks_open);
    tcase_add_loop_test(cases, tails_hold_each_row_once, 1, 7);
    tcase_add_test(cases, resuming_goes_on_within_a_chunk);
    tcase_add_test(cases, encoded_chunks_take_their_place);
    tcase_add_loop_test(cases, a_sinks_failure_reaches_the_caller, 1, 9);
    tcase_add_test(cases, chunks_have_a_power_of_two_of_rows);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures ? 1 : 0;
}
