#include "extract/verify/verify.h"

#include <cjson/cJSON.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/digest.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/cache/equal_images.h"
#include "common/cache/image_file.h"
#include "common/file/input_file.h"
#include "extract/dataset/dataset.h"
#include "extract/plan/provenance.h"
#include "extract/plan/runtime_rows.h"
#include "extract/verify/internal.h"

/* ---- what was found: lines on a stream, of each kind not too many ---- */

#define SHOWN_OF_A_KIND 20

void pf_findings_begin(PfFindings *findings)
{
    findings->of_kind = 0;
}

void pf_findings_add(PfFindings *findings, const char *format, ...)
{
    va_list arguments;
    findings->total++;
    if (++findings->of_kind > SHOWN_OF_A_KIND && pf_log_verbosity() < PF_VERBOSE) return;
    va_start(arguments, format);
    pf_vprint(findings->out, format, arguments);
    va_end(arguments);
    fputc('\n', findings->out);
}

void pf_findings_end(PfFindings *findings)
{
    if (findings->of_kind > SHOWN_OF_A_KIND && pf_log_verbosity() < PF_VERBOSE)
        pf_print(findings->out, "... and %lld more of this kind (-v shows all)\n",
                 (long long)(findings->of_kind - SHOWN_OF_A_KIND));
}

/* ---- a digest that came by another way than the cache: --signature ---- */

#define LINE_SIZE 4400 /* a digest, two characters and a path */
enum { DIGITS = PF_SHA256_TEXT_SIZE - 1 };

typedef struct Signature {
    char digest[PF_SHA256_TEXT_SIZE];
    int lines;
    bool has_name; /* the digest is from the line of the file's own name */
} Signature;

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* "<64 digits>  name", or " *name" of a binary file; other lines are none. */
static void read_line(Signature *signature, char *line, const char *name)
{
    line[strcspn(line, "\r\n")] = '\0';
    if (strspn(line, "0123456789abcdefABCDEF") != DIGITS || (line[DIGITS] && line[DIGITS] != ' '))
        return;
    const char *rest = line + DIGITS + strspn(line + DIGITS, " *");
    bool is_own = !strcmp(name_of(rest), name);
    signature->lines++;
    if (signature->has_name) return;
    signature->has_name = is_own;
    for (int i = 0; i < DIGITS; i++)
        signature->digest[i] =
            (char)(line[i] >= 'A' && line[i] <= 'F' ? line[i] - 'A' + 'a' : line[i]);
    signature->digest[DIGITS] = '\0';
}

static int read_signature(const char *path, const char *name, Signature *signature, PfError *err)
{
    char line[LINE_SIZE];
    FILE *file = fopen(path, "re");
    if (!file) return pf_fail_errno(err, "--signature '%s'", path);
    while (fgets(line, sizeof line, file)) read_line(signature, line, name);
    fclose(file);
    if (signature->has_name || signature->lines == 1) return 0;
    return pf_fail(
        err, PF_EXIT_FAILED,
        "--signature '%s' has no SHA-256 of '%s'; expected a line as sha256sum writes it", path,
        name);
}

static int hash_file(const char *path, char sha256[PF_SHA256_TEXT_SIZE], PfError *err)
{
    struct stat status;
    const void *bytes;
    int fd = pf_input_file_open(AT_FDCWD, path, "", &status, err);
    if (fd < 0) return -1;
    int failed = pf_input_file_map(fd, &status, "cache", path, &bytes, err);
    close(fd);
    if (failed) return -1;
    pf_digest_sha256_text(bytes, (size_t)status.st_size, sha256);
    if (bytes) pf_input_file_unmap(bytes, (size_t)status.st_size);
    return 0;
}

/* That the SHA-256 of the file `path` is the one that the file `signature`, as sha256sum writes it,
 * has: in its only line, or in that with the file's name. */
static int check_signature(const char *signature, const char *path, PfError *err)
{
    Signature wanted = {0};
    char found[PF_SHA256_TEXT_SIZE];
    if (read_signature(signature, name_of(path), &wanted, err) || hash_file(path, found, err))
        return -1;
    if (!strcmp(found, wanted.digest)) return 0;
    return pf_fail(err, PF_EXIT_FAILED, "'%s' has SHA-256 %s, and '%s' says %s: it is another file",
                   path, found, signature, wanted.digest);
}

/* ---- the cache ---- */

typedef struct Verify {
    const PfVerifyOptions *options;
    PfFindings findings;
    PfCache *cache;
    PfDataset *dataset;                 /* NULL: none was given */
    const char *const *paths;           /* (N), NULL where the cache has none */
    uint8_t (*digests)[PF_DIGEST_SIZE]; /* (N), NULL where the cache has none */
    PfVerifiedFeatures features;
    PfRecomputedRows recomputed;
} Verify;

#define SAMPLE_ROWS 32 /* that are computed again */

/* ---- what is read at once ---- */

/* Zeros in all rows: the file has none. */
static void check_digests(Verify *verify)
{
    int64_t rows = pf_cache_row_count(verify->cache), zeros = 0;
    for (int64_t i = 0; i < rows; i++) zeros += pf_digest_is_none(verify->digests[i]);
    if (zeros == rows) {
        free(verify->digests);
        verify->digests = NULL;
        return;
    }
    pf_findings_begin(&verify->findings);
    for (int64_t i = 0; zeros && i < rows; i++)
        if (pf_digest_is_none(verify->digests[i]))
            pf_findings_add(&verify->findings, "row %lld of /samples/digest is all zeros",
                            (long long)i);
    pf_findings_end(&verify->findings);
}

/* Something that cannot be read is a finding, and the rest is checked without it. */
static void add_error(Verify *verify, const PfError *error)
{
    pf_findings_begin(&verify->findings);
    pf_findings_add(&verify->findings, "%" PF_SENTENCE, error->message);
}

/* Reading them checks their chunks. */
static int check_statistics(Verify *verify, PfError *err)
{
    PfError error;
    int64_t known;
    float(*statistics)[PF_CACHE_STATISTICS] =
        pf_calloc((size_t)pf_cache_row_count(verify->cache), sizeof *statistics, err);
    if (!statistics) return -1;
    if (pf_cache_find_statistics(verify->cache, statistics, &known, &error))
        add_error(verify, &error);
    free(statistics);
    uint64_t *hashes = pf_calloc((size_t)pf_cache_row_count(verify->cache), sizeof *hashes, err);
    if (!hashes) return -1;
    if (pf_cache_find_perceptual_hashes(verify->cache, hashes, &error)) add_error(verify, &error);
    free(hashes);
    return 0;
}

static int check_samples(Verify *verify, PfError *err)
{
    PfError error;
    PfFileStamp *stamps = pf_calloc((size_t)pf_cache_row_count(verify->cache), sizeof *stamps, err);
    verify->digests = pf_calloc((size_t)pf_cache_row_count(verify->cache), PF_DIGEST_SIZE, err);
    if (!stamps || !verify->digests) {
        free(stamps);
        return -1;
    }
    if (pf_cache_has_paths(verify->cache) && pf_cache_paths(verify->cache, &verify->paths, &error))
        add_error(verify, &error);
    if (pf_cache_read_stamps(verify->cache, stamps, &error)) add_error(verify, &error);
    if (check_statistics(verify, err)) {
        free(stamps);
        return -1;
    }
    if (pf_cache_read_digests(verify->cache, verify->digests, &error))
        add_error(verify, &error);
    else
        check_digests(verify);
    free(stamps);
    return 0;
}

static void check_rejects(Verify *verify)
{
    PfError error;
    const PfCacheReject *rejects;
    if (pf_cache_rejects(verify->cache, &rejects, &error)) add_error(verify, &error);
}

static void check_json(Verify *verify, const char *name, const char *text)
{
    cJSON *json = pf_json_read(text);
    pf_findings_begin(&verify->findings);
    if (!cJSON_IsObject(json))
        pf_findings_add(&verify->findings, "the attribute '%s' is not a JSON object", name);
    cJSON_Delete(json);
}

/* Reading them checks them: missing numbers are NaN, none is infinite. Class indices are checked at
 * every opening. */
static int check_values(Verify *verify, int t, PfError *err)
{
    PfError error;
    const PfCacheTarget *target = pf_cache_target(verify->cache, t);
    int64_t rows = pf_cache_row_count(verify->cache);
    float *values = pf_alloc_aligned((size_t)rows * (size_t)target->width, sizeof *values, err);
    if (!values) return -1;
    if (pf_cache_read_values(verify->cache, t, values, &error)) add_error(verify, &error);
    free(values);
    return 0;
}

static int check_targets(Verify *verify, PfError *err)
{
    for (int t = 0; t < pf_cache_target_count(verify->cache); t++)
        if (pf_cache_target(verify->cache, t)->kind != PF_TARGET_CLASS &&
            check_values(verify, t, err))
            return -1;
    return 0;
}

static int check_images(Verify *verify, PfError *err)
{
    if (!verify->dataset) return 0;
    if (!verify->paths || !verify->digests)
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s' does not say which images its rows are of, so there is nothing to "
                       "compare: /samples/path or /samples/digest is missing",
                       pf_cache_path(verify->cache));
    const PfVerifyOptions *options = verify->options;
    const PfVerifiedImages images = {.cache = verify->cache,
                                     .dataset = verify->dataset,
                                     .digests = (const uint8_t(*)[PF_DIGEST_SIZE])verify->digests,
                                     .paths = verify->paths,
                                     .threads = options->threads,
                                     .interrupted = options->interrupted};
    if (pf_verify_images(images.cache, images.digests, images.paths, images.dataset, images.threads,
                         images.interrupted, &verify->findings, err))
        return -1;
    return pf_verify_recompute(&images, options->weights, options->device,
                               options->recompute_all ? 0 : SAMPLE_ROWS, &verify->findings,
                               &verify->recomputed, err);
}

/* What is no fault of the file, but of the images in it. */
static int tell_equal(const Verify *verify, PfError *err)
{
    char text[PF_EQUAL_IMAGES_TEXT];
    PfEqualImages equal;
    PfCache *cache = verify->cache;
    int64_t rows = pf_cache_row_count(cache);
    int target = 0;
    if (!verify->digests) return 0;
    while (target < pf_cache_target_count(cache) &&
           pf_cache_target(cache, target)->kind != PF_TARGET_CLASS)
        target++;
    bool has_classes = target < pf_cache_target_count(cache);
    int32_t *labels = pf_calloc((size_t)rows, sizeof *labels, err);
    int failed = !labels || (has_classes && pf_cache_read_classes(cache, target, labels, err)) ||
                 pf_equal_images_count((const uint8_t(*)[PF_DIGEST_SIZE])verify->digests,
                                       pf_cache_splits(cache), has_classes ? labels : NULL, rows,
                                       &equal, err);
    free(labels);
    if (failed) return -1;
    if (*pf_equal_images_text(&equal, text))
        pf_print(verify->findings.out, "%" PF_SENTENCE "\n", text);
    return 0;
}

/* ---- the verdict ---- */

static const char *plural(int64_t count)
{
    return count == 1 ? "" : "s";
}

/* "; in 2 cases their features differ by rounding": of rows of all taps. */
static const char *near_text(const PfVerifiedFeatures *features, char *text, size_t size)
{
    *text = '\0';
    if (features->near_rows)
        snprintf(text, size, "; in %lld case%s their features differ by rounding",
                 (long long)features->near_rows, plural(features->near_rows));
    return text;
}

static void tell_sound(const Verify *verify)
{
    PfCache *cache = verify->cache;
    FILE *out = verify->findings.out;
    int64_t rows = pf_cache_row_count(cache), blocks = verify->features.blocks;
    int taps = pf_cache_tap_count(cache), targets = pf_cache_target_count(cache);
    char near[96];
    pf_print(out, "%s is sound: %s, %lld row%s of %d tap%s in %lld chunk%s, %d target%s, ",
             pf_cache_path(cache), pf_cache_is_sealed(cache) ? "seal" : "no seal", (long long)rows,
             plural(rows), taps, plural(taps), (long long)blocks, plural(blocks), targets,
             plural(targets));
    if (verify->digests)
        pf_print(out, "digests (%lld row%s of images seen before%s)",
                 (long long)verify->features.duplicates, plural(verify->features.duplicates),
                 near_text(&verify->features, near, sizeof near));
    else
        fputs("no digests", out);
    if (verify->dataset)
        pf_print(out, ", %lld images of %s", (long long)pf_dataset_count(verify->dataset),
                 verify->options->dataset);
    if (verify->recomputed.rows)
        pf_print(out, ", %lld of %lld rows computed again, within %g of each row's largest number",
                 (long long)verify->recomputed.rows, (long long)rows,
                 verify->recomputed.tolerance.of_largest);
    fputc('\n', out);
}

/* Where several runtimes have computed rows: how many each. */
static void tell_runtimes(const Verify *verify)
{
    cJSON *rows = pf_runtime_rows_of_cache(verify->cache), *tap;
    bool are_several = false;
    cJSON_ArrayForEach(tap, rows) are_several |= cJSON_GetArraySize(tap) > 1;
    if (are_several) pf_runtime_rows_print(rows, verify->findings.out);
    cJSON_Delete(rows);
}

static int judge(const Verify *verify, PfError *err)
{
    if (!verify->findings.total) {
        tell_sound(verify);
        tell_runtimes(verify);
        return tell_equal(verify, err);
    }
    fflush(verify->findings.out);
    return pf_fail(err, PF_EXIT_FAILED, "'%s': verification found %lld thing%s wrong",
                   verify->options->cache, (long long)verify->findings.total,
                   plural(verify->findings.total));
}

static int check_all(Verify *verify, PfError *err)
{
    const PfVerifyOptions *options = verify->options;
    check_json(verify, "identity", pf_cache_identity(verify->cache));
    check_json(verify, "provenance", pf_cache_provenance(verify->cache));
    check_rejects(verify);
    if (check_samples(verify, err) || check_targets(verify, err) ||
        pf_verify_features(verify->cache, (const uint8_t(*)[PF_DIGEST_SIZE])verify->digests,
                           verify->paths, options->threads, options->interrupted, &verify->findings,
                           &verify->features, err))
        return -1;
    return check_images(verify, err);
}

/* A file that is there and cannot be opened is the finding. */
static int open_cache(Verify *verify, PfError *err)
{
    const char *path = verify->options->cache;
    if (!access(path, R_OK)) {
        PfError error = {0};
        if (pf_cache_open(path, &verify->cache, &error)) add_error(verify, &error);
        return 0;
    }
    return pf_cache_open(path, &verify->cache, err);
}

/* Folders are splits and classes as they were when the cache, which is open, was made. */
static int open_dataset(Verify *verify, PfError *err)
{
    PfDatasetOptions listing = verify->options->listing;
    if (!verify->options->dataset) return 0;
    listing.splits_unknown = true;
    listing.may_fetch = true;
    listing.interrupted = verify->options->interrupted;
    listing.exact_split_names = pf_provenance_rules(pf_cache_provenance(verify->cache)).exact_names;
    pf_provenance_know_classes(verify->cache, &listing);
    return pf_dataset_open_for(verify->options->dataset, &listing,
                               pf_provenance_begun_before(verify->cache), &verify->dataset, err);
}

int pf_verify_cache(const PfVerifyOptions *options, FILE *out, PfError *err)
{
    Verify verify = {.options = options, .findings = {.out = out}};
    if (options->signature && check_signature(options->signature, options->cache, err)) return -1;
    int failed = open_cache(&verify, err) ||
                 (verify.cache && (open_dataset(&verify, err) || check_all(&verify, err))) ||
                 judge(&verify, err);
    free(verify.digests);
    pf_cache_close(&verify.cache);
    if (!failed && verify.dataset) pf_dataset_remove_fetched(verify.dataset);
    pf_dataset_close(&verify.dataset);
    return failed ? -1 : 0;
}
