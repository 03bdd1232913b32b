/* Virtual caches: they show the rows of their sources wherever they are moved
 * together, and never rows of a file that is not the one that was merged. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cache/build.h"
#include "common/cache/internal.h"
#include "common/file/path.h"
#include "permafrost/feature_cache.h"

static char folder[64];
static PfError err;

static const PfCacheTap TAPS[] = {
    {.name = "vector", .shape = {1, {256}}, .dtype = PF_DTYPE_F16},
    {.name = "map", .shape = {3, {2, 3, 4}}, .dtype = PF_DTYPE_F32},
};

static void make_folder(void)
{
    strcpy(folder, "/tmp/pf_virtual_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert(!chdir(folder));
    ck_assert(!mkdir("set", 0777) && !mkdir("set/parts", 0777));
    err = (PfError){0};
}

static void remove_folder(void)
{
    char command[128];
    snprintf(command, sizeof command, "cd / && rm -rf '%s'", folder);
    ck_assert_int_eq(system(command), 0);
}

/* ---- caches whose numbers a formula tells ---- */

static float element(int tap, int64_t row, int64_t i)
{
    uint64_t x = (uint64_t)(row * 256 + i * 2 + tap + 1) * 0x9e3779b97f4a7c15u;
    return (float)((x ^ x >> 29) % 1021);
}

static void append_row(PfCacheWriter *writer, int64_t row)
{
    uint16_t vector[256];
    float map[24];
    char path[32];
    int32_t class = (int32_t)(row % 2);
    snprintf(path, sizeof path, "%lld.jpg", (long long)row);
    PfCacheSample sample = {.path = path, .class_indices = &class};
    for (int i = 0; i < 256; i++) vector[i] = pf_f16_from_f32(element(0, row, i));
    for (int i = 0; i < 24; i++) map[i] = element(1, row, i);
    ck_assert(
        !pf_cache_writer_append(writer, 1, &sample, (const void *const[]){vector, map}, &err));
}

static PfCacheWriterConfig config_of(const char *provenance)
{
    static const char *const classes[] = {"a", "b"};
    static const PfCacheTarget target = {"class", PF_TARGET_CLASS, 1, classes, 2};
    return (PfCacheWriterConfig){.taps = TAPS,
                                 .tap_count = 2,
                                 .targets = &target,
                                 .target_count = 1,
                                 .identity = "{}",
                                 .provenance = provenance,
                                 .compression = PF_COMPRESS_ZSTD,
                                 .threads = 1};
}

static void write_part(const char *path, int64_t first, int64_t count, const char *provenance)
{
    PfCacheWriterConfig config = config_of(provenance);
    PfCacheWriter *writer;
    ck_assert_msg(!pf_cache_writer_open(path, &config, &writer, &err), "%s", err.message);
    for (int64_t row = first; row < first + count; row++) append_row(writer, row);
    ck_assert_msg(!pf_cache_writer_finish(&writer, NULL, &err), "%s", err.message);
}

/* What the file at path, which the virtual one at `from` calls `name`, is. */
static PfCacheSource source_of(const char *path, const char *name)
{
    PfCache *cache;
    ck_assert_msg(!pf_cache_open(path, &cache, &err), "%s", err.message);
    PfCacheSource source = {.path = name, .row_count = pf_cache_row_count(cache)};
    memcpy(source.seal, pf_cache_seal(cache), sizeof source.seal);
    pf_cache_close(&cache);
    return source;
}

static void write_virtual(const char *path, const PfCacheSource *sources, int count)
{
    PfCacheWriterConfig config = config_of("{}");
    PfCacheWriter *writer;
    int64_t rows = 0;
    config.sources = sources;
    config.source_count = count;
    ck_assert_msg(!pf_cache_writer_open(path, &config, &writer, &err), "%s", err.message);
    for (int i = 0; i < count; i++) rows += sources[i].row_count;
    for (int64_t row = 0; row < rows; row++) {
        PfCacheSample sample = {.path = "x.jpg", .class_indices = (const int32_t[]){0}};
        ck_assert(!pf_cache_writer_append_samples(writer, 1, &sample, &err));
    }
    ck_assert_msg(!pf_cache_writer_finish(&writer, NULL, &err), "%s", err.message);
}

enum { FIRST = 300, SECOND = 1500, ROWS = FIRST + SECOND };

/* set/all.h5 over set/parts/50%.h5, an empty one and set/b.h5. */
static void write_set(void)
{
    write_part("set/parts/50%.h5", 0, FIRST, "{}");
    write_part("set/parts/none.h5", 0, 0, "{}");
    write_part("set/b.h5", FIRST, SECOND, "{}");
    const PfCacheSource sources[] = {source_of("set/parts/50%.h5", "parts/50%.h5"),
                                     source_of("set/parts/none.h5", "parts/none.h5"),
                                     source_of("set/b.h5", "b.h5")};
    write_virtual("set/all.h5", sources, 3);
}

static void check_rows(PfCache *cache, int tap, int64_t first, int64_t count, int threads)
{
    int64_t size = pf_shape_count(&TAPS[tap].shape);
    float *out = malloc((size_t)(count * size + 1) * sizeof *out);
    out[count * size] = -7;
    ck_assert_msg(!pf_cache_read_f32(cache, tap, first, count, out, threads, &err), "%s",
                  err.message);
    for (int64_t i = 0; i < count * size; i++)
        if (out[i] != element(tap, first + i / size, i % size))
            ck_abort_msg("row %lld of tap %d", (long long)(first + i / size), tap);
    ck_assert(out[count * size] == -7);
    free(out);
}

static void check_all_rows(const char *path)
{
    PfCache *cache;
    ck_assert_msg(!pf_cache_open(path, &cache, &err), "%s", err.message);
    ck_assert_int_eq(pf_cache_row_count(cache), ROWS);
    for (int tap = 0; tap < 2; tap++) check_rows(cache, tap, 0, ROWS, 2);
    pf_cache_close(&cache);
}

static void check_refused(const char *path, const char *words)
{
    PfCache *cache = NULL;
    ck_assert_int_eq(pf_cache_open(path, &cache, &err), -1);
    ck_assert_ptr_null(cache);
    ck_assert_int_eq(err.exit_code, PF_EXIT_FAILED);
    ck_assert_msg(strstr(err.message, words) != NULL, "'%s' lacks '%s'", err.message, words);
}

static void flip(const char *path, long at)
{
    FILE *file = fopen(path, "r+b");
    ck_assert(file && !fseek(file, at, SEEK_SET));
    int byte = fgetc(file);
    ck_assert(!fseek(file, at, SEEK_SET) && fputc(byte ^ 1, file) != EOF && !fclose(file));
}

/* ---- tests ---- */

START_TEST(rows_are_those_of_the_sources)
{
    static const int64_t ranges[][2] = {{0, ROWS},  {0, 1},   {FIRST - 1, 2}, {FIRST, 1},
                                        {299, 400}, {10, 20}, {1799, 1},      {5, 0}};
    PfCache *cache;
    int count;
    write_set();
    ck_assert_msg(!pf_cache_open("set/all.h5", &cache, &err), "%s", err.message);
    const PfCacheSource *sources = pf_cache_sources(cache, &count);
    ck_assert_int_eq(count, 3);
    ck_assert_str_eq(sources[0].path, "parts/50%.h5");
    ck_assert_int_eq(sources[2].row_count, SECOND);
    for (size_t r = 0; r < sizeof ranges / sizeof *ranges; r++)
        for (int threads = 0; threads < 4; threads++)
            for (int tap = 0; tap < 2; tap++)
                check_rows(cache, tap, ranges[r][0], ranges[r][1], threads);
    uint16_t half[2 * 256];
    ck_assert(!pf_cache_read(cache, 0, FIRST - 1, 2, half, 1, &err));
    ck_assert_uint_eq(half[256], pf_f16_from_f32(element(0, FIRST, 0)));
    pf_cache_close(&cache);
    ck_assert(!pf_cache_open("set/b.h5", &cache, &err));
    ck_assert_ptr_null(pf_cache_sources(cache, &count));
    ck_assert_int_eq(count, 0);
    pf_cache_close(&cache);
}
END_TEST

/* What composing another cache from a virtual one asks for. */
START_TEST(rows_can_be_fetched_from_a_virtual_cache)
{
    static const int64_t ranges[][2] = {{0, ROWS},   {298, 4},   {FIRST, 1024}, {FIRST + 3, 1497},
                                        {FIRST, 17}, {1799, 1},  {0, 3},        {FIRST - 1, 1},
                                        {1324, 476}, {700, 600}, {299, 1}};
    PfCache *cache;
    float *map = malloc(sizeof *map * ROWS * 24);
    write_set();
    ck_assert_msg(!pf_cache_open("set/all.h5", &cache, &err), "%s", err.message);
    PfRowSource source = pf_cache_build_source(cache);
    ck_assert_int_eq(source.find_tap(source.context, "map"), 1);
    for (size_t r = 0; r < sizeof ranges / sizeof *ranges; r++) {
        int64_t first = ranges[r][0], count = ranges[r][1];
        ck_assert_msg(!source.read_rows(source.context, 1, first, count, map, &err), "%s",
                      err.message);
        for (int64_t i = 0; i < count * 24; i++)
            if (map[i] != element(1, first + i / 24, i % 24))
                ck_abort_msg("range %zu, row %lld", r, (long long)(first + i / 24));
    }
    free(map);
    pf_cache_close(&cache);
}
END_TEST

START_TEST(stored_chunks_are_those_of_the_sources)
{
    PfCache *cache;
    PfTapLayout layout;
    size_t size;
    ck_assert(!pf_tap_layout_plan(&TAPS[0], PF_COMPRESS_ZSTD, 0, &layout, &err));
    ck_assert_int_eq(layout.chunk_rows, 1024);
    void *stored = malloc(pf_chunk_bound(&layout.format));
    write_set();
    ck_assert_msg(!pf_cache_open("set/all.h5", &cache, &err), "%s", err.message);
    PfRowSource source = pf_cache_build_source(cache);
    const struct {
        int64_t first, count;
        int is_one;
    } cases[] = {{0, FIRST, 1}, {FIRST, 1024, 1}, {FIRST + 1024, 476, 1}, {0, 1024, 0},
                 {1, 299, 0},   {FIRST, 476, 0},  {FIRST + 1, 1024, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert(!source.read_stored(source.context, 0, cases[i].first, cases[i].count, &layout,
                                      stored, &size, &err));
        ck_assert_int_eq(size > 0, cases[i].is_one);
    }
    free(stored);
    pf_cache_close(&cache);
}
END_TEST

START_TEST(storage_is_that_of_the_sources)
{
    PfCache *all, *part;
    char filters[64];
    int64_t stored, first, second;
    write_set();
    ck_assert(!pf_cache_open("set/all.h5", &all, &err));
    ck_assert(!pf_cache_tap_storage(all, 0, &stored, filters, sizeof filters, &err));
    ck_assert_str_eq(filters, "shuffle, zstd, fletcher32");
    ck_assert_int_eq(pf_cache_tap_compression(all, 0), PF_COMPRESS_ZSTD);
    pf_cache_close(&all);
    ck_assert(!pf_cache_open("set/parts/50%.h5", &part, &err));
    ck_assert(!pf_cache_tap_storage(part, 0, &first, filters, sizeof filters, &err));
    pf_cache_close(&part);
    ck_assert(!pf_cache_open("set/b.h5", &part, &err));
    ck_assert(!pf_cache_tap_storage(part, 0, &second, filters, sizeof filters, &err));
    pf_cache_close(&part);
    ck_assert_int_eq(stored, first + second);
}
END_TEST

START_TEST(the_folder_moves_as_a_whole)
{
    write_set();
    check_all_rows("set/all.h5");
    ck_assert(!rename("set", "moved"));
    check_all_rows("moved/all.h5");
    ck_assert(!symlink("moved/all.h5", "link.h5"));
    check_all_rows("link.h5");
    ck_assert(!chdir("moved/parts"));
    check_all_rows("../all.h5");
    ck_assert(!chdir("/"));
    char path[128];
    snprintf(path, sizeof path, "%s/moved/all.h5", folder);
    check_all_rows(path);
}
END_TEST

START_TEST(a_missing_source_is_named)
{
    write_set();
    ck_assert(!rename("set/b.h5", "b.h5")); /* in the current folder, where HDF5 looks too */
    check_refused("set/all.h5", "its rows 300 to 1799 lie in '");
    check_refused("set/all.h5", "/set/b.h5', and that file is not there");
    ck_assert(!rename("b.h5", "set/b.h5"));
    check_all_rows("set/all.h5");
}
END_TEST

START_TEST(a_changed_source_is_named)
{
    write_set();
    write_part("set/b.h5", FIRST, SECOND, "{\"created\": \"later\"}");
    check_refused("set/all.h5", "/set/b.h5', and that file has been written again since");
    write_part("set/b.h5", FIRST, SECOND - 1, "{}");
    check_refused("set/all.h5", "has been written again since");
    write_part("set/b.h5", FIRST, SECOND, "{}");
    check_all_rows("set/all.h5"); /* the same bytes are the same file */
    write_part("set/parts/50%.h5", 0, FIRST, "{ }");
    check_refused("set/all.h5", "50%.h5', and that file has been written again since");
}
END_TEST

START_TEST(a_damaged_source_is_named)
{
    struct stat status;
    write_set();
    flip("set/b.h5", 600);
    check_refused("set/all.h5", "set/b.h5");
    flip("set/b.h5", 600);
    check_all_rows("set/all.h5");
    ck_assert(!stat("set/b.h5", &status) && !truncate("set/b.h5", status.st_size - 1));
    check_refused("set/all.h5", "set/b.h5");
    ck_assert(!truncate("set/b.h5", 0));
    check_refused("set/all.h5", "set/b.h5");
}
END_TEST

START_TEST(a_damaged_chunk_of_a_source_is_named)
{
    struct stat status;
    float *out = malloc(sizeof *out * ROWS * 256);
    PfCache *cache;
    write_set();
    ck_assert(!stat("set/b.h5", &status));
    flip("set/b.h5", status.st_size / 3);
    ck_assert_msg(!pf_cache_open("set/all.h5", &cache, &err), "%s", err.message);
    ck_assert_int_eq(pf_cache_read_f32(cache, 0, 0, ROWS, out, 2, &err), -1);
    ck_assert_msg(strstr(err.message, "set/b.h5") && strstr(err.message, "checksum"), "%s",
                  err.message);
    pf_cache_close(&cache);
    free(out);
}
END_TEST

START_TEST(circles_come_to_an_end)
{
    write_set();
    PfCacheSource all = source_of("set/all.h5", "all.h5");
    write_virtual("set/b.h5", &all, 1);
    check_refused("set/all.h5", "b.h5");
    write_set();
    all = source_of("set/all.h5", "all.h5");
    write_virtual("set/top.h5", &all, 1);
    check_refused("set/top.h5", "set/all.h5', and that file is virtual itself");
}
END_TEST

START_TEST(sources_outside_the_folder_are_refused)
{
    static const char *const ways[] = {"../b.h5", "parts/link.h5", "parts/../../b.h5", NULL};
    write_set();
    write_part("b.h5", 0, FIRST, "{}");
    ck_assert(!symlink("../../b.h5", "set/parts/link.h5"));
    char absolute[128];
    snprintf(absolute, sizeof absolute, "%s/b.h5", folder);
    for (int i = 0; i < 4; i++) {
        PfCacheSource source = source_of("b.h5", ways[i] ? ways[i] : absolute);
        write_virtual("set/out.h5", &source, 1);
        check_refused("set/out.h5", "/b.h5', lies outside its folder '");
        check_refused("set/out.h5", "--sources-from /");
    }
    /* The folders of its own folder are no way out, and neither is a folder of a longer name. */
    ck_assert(!mkdir("set2", 0777));
    write_part("set2/b.h5", 0, FIRST, "{}");
    PfCacheSource source = source_of("set2/b.h5", "../set2/b.h5");
    write_virtual("set/out.h5", &source, 1);
    check_refused("set/out.h5", "lies outside its folder");

    /* The hint is for a shell. */
    ck_assert(!mkdir("it's", 0777));
    write_part("it's/b.h5", 0, FIRST, "{}");
    source = source_of("it's/b.h5", "../it's/b.h5");
    write_virtual("set/out.h5", &source, 1);
    check_refused("set/out.h5", "/it'\\''s' lets it be read");
    source = source_of("set2/b.h5", "../set2/b.h5");
    write_virtual("set/out.h5", &source, 1);

    ck_assert(pf_cache_allow_sources("nowhere", &err));
    ck_assert(!pf_cache_allow_sources("set2", &err));
    PfCache *cache;
    ck_assert_msg(!pf_cache_open("set/out.h5", &cache, &err), "%s", err.message);
    check_rows(cache, 0, 0, FIRST, 2);
    pf_cache_close(&cache);
    source = source_of("b.h5", "../b.h5");
    write_virtual("set/out.h5", &source, 1);
    check_refused("set/out.h5", "lies outside its folder");
}
END_TEST

START_TEST(a_source_that_is_a_pipe_is_refused)
{
    write_set();
    ck_assert(!unlink("set/b.h5") && !mkfifo("set/b.h5", 0666));
    check_refused("set/all.h5", "/set/b.h5' is a named pipe, not a file");
    check_refused("set/b.h5", "is a named pipe, not a file");
}
END_TEST

START_TEST(relative_paths_lead_back)
{
    static const char *const cases[][3] = {
        {"set/all.h5", "set/b.h5", "b.h5"},
        {"set/all.h5", "set/parts/a.h5", "parts/a.h5"},
        {"set/parts/all.h5", "set/b.h5", "../b.h5"},
        {"all.h5", "set/b.h5", "set/b.h5"},
        {"./set/../all.h5", "set/parts/../parts/b.h5", "set/parts/b.h5"},
        {"set/all.h5", "settle/b.h5", "../settle/b.h5"},
        {"link/all.h5", "set/b.h5", "../b.h5"},
        {"/all.h5", "/b.h5", "b.h5"},
        {"/tmp/all.h5", "/b.h5", "../b.h5"},
        {"/all.h5", "/tmp/b.h5", "tmp/b.h5"},
    };
    ck_assert(!mkdir("settle", 0777) && !symlink("set/parts", "link"));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *path = pf_path_relative(cases[i][0], cases[i][1], &err);
        ck_assert_ptr_nonnull(path);
        ck_assert_str_eq(path, cases[i][2]);
        free(path);
    }
    ck_assert_ptr_null(pf_path_relative("nowhere/all.h5", "b.h5", &err));
    ck_assert(strstr(err.message, "nowhere/all.h5") != NULL);
    char *path = pf_path_resolve(".", "/absolute/x.h5", &err);
    ck_assert_str_eq(path, "/absolute/x.h5");
    free(path);
}
END_TEST

/* ---- more sources than stay open ---- */

enum { EACH = 3 };

/* set/many.h5 over `count` files of EACH rows. */
static void write_many(int count)
{
    PfCacheSource *sources = calloc((size_t)count, sizeof *sources);
    char(*names)[32] = calloc((size_t)count, sizeof *names), path[64];
    for (int i = 0; i < count; i++) {
        snprintf(names[i], sizeof names[i], "parts/%d.h5", i);
        snprintf(path, sizeof path, "set/%s", names[i]);
        write_part(path, i * EACH, EACH, "{}");
        sources[i] = source_of(path, names[i]);
    }
    write_virtual("set/many.h5", sources, count);
    free(names);
    free(sources);
}

static int open_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 4096; fd++) count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static int count_bad(void *context, const PfCacheBlock *block)
{
    if (!block->rows) *(int64_t *)context += block->count;
    return 0;
}

/* 1,001 are a catalogue: HDF5 knows nothing of their rows. */
/* A thousand files take minutes where threads are watched, and are opened by the same code. */
#ifdef __SANITIZE_THREAD__
enum { CATALOGUES = 0 };
#else
enum { CATALOGUES = 1 };
#endif

START_TEST(of_many_sources_a_few_are_open)
{
    const int count = _i ? 1001 : 90;
    PfCache *cache;
    int64_t bad = 0;
    write_many(count);
    const int before = open_descriptors();
    ck_assert_msg(!pf_cache_open("set/many.h5", &cache, &err), "%s", err.message);
    ck_assert_int_eq(pf_cache_row_count(cache), count * EACH);
    for (int tap = 0; tap < 2; tap++) {
        ck_assert(pf_shape_equal(&pf_cache_tap(cache, tap)->shape, &TAPS[tap].shape));
        ck_assert_int_eq(pf_cache_tap(cache, tap)->dtype, TAPS[tap].dtype);
        if (!_i) pf_cache_visit(cache, tap, 2, count_bad, &bad);
        check_rows(cache, tap, _i ? EACH * 900 : 0, EACH * 90, 2);
        check_rows(cache, tap, EACH * 70 + 1, EACH * 10, 1);
    }
    ck_assert_int_eq(bad, 0);
    ck_assert_int_le(open_descriptors() - before, 70);
    pf_cache_close(&cache);
    ck_assert_int_eq(open_descriptors(), before);

    /* Damage inside one is noticed when it is read, and is its rows' only. */
    FILE *file = fopen("set/parts/80.h5", "r+");
    ck_assert(!fseek(file, 900, SEEK_SET) && fputc(0x55, file) == 0x55 && !fclose(file));
    ck_assert_msg(!pf_cache_open("set/many.h5", &cache, &err), "%s", err.message);
    check_rows(cache, 0, EACH * 70, EACH * 10, 2);
    pf_cache_visit(cache, 0, 2, count_bad, &bad);
    ck_assert_int_eq(bad, EACH);
    float row[256];
    ck_assert(pf_cache_read_f32(cache, 0, EACH * 80, 1, row, 1, &err));
    ck_assert_msg(strstr(err.message, "parts/80.h5") != NULL, "%s", err.message);
    pf_cache_close(&cache);

    /* One that was written again, and one that is gone, when the whole is opened. */
    write_part("set/parts/85.h5", 0, EACH, "{}");
    ck_assert(pf_cache_open("set/many.h5", &cache, &err));
    ck_assert(strstr(err.message, "parts/85.h5") && strstr(err.message, "written again"));
    ck_assert(!remove("set/parts/3.h5"));
    ck_assert(pf_cache_open("set/many.h5", &cache, &err));
    ck_assert(strstr(err.message, "parts/3.h5") && strstr(err.message, "not there"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache_virtual");
    TCase *cases = tcase_create("all");
    tcase_add_checked_fixture(cases, make_folder, remove_folder);
    tcase_add_test(cases, rows_are_those_of_the_sources);
    tcase_add_test(cases, rows_can_be_fetched_from_a_virtual_cache);
    tcase_add_test(cases, stored_chunks_are_those_of_the_sources);
    tcase_add_test(cases, storage_is_that_of_the_sources);
    tcase_add_test(cases, the_folder_moves_as_a_whole);
    tcase_add_test(cases, a_missing_source_is_named);
    tcase_add_test(cases, a_changed_source_is_named);
    tcase_add_test(cases, a_damaged_source_is_named);
    tcase_add_test(cases, a_damaged_chunk_of_a_source_is_named);
    tcase_add_test(cases, circles_come_to_an_end);
    tcase_add_test(cases, sources_outside_the_folder_are_refused);
    tcase_add_test(cases, a_source_that_is_a_pipe_is_refused);
    tcase_add_test(cases, relative_paths_lead_back);
    tcase_add_loop_test(cases, of_many_sources_a_few_are_open, 0, CATALOGUES ? 2 : 1);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
