/* Writes a feature cache of any size, for what is streamed: 10 classes, one after the other as
 * class folders give them, in clouds that overlap; every sixth row is for val.
 *
 * usage: make_large_cache FILE.h5 ROWS FEATURES none|zstd
 *        make_large_cache FOLDER ROWS FEATURES none|zstd SHARDS
 *
 * The second way the same rows are the shards FOLDER/K-of-SHARDS.h5 of one listing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/memory.h"
#include "common/base/random.h"
#include "permafrost/feature_cache.h"

enum { CLASSES = 10, BATCH = 64 };

typedef struct Load {
    int rows, features;
    float *centres; /* (CLASSES, features) */
    float *row;
    uint16_t *stored; /* (BATCH, features) */
} Load;

/* Noise enough to differ from row to row, cheap enough for a million of them. */
static void make_row(const Load *load, int row, uint16_t *out)
{
    const float *centre = load->centres + (int64_t)row * CLASSES / load->rows * load->features;
    PfRandom random = pf_random_seeded(7, (uint64_t)row);
    for (int j = 0; j < load->features; j++) {
        uint64_t bits = pf_random_u64(&random);
        float noise = (float)(bits & 0xffff) + (float)(bits >> 16 & 0xffff) +
                      (float)(bits >> 32 & 0xffff) + (float)(bits >> 48);
        load->row[j] = centre[j] + (noise - 131070) / 37837; /* variance 1 */
    }
    pf_f16_from_f32_array(out, load->row, (size_t)load->features);
}

/* Rows [first, end). */
static int write_rows(const Load *load, int first, int end, PfCacheWriter *writer, PfError *err)
{
    static char paths[BATCH][32];
    PfCacheSample samples[BATCH];
    int32_t classes[BATCH];
    for (; first < end; first += BATCH) {
        int n = end - first < BATCH ? end - first : BATCH;
        for (int i = 0; i < n; i++) {
            int row = first + i;
            classes[i] = (int32_t)((int64_t)row * CLASSES / load->rows);
            snprintf(paths[i], sizeof paths[i], "%d/%07d.jpg", classes[i], row);
            samples[i] = (PfCacheSample){.path = paths[i],
                                         .split = row % 6 == 5 ? PF_SPLIT_VAL : PF_SPLIT_TRAIN,
                                         .class_indices = &classes[i]};
            make_row(load, row, load->stored + (int64_t)i * load->features);
        }
        if (pf_cache_writer_append(writer, n, samples, (const void *const[]){load->stored}, err))
            return -1;
    }
    return 0;
}

static int new_load(Load *load, PfError *err)
{
    size_t features = (size_t)load->features;
    PfRandom random = pf_random_seeded(7, UINT64_MAX);
    load->centres = pf_alloc_aligned(CLASSES * features, sizeof *load->centres, err);
    load->row = pf_alloc_aligned(features, sizeof *load->row, err);
    load->stored = pf_alloc_aligned(BATCH * features, sizeof *load->stored, err);
    if (!load->centres || !load->row || !load->stored) return -1;
    for (size_t i = 0; i < CLASSES * features; i++)
        load->centres[i] = 0.08f * (float)pf_random_normal(&random);
    return 0;
}

static int write_cache(const Load *load, const char *path, int first, int end,
                       const char *provenance, const char *compression, PfError *err)
{
    static const char *const classes[CLASSES] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"};
    const PfCacheTap tap = {"avgpool", {1, {load->features}}, PF_DTYPE_F16};
    const PfCacheTarget target = {"class", PF_TARGET_CLASS, 1, classes, CLASSES};
    PfCacheWriter *writer;
    PfCacheWriterConfig config = {.taps = &tap,
                                  .tap_count = 1,
                                  .targets = &target,
                                  .target_count = 1,
                                  .identity = "{}",
                                  .provenance = provenance,
                                  .compression = strcmp(compression, "zstd") ? PF_COMPRESS_NONE
                                                                             : PF_COMPRESS_ZSTD,
                                  .threads = 2};
    if (pf_cache_writer_open(path, &config, &writer, err)) return -1;
    if (write_rows(load, first, end, writer, err)) {
        pf_cache_writer_abandon(&writer);
        return -1;
    }
    return pf_cache_writer_finish(&writer, NULL, err);
}

static int write_shards(const Load *load, const char *folder, int shards, const char *compression,
                        PfError *err)
{
    mkdir(folder, 0777);
    for (int k = 1; k <= shards; k++) {
        char path[1000], provenance[200];
        const int first = (int)((int64_t)load->rows * (k - 1) / shards);
        const int end = (int)((int64_t)load->rows * k / shards);
        snprintf(path, sizeof path, "%s/%d-of-%d.h5", folder, k, shards);
        snprintf(provenance, sizeof provenance,
                 "{\"shard\": [%d, %d], \"dataset_rows\": %d, \"listing\": \"made up\"}", k, shards,
                 load->rows);
        if (write_cache(load, path, first, end, provenance, compression, err)) return -1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    PfError err = {0};
    if (argc != 5 && argc != 6) return 2;
    Load load = {.rows = atoi(argv[2]), .features = atoi(argv[3])};
    int failed = new_load(&load, &err);
    if (!failed)
        failed = argc == 6 ? write_shards(&load, argv[1], atoi(argv[5]), argv[4], &err)
                           : write_cache(&load, argv[1], 0, load.rows, "{}", argv[4], &err);
    if (failed) fprintf(stderr, "make_large_cache: %s\n", err.message);
    free(load.centres);
    free(load.row);
    free(load.stored);
    return failed ? 1 : 0;
}
