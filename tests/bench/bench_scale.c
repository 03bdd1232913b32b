/* bench_scale FOLDER [ROWS]   a cache of a million rows (or ROWS), and one of large maps: time,
 *                             rate and peak memory of each step
 * bench_scale FOLDER check    small: that it works, and that memory does not grow with features
 *
 * Each step is a process of its own. Features are drawn to look like a network's: log-normal
 * vectors, maps with 60 % zeros; no row comes twice in one chunk. Files are made in FOLDER and
 * removed. "disk" is the same bytes through plain writes and one fdatasync, "compressor" the same
 * chunks through it with nothing else going on. */
#include <fcntl.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/cache/build.h"
#include "common/cache/journal/journal.h"
#include "common/thread/parallel.h"
#include "train/features/feature_table.h"

#define BATCH 64
#define POOL_ROWS 2048 /* more than a chunk has, of vectors */
#define POOL_MAPS 64
#define CLASSES 10
#define IDENTITY "{\"backbone\": {\"name\": \"synthetic\"}}"
#define PATH_SIZE 48

/* One cache that goes through all steps. */
typedef struct Load {
    const char *name;
    PfCacheTap tap;
    int64_t rows;
    int is_map;
    char cache[400], plain[400];
} Load;

static const char *extract_program; /* beside the build's tests */

static void stop(const char *message)
{
    fprintf(stderr, "bench_scale: %s\n", message);
    exit(1);
}

static void stop_if(int failed, const PfError *err)
{
    if (failed) stop(err->message);
}

static size_t row_bytes(const Load *load)
{
    return (size_t)pf_shape_count(&load->tap.shape) * pf_dtype_size(load->tap.dtype);
}

static double raw_megabytes(const Load *load)
{
    return (double)load->rows * (double)row_bytes(load) / 1e6;
}

static int64_t file_bytes(const char *path)
{
    struct stat status;
    return stat(path, &status) ? 0 : status.st_size;
}

/* ---- features ---- */

/* (pool rows + BATCH, row): a batch may begin anywhere in the pool. */
static uint16_t *draw_pool(const Load *load)
{
    int64_t width = pf_shape_count(&load->tap.shape);
    int64_t pool_rows = load->is_map ? POOL_MAPS : POOL_ROWS;
    size_t count = (size_t)((pool_rows + BATCH) * width);
    PfRandom random = pf_random_seeded(1, (uint64_t)load->is_map);
    uint16_t *features = malloc(count * sizeof *features);
    if (!features) stop("out of memory");
    for (size_t i = 0; i < count; i++) {
        float z = (float)pf_random_normal(&random);
        features[i] = pf_f16_from_f32(load->is_map ? fmaxf(0, z - 0.25f) : expf(z * 0.7f - 1));
    }
    return features;
}

static const void *pool_rows_at(const Load *load, const uint16_t *pool, int64_t row)
{
    int64_t pool_rows = load->is_map ? POOL_MAPS : POOL_ROWS;
    return pool + row % pool_rows * pf_shape_count(&load->tap.shape);
}

static void write_path(char path[PATH_SIZE], int64_t row)
{
    snprintf(path, PATH_SIZE, "train/class%lld/image_%09lld.jpg", (long long)row % CLASSES,
             (long long)row);
}

/* ---- steps ---- */

static double journal_step(const Load *load)
{
    static char paths[BATCH][PATH_SIZE];
    static PfJournalImage images[BATCH];
    PfJournalConfig config = {.output = load->cache,
                              .identity = IDENTITY,
                              .sync_seconds = 5,
                              .sync_bytes = (int64_t)64 << 20,
                              .threads = pf_parallel_processor_count()};
    PfJournal *journal;
    PfJournalStats stats;
    PfError err;
    const char *identity;
    int segment;
    uint16_t *pool = draw_pool(load);
    double start = pf_clock_seconds();
    stop_if(pf_journal_open(&config, &journal, &identity, &err), &err);
    stop_if(pf_journal_begin(journal, &load->tap, 1, PF_COMPRESS_ZSTD, 0, &segment, &err), &err);
    for (int64_t row = 0; row < load->rows; row += BATCH) {
        int count = load->rows - row < BATCH ? (int)(load->rows - row) : BATCH;
        const void *features = pool_rows_at(load, pool, row);
        for (int i = 0; i < count; i++) {
            int64_t number = row + i + 1; /* a digest of zeros stands for none */
            write_path(paths[i], number);
            images[i] =
                (PfJournalImage){.file = {.path = paths[i], .stamp = {60000, number, number}}};
            memcpy(images[i].file.digest, &number, sizeof number);
        }
        stop_if(pf_journal_append(journal, count, images, &features, &err), &err);
    }
    stop_if(pf_journal_end(journal, &err), &err);
    double seconds = pf_clock_seconds() - start;
    pf_journal_stats(journal, &stats);
    printf("    %.0f MB stored (%.2f of raw); compress %.2f s over %d threads, write %.2f s, sync "
           "%.2f s\n",
           (double)stats.stored_bytes / 1e6, (double)stats.stored_bytes / (double)stats.raw_bytes,
           stats.compress_seconds, config.threads, stats.write_seconds, stats.sync_seconds);
    pf_journal_close(&journal);
    return seconds;
}

typedef struct Composing {
    PfJournal *journal;
    int64_t skipped; /* rows of the journal that are left out at the beginning */
    int32_t class_index;
} Composing;

static PfRowPlace place_row(void *context, int tap, int64_t row)
{
    const Composing *composing = context;
    (void)tap;
    return (PfRowPlace){.source = 0, .row = row + composing->skipped};
}

static int sample_row(void *context, int64_t row, PfCacheSample *out, PfError *error)
{
    (void)error;
    Composing *composing = context;
    const PfJournalImage *image = pf_journal_row(composing->journal, 0, row + composing->skipped);
    composing->class_index = (int32_t)(row % CLASSES);
    PfCacheSample sample = pf_image_file_to_sample(&image->file);
    sample.split = row % 5 ? PF_SPLIT_TRAIN : PF_SPLIT_VAL;
    sample.class_indices = &composing->class_index;
    *out = sample;
    return 0;
}

static PfJournal *open_journal(const Load *load)
{
    PfJournalConfig config = {.output = load->cache,
                              .identity = IDENTITY,
                              .sync_seconds = 5,
                              .sync_bytes = (int64_t)64 << 20,
                              .threads = pf_parallel_processor_count()};
    PfJournal *journal;
    PfError err;
    const char *identity;
    stop_if(pf_journal_open(&config, &journal, &identity, &err), &err);
    if (pf_journal_row_count(journal, 0) != load->rows) stop("the journal lost rows");
    return journal;
}

/* The end of a run: all rows but the first `skipped` into a sealed file. */
static double compose(const Load *load, int64_t skipped)
{
    static const char *const names[CLASSES] = {"c0", "c1", "c2", "c3", "c4",
                                               "c5", "c6", "c7", "c8", "c9"};
    PfCacheTarget target = {.name = "class",
                            .kind = PF_TARGET_CLASS,
                            .width = 1,
                            .classes = names,
                            .class_count = CLASSES};
    PfCacheBuildStats stats;
    PfError err;
    double start = pf_clock_seconds();
    Composing composing = {.journal = open_journal(load), .skipped = skipped};
    double opened = pf_clock_seconds();
    PfRowSource source = pf_journal_source(composing.journal, 0);
    PfCacheBuildPlan plan = {.taps = &load->tap,
                             .tap_count = 1,
                             .targets = &target,
                             .target_count = 1,
                             .identity = IDENTITY,
                             .provenance = "{}",
                             .compression = PF_COMPRESS_ZSTD,
                             .threads = pf_parallel_processor_count(),
                             .sources = &source,
                             .source_count = 1,
                             .row_count = load->rows - skipped,
                             .context = &composing,
                             .place = place_row,
                             .sample = sample_row};
    stop_if(pf_cache_build(load->cache, &plan, &stats, &err), &err);
    double seconds = pf_clock_seconds() - start;
    printf("    opening the journal %.2f s; %lld chunks moved, %lld encoded; write %.2f s\n",
           opened - start, (long long)stats.chunks_moved, (long long)stats.chunks_encoded,
           stats.written.write_seconds);
    pf_journal_close(&composing.journal);
    return seconds;
}

static double compose_moved_step(const Load *load)
{
    return compose(load, 0);
}

/* One row less: no chunk lies as it did. */
static double compose_shifted_step(const Load *load)
{
    return compose(load, 1);
}

/* The programs themselves, as anybody would call them. */
static double run_extract(const char *option, const char *path)
{
    double start = pf_clock_seconds();
    pid_t child = fork();
    if (child == 0) {
        if (!freopen("/dev/null", "w", stdout)) _exit(127);
        execl(extract_program, extract_program, option, path, (char *)NULL);
        _exit(127);
    }
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child || status)
        stop("extract --info or --verify failed");
    return pf_clock_seconds() - start;
}

static double info_step(const Load *load)
{
    return run_extract("--info", load->cache);
}

static double verify_step(const Load *load)
{
    return run_extract("--verify", load->cache);
}

static double train_loader_step(const Load *load)
{
    PfFeatureTableConfig config = {.val = -1};
    PfFeatureTable *table;
    PfCache *cache;
    PfError err;
    int tap;
    double start = pf_clock_seconds();
    stop_if(pf_cache_open(load->cache, &cache, &err), &err);
    stop_if(pf_feature_table_choose_tap(cache, NULL, &tap, &err), &err);
    stop_if(pf_feature_table_load(cache, tap, &config, &table, &err), &err);
    double seconds = pf_clock_seconds() - start;
    printf("    %.0f MB of it are the table itself\n",
           (double)(table->rows * table->features) * 4 / 1e6);
    pf_feature_table_free(&table);
    pf_cache_close(&cache);
    return seconds;
}

/* Into memory, in the stored type: the best of five. */
static double read_step(const Load *load)
{
    double best = INFINITY;
    void *out = malloc((size_t)load->rows * row_bytes(load));
    if (!out) stop("out of memory");
    for (int repeat = 0; repeat < 5; repeat++) {
        PfCache *cache;
        PfError err;
        double start = pf_clock_seconds();
        stop_if(pf_cache_open(load->cache, &cache, &err), &err);
        double opened = pf_clock_seconds();
        stop_if(pf_cache_read(cache, 0, 0, load->rows, out, 0, &err), &err);
        pf_cache_close(&cache);
        if (repeat == 0) printf("    opening %.3f s\n", opened - start);
        best = fmin(best, pf_clock_seconds() - start);
    }
    free(out);
    return best;
}

/* As many bytes as the journal has. */
static double disk_step(const Load *load)
{
    static unsigned char block[1 << 20];
    char *journal = pf_journal_path(load->cache, NULL);
    int64_t left = file_bytes(journal);
    int fd = open(load->plain, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    PfRandom random = pf_random_seeded(2, 0);
    for (size_t i = 0; i < sizeof block; i += 8) {
        uint64_t number = pf_random_u64(&random);
        memcpy(block + i, &number, 8);
    }
    double start = pf_clock_seconds();
    while (fd >= 0 && left > 0) {
        size_t size = left < (int64_t)sizeof block ? (size_t)left : sizeof block;
        if (write(fd, block, size) != (ssize_t)size) stop("the disk is full");
        left -= (int64_t)size;
    }
    if (fd < 0 || fdatasync(fd)) stop("cannot write to the folder");
    double seconds = pf_clock_seconds() - start;
    close(fd);
    unlink(load->plain);
    free(journal);
    return seconds;
}

typedef struct Encoding {
    const Load *load;
    const uint16_t *pool;
    PfTapLayout layout;
} Encoding;

static void encode_chunk(void *context, int64_t index)
{
    static _Thread_local PfChunkCodec *codec;
    static _Thread_local unsigned char *stored;
    const Encoding *encoding = context;
    PfError err;
    size_t size;
    if (!codec) stop_if(pf_chunk_codec_new(&codec, &err), &err);
    if (!stored) stored = malloc(pf_chunk_bound(&encoding->layout.format));
    if (!stored) stop("out of memory");
    int64_t row = index * encoding->layout.chunk_rows % BATCH;
    stop_if(pf_chunk_encode(codec, &encoding->layout.format,
                            pool_rows_at(encoding->load, encoding->pool, row), stored, &size, &err),
            &err);
}

static double compressor_step(const Load *load)
{
    Encoding encoding = {.load = load, .pool = draw_pool(load)};
    PfError err;
    stop_if(pf_tap_layout_plan(&load->tap, PF_COMPRESS_ZSTD, 0, &encoding.layout, &err), &err);
    double start = pf_clock_seconds();
    pf_parallel_for(load->rows / encoding.layout.chunk_rows, 0, encode_chunk, &encoding);
    return pf_clock_seconds() - start;
}

/* ---- running steps ---- */

typedef struct Measured {
    double seconds, peak_megabytes;
} Measured;

/* Runs a step in a process of its own, and says what it took. */
static Measured measure(const char *name, double (*step)(const Load *), const Load *load)
{
    struct rusage usage;
    Measured measured = {0};
    int channel[2], status;
    fflush(stdout);
    if (pipe(channel)) stop("no pipe");
    pid_t child = fork();
    if (child == 0) {
        double seconds = step(load);
        fflush(stdout);
        _exit(write(channel[1], &seconds, sizeof seconds) != sizeof seconds);
    }
    close(channel[1]);
    ssize_t got = read(channel[0], &measured.seconds, sizeof measured.seconds);
    close(channel[0]);
    if (child < 0 || wait4(child, &status, 0, &usage) != child || status ||
        got != sizeof measured.seconds)
        stop(name);
    measured.peak_megabytes = (double)usage.ru_maxrss * 1024 / 1e6;
    printf("  %-28s %8.3f s %7.0f MB/s of features  peak %5.0f MB\n", name, measured.seconds,
           raw_megabytes(load) / measured.seconds, measured.peak_megabytes);
    return measured;
}

static void remove_files(const Load *load)
{
    char *journal = pf_journal_path(load->cache, NULL);
    unlink(load->cache);
    if (journal) unlink(journal);
    free(journal);
}

static Load new_load(const char *folder, const char *name, int64_t rows, PfShape shape)
{
    Load load = {.name = name, .rows = rows, .is_map = shape.rank > 1};
    load.tap = (PfCacheTap){.shape = shape, .dtype = PF_DTYPE_F16};
    snprintf(load.tap.name, sizeof load.tap.name, "%s", load.is_map ? "layer3" : "avgpool");
    snprintf(load.cache, sizeof load.cache, "%s/bench_scale.h5", folder);
    snprintf(load.plain, sizeof load.plain, "%s/bench_scale.plain", folder);
    remove_files(&load);
    printf("%s: %lld rows, %.0f MB of features\n", name, (long long)rows, raw_megabytes(&load));
    return load;
}

static void bench_million(const char *folder, int64_t rows)
{
    Load load = new_load(folder, "vectors (512) f16", rows, (PfShape){1, {512}});
    measure("journal", journal_step, &load);
    measure("compose, chunks re-encoded", compose_shifted_step, &load);
    measure("compose, chunks moved", compose_moved_step, &load);
    measure("extract --info", info_step, &load);
    measure("extract --verify", verify_step, &load);
    measure("train's loader, as float32", train_loader_step, &load);
    measure("disk", disk_step, &load);
    measure("compressor", compressor_step, &load);
    remove_files(&load);
}

static void bench_maps(const char *folder, int64_t rows)
{
    Load load = new_load(folder, "maps (256,14,14) f16", rows, (PfShape){3, {256, 14, 14}});
    Measured journal = measure("journal", journal_step, &load);
    Measured composed = measure("compose, chunks moved", compose_moved_step, &load);
    Measured disk = measure("disk", disk_step, &load);
    Measured compressor = measure("compressor", compressor_step, &load);
    double limit = fmax(disk.seconds, compressor.seconds);
    printf("  the slower of disk and compressor takes %.2f of the journal's time, the disk %.2f of "
           "compose's\n",
           limit / journal.seconds, disk.seconds / composed.seconds);
    remove_files(&load);
}

static void bench_reading(const char *folder)
{
    Load load = new_load(folder, "vectors (512) f16", 50000, (PfShape){1, {512}});
    measure("journal", journal_step, &load);
    measure("compose, chunks moved", compose_moved_step, &load);
    measure("read into memory", read_step, &load);
    remove_files(&load);
}

/* Rows may cost what is known of them besides features: less than 1 KB each, where
 * their features have 16. */
static int check_memory(const char *folder)
{
    static const struct {
        const char *name;
        double (*step)(const Load *);
    } steps[] = {{"journal", journal_step},
                 {"compose, chunks moved", compose_moved_step},
                 {"compose, chunks re-encoded", compose_shifted_step},
                 {"extract --verify", verify_step}};
    enum { STEPS = sizeof steps / sizeof *steps };
    const int64_t few = 5000, many = 15000; /* either is more than buffers hold */
    double allowed = (double)(many - few) * 1024 / 1e6, peaks[2][STEPS];
    int too_much = 0;
    for (int i = 0; i < 2; i++) {
        Load load = new_load(folder, "vectors (8192) f16", i ? many : few, (PfShape){1, {8192}});
        for (int s = 0; s < STEPS; s++)
            peaks[i][s] = measure(steps[s].name, steps[s].step, &load).peak_megabytes;
        remove_files(&load);
    }
    for (int s = 0; s < STEPS; s++) {
        double growth = peaks[1][s] - peaks[0][s];
        printf("%-28s %lld rows more: %5.1f MB more memory, %.1f allowed\n", steps[s].name,
               (long long)(many - few), growth, allowed);
        too_much |= growth > allowed;
    }
    return too_much;
}

int main(int argc, char **argv)
{
    char program[500];
    const char *slash = strrchr(argv[0], '/');
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: bench_scale FOLDER [ROWS|check]\n");
        return 2;
    }
    snprintf(program, sizeof program, "%.*s../bin/extract", slash ? (int)(slash - argv[0]) + 1 : 0,
             argv[0]);
    extract_program = program;
    if (argc == 3 && !strcmp(argv[2], "check")) return check_memory(argv[1]);
    bench_million(argv[1], argc == 3 ? strtoll(argv[2], NULL, 10) : 1000000);
    bench_maps(argv[1], 2000);
    bench_reading(argv[1]);
    return 0;
}
