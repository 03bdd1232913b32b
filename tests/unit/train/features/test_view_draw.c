/* Several views of each image in a cache: what training draws, what is evaluated, what is measured,
 * from memory and streamed. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cache/views.h"
#include "train/features/feature_memory.h"
#include "train/features/normalize.h"
#include "train/features/stream_loader.h"
#include "train/features/stream_normalize.h"

enum { ROWS = 4000, VIEWS = 3, D = 150, BATCH = 64, RUN = 512 };

static char path[64];
static PfCache *cache;
static PfThreadPool *pool;
static int32_t all_rows[ROWS];

/* Exact in half precision; the first three tell row and view. */
static float element(int64_t row, int view, int64_t j)
{
    if (j == 0) return (float)(row / 64);
    if (j == 1) return (float)(row % 64);
    if (j == 2) return (float)view;
    return (float)((row * 31 + j * 17 + view * 100) % 512 - 200);
}

static void write_cache(const char *identity, int bad_row, int bad_view)
{
    static const PfCacheTap tap = {"avgpool", {2, {VIEWS, D}}, PF_DTYPE_F16};
    static uint16_t stored[ROWS][VIEWS][D];
    static PfCacheSample samples[ROWS];
    PfCacheWriterConfig config = {.taps = &tap,
                                  .tap_count = 1,
                                  .identity = identity,
                                  .provenance = "{}",
                                  .compression = PF_COMPRESS_NONE,
                                  .threads = 1};
    PfCacheWriter *writer;
    for (int i = 0; i < ROWS; i++) {
        for (int v = 0; v < VIEWS; v++)
            for (int j = 0; j < D; j++) stored[i][v][j] = pf_f16_from_f32(element(i, v, j));
        samples[i].path = "a.jpg";
        all_rows[i] = i;
    }
    if (bad_row >= 0) stored[bad_row][bad_view][D - 1] = 0x7c00;
    snprintf(path, sizeof path, "/tmp/test_view_draw.%d.h5", (int)getpid());
    ck_assert(!pf_cache_writer_open(path, &config, &writer, NULL));
    ck_assert(!pf_cache_writer_append(writer, ROWS, samples, (const void *const[]){stored}, NULL));
    ck_assert(!pf_cache_writer_finish(&writer, NULL, NULL));
    ck_assert(!pf_cache_open(path, &cache, NULL));
}

static void set_up(void)
{
    write_cache("{\"views\": 3}", -1, 0);
    ck_assert(!pf_thread_pool_new(3, &pool, NULL));
}

static void tear_down(void)
{
    pf_thread_pool_free(&pool);
    pf_cache_close(&cache);
    unlink(path);
}

static PfFeatureTable *table_of(int is_streamed)
{
    PfFeatureTable *table;
    PfFeatureStream stream = {.cache = cache, .views = VIEWS, .window_rows = VIEWS * RUN};
    int failed = is_streamed ? pf_feature_table_new_streamed(&stream, 0, &table, NULL)
                             : pf_feature_table_new(ROWS, VIEWS, D, 0, &table, NULL);
    ck_assert(!failed);
    ck_assert_int_eq(table->views, VIEWS);
    ck_assert_int_eq(table->features, D);
    if (!is_streamed) ck_assert(!pf_cache_read_f32(cache, 0, 0, ROWS, table->x, 1, NULL));
    return table;
}

/* A pass; views[row]: the view that came of each. */
static void deal(const PfFeatureTable *table, const PfRandom *shuffle, int8_t *views)
{
    PfBatchLoader loader;
    PfRowBatch batch;
    memset(views, -1, ROWS);
    ck_assert(!pf_batch_loader_new(table, pool, &loader, NULL));
    ck_assert(!loader.start(loader.context, all_rows, ROWS, shuffle, BATCH, NULL));
    for (;;) {
        ck_assert(!loader.next(loader.context, &batch, NULL));
        if (!batch.n) break;
        for (int64_t i = 0; i < batch.n; i++) {
            const float *x = batch.x + i * D;
            int32_t row = batch.rows[i];
            ck_assert_int_eq(views[row], -1);
            views[row] = (int8_t)x[2];
            for (int j = 0; j < D; j += j < 3 ? 1 : 49)
                ck_assert(x[j] == element(row, views[row], j));
        }
    }
    pf_batch_loader_free(&loader);
}

START_TEST(every_epoch_draws_a_view_of_each_row)
{
    static int8_t first[ROWS], second[ROWS], streamed[ROWS];
    PfRandom epochs[] = {pf_random_seeded(1, 1), pf_random_seeded(1, 2)};
    PfFeatureTable *memory = table_of(0), *stream = table_of(1);
    int counts[VIEWS] = {0}, same = 0;
    deal(memory, &epochs[0], first);
    deal(memory, &epochs[1], second);
    deal(stream, &epochs[0], streamed);
    ck_assert_mem_eq(first, streamed, ROWS);
    for (int i = 0; i < ROWS; i++) {
        counts[first[i]]++;
        same += first[i] == second[i];
    }
    for (int v = 0; v < VIEWS; v++) ck_assert(abs(counts[v] - ROWS / VIEWS) < 200);
    ck_assert(abs(same - ROWS / VIEWS) < 200);
    pf_feature_table_free(&memory);
    pf_feature_table_free(&stream);
}
END_TEST

START_TEST(other_passes_take_the_centre)
{
    static int8_t views[ROWS], centre[ROWS];
    PfRandom shuffle = pf_random_seeded(1, 1);
    for (int is_streamed = 0; is_streamed < 2; is_streamed++) {
        PfFeatureTable *table = table_of(is_streamed);
        deal(table, NULL, views);
        ck_assert_mem_eq(views, centre, ROWS);
        table->drawn_views = 1;
        deal(table, &shuffle, views);
        ck_assert_mem_eq(views, centre, ROWS);
        table->drawn_views = 2;
        deal(table, &shuffle, views);
        ck_assert(memchr(views, 1, ROWS) && !memchr(views, 2, ROWS));
        pf_feature_table_free(&table);
    }
}
END_TEST

START_TEST(standardising_measures_the_centre_and_is_applied_to_all)
{
    static float mean[2][D], scale[2][D];
    PfFeatureTable *memory = table_of(0), *stream = table_of(1);
    PfFeatureTable *const tables[] = {memory, stream};
    for (int t = 0; t < 2; t++) {
        tables[t]->split_rows[PF_SPLIT_TRAIN] = malloc(sizeof all_rows);
        memcpy(tables[t]->split_rows[PF_SPLIT_TRAIN], all_rows, sizeof all_rows);
        tables[t]->split_counts[PF_SPLIT_TRAIN] = ROWS;
    }
    ck_assert(!pf_normalize(memory, PF_NORMALIZE_STANDARDIZE, 2, mean[0], scale[0], NULL));
    ck_assert(
        !pf_stream_normalize(stream, PF_NORMALIZE_STANDARDIZE, pool, mean[1], scale[1], NULL));
    ck_assert_mem_eq(mean[0], mean[1], sizeof mean[0]);
    ck_assert_mem_eq(scale[0], scale[1], sizeof scale[0]);
    ck_assert(mean[0][2] == 0);
    double sum = 0;
    for (int i = 0; i < ROWS; i++) sum += element(i, 0, 7);
    ck_assert(fabs(mean[0][7] - sum / ROWS) < 1e-4);
    for (int64_t i = 0; i < ROWS * VIEWS; i++) {
        float expected = (element(i / VIEWS, (int)(i % VIEWS), 7) - mean[0][7]) * scale[0][7];
        ck_assert(memory->x[i * D + 7] == expected);
    }
    pf_feature_table_free(&memory);
    pf_feature_table_free(&stream);
}
END_TEST

START_TEST(no_view_may_be_infinite)
{
    PfError err = {0};
    pf_cache_close(&cache);
    write_cache("{\"views\": 3}", 1234, 2);
    PfFeatureTable *memory = table_of(0), *stream = table_of(1);
    ck_assert_int_eq(pf_feature_table_find_not_finite(memory, 2), 1234);
    ck_assert(pf_stream_normalize(stream, PF_NORMALIZE_NONE, pool, NULL, NULL, &err));
    ck_assert_ptr_nonnull(strstr(err.message, "row 1234"));
    pf_feature_table_free(&memory);
    pf_feature_table_free(&stream);
}
END_TEST

START_TEST(windows_hold_one_view_of_a_row)
{
    PfFeatureMemory memory;
    PfError err = {0};
    ck_assert(!pf_feature_memory_plan(cache, 0, (int64_t)ROWS * VIEWS * D * 4, 1, &memory, &err));
    ck_assert(!memory.is_streamed);
    ck_assert(
        pf_feature_memory_plan(cache, 0, (int64_t)ROWS * VIEWS * D * 4 - 1, 1, &memory, &err));
    ck_assert_ptr_nonnull(strstr(err.message, "are too little"));
}
END_TEST

START_TEST(identities_are_checked_against_the_rows)
{
    static const struct {
        const char *identity, *message;
        int views;
    } cases[] = {
        {"{}", NULL, 1},
        {"{\"views\": 1}", NULL, 1},
        {"{\"views\": 3}", NULL, 3},
        {"{\"views\": 4}", "rows of tap 'avgpool' are (3,150); expected (4,...)", 0},
        {"{\"views\": 0}", "not a number of 1 to 256", 0},
        {"{\"views\": 2.5}", "not a number of 1 to 256", 0},
        {"{\"views\": 1e30}", "not a number of 1 to 256", 0},
        {"{\"views\": \"3\"}", "not a number of 1 to 256", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int views;
        PfError err = {0};
        pf_cache_close(&cache);
        write_cache(cases[i].identity, -1, 0);
        ck_assert_int_eq(pf_cache_views_count(cache, &views, &err), cases[i].message ? -1 : 0);
        if (!cases[i].message) ck_assert_int_eq(views, cases[i].views);
        if (cases[i].message) ck_assert_ptr_nonnull(strstr(err.message, cases[i].message));
    }
    PfShape row = {4, {3, 64, 7, 5}}, view = pf_cache_views_shape(&row, 3);
    PfShape again = pf_cache_views_row_shape(&view, 3), same = pf_cache_views_shape(&row, 1);
    ck_assert(view.rank == 3 && view.dims[0] == 64 && view.dims[2] == 5);
    ck_assert(pf_shape_equal(&again, &row) && pf_shape_equal(&same, &row));
}
END_TEST

int main(void)
{
    TCase *views = tcase_create("views");
    tcase_add_checked_fixture(views, set_up, tear_down);
    tcase_add_test(views, every_epoch_draws_a_view_of_each_row);
    tcase_add_test(views, other_passes_take_the_centre);
    tcase_add_test(views, standardising_measures_the_centre_and_is_applied_to_all);
    tcase_add_test(views, no_view_may_be_infinite);
    tcase_add_test(views, windows_hold_one_view_of_a_row);
    tcase_add_test(views, identities_are_checked_against_the_rows);
    Suite *suite = suite_create("view_draw");
    suite_add_tcase(suite, views);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
