/* bench_cache FILE.h5: how fast features go to disk and come back.
 *
 * Prints, for vectors and for maps, the rates of one core (raw bytes a second),
 * then the wall time of 50,000 x 512 half-precision features through FILE.h5,
 * which is made and removed. Features are drawn to look like a network's:
 * log-normal vectors, maps with 60 % zeros. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/cache/codec/chunk.h"
#include "common/thread/parallel.h"
#include "permafrost/feature_cache.h"

#define CHUNK_BYTES ((size_t)512 * 1024)
#define CHUNKS 32
#define REPEATS 5
#define ROWS 50000
#define WIDTH 512
#define BATCH 64

static void stop(const PfError *err)
{
    fprintf(stderr, "%s\n", err->message);
    exit(1);
}

static uint16_t *draw_features(size_t count, int is_map)
{
    PfRandom random = pf_random_seeded(1, (uint64_t)is_map);
    uint16_t *features = malloc(count * sizeof *features);
    if (!features) exit(1);
    for (size_t i = 0; i < count; i++) {
        float z = (float)pf_random_normal(&random);
        features[i] = pf_f16_from_f32(is_map ? fmaxf(0, z - 0.25f) : expf(z * 0.7f - 1));
    }
    return features;
}

/* ---- one core ---- */

static void time_codec(const char *what, const unsigned char *raw, const PfChunkFormat *format)
{
    PfError err;
    PfChunkCodec *codec;
    static unsigned char back[CHUNK_BYTES];
    size_t bound = pf_chunk_bound(format), sizes[CHUNKS], total = 0;
    unsigned char *stored = malloc(CHUNKS * bound);
    if (!stored || pf_chunk_codec_new(&codec, &err)) exit(1);
    double encode = INFINITY, decode = INFINITY;
    for (int repeat = 0; repeat < REPEATS; repeat++) {
        double start = pf_clock_seconds();
        for (size_t c = 0; c < CHUNKS; c++)
            if (pf_chunk_encode(codec, format, raw + c * CHUNK_BYTES, stored + c * bound, &sizes[c],
                                &err))
                stop(&err);
        encode = fmin(encode, pf_clock_seconds() - start);
        start = pf_clock_seconds();
        for (size_t c = 0; c < CHUNKS; c++)
            if (pf_chunk_decode(codec, format, stored + c * bound, sizes[c], back)) exit(1);
        decode = fmin(decode, pf_clock_seconds() - start);
    }
    for (size_t c = 0; c < CHUNKS; c++) total += sizes[c];
    double megabytes = CHUNKS * CHUNK_BYTES / 1e6;
    printf("%-34s ratio %5.2f  encode %6.0f MB/s  decode %6.0f MB/s\n", what,
           megabytes * 1e6 / (double)total, megabytes / encode, megabytes / decode);
    pf_chunk_codec_free(&codec);
    free(stored);
}

static void time_codecs(void)
{
    static const char *const names[] = {"none", "gzip 1", "zstd 1"};
    for (int is_map = 0; is_map < 2; is_map++) {
        unsigned char *raw = (unsigned char *)draw_features(CHUNKS * CHUNK_BYTES / 2, is_map);
        for (int compression = PF_COMPRESS_NONE; compression <= PF_COMPRESS_ZSTD; compression++)
            for (int shuffle = 0; shuffle < 2; shuffle++) {
                char what[64];
                PfChunkFormat format = {.raw_bytes = CHUNK_BYTES,
                                        .element_bytes = 2,
                                        .shuffle = shuffle,
                                        .compression = (PfCompression)compression,
                                        .level = 1,
                                        .fletcher32 = 1};
                snprintf(what, sizeof what, "%s, %s%s, fletcher32", is_map ? "maps" : "vectors",
                         shuffle ? "shuffle, " : "", names[compression]);
                time_codec(what, raw, &format);
            }
        free(raw);
    }
}

/* ---- the file ---- */

static void write_file(const char *path, const uint16_t *features, int threads)
{
    PfCacheTap tap = {.name = "avgpool", .shape = {1, {WIDTH}}, .dtype = PF_DTYPE_F16};
    static const char *const classes[] = {"a", "b"};
    PfCacheTarget target = {
        .name = "class", .kind = PF_TARGET_CLASS, .width = 1, .classes = classes, .class_count = 2};
    PfCacheWriterConfig config = {.taps = &tap,
                                  .tap_count = 1,
                                  .targets = &target,
                                  .target_count = 1,
                                  .identity = "{}",
                                  .provenance = "{}",
                                  .compression = PF_COMPRESS_ZSTD,
                                  .threads = threads};
    PfCacheWriter *writer;
    PfCacheWriterStats stats;
    PfError err;
    int32_t index = 1;
    PfCacheSample samples[BATCH];
    for (int i = 0; i < BATCH; i++)
        samples[i] =
            (PfCacheSample){.path = "train/class/some_image_000123.jpg", .class_indices = &index};
    double start = pf_clock_seconds();
    if (pf_cache_writer_open(path, &config, &writer, &err)) stop(&err);
    for (int64_t row = 0; row < ROWS; row += BATCH) {
        const void *batch = features + row * WIDTH;
        int count = ROWS - row < BATCH ? (int)(ROWS - row) : BATCH;
        if (pf_cache_writer_append(writer, count, samples, &batch, &err)) stop(&err);
    }
    if (pf_cache_writer_finish(&writer, &stats, &err)) stop(&err);
    printf("write %d x %d f16, %d thread%s: %.3f s (compress %.3f, write and sync %.3f), "
           "%.1f MB of %.1f\n",
           ROWS, WIDTH, threads, threads > 1 ? "s" : "", pf_clock_seconds() - start,
           stats.compress_seconds, stats.write_seconds, (double)stats.file_bytes / 1e6,
           (double)stats.raw_bytes / 1e6);
}

/* Opening, reading into fresh memory and closing, as train does it. */
static void read_file(const char *path, int threads)
{
    double open = INFINITY, read = INFINITY;
    for (int repeat = 0; repeat < REPEATS; repeat++) {
        PfCache *cache;
        PfError err;
        float *out = malloc((size_t)ROWS * WIDTH * sizeof *out);
        double start = pf_clock_seconds();
        if (!out || pf_cache_open(path, &cache, &err)) stop(&err);
        double opened = pf_clock_seconds();
        if (pf_cache_read_f32(cache, 0, 0, ROWS, out, threads, &err)) stop(&err);
        open = fmin(open, opened - start);
        read = fmin(read, pf_clock_seconds() - opened);
        pf_cache_close(&cache);
        free(out);
    }
    printf("read it as float32, %d thread%s: open %.4f s, read %.3f s\n", threads,
           threads > 1 ? "s" : "", open, read);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: bench_cache FILE.h5\n");
        return 2;
    }
    time_codecs();
    uint16_t *features = draw_features((size_t)(ROWS + BATCH) * WIDTH, 0);
    int cores = pf_parallel_processor_count();
    for (int threads = 1; threads <= cores;
         threads += threads < cores && cores > 1 ? cores - 1 : 1) {
        write_file(argv[1], features, threads);
        read_file(argv[1], threads);
    }
    unlink(argv[1]);
    free(features);
    return 0;
}
