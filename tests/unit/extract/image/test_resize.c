/* Resizing: the SIMD kernels against their plain twins, and what any resize must do. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <zlib.h>

#include "common/base/random.h"
#include "extract/image/resize.h"
#include "extract/image/resize_internal.h"
#include "tests/unit/assert_each.h"

enum { POISON = 0xA5 };

/* Pixels that end where readable memory does, so that one byte too many is a
 * crash, and that begin after an unreadable page. */
typedef struct Guarded {
    uint8_t *pages, *pixels;
    size_t page_bytes;
} Guarded;

static Guarded make_guarded(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), inner = (bytes + page - 1) / page * page;
    Guarded guarded = {.page_bytes = inner + 2 * page};
    guarded.pages = mmap(NULL, guarded.page_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(guarded.pages, MAP_FAILED);
    ck_assert_int_eq(mprotect(guarded.pages + page, inner, PROT_READ | PROT_WRITE), 0);
    guarded.pixels = guarded.pages + page + inner - bytes;
    return guarded;
}

static int below(PfRandom *random, int bound)
{
    return (int)pf_random_below(random, (uint64_t)bound);
}

/* Half of the sizes small, where windows meet both ends of an axis; a few so
 * large that the low half of a sum wraps. */
static int random_size(PfRandom *random)
{
    if (below(random, 40) == 0) return 1 + below(random, 4000);
    return 1 + below(random, below(random, 2) ? 20 : 400);
}

static PfResize random_resize(PfRandom *random)
{
    PfResize resize = {.in_width = random_size(random),
                       .in_height = random_size(random),
                       .out_width = random_size(random),
                       .out_height = random_size(random),
                       .interpolation = below(random, 2) ? PF_BICUBIC : PF_BILINEAR,
                       .order = below(random, 3) ? PF_PILLOW13 : PF_PILLOW12};
    if (below(random, 8) == 0) resize.out_width = resize.in_width;
    if (below(random, 8) == 0) resize.out_height = resize.in_height;
    resize.kept.x = below(random, resize.out_width);
    resize.kept.y = below(random, resize.out_height);
    resize.kept.width = 1 + below(random, resize.out_width - resize.kept.x);
    resize.kept.height = 1 + below(random, resize.out_height - resize.kept.y);
    if (below(random, 3) == 0) /* eighths of pixels off all edges */
        resize.box = (PfBox){.x = below(random, 8) / 8.0,
                             .y = below(random, 8) / 8.0,
                             .width = resize.in_width - 1 + 1 / 8.0,
                             .height = resize.in_height - 1 + 1 / 8.0};
    return resize;
}

/* Noise, or nothing but black and white: bicubic then leaves 0 .. 255 on both sides. */
static void fill(PfRandom *random, uint8_t *pixels, size_t bytes)
{
    int extreme = below(random, 2);
    for (size_t i = 0; i < bytes; i++) {
        uint64_t value = pf_random_u64(random);
        pixels[i] = (uint8_t)(extreme ? -(value & 1) : value);
    }
}

START_TEST(simd_equals_plain_and_stays_inside_its_buffers)
{
    if (!pf_resize_kernels_avx2()) puts("SKIP: no AVX2 here; plain is compared with itself");
    PfRandom random = pf_random_seeded(11, 0);
    PfResizeScratch scratch = {0}, plain_scratch = {0};
    for (int round = 0; round < 1500; round++) {
        PfResize resize = random_resize(&random);
        size_t in_bytes = 3 * (size_t)resize.in_width * (size_t)resize.in_height;
        size_t row = 3 * (size_t)resize.kept.width, stride = row + (size_t)below(&random, 40);
        size_t out_bytes = stride * (size_t)(resize.kept.height - 1) + row;
        Guarded in = make_guarded(in_bytes), out = make_guarded(out_bytes);
        uint8_t *expected = malloc(out_bytes);
        fill(&random, in.pixels, in_bytes);
        memset(out.pixels, POISON, out_bytes);
        memset(expected, POISON, out_bytes);
        resize.in = in.pixels;
        ck_assert_int_eq(pf_resize(&resize, out.pixels, stride, &scratch, NULL), 0);
        ck_assert_int_eq(pf_resize_plain(&resize, expected, stride, &plain_scratch, NULL), 0);
        /* Also between the rows: both must have left that alone. */
        ck_assert_msg(memcmp(out.pixels, expected, out_bytes) == 0,
                      "%d x %d to %d x %d, kept %d,%d %d x %d", resize.in_width, resize.in_height,
                      resize.out_width, resize.out_height, resize.kept.x, resize.kept.y,
                      resize.kept.width, resize.kept.height);
        for (int y = 0; y + 1 < resize.kept.height; y++)
            for (size_t i = row; i < stride; i++)
                assert_each(out.pixels[(size_t)y * stride + i] == POISON, "written behind row %d",
                            y);
        free(expected);
        munmap(in.pages, in.page_bytes);
        munmap(out.pages, out.page_bytes);
    }
    pf_resize_scratch_free(&scratch);
    pf_resize_scratch_free(&plain_scratch);
}
END_TEST

START_TEST(a_kept_part_equals_that_part_of_the_whole)
{
    PfRandom random = pf_random_seeded(12, 0);
    PfResizeScratch scratch = {0};
    for (int round = 0; round < 300; round++) {
        PfResize part = random_resize(&random), whole = part;
        size_t in_bytes = 3 * (size_t)part.in_width * (size_t)part.in_height;
        size_t stride = 3 * (size_t)part.out_width;
        uint8_t *in = malloc(in_bytes), *all = malloc(stride * (size_t)part.out_height);
        uint8_t *some = malloc(stride * (size_t)part.out_height);
        fill(&random, in, in_bytes);
        part.in = whole.in = in;
        whole.kept = (PfRect){0, 0, whole.out_width, whole.out_height};
        ck_assert_int_eq(pf_resize(&whole, all, stride, &scratch, NULL), 0);
        ck_assert_int_eq(pf_resize(&part, some, stride, &scratch, NULL), 0);
        for (int y = 0; y < part.kept.height; y++)
            ck_assert_mem_eq(some + (size_t)y * stride,
                             all + (size_t)(y + part.kept.y) * stride + 3 * part.kept.x,
                             3 * (size_t)part.kept.width);
        free(in);
        free(all);
        free(some);
    }
    pf_resize_scratch_free(&scratch);
}
END_TEST

/* One pass alone: the other axis, as long as it was, is left as it is. */
static void resize_axis(const uint8_t *in, int in_width, int in_height, int out_width,
                        int out_height, PfBox box, PfInterpolation interpolation, uint8_t *out)
{
    PfResizeScratch scratch = {0};
    PfResize resize = {.in = in,
                       .in_width = in_width,
                       .in_height = in_height,
                       .box = box,
                       .out_width = out_width,
                       .out_height = out_height,
                       .interpolation = interpolation,
                       .kept = {0, 0, out_width, out_height}};
    ck_assert_int_eq(pf_resize_plain(&resize, out, 3 * (size_t)out_width, &scratch, NULL), 0);
    pf_resize_scratch_free(&scratch);
}

/* The rule itself, from passes of their own. */
START_TEST(pillow_13_goes_down_first_where_the_height_shrinks_most)
{
    PfRandom random = pf_random_seeded(14, 0);
    PfResizeScratch scratch = {0};
    int down_first = 0, unequal = 0;
    for (int round = 0; round < 400; round++) {
        PfResize r = random_resize(&random);
        r.order = PF_PILLOW13;
        r.kept = (PfRect){0, 0, r.out_width, r.out_height};
        size_t in_bytes = 3 * (size_t)r.in_width * (size_t)r.in_height;
        size_t most = (size_t)(r.in_width > r.out_width ? r.in_width : r.out_width) *
                      (size_t)(r.in_height > r.out_height ? r.in_height : r.out_height) * 3;
        uint8_t *in = malloc(in_bytes), *between = malloc(most), *expected = malloc(most);
        uint8_t *out = malloc(most), *other = malloc(most);
        fill(&random, in, in_bytes);
        PfBox box = r.box.width > 0 ? r.box : (PfBox){0, 0, r.in_width, r.in_height};
        PfBox across = {box.x, 0, box.width, 0}, down = {0, box.y, 0, box.height};
        int shrinks = r.in_height - r.out_height;
        int is_down_first = shrinks > 0 && shrinks > 2 * (r.in_width - r.out_width);
        if (is_down_first) {
            down.width = r.in_width, across.height = r.out_height;
            resize_axis(in, r.in_width, r.in_height, r.in_width, r.out_height, down,
                        r.interpolation, between);
            resize_axis(between, r.in_width, r.out_height, r.out_width, r.out_height, across,
                        r.interpolation, expected);
        } else {
            across.height = r.in_height, down.width = r.out_width;
            resize_axis(in, r.in_width, r.in_height, r.out_width, r.in_height, across,
                        r.interpolation, between);
            resize_axis(between, r.out_width, r.in_height, r.out_width, r.out_height, down,
                        r.interpolation, expected);
        }
        r.in = in;
        ck_assert_int_eq(pf_resize(&r, out, 3 * (size_t)r.out_width, &scratch, NULL), 0);
        size_t bytes = 3 * (size_t)r.out_width * (size_t)r.out_height;
        ck_assert_msg(!memcmp(out, expected, bytes), "%d x %d to %d x %d", r.in_width, r.in_height,
                      r.out_width, r.out_height);
        r.order = PF_PILLOW12;
        ck_assert_int_eq(pf_resize(&r, other, 3 * (size_t)r.out_width, &scratch, NULL), 0);
        down_first += is_down_first;
        unequal += memcmp(out, other, bytes) != 0;
        if (!is_down_first) ck_assert_mem_eq(out, other, bytes);
        free(in), free(between), free(expected), free(out), free(other);
    }
    ck_assert_int_gt(down_first, 80);
    ck_assert_int_gt(unequal, 40);
    pf_resize_scratch_free(&scratch);
}
END_TEST

static void resize_all(const uint8_t *in, int in_width, int in_height, int out_width,
                       int out_height, PfInterpolation interpolation, uint8_t *out)
{
    PfResizeScratch scratch = {0};
    PfResize resize = {.in = in,
                       .in_width = in_width,
                       .in_height = in_height,
                       .out_width = out_width,
                       .out_height = out_height,
                       .interpolation = interpolation,
                       .kept = {0, 0, out_width, out_height}};
    ck_assert_int_eq(pf_resize(&resize, out, 3 * (size_t)out_width, &scratch, NULL), 0);
    pf_resize_scratch_free(&scratch);
}

START_TEST(halving_averages_with_pillows_triangle)
{
    /* Windows of 4 inputs weighted 1:3:3:1, cut at the ends to 3:3:1. */
    const uint8_t in[4 * 3] = {0, 10, 20, 70, 10, 20, 140, 10, 20, 210, 10, 20};
    const uint8_t expected[2 * 3] = {50, 10, 20, 160, 10, 20};
    uint8_t out[2 * 3];
    resize_all(in, 4, 1, 2, 1, PF_BILINEAR, out);
    ck_assert_mem_eq(out, expected, sizeof expected);
}
END_TEST

START_TEST(the_same_size_is_a_copy_and_flat_stays_flat)
{
    enum { SIDE = 37 };
    static uint8_t in[SIDE * SIDE * 3], out[53 * 29 * 3];
    PfRandom random = pf_random_seeded(13, 0);
    fill(&random, in, sizeof in);
    resize_all(in, SIDE, SIDE, SIDE, SIDE, PF_BICUBIC, out);
    ck_assert_mem_eq(out, in, sizeof in);
    memset(in, 201, sizeof in);
    resize_all(in, SIDE, SIDE, 53, 29, PF_BICUBIC, out);
    for (size_t i = 0; i < sizeof out; i++) ck_assert_int_eq(out[i], 201);
}
END_TEST

/* CRC-32 of what Pillow 9.4 makes of this image:
 *   x, y, c = np.meshgrid(range(200), range(150), range(3), indexing="ij")
 *   a = ((x * x * 7 + y * 13 * x + c * 50 + y * y) >> 3 & 255).transpose(1, 0, 2)
 *   i = Image.fromarray(a.astype(np.uint8))
 *   zlib.crc32(i.resize((w, h), Image.BICUBIC).tobytes())  */
START_TEST(golden_checksums_from_pillow)
{
    static const struct {
        int width, height;
        PfInterpolation interpolation;
        uint32_t crc;
    } golden[] = {
        {100, 75, PF_BILINEAR, 0x448f252b},  {100, 75, PF_BICUBIC, 0x1468a3ec},
        {224, 168, PF_BILINEAR, 0x238bfd69}, {224, 168, PF_BICUBIC, 0x11b045c6},
        {31, 300, PF_BILINEAR, 0x7bdd3861},  {31, 300, PF_BICUBIC, 0x898a4f32},
        {200, 20, PF_BILINEAR, 0xb3ad7e89},  {200, 20, PF_BICUBIC, 0xe9d27fce},
        {7, 150, PF_BILINEAR, 0x8c10fdac},   {7, 150, PF_BICUBIC, 0x39efd6d6},
        {299, 300, PF_BILINEAR, 0x6750d7a0}, {299, 300, PF_BICUBIC, 0x5a3faf5b},
    };
    static uint8_t in[150][200][3], out[300 * 300 * 3];
    for (int y = 0; y < 150; y++)
        for (int x = 0; x < 200; x++)
            for (int c = 0; c < 3; c++)
                in[y][x][c] = (uint8_t)((x * x * 7 + y * 13 * x + c * 50 + y * y) >> 3);
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        int width = golden[i].width, height = golden[i].height;
        resize_all(in[0][0], 200, 150, width, height, golden[i].interpolation, out);
        uLong crc = crc32(0, out, (uInt)(3 * width * height));
        ck_assert_uint_eq((uint32_t)crc, golden[i].crc);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("resize");
    TCase *cases = tcase_create("all");
    tcase_set_timeout(cases, 120);
    tcase_add_test(cases, simd_equals_plain_and_stays_inside_its_buffers);
    tcase_add_test(cases, a_kept_part_equals_that_part_of_the_whole);
    tcase_add_test(cases, pillow_13_goes_down_first_where_the_height_shrinks_most);
    tcase_add_test(cases, halving_averages_with_pillows_triangle);
    tcase_add_test(cases, the_same_size_is_a_copy_and_flat_stays_flat);
    tcase_add_test(cases, golden_checksums_from_pillow);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
