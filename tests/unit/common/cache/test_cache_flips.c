/* A damaged cache is never taken for a whole one: bits of every byte of small caches
 * are flipped, they are cut at many places, and overwritten at random. Either opening or reading
 * fails with a message that names the file, or all that is read is what was written.
 * With PF_LONG=1 in the environment it is every bit, every cut and six times the random damage. */
#include <check.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/digest.h"
#include "common/base/random.h"
#include "permafrost/feature_cache.h"

enum { ROWS = 9, WIDTH = 24, MAP = 2 * 3 * 3, BOX = 4 };

/* Every seventh bit touches every byte, and every place in a byte. */
static size_t step_of_bits(void)
{
    return getenv("PF_LONG") ? 1 : 7;
}

static char folder[] = "/tmp/pf_cache_flips_XXXXXX";
static char path[sizeof folder + 16];

static void make_folder(void)
{
    strcpy(folder, "/tmp/pf_cache_flips_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/cache.h5", folder);
}

static void remove_folder(void)
{
    unlink(path);
    rmdir(folder);
}

/* ---- a small cache with everything in it ---- */

static const char *const CLASSES[] = {"ants", "bees", "S\xc3\xa4gewespen"};
static const char *const POINTS[] = {"top left", "bottom right"};
static const PfCacheTarget TARGETS[] = {
    {.name = "class", .kind = PF_TARGET_CLASS, .width = 1, .classes = CLASSES, .class_count = 3},
    {.name = "box", .kind = PF_TARGET_KEYPOINTS, .width = BOX, .classes = POINTS, .class_count = 2},
};
static const PfCacheTap TAPS[] = {
    {.name = "avgpool", .shape = {1, {WIDTH}}, .dtype = PF_DTYPE_F16},
    {.name = "layer3", .shape = {3, {2, 3, 3}}, .dtype = PF_DTYPE_F32},
};
static const PfCompression COMPRESSIONS[] = {PF_COMPRESS_NONE, PF_COMPRESS_GZIP, PF_COMPRESS_ZSTD};

static void append_row(PfCacheWriter *writer, int row)
{
    PfError err;
    char name[64];
    uint16_t vector[WIDTH];
    float map[MAP], box[BOX] = {(float)row, 0.5f, NAN, -1};
    int32_t index = row % 4 - 1;
    snprintf(name, sizeof name, "train/\xc3\xa4/%d.jpg", row);
    for (int i = 0; i < WIDTH; i++) vector[i] = (uint16_t)(0x3000 + row * 131 + i * 7);
    for (int i = 0; i < MAP; i++) map[i] = (float)(row * i) / 3;
    PfCacheSample sample = {.path = name,
                            .digest = {1, (uint8_t)row},
                            .stamp = {(uint64_t)row + 1, 2 * row, 3 * row},
                            .split = (PfSplit)(row % 3),
                            .class_indices = &index,
                            .values = box,
                            .width = 3 * row + 1,
                            .height = 500 - row};
    const void *features[] = {vector, map};
    ck_assert(!pf_cache_writer_append(writer, 1, &sample, features, &err));
}

static void write_cache(PfCompression compression)
{
    PfCacheWriterConfig config = {.taps = TAPS,
                                  .tap_count = 2,
                                  .targets = TARGETS,
                                  .target_count = 2,
                                  .identity = "{\"backbone\": \"resnet18\"}",
                                  .provenance = "{\"threads\": 7}",
                                  .compression = compression,
                                  .threads = 1};
    PfCacheReject reject = {
        .path = "bad.jpg", .reason = "it is no image", .digest = {7}, .stamp = {5, 6, 7}};
    PfCacheWriter *writer;
    PfError err;
    ck_assert(!pf_cache_writer_open(path, &config, &writer, &err));
    for (int row = 0; row < ROWS; row++) append_row(writer, row);
    ck_assert(!pf_cache_writer_reject(writer, &reject, &err));
    ck_assert_msg(!pf_cache_writer_finish(&writer, NULL, &err), "%s", err.message);
}

/* ---- all that can be read, as one digest ---- */

typedef struct Contents {
    uint8_t digest[16];
} Contents;

static int print_taps(PfCache *cache, FILE *out, PfError *err)
{
    static float values[ROWS * WIDTH];
    for (int t = 0; t < pf_cache_tap_count(cache); t++) {
        const PfCacheTap *tap = pf_cache_tap(cache, t);
        size_t count = (size_t)pf_shape_count(&tap->shape) * ROWS;
        ck_assert_uint_le(count, ROWS * WIDTH);
        fprintf(out, "%s %d %d\n", tap->name, tap->dtype, tap->shape.rank);
        if (pf_cache_read_f32(cache, t, 0, ROWS, values, 1, err)) return -1;
        fwrite(values, sizeof *values, count, out);
    }
    return 0;
}

static int print_targets(PfCache *cache, FILE *out, PfError *err)
{
    for (int t = 0; t < pf_cache_target_count(cache); t++) {
        const PfCacheTarget *target = pf_cache_target(cache, t);
        int32_t indices[ROWS] = {0};
        float values[ROWS * BOX] = {0};
        ck_assert_int_le(target->width, BOX);
        fprintf(out, "%s %d %d\n", target->name, target->kind, target->width);
        for (int c = 0; c < target->class_count; c++) fprintf(out, "%s\n", target->classes[c]);
        if (target->kind == PF_TARGET_CLASS ? pf_cache_read_classes(cache, t, indices, err)
                                            : pf_cache_read_values(cache, t, values, err))
            return -1;
        fwrite(indices, sizeof indices, 1, out);
        fwrite(values, sizeof values, 1, out);
    }
    return 0;
}

static int print_samples(PfCache *cache, FILE *out, PfError *err)
{
    const char *const *paths;
    PfFileStamp stamps[ROWS];
    uint8_t digests[ROWS][PF_DIGEST_SIZE];
    int32_t sizes[2][ROWS];
    if (pf_cache_paths(cache, &paths, err) || pf_cache_read_stamps(cache, stamps, err) ||
        pf_cache_read_digests(cache, digests, err) ||
        pf_cache_read_image_sizes(cache, sizes[0], sizes[1], err))
        return -1;
    for (int i = 0; i < ROWS; i++) fprintf(out, "%s %d\n", paths[i], pf_cache_splits(cache)[i]);
    fwrite(stamps, sizeof stamps, 1, out);
    fwrite(digests, sizeof digests, 1, out);
    fwrite(sizes, sizeof sizes, 1, out);
    return 0;
}

static int print_rejects(PfCache *cache, FILE *out, PfError *err)
{
    const PfCacheReject *rejects;
    if (pf_cache_rejects(cache, &rejects, err)) return -1;
    for (int64_t i = 0; i < pf_cache_rejected_count(cache); i++) {
        fprintf(out, "%s %s\n", rejects[i].path, rejects[i].reason);
        fwrite(rejects[i].digest, sizeof rejects[i].digest, 1, out);
        fwrite(&rejects[i].stamp, sizeof rejects[i].stamp, 1, out);
    }
    return 0;
}

static int print_cache(PfCache *cache, FILE *out, PfError *err)
{
    if (pf_cache_row_count(cache) != ROWS) {
        fprintf(out, "%lld rows", (long long)pf_cache_row_count(cache));
        return 0;
    }
    fprintf(out, "%s %s\n", pf_cache_identity(cache), pf_cache_provenance(cache));
    if (print_taps(cache, out, err) || print_targets(cache, out, err) ||
        print_samples(cache, out, err) || print_rejects(cache, out, err))
        return -1;
    return 0;
}

/* -1 where something could not be read. */
static int read_cache(PfCache *cache, Contents *contents, PfError *err)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    ck_assert_ptr_nonnull(out);
    int failed = print_cache(cache, out, err);
    fclose(out);
    pf_digest_xxh128(text, size, contents->digest);
    free(text);
    return failed;
}

static int open_and_read(Contents *contents, PfError *err)
{
    PfCache *cache;
    if (pf_cache_open(path, &cache, err)) return -1;
    int failed = read_cache(cache, contents, err);
    pf_cache_close(&cache);
    return failed;
}

/* ---- the file as bytes ---- */

typedef struct Image {
    int fd; /* of the file at path */
    unsigned char *bytes;
    size_t size;
    Contents contents;
    int64_t found, harmless;
} Image;

static void open_image(Image *image, PfCompression compression)
{
    PfError err = {0};
    write_cache(compression);
    *image = (Image){.fd = open(path, O_RDWR)};
    ck_assert_int_ge(image->fd, 0);
    image->size = (size_t)lseek(image->fd, 0, SEEK_END);
    image->bytes = malloc(image->size);
    ck_assert_int_eq(pread(image->fd, image->bytes, image->size, 0), (ssize_t)image->size);
    ck_assert_msg(!open_and_read(&image->contents, &err), "%s", err.message);
}

static void close_image(Image *image, const char *what)
{
    printf("%s: %zu bytes, %lld found, %lld harmless\n", what, image->size, (long long)image->found,
           (long long)image->harmless);
    fflush(stdout);
    close(image->fd);
    free(image->bytes);
}

static void put(const Image *image, size_t at, const void *bytes, size_t size)
{
    if (pwrite(image->fd, bytes, size, (off_t)at) != (ssize_t)size) ck_abort_msg("pwrite failed");
}

/* Counts what reading the damaged file gave. */
static void judge(Image *image, int failed, const Contents *contents, const PfError *err,
                  const char *what, size_t at)
{
    if (failed) {
        image->found++;
        if (err->exit_code != PF_EXIT_FAILED || !strstr(err->message, path))
            ck_abort_msg("%s %zu: the message is '%s'", what, at, err->message);
    } else if (!memcmp(contents, &image->contents, sizeof *contents)) {
        image->harmless++;
    } else {
        ck_abort_msg("%s %zu: other contents were read, and nothing was said", what, at);
    }
}

static void judge_file(Image *image, const char *what, size_t at)
{
    Contents contents;
    PfError err = {0};
    int failed = open_and_read(&contents, &err);
    judge(image, failed, &contents, &err, what, at);
}

/* Extent `index` of the trailer, read as docs/cache-format.md describes it. */
static int extent_at(const Image *image, size_t index, uint64_t *from, uint64_t *to)
{
    uint64_t hdf5_bytes, count, extent[2];
    const unsigned char *footer = image->bytes + image->size - 48;
    ck_assert(!memcmp(footer, "\x89PFSEAL\n", 8));
    memcpy(&hdf5_bytes, footer + 8, 8);
    memcpy(&count, footer + 16, 8);
    ck_assert_uint_eq(hdf5_bytes + 16 * count + 48, image->size);
    if (index >= count) return 0;
    memcpy(extent, image->bytes + hdf5_bytes + 16 * index, 16);
    *from = extent[0];
    *to = extent[0] + extent[1];
    return 1;
}

static void flip_byte(Image *image, size_t at)
{
    for (size_t bit = 0; bit < 8; bit++) {
        if ((at * 8 + bit) % step_of_bits()) continue;
        unsigned char flipped = (unsigned char)(image->bytes[at] ^ 1 << bit);
        put(image, at, &flipped, 1);
        judge_file(image, "bit", at * 8 + bit);
    }
    put(image, at, &image->bytes[at], 1);
}

/* ---- tests ---- */

START_TEST(every_byte_outside_the_features_is_guarded)
{
    Image image;
    uint64_t from, to;
    size_t at = 0;
    open_image(&image, COMPRESSIONS[_i]);
    for (size_t e = 0; extent_at(&image, e, &from, &to); e++) {
        for (; at < from; at++) flip_byte(&image, at);
        at = to;
    }
    for (; at < image.size; at++) flip_byte(&image, at);
    ck_assert_int_eq(image.harmless, 0);
    close_image(&image, "bits outside the features");
}
END_TEST

/* A cache that is open reads its chunks anew each time, which saves the opening.
 * The chunks of an uncompressed cache are megabytes, whose every bit is alike to
 * their checksum: some of them do. */
static void flip_features(Image *image, PfCache *cache, uint64_t from, uint64_t to, uint64_t step)
{
    for (uint64_t bit = from * 8; bit < to * 8; bit += step) {
        Contents contents;
        PfError err = {0};
        unsigned char flipped = (unsigned char)(image->bytes[bit / 8] ^ 1 << bit % 8);
        put(image, bit / 8, &flipped, 1);
        judge(image, read_cache(cache, &contents, &err), &contents, &err, "bit", bit);
        put(image, bit / 8, &image->bytes[bit / 8], 1);
    }
}

START_TEST(every_byte_of_the_features_is_guarded)
{
    Image image;
    PfCache *cache;
    PfError err;
    uint64_t from, to, total = 0;
    open_image(&image, COMPRESSIONS[_i]);
    ck_assert(!pf_cache_open(path, &cache, &err));
    for (size_t e = 0; extent_at(&image, e, &from, &to); e++) {
        uint64_t edge = to - from < 64 ? to - from : 64;
        total += to - from;
        if (COMPRESSIONS[_i] == PF_COMPRESS_NONE) {
            flip_features(&image, cache, from, from + edge, step_of_bits());
            flip_features(&image, cache, to - edge, to, step_of_bits());
        }
        flip_features(&image, cache, from, to,
                      COMPRESSIONS[_i] == PF_COMPRESS_NONE ? 4999 * step_of_bits()
                                                           : step_of_bits());
    }
    ck_assert_uint_gt(total, 100); /* both taps' chunks */
    ck_assert_int_eq(image.harmless, 0);
    pf_cache_close(&cache);
    close_image(&image, "bits of the features");
}
END_TEST

START_TEST(a_cache_cut_at_any_byte_is_refused)
{
    Image image;
    open_image(&image, PF_COMPRESS_ZSTD);
    for (size_t size = image.size; size-- > 0;) {
        /* Every byte of the trailer's end, some of what is before it. */
        if (size + 512 < image.size && size % step_of_bits()) continue;
        ck_assert(!ftruncate(image.fd, (off_t)size));
        judge_file(&image, "cut to", size);
    }
    ck_assert_int_eq(image.harmless, 0);
    close_image(&image, "cuts");
}
END_TEST

START_TEST(bytes_too_many_are_refused)
{
    Image image;
    open_image(&image, PF_COMPRESS_ZSTD);
    for (size_t more = 1; more < 200; more++) {
        put(&image, image.size + more - 1, "", 1);
        judge_file(&image, "longer by", more);
    }
    ck_assert_int_eq(image.harmless, 0);
    close_image(&image, "bytes appended");
}
END_TEST

/* A run of bytes lost, zeroed, or taken from elsewhere in the file. */
static void damage(Image *image, PfRandom *random)
{
    unsigned char bytes[4096];
    size_t size = 1 + pf_random_u64(random) % (pf_random_u64(random) % 2 ? 16 : sizeof bytes);
    if (size > image->size / 2) size = image->size / 2;
    size_t at = pf_random_u64(random) % (image->size - size + 1);
    size_t other = pf_random_u64(random) % (image->size - size + 1);
    switch (pf_random_u64(random) % 3) {
    case 0: memset(bytes, 0, size); break;
    case 1: memcpy(bytes, image->bytes + other, size); break;
    default:
        for (size_t i = 0; i < size; i++) bytes[i] = (unsigned char)(pf_random_u64(random) >> 56);
    }
    put(image, at, bytes, size);
    judge_file(image, "random bytes at", at);
    put(image, at, image->bytes + at, size);
}

START_TEST(random_damage_is_found)
{
    Image image;
    PfRandom random = pf_random_seeded(5, (uint64_t)_i);
    open_image(&image, COMPRESSIONS[_i]);
    int count = getenv("PF_LONG") ? 3000 : 500;
    for (int i = 0; i < count; i++) damage(&image, &random);
    ck_assert_int_gt(image.found, count / 3); /* the others put zeros where zeros are */
    close_image(&image, "random damage");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache_flips");
    TCase *flips = tcase_create("flips");
    tcase_set_timeout(flips, getenv("PF_LONG") ? 3000 : 300);
    tcase_add_checked_fixture(flips, make_folder, remove_folder);
    tcase_add_loop_test(flips, every_byte_outside_the_features_is_guarded, 0, 3);
    tcase_add_loop_test(flips, every_byte_of_the_features_is_guarded, 0, 3);
    tcase_add_test(flips, a_cache_cut_at_any_byte_is_refused);
    tcase_add_test(flips, bytes_too_many_are_refused);
    tcase_add_loop_test(flips, random_damage_is_found, 0, 3);
    suite_add_tcase(suite, flips);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
