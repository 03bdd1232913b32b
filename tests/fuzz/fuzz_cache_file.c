#include "fuzz_cache_file.h"

#include <hdf5.h>
#include <stdio.h>
#include <string.h>

#include "common/cache/hdf5/internal.h"
#include "extract/verify/verify.h"
#include "fuzz.h"
#include "permafrost/feature_cache.h"

/* Of a tap at a time, and of what is read at all: files of a few bytes may state any size. */
#define READ_BYTES_MAX ((int64_t)1 << 20)
#define ROWS_MAX ((int64_t)1 << 16)

static void read_rows(PfCache *cache, int tap, int64_t first, int64_t count, int as_f32)
{
    const PfCacheTap *info = pf_cache_tap(cache, tap);
    size_t element = as_f32 ? sizeof(float) : pf_dtype_size(info->dtype);
    size_t size = (size_t)(count * pf_shape_count(&info->shape)) * element;
    void *out = malloc(size ? size : 1);
    PfError err = {0};
    FUZZ_CHECK(out);
    int failed = as_f32 ? pf_cache_read_f32(cache, tap, first, count, out, 1, &err)
                        : pf_cache_read(cache, tap, first, count, out, 1, &err);
    if (failed)
        fuzz_check_refusal(&err);
    else
        fuzz_touch(out, size);
    free(out);
}

static void read_tap(PfCache *cache, int tap)
{
    char filters[64];
    int64_t stored, rows = pf_cache_row_count(cache);
    const PfCacheTap *info = pf_cache_tap(cache, tap);
    PfError err = {0};
    pf_cache_tap_storage(cache, tap, &stored, filters, sizeof filters, &err);
    FUZZ_CHECK(*info->name && pf_shape_count(&info->shape) > 0);
    int64_t most = READ_BYTES_MAX / 4 / pf_shape_count(&info->shape);
    int64_t count = rows < most ? rows : most;
    read_rows(cache, tap, 0, count, 1);
    read_rows(cache, tap, rows - count, count, 0);
    if (count > 2) read_rows(cache, tap, 1, count - 2, 0);
}

static void read_target(PfCache *cache, int index)
{
    const PfCacheTarget *target = pf_cache_target(cache, index);
    int64_t rows = pf_cache_row_count(cache);
    PfError err = {0};
    if (rows > ROWS_MAX || rows * target->width > READ_BYTES_MAX) return;
    size_t size = (size_t)(rows * target->width) * sizeof(float);
    void *out = malloc(size ? size : 1);
    FUZZ_CHECK(out);
    int is_class = target->kind == PF_TARGET_CLASS;
    int failed = is_class ? pf_cache_read_classes(cache, index, out, &err)
                          : pf_cache_read_values(cache, index, out, &err);
    if (failed)
        fuzz_check_refusal(&err);
    else
        fuzz_touch(out, size);
    for (int64_t i = 0; i < rows && is_class && !failed; i++)
        FUZZ_CHECK(((int32_t *)out)[i] >= -1 && ((int32_t *)out)[i] < target->class_count);
    for (int i = 0; i < target->class_count; i++)
        fuzz_touch(target->classes[i], strlen(target->classes[i]));
    free(out);
}

static void read_samples(PfCache *cache)
{
    int64_t rows = pf_cache_row_count(cache);
    const char *const *paths;
    PfError err = {0};
    if (rows > ROWS_MAX) return;
    if (pf_cache_paths(cache, &paths, &err))
        fuzz_check_refusal(&err);
    else
        for (int64_t i = 0; i < rows; i++) fuzz_touch(paths[i], strlen(paths[i]));
    if (pf_cache_splits(cache)) fuzz_touch(pf_cache_splits(cache), (size_t)rows);
    PfFileStamp *stamps = calloc((size_t)rows + 1, sizeof *stamps);
    uint8_t(*digests)[PF_DIGEST_SIZE] = calloc((size_t)rows + 1, sizeof *digests);
    FUZZ_CHECK(stamps && digests);
    if (pf_cache_read_stamps(cache, stamps, &err)) fuzz_check_refusal(&err);
    if (pf_cache_read_digests(cache, digests, &err)) fuzz_check_refusal(&err);
    int32_t *widths = calloc((size_t)rows + 1, sizeof *widths);
    int32_t *heights = calloc((size_t)rows + 1, sizeof *heights);
    FUZZ_CHECK(widths && heights);
    if (pf_cache_read_image_sizes(cache, widths, heights, &err)) fuzz_check_refusal(&err);
    free(widths);
    free(heights);
    free(stamps);
    free(digests);
}

static void read_rejects(PfCache *cache)
{
    const PfCacheReject *rejects;
    PfError err = {0};
    int64_t count = pf_cache_rejected_count(cache);
    if (count > ROWS_MAX) return;
    if (pf_cache_rejects(cache, &rejects, &err)) {
        fuzz_check_refusal(&err);
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        fuzz_touch(rejects[i].path, strlen(rejects[i].path));
        fuzz_touch(rejects[i].reason, strlen(rejects[i].reason));
    }
}

/* As extract --verify: whatever it says, it does not crash. */
static void verify(const char *path)
{
    static FILE *nowhere;
    PfVerifyOptions options = {.cache = path, .threads = 1};
    PfError err = {0};
    if (!nowhere) nowhere = fopen("/dev/null", "w");
    FUZZ_CHECK(nowhere);
    if (pf_verify_cache(&options, nowhere, &err)) fuzz_check_refusal(&err);
}

/* What is open in HDF5: a cache that is closed, or was refused, leaves nothing. */
static hsize_t count_open(void)
{
    static const H5I_type_t types[] = {H5I_FILE,    H5I_GROUP, H5I_DATATYPE,    H5I_DATASPACE,
                                       H5I_DATASET, H5I_ATTR,  H5I_GENPROP_LST, H5I_ERROR_STACK};
    hsize_t sum = 0;
    pf_hdf5_lock();
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        hsize_t count = 0;
        H5Inmembers(types[i], &count);
        sum += count;
    }
    pf_hdf5_unlock();
    return sum;
}

static void read_cache(const char *path)
{
    PfCache *cache;
    PfError err = {0};
    if (pf_cache_open(path, &cache, &err)) {
        fuzz_check_refusal(&err);
        return;
    }
    fuzz_touch(pf_cache_identity(cache), strlen(pf_cache_identity(cache)));
    fuzz_touch(pf_cache_provenance(cache), strlen(pf_cache_provenance(cache)));
    for (int t = 0; t < pf_cache_tap_count(cache); t++) read_tap(cache, t);
    for (int t = 0; t < pf_cache_target_count(cache); t++) read_target(cache, t);
    read_samples(cache);
    read_rejects(cache);
    int is_small = pf_cache_row_count(cache) <= ROWS_MAX;
    pf_cache_close(&cache);
    if (is_small) verify(path);
}

void fuzz_read_cache(const char *path)
{
    hsize_t before = count_open();
    read_cache(path);
    FUZZ_CHECK(count_open() == before);
}
