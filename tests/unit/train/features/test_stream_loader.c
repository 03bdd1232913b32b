/* Features that do not fit in memory: which rows come, in what order, through how much of it. */
#include <check.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/base/random.h"
#include "train/features/feature_memory.h"
#include "train/features/normalize.h"
#include "train/features/stream_loader.h"
#include "train/features/stream_normalize.h"
#include "train/features/stream_reader.h"

enum { ROWS = 6000, D = 512, RUN = 512, RUNS = (ROWS + RUN - 1) / RUN, BATCH = 64 };

static char path[64];
static PfCache *cache;
static PfThreadPool *pool;
static volatile sig_atomic_t interrupted;
static int32_t wanted[ROWS]; /* some rows of the table, ascending */
static int64_t wanted_count;

/* Numbers that half precision holds exactly; the first two tell the row. */
static float element(int64_t row, int64_t j)
{
    if (j == 0) return (float)(row / 64);
    if (j == 1) return (float)(row % 64);
    return (float)((row * 31 + j * 17) % 512 - 200);
}

/* ROWS rows of one tap, at `path`. */
static void write_tap(const PfCacheTap *tap, const void *rows)
{
    static PfCacheSample samples[ROWS];
    PfCacheWriterConfig config = {.taps = tap,
                                  .tap_count = 1,
                                  .identity = "{}",
                                  .provenance = "{}",
                                  .compression = PF_COMPRESS_NONE,
                                  .threads = 1};
    PfCacheWriter *writer;
    for (int i = 0; i < ROWS; i++) samples[i].path = "a.jpg";
    snprintf(path, sizeof path, "/tmp/test_stream_feeder.%d.h5", (int)getpid());
    ck_assert(!pf_cache_writer_open(path, &config, &writer, NULL));
    ck_assert(!pf_cache_writer_append(writer, ROWS, samples, &rows, NULL));
    ck_assert(!pf_cache_writer_finish(&writer, NULL, NULL));
}

/* bad_row: one that holds an infinity; -1: none. */
static void write_cache(int bad_row)
{
    static const PfCacheTap tap = {"avgpool", {1, {D}}, PF_DTYPE_F16};
    static uint16_t stored[ROWS * D];
    static float row[D];
    for (int i = 0; i < ROWS; i++) {
        for (int j = 0; j < D; j++) row[j] = element(i, j);
        pf_f16_from_f32_array(stored + i * D, row, D);
    }
    if (bad_row >= 0) stored[bad_row * D + 300] = 0x7c00;
    write_tap(&tap, stored);
}

/* Bytes, as `extract --tap input` keeps them. */
static void write_pixels(void)
{
    static const PfCacheTap tap = {"input", {3, {3, 2, 2}}, PF_DTYPE_U8};
    static const uint8_t pixels[ROWS * 12];
    write_tap(&tap, pixels);
}

static void set_up(void)
{
    write_cache(-1);
    ck_assert(!pf_cache_open(path, &cache, NULL));
    ck_assert(!pf_thread_pool_new(3, &pool, NULL));
    interrupted = 0;
    wanted_count = 0;
    for (int i = 0; i < ROWS; i++)
        if (i % 5 && i / RUN != 7) wanted[wanted_count++] = i; /* and none of one run */
}

static void tear_down(void)
{
    pf_thread_pool_free(&pool);
    pf_cache_close(&cache);
    unlink(path);
}

/* ---- tables and loaders ---- */

static PfFeatureTable *streamed_table(int64_t window_rows, int threads)
{
    PfFeatureTable *table;
    PfFeatureStream stream = {.cache = cache,
                              .window_rows = window_rows,
                              .threads = threads,
                              .interrupted = &interrupted};
    ck_assert(!pf_feature_table_new_streamed(&stream, 0, &table, NULL));
    return table;
}

static PfFeatureTable *table_in_memory(void)
{
    PfFeatureTable *table;
    ck_assert(!pf_feature_table_new(ROWS, 1, D, 0, &table, NULL));
    ck_assert(!pf_cache_read_f32(cache, 0, 0, ROWS, table->x, 1, NULL));
    return table;
}

/* Three rows of four are of the train part. */
static void split_table(PfFeatureTable *table)
{
    table->split_rows[PF_SPLIT_TRAIN] = malloc(ROWS * sizeof(int32_t));
    for (int i = 0; i < ROWS; i++)
        if (i % 4) table->split_rows[PF_SPLIT_TRAIN][table->split_counts[PF_SPLIT_TRAIN]++] = i;
}

static PfBatchLoader new_loader(const PfFeatureTable *table)
{
    PfBatchLoader loader;
    ck_assert(!pf_batch_loader_new(table, pool, &loader, NULL));
    return loader;
}

/* A shuffled pass over rows; their order into out. Every batch is full but the last. */
static void deal(PfBatchLoader *loader, const int32_t *rows, int64_t count, uint64_t epoch,
                 int32_t *out)
{
    PfRandom shuffle = pf_random_seeded(3, epoch);
    PfRowBatch batch;
    PfError err = {0};
    ck_assert(!loader->start(loader->context, rows, count, &shuffle, BATCH, &err));
    for (int64_t done = 0;; done += batch.n) {
        ck_assert_msg(!loader->next(loader->context, &batch, &err), "%s", err.message);
        int64_t left = count - done;
        ck_assert_int_eq(batch.n, left < BATCH ? left : BATCH);
        if (!batch.n) return;
        for (int64_t i = 0; i < batch.n; i++) {
            out[done + i] = batch.rows[i];
            for (int j = 0; j < D; j += j < 2 ? 1 : 100)
                ck_assert(batch.x[i * D + j] == element(batch.rows[i], j));
        }
    }
}

static int compare_rows(const void *a, const void *b)
{
    return *(const int32_t *)a - *(const int32_t *)b;
}

/* ---- shuffled ---- */

START_TEST(every_row_comes_once_in_full_batches)
{
    static int32_t order[ROWS];
    const int64_t windows[] = {RUN, 2 * RUN, 5 * RUN + 3, ROWS};
    for (int w = 0; w < 4; w++) {
        PfFeatureTable *table = streamed_table(windows[w], 2);
        PfBatchLoader loader = new_loader(table);
        for (uint64_t epoch = 0; epoch < 3; epoch++) {
            deal(&loader, wanted, wanted_count, epoch, order);
            qsort(order, (size_t)wanted_count, sizeof *order, compare_rows);
            ck_assert_mem_eq(order, wanted, (size_t)wanted_count * sizeof *order);
        }
        pf_batch_loader_free(&loader);
        pf_feature_table_free(&table);
    }
}
END_TEST

START_TEST(the_order_is_of_the_stream_and_of_nothing_else)
{
    static int32_t order[ROWS], again[ROWS], other[ROWS];
    PfFeatureTable *table = streamed_table(3 * RUN, 1);
    PfBatchLoader loader = new_loader(table);
    deal(&loader, wanted, wanted_count, 1, order);
    deal(&loader, wanted, wanted_count, 2, other);
    ck_assert_mem_ne(order, other, (size_t)wanted_count * sizeof *order);
    pf_batch_loader_free(&loader);
    pf_feature_table_free(&table);
    for (int threads = 0; threads < 6; threads += 3) {
        table = streamed_table(3 * RUN, threads);
        loader = new_loader(table);
        deal(&loader, wanted, wanted_count / 2, 5, again); /* what was before does not matter */
        deal(&loader, wanted, wanted_count, 1, again);
        ck_assert_mem_eq(order, again, (size_t)wanted_count * sizeof *order);
        pf_batch_loader_free(&loader);
        pf_feature_table_free(&table);
    }
}
END_TEST

/* Batches of a window of four runs have rows of most of them, from near and far. */
START_TEST(batches_mix_rows_from_random_places)
{
    static int32_t order[ROWS];
    PfFeatureTable *table = streamed_table(4 * RUN, 2);
    PfBatchLoader loader = new_loader(table);
    int neighbours = 0, first_half = 0;
    deal(&loader, wanted, wanted_count, 1, order);
    for (int64_t b = 0; b + BATCH <= wanted_count; b += BATCH) {
        int runs = 0, seen[RUNS] = {0};
        for (int i = 0; i < BATCH; i++) runs += !seen[order[b + i] / RUN]++;
        ck_assert_int_ge(runs, 2);
    }
    for (int64_t i = 1; i < wanted_count; i++) neighbours += abs(order[i] - order[i - 1]) < 10;
    ck_assert_int_lt(neighbours, ROWS / 50);
    for (int i = 0; i < 2 * RUN; i++) first_half += order[i] < ROWS / 2;
    ck_assert(first_half > RUN / 8 && first_half < 2 * RUN - RUN / 8); /* of the first window */
    pf_batch_loader_free(&loader);
    pf_feature_table_free(&table);
}
END_TEST

/* Half of the draws are of ten rows that lie together: no window has them all. */
START_TEST(repeated_rows_are_spread_over_the_pass)
{
    static int32_t rows[ROWS], order[ROWS];
    PfFeatureTable *table = streamed_table(2 * RUN, 2);
    PfBatchLoader loader = new_loader(table);
    for (int i = 0; i < ROWS; i++) rows[i] = i % 2 ? 1000 + i / 2 % 10 : i;
    qsort(rows, ROWS, sizeof *rows, compare_rows);
    deal(&loader, rows, ROWS, 1, order);
    for (int first = 0; first < ROWS; first += ROWS / 4) {
        int rare = 0;
        for (int i = first; i < first + ROWS / 4; i++) rare += order[i] / 10 == 100;
        ck_assert_int_ge(rare, ROWS / 16);
        ck_assert_int_le(rare, ROWS * 3 / 16);
    }
    qsort(order, ROWS, sizeof *order, compare_rows);
    ck_assert_mem_eq(order, rows, sizeof rows);
    pf_batch_loader_free(&loader);
    pf_feature_table_free(&table);
}
END_TEST

START_TEST(a_pass_may_be_left_at_any_point)
{
    static int32_t order[ROWS];
    PfFeatureTable *table = streamed_table(2 * RUN, 2);
    for (int batches = 0; batches < 40; batches += 13) {
        PfBatchLoader loader = new_loader(table);
        PfRandom shuffle = pf_random_seeded(1, 1);
        PfRowBatch batch;
        ck_assert(!loader.start(loader.context, wanted, wanted_count, &shuffle, BATCH, NULL));
        for (int b = 0; b < batches; b++) ck_assert(!loader.next(loader.context, &batch, NULL));
        if (batches % 2) deal(&loader, wanted, wanted_count, 1, order);
        pf_batch_loader_free(&loader);
    }
    pf_feature_table_free(&table);
}
END_TEST

/* ---- in parts, as several processes read ---- */

/* Of each batch of three loaders, which have a part each, the rows are those of the whole. */
static void expect_parts(const PfFeatureTable *table, const int32_t *rows, int64_t count,
                         const PfRandom *shuffle, int64_t batch_rows)
{
    PfBatchLoader loaders[4];
    PfRowBatch whole, batch;
    for (int l = 0; l < 4; l++) {
        loaders[l] = new_loader(table);
        if (l < 3) loaders[l].share(loaders[l].context, l, 3);
        ck_assert(!loaders[l].start(loaders[l].context, rows, count, shuffle, batch_rows, NULL));
    }
    do {
        int64_t rows_seen = 0;
        ck_assert(!loaders[3].next(loaders[3].context, &whole, NULL));
        for (int l = 0; l < 3; l++) {
            PfBatchPart part = pf_batch_part(whole.n, l, 3);
            ck_assert(!loaders[l].next(loaders[l].context, &batch, NULL));
            ck_assert_int_eq(batch.n, whole.n);
            ck_assert_int_eq(part.first, rows_seen);
            ck_assert_mem_eq(batch.rows, whole.rows, (size_t)whole.n * sizeof *whole.rows);
            ck_assert_mem_eq(batch.x, whole.x + part.first * D,
                             (size_t)(part.count * D) * sizeof *whole.x);
            rows_seen += part.count;
        }
        ck_assert_int_eq(rows_seen, whole.n);
    } while (whole.n);
    for (int l = 0; l < 4; l++) pf_batch_loader_free(&loaders[l]);
}

START_TEST(parts_of_batches_are_those_of_the_whole)
{
    static int32_t drawn[ROWS];
    PfFeatureTable *tables[] = {streamed_table(2 * RUN, 2), table_in_memory()};
    PfRandom shuffle = pf_random_seeded(3, 1);
    for (int i = 0; i < ROWS; i++) drawn[i] = i % 2 ? 1000 + i / 2 % 10 : i;
    qsort(drawn, ROWS, sizeof *drawn, compare_rows);
    for (int t = 0; t < 2; t++) {
        expect_parts(tables[t], wanted, wanted_count, &shuffle, BATCH);
        expect_parts(tables[t], wanted, wanted_count, NULL, 1000);
        expect_parts(tables[t], drawn, ROWS, &shuffle, 100);
        expect_parts(tables[t], wanted, 5, &shuffle, 2); /* fewer than parts */
        pf_feature_table_free(&tables[t]);
    }
}
END_TEST

/* ---- in order ---- */

static void expect_same_passes(const PfFeatureTable *streamed, const PfFeatureTable *held,
                               int64_t batch_rows)
{
    PfBatchLoader a = new_loader(streamed), b = new_loader(held);
    PfRowBatch x, y;
    ck_assert(!a.start(a.context, wanted, wanted_count, NULL, batch_rows, NULL));
    ck_assert(!b.start(b.context, wanted, wanted_count, NULL, batch_rows, NULL));
    do {
        ck_assert(!a.next(a.context, &x, NULL) && !b.next(b.context, &y, NULL));
        ck_assert_int_eq(x.n, y.n);
        ck_assert_mem_eq(x.rows, y.rows, (size_t)x.n * sizeof *x.rows);
        ck_assert_mem_eq(x.x, y.x, (size_t)(x.n * D) * sizeof *x.x);
    } while (x.n);
    pf_batch_loader_free(&a);
    pf_batch_loader_free(&b);
}

START_TEST(in_order_all_is_as_from_memory_to_the_last_bit)
{
    for (int kind = PF_NORMALIZE_NONE; kind <= PF_NORMALIZE_L2; kind++) {
        float mean[2][D] = {{0}}, scale[2][D] = {{0}};
        PfFeatureTable *streamed = streamed_table(2 * RUN, 2), *held = table_in_memory();
        split_table(streamed);
        split_table(held);
        ck_assert(!pf_normalize(held, (PfNormalize)kind, 2, mean[0], scale[0], NULL));
        ck_assert(!pf_stream_normalize(streamed, (PfNormalize)kind, pool, mean[1], scale[1], NULL));
        ck_assert_mem_eq(mean[0], mean[1], sizeof mean[0]);
        ck_assert_mem_eq(scale[0], scale[1], sizeof scale[0]);
        expect_same_passes(streamed, held, 256);
        expect_same_passes(streamed, held, 1000);
        expect_same_passes(streamed, held, ROWS);
        pf_feature_table_free(&streamed);
        pf_feature_table_free(&held);
    }
}
END_TEST

/* ---- plans ---- */

static void expect_plan(const PfStreamPlan *plan, const int32_t *rows, int64_t count,
                        int64_t window_rows)
{
    static int counts[ROWS];
    int64_t first = 0, smallest = INT64_MAX, wrong = 0;
    memset(counts, 0, sizeof counts);
    for (int64_t i = 0; i < count; i++) counts[rows[i]]++;
    for (int64_t w = 0; w < plan->window_count; first = plan->ends[w++]) {
        int64_t inside = 0;
        for (int64_t p = first; p < plan->ends[w]; p++) {
            const PfStreamPart *part = &plan->parts[p];
            ck_assert_int_gt(part->count, 0);
            inside += part->distinct;
            for (int64_t i = 0; i < part->count; i++) {
                int32_t row = part->rows[i * part->stride];
                wrong += row < part->run.first || row >= part->run.first + part->run.count;
                counts[row]--;
            }
        }
        ck_assert_int_le(inside, window_rows);
        if (inside < smallest) smallest = inside;
    }
    ck_assert_int_eq(plan->window_count ? plan->ends[plan->window_count - 1] : 0, plan->part_count);
    for (int i = 0; i < ROWS; i++) wrong += counts[i] != 0;
    ck_assert_int_eq(wrong, 0);
    if (plan->window_count > 1) ck_assert_int_ge(smallest, window_rows / 3);
}

START_TEST(windows_are_bounded_and_even)
{
    PfCacheRun *runs;
    int64_t run_count;
    PfStreamPlan plan = {0};
    ck_assert(!pf_cache_list_runs(cache, 0, &runs, &run_count, NULL));
    ck_assert_int_eq(run_count, RUNS);
    for (int64_t rows = 4 * RUN; rows < ROWS + RUN; rows += 100)
        for (uint64_t seed = 0; seed < 5; seed++) {
            PfRandom random = pf_random_seeded(seed, 0);
            ck_assert(!pf_stream_plan(&plan, runs, run_count, wanted, wanted_count, rows,
                                      seed ? &random : NULL, NULL));
            expect_plan(&plan, wanted, wanted_count, rows);
            ck_assert_int_eq(plan.part_count, RUNS - 1);
        }
    ck_assert(!pf_stream_plan(&plan, runs, run_count, wanted, 0, RUN, NULL, NULL));
    ck_assert_int_eq(plan.window_count, 0);
    pf_stream_plan_free(&plan);
    free(runs);
}
END_TEST

START_TEST(memory_is_kept_to_or_refused_with_the_least)
{
    PfFeatureMemory memory;
    PfError err = {0};
    ck_assert(!pf_feature_memory_plan(cache, 0, 0, 256, &memory, &err));
    ck_assert(!memory.is_streamed);
    ck_assert_int_eq(memory.table_bytes, (int64_t)ROWS * D * 4);
    ck_assert_int_eq(memory.limit_bytes, (int64_t)pf_memory_physical_bytes() / 2);
    ck_assert(!pf_feature_memory_plan(cache, 0, (int64_t)ROWS * D * 4, 256, &memory, &err));
    ck_assert(!memory.is_streamed);
    ck_assert(pf_feature_memory_plan(cache, 0, 1000, 1, &memory, &err));
    ck_assert_int_eq(err.exit_code, PF_EXIT_USAGE);
    const char *option = strstr(err.message, "--memory ");
    ck_assert_ptr_nonnull(option);
    long long least = atoll(option + strlen("--memory ")) * 1000;
    ck_assert_int_gt(least, 8 * RUN * D * 2);
    if (least < memory.table_bytes) {
        ck_assert(!pf_feature_memory_plan(cache, 0, least, 1, &memory, &err));
        ck_assert(memory.is_streamed);
        ck_assert_int_ge(memory.window_rows, 4 * RUN);
    }
    ck_assert(pf_feature_memory_plan(cache, 0, least - 2000, 1, &memory, &err));
}
END_TEST

START_TEST(evaluations_take_fewer_rows_of_maps)
{
    ck_assert_int_eq(pf_feature_memory_evaluation_rows(512), 256);
    ck_assert_int_eq(pf_feature_memory_evaluation_rows(256 * 14 * 14), 83);
    ck_assert_int_eq(pf_feature_memory_evaluation_rows(3 * 2000 * 2000), 16);
}
END_TEST

/* ---- what goes wrong ---- */

/* Flips a bit inside run 7, which none of the wanted rows is in. */
static void damage_cache(void)
{
    pf_cache_close(&cache);
    ck_assert(!pf_cache_open(path, &cache, NULL));
    int file = open(path, O_RDWR);
    unsigned char byte;
    off_t place = (7 * RUN + RUN / 2) * D * 2; /* chunks come first in the file, in order */
    ck_assert_int_eq(pread(file, &byte, 1, place), 1);
    byte ^= 1;
    ck_assert_int_eq(pwrite(file, &byte, 1, place), 1);
    close(file);
}

START_TEST(damage_is_told_where_it_is_met)
{
    static int32_t order[ROWS], all[ROWS];
    PfError err = {0};
    PfRowBatch batch;
    damage_cache();
    PfFeatureTable *table = streamed_table(3 * RUN, 2);
    PfBatchLoader loader = new_loader(table);
    deal(&loader, wanted, wanted_count, 1, order); /* a run of none of the rows is not read */
    for (int i = 0; i < ROWS; i++) all[i] = i;
    for (int repeat = 0; repeat < 2; repeat++) {
        ck_assert(!loader.start(loader.context, all, ROWS, NULL, BATCH, &err));
        int failed = 0, batches = 0;
        while (!(failed = loader.next(loader.context, &batch, &err)) && batch.n) batches++;
        ck_assert(failed);
        ck_assert_int_gt(batches, 0);
        ck_assert_ptr_nonnull(strstr(err.message, path));
        ck_assert_msg(strstr(err.message, "rows 3584 to 4095 of /features/avgpool") != NULL, "%s",
                      err.message);
    }
    deal(&loader, wanted, wanted_count, 1, order);
    pf_batch_loader_free(&loader);
    pf_feature_table_free(&table);
}
END_TEST

START_TEST(features_that_are_not_finite_are_refused)
{
    float mean[D], scale[D];
    PfError err = {0};
    pf_cache_close(&cache);
    write_cache(5003);
    ck_assert(!pf_cache_open(path, &cache, NULL));
    for (int kind = PF_NORMALIZE_NONE; kind <= PF_NORMALIZE_L2; kind++) {
        PfFeatureTable *table = streamed_table(2 * RUN, 2);
        split_table(table);
        ck_assert(pf_stream_normalize(table, (PfNormalize)kind, pool, mean, scale, &err));
        ck_assert_ptr_nonnull(strstr(err.message, "row 5003 (a.jpg)"));
        pf_feature_table_free(&table);
    }
}
END_TEST

/* What cannot hold NaN is not read to look for it. */
START_TEST(pixels_are_not_looked_through)
{
    float mean[D], scale[D];
    PfError err = {0};
    for (int is_pixels = 0; is_pixels < 2; is_pixels++) {
        PfFeatureTable *table = streamed_table(ROWS, 2);
        split_table(table);
        interrupted = 1; /* a pass would fail */
        ck_assert_int_eq(!pf_stream_normalize(table, PF_NORMALIZE_NONE, pool, mean, scale, &err),
                         is_pixels);
        ck_assert(pf_stream_normalize(table, PF_NORMALIZE_STANDARDIZE, pool, mean, scale, &err));
        pf_feature_table_free(&table);
        pf_cache_close(&cache);
        write_pixels();
        ck_assert(!pf_cache_open(path, &cache, NULL));
    }
}
END_TEST

START_TEST(an_interruption_ends_the_pass)
{
    PfError err = {0};
    PfRowBatch batch;
    PfFeatureTable *table = streamed_table(RUN, 2);
    PfBatchLoader loader = new_loader(table);
    ck_assert(!loader.start(loader.context, wanted, wanted_count, NULL, BATCH, &err));
    ck_assert(!loader.next(loader.context, &batch, &err));
    interrupted = 1;
    int failed = 0;
    while (!(failed = loader.next(loader.context, &batch, &err)) && batch.n) {
    }
    ck_assert(failed);
    ck_assert_int_eq(err.exit_code, PF_EXIT_INTERRUPTED);
    pf_batch_loader_free(&loader);
    pf_feature_table_free(&table);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stream_feeder");
    TCase *cases = tcase_create("all");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, every_row_comes_once_in_full_batches);
    tcase_add_test(cases, the_order_is_of_the_stream_and_of_nothing_else);
    tcase_add_test(cases, batches_mix_rows_from_random_places);
    tcase_add_test(cases, repeated_rows_are_spread_over_the_pass);
    tcase_add_test(cases, a_pass_may_be_left_at_any_point);
    tcase_add_test(cases, parts_of_batches_are_those_of_the_whole);
    tcase_add_test(cases, in_order_all_is_as_from_memory_to_the_last_bit);
    tcase_add_test(cases, windows_are_bounded_and_even);
    tcase_add_test(cases, memory_is_kept_to_or_refused_with_the_least);
    tcase_add_test(cases, damage_is_told_where_it_is_met);
    tcase_add_test(cases, features_that_are_not_finite_are_refused);
    tcase_add_test(cases, pixels_are_not_looked_through);
    tcase_add_test(cases, evaluations_take_fewer_rows_of_maps);
    tcase_add_test(cases, an_interruption_ends_the_pass);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
