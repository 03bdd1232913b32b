#include "feature_cache_limits.h"

#include "feature_cache_mapping.h"
#include "feature_cache_storage.h"
#include "size_text.h"

/* Numbers of a file that may be anything. */
static int64_t multiply(int64_t a, int64_t b)
{
    int64_t product;
    return a < 0 || b < 0 || __builtin_mul_overflow(a, b, &product) ? INT64_MAX : product;
}

static int64_t allowed_bytes(int64_t file_bytes, int64_t times, int64_t free_bytes)
{
    int64_t allowed = multiply(file_bytes, times);
    return allowed < free_bytes ? free_bytes : allowed;
}

static int fail_size(const PfCacheFile *file, const char *name, const char *claims, int64_t found,
                     int64_t allowed, const char *hint, PfError *err)
{
    char found_text[PF_SIZE_TEXT], allowed_text[PF_SIZE_TEXT], file_text[PF_SIZE_TEXT];
    return pf_fail(err, PF_EXIT_FAILED, "'%s': %s %s %s, and a file of %s may have %s. Hint: %s",
                   file->path, name, claims, pf_size_text(found, found_text),
                   pf_size_text(file->size_bytes, file_text), pf_size_text(allowed, allowed_text),
                   hint);
}

static int check_rows(const PfCacheFile *file, const char *name, hid_t object, int64_t file_bytes,
                      PfError *err)
{
    char file_text[PF_SIZE_TEXT];
    int64_t width, rows = pf_cache_file_length(object, &width);
    if (rows <= PF_CACHE_FREE_ROWS || rows <= file_bytes) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s': /%s claims %lld rows, and a file of %s may have %lld: a row takes a byte "
                   "or more",
                   file->path, name, (long long)rows, pf_size_text(file_bytes, file_text),
                   (long long)(file_bytes > PF_CACHE_FREE_ROWS ? file_bytes : PF_CACHE_FREE_ROWS));
}

static int check_bytes(const PfCacheFile *file, const char *name, hid_t object, int64_t file_bytes,
                       PfError *err)
{
    char full_name[PF_CACHE_NAME_SIZE + 32];
    int64_t chunk = pf_cache_storage_chunk_bytes(object);
    int64_t all = pf_cache_storage_claimed_bytes(object);
    int64_t most = allowed_bytes(file_bytes, PF_CACHE_MAX_EXPANSION, PF_CACHE_FREE_BYTES);
    int64_t most_of_chunk =
        allowed_bytes(file_bytes, PF_CACHE_MAX_CHUNK_EXPANSION, PF_CACHE_FREE_CHUNK_BYTES);
    snprintf(full_name, sizeof full_name, "/%s", name);
    if (all > most)
        return fail_size(file, full_name, "claims numbers of", all, most,
                         "h5repack -f NONE stores it without compression", err);
    if (chunk > most_of_chunk)
        return fail_size(file, full_name, "claims chunks of", chunk, most_of_chunk,
                         "h5repack -l CHUNK=... stores it in smaller ones", err);
    return 0;
}

int pf_cache_limits_check(const PfCacheFile *file, const char *name, hid_t object, PfError *err)
{
    if (H5Iget_type(object) != H5I_DATASET) return 0;
    int64_t file_bytes = file->size_bytes + pf_cache_mapping_bytes(file, object);
    return check_rows(file, name, object, file_bytes, err) ||
                   check_bytes(file, name, object, file_bytes, err)
               ? -1
               : 0;
}

int pf_cache_limits_check_sum(const PfCacheFile *file, const char *what, int64_t bytes,
                              PfError *err)
{
    int64_t most = allowed_bytes(file->size_bytes, PF_CACHE_MAX_SUM_EXPANSION, PF_CACHE_FREE_BYTES);
    if (bytes <= most) return 0;
    return fail_size(file, what, "take", bytes, most, "several may be one under other names", err);
}
