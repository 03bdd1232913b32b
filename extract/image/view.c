#include "extract/image/view.h"

#include <math.h>
#include <string.h>

#include "common/base/random.h"

#define LEAST_AREA 0.35
#define LONGEST_SIDE (4.0 / 3) /* times the other one */
#define JITTER 0.3
#define ATTEMPTS 10

/* ---- colours ---- */

/* As libImaging's Blend.c, in float. */
static uint8_t blend(int poorer, int value, float factor)
{
    float blended = (float)poorer + factor * (float)(value - poorer);
    return blended <= 0.0f ? 0 : blended >= 255.0f ? 255 : (uint8_t)blended;
}

/* ITU-R 601-2 luma, as convert("L"). */
static int grey(const uint8_t *pixel)
{
    return (pixel[0] * 19595 + pixel[1] * 38470 + pixel[2] * 7471 + 0x8000) >> 16;
}

static void blend_all(uint8_t *pixels, size_t count, int poorer, float factor)
{
    uint8_t table[256];
    for (int value = 0; value < 256; value++) table[value] = blend(poorer, value, factor);
    for (size_t i = 0; i < 3 * count; i++) pixels[i] = table[pixels[i]];
}

void pf_view_adjust_brightness(uint8_t *pixels, size_t count, float factor)
{
    blend_all(pixels, count, 0, factor);
}

void pf_view_adjust_contrast(uint8_t *pixels, size_t count, float factor)
{
    uint64_t sum = 0;
    if (!count) return;
    for (size_t i = 0; i < count; i++) sum += (uint64_t)grey(pixels + 3 * i);
    blend_all(pixels, count, (int)((double)sum / (double)count + 0.5), factor);
}

void pf_view_adjust_saturation(uint8_t *pixels, size_t count, float factor)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t *pixel = pixels + 3 * i;
        int poorer = grey(pixel);
        for (int c = 0; c < 3; c++) pixel[c] = blend(poorer, pixel[c], factor);
    }
}

/* ---- drawing ---- */

static uint64_t read_u64(const uint8_t *bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) value = value << 8 | bytes[i];
    return value;
}

static double draw_between(PfRandom *random, double low, double high)
{
    return low + (high - low) * pf_random_uniform(random);
}

/* A box's width by its height. By sums and square roots alone, which are the same on every
 * processor, as exp() is not. */
static double draw_shape(PfRandom *random)
{
    double shape = draw_between(random, 1, LONGEST_SIDE);
    return pf_random_below(random, 2) ? 1 / shape : shape;
}

/* Where no box that was drawn fits into an image that is long and narrow: as much of its middle as
 * may be. */
static PfRect middle(int width, int height)
{
    PfRect box = {.width = width, .height = height};
    if (width > LONGEST_SIDE * height) box.width = (int)(LONGEST_SIDE * height + 0.5);
    if (height > LONGEST_SIDE * width) box.height = (int)(LONGEST_SIDE * width + 0.5);
    box.x = (width - box.width) / 2;
    box.y = (height - box.height) / 2;
    return box;
}

static PfRect draw_box(PfRandom *random, int width, int height, bool squash)
{
    double side = sqrt((double)width * height);
    for (int i = 0; i < ATTEMPTS; i++) {
        double area = draw_between(random, LEAST_AREA, 1), shape = draw_shape(random);
        PfRect box = {.width = (int)((squash ? width : side) * sqrt(area * shape) + 0.5),
                      .height = (int)((squash ? height : side) * sqrt(area / shape) + 0.5)};
        if (box.width < 1 || box.height < 1 || box.width > width || box.height > height) continue;
        box.x = (int)pf_random_below(random, (uint64_t)(width - box.width) + 1);
        box.y = (int)pf_random_below(random, (uint64_t)(height - box.height) + 1);
        return box;
    }
    return squash ? (PfRect){.width = width, .height = height} : middle(width, height);
}

PfView pf_view_draw(uint64_t seed, const uint8_t digest[PF_DIGEST_SIZE], int number, int width,
                    int height, bool squash)
{
    PfView view = {.is_mirrored = number == 1, .is_jittered = number > 1};
    if (number < 2) return view;
    PfRandom random =
        pf_random_seeded(seed ^ read_u64(digest), read_u64(digest + 8) + (uint64_t)number);
    view.box = draw_box(&random, width, height, squash);
    view.is_mirrored = pf_random_below(&random, 2) != 0;
    for (int32_t i = 0; i < PF_JITTER_COUNT; i++) {
        view.factors[i] = (float)draw_between(&random, 1 - JITTER, 1 + JITTER);
        view.order[i] = i;
    }
    pf_random_shuffle(&random, view.order, PF_JITTER_COUNT);
    return view;
}

/* ---- rendering ---- */

static int resize_box(const PfImage *image, const PfPreprocess *settings, const PfRect *box,
                      uint8_t *out, PfResizeScratch *scratch, PfError *err)
{
    int crop = settings->crop;
    PfResize resize = {
        .out_width = crop,
        .out_height = crop,
        .interpolation = settings->interpolation,
        .order = settings->resize_order,
        .kept = {0, 0, crop, crop},
    };
    pf_preprocess_take(image, *box, &resize);
    return pf_resize(&resize, out, 3 * (size_t)crop, scratch, err);
}

static void mirror(uint8_t *pixels, int side)
{
    for (int y = 0; y < side; y++, pixels += 3 * (size_t)side)
        for (int left = 0, right = side - 1; left < right; left++, right--) {
            uint8_t swapped[3];
            memcpy(swapped, pixels + 3 * left, 3);
            memcpy(pixels + 3 * left, pixels + 3 * right, 3);
            memcpy(pixels + 3 * right, swapped, 3);
        }
}

static void jitter(uint8_t *pixels, size_t count, const PfView *view)
{
    static void (*const adjust[PF_JITTER_COUNT])(uint8_t *, size_t, float) = {
        [PF_BRIGHTNESS] = pf_view_adjust_brightness,
        [PF_CONTRAST] = pf_view_adjust_contrast,
        [PF_SATURATION] = pf_view_adjust_saturation,
    };
    for (int i = 0; i < PF_JITTER_COUNT; i++)
        adjust[view->order[i]](pixels, count, view->factors[view->order[i]]);
}

int pf_view_render(const PfImage *image, const PfPreprocess *settings, const PfView *view,
                   uint8_t *out, PfResizeScratch *scratch, PfError *err)
{
    int crop = settings->crop;
    int failed = view->box.width ? resize_box(image, settings, &view->box, out, scratch, err)
                                 : pf_preprocess_image(image, settings, out, scratch, err);
    if (failed) return -1;
    if (view->is_mirrored) mirror(out, crop);
    if (view->is_jittered) jitter(out, (size_t)crop * (size_t)crop, view);
    return 0;
}
