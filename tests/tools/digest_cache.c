/* digest_cache FILE...: a line "XXH3-128  name" for each dataset of a cache, over what is in
 * it once decoded: two files with equal lines hold the same, however they are stored.
 *
 * Stamps and provenance are left out: they say when and where, not what. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "permafrost/feature_cache.h"

#define SLAB_BYTES ((int64_t)8 << 20)

static XXH3_state_t *state;

static void begin(void)
{
    XXH3_128bits_reset(state);
}

static void add(const void *bytes, size_t size)
{
    XXH3_128bits_update(state, bytes, size);
}

/* With its end, so that "a", "bc" is not "ab", "c". */
static void add_text(const char *text)
{
    add(text, strlen(text) + 1);
}

static void end(const char *group, const char *name)
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state));
    for (size_t i = 0; i < sizeof canonical.digest; i++) printf("%02x", canonical.digest[i]);
    printf("  %s%s\n", group, name);
}

static void *allocate(int64_t count, size_t size)
{
    void *block = calloc((size_t)count + 1, size);
    if (!block) exit(1);
    return block;
}

static int digest_tap(PfCache *cache, int t, PfError *err)
{
    const PfCacheTap *tap = pf_cache_tap(cache, t);
    int64_t rows = pf_cache_row_count(cache);
    int64_t row_bytes = pf_shape_count(&tap->shape) * (int64_t)pf_dtype_size(tap->dtype);
    int64_t step = SLAB_BYTES / row_bytes + 1;
    char shape[PF_SHAPE_TEXT_SIZE];
    unsigned char *slab = allocate(step, (size_t)row_bytes);
    int failed = 0;
    begin();
    add_text(pf_shape_text(&tap->shape, shape));
    add_text(pf_dtype_name(tap->dtype));
    for (int64_t row = 0; row < rows && !failed; row += step) {
        int64_t count = rows - row < step ? rows - row : step;
        failed = pf_cache_read(cache, t, row, count, slab, 1, err);
        if (!failed) add(slab, (size_t)(count * row_bytes));
    }
    free(slab);
    if (!failed) end("features/", tap->name);
    return failed;
}

static int digest_target(PfCache *cache, int t, PfError *err)
{
    const PfCacheTarget *target = pf_cache_target(cache, t);
    int64_t count = pf_cache_row_count(cache) * target->width;
    int is_class = target->kind == PF_TARGET_CLASS;
    void *values = allocate(count, 4);
    int failed = is_class ? pf_cache_read_classes(cache, t, values, err)
                          : pf_cache_read_values(cache, t, values, err);
    begin();
    add(&target->width, sizeof target->width);
    add(values, (size_t)count * 4);
    free(values);
    if (failed) return -1;
    end("targets/", target->name);
    begin();
    for (int c = 0; c < target->class_count; c++) add_text(target->classes[c]);
    if (target->class_count || is_class) end("classes/", target->name);
    return 0;
}

/* Zeros where the cache does not know them. */
static int digest_sizes(PfCache *cache, PfError *err)
{
    size_t bytes = (size_t)pf_cache_row_count(cache) * sizeof(int32_t);
    int32_t *widths = allocate(1, bytes), *heights = allocate(1, bytes);
    int failed = pf_cache_find_image_sizes(cache, widths, heights, err);
    begin();
    add(widths, bytes);
    add(heights, bytes);
    free(widths);
    free(heights);
    if (!failed) end("samples/", "size");
    return failed;
}

static int digest_samples(PfCache *cache, PfError *err)
{
    int64_t rows = pf_cache_row_count(cache);
    const char *const *paths;
    if (pf_cache_paths(cache, &paths, err)) return -1;
    begin();
    for (int64_t i = 0; i < rows; i++) add_text(paths[i]);
    end("samples/", "path");
    uint8_t(*digests)[PF_DIGEST_SIZE] = allocate(rows, PF_DIGEST_SIZE);
    int failed = pf_cache_read_digests(cache, digests, err);
    begin();
    add(digests, (size_t)rows * PF_DIGEST_SIZE);
    free(digests);
    if (failed) return -1;
    end("samples/", "digest");
    begin();
    if (pf_cache_splits(cache)) add(pf_cache_splits(cache), (size_t)rows);
    end("samples/", "split");
    return digest_sizes(cache, err);
}

static int digest_rejects(PfCache *cache, PfError *err)
{
    const PfCacheReject *rejects;
    if (pf_cache_rejects(cache, &rejects, err)) return -1;
    begin();
    for (int64_t i = 0; i < pf_cache_rejected_count(cache); i++) {
        add_text(rejects[i].path);
        add_text(rejects[i].reason);
        add(rejects[i].digest, PF_DIGEST_SIZE);
    }
    end("", "rejected");
    return 0;
}

static int digest_cache(PfCache *cache, PfError *err)
{
    printf("%s: %lld rows\n", pf_cache_path(cache), (long long)pf_cache_row_count(cache));
    begin();
    add_text(pf_cache_identity(cache));
    end("", "identity");
    for (int t = 0; t < pf_cache_tap_count(cache); t++)
        if (digest_tap(cache, t, err)) return -1;
    for (int t = 0; t < pf_cache_target_count(cache); t++)
        if (digest_target(cache, t, err)) return -1;
    return digest_samples(cache, err) || digest_rejects(cache, err) ? -1 : 0;
}

int main(int argc, char **argv)
{
    PfError anywhere = {0}; /* the parts of virtual caches, which tests put where they like */
    if (!(state = XXH3_createState()) || pf_cache_allow_sources("/", &anywhere)) return 1;
    for (int i = 1; i < argc; i++) {
        PfCache *cache;
        PfError err = {0};
        int failed = pf_cache_open(argv[i], &cache, &err);
        if (!failed) {
            failed = digest_cache(cache, &err);
            pf_cache_close(&cache);
        }
        if (failed) {
            fprintf(stderr, "digest_cache: %s\n", err.message);
            return 1;
        }
    }
    XXH3_freeState(state);
    return argc > 1 ? 0 : 2;
}
