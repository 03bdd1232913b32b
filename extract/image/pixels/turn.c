/* Turning pixels as a file says that its picture stands. */
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "extract/image/pixels/decoder.h"

enum { PIXEL = 3, TILE = 64 };

/* An orientation as rows and columns that change places, after which each axis may be mirrored. */
typedef struct Turn {
    bool is_transposed, is_mirrored_across, is_mirrored_down;
} Turn;

static const Turn turns[9] = {
    [2] = {0, 1, 0}, [3] = {0, 1, 1}, [4] = {0, 0, 1}, [5] = {1, 0, 0},
    [6] = {1, 1, 0}, [7] = {1, 1, 1}, [8] = {1, 0, 1},
};

/* ---- turning in place ---- */

static void swap_pixels(uint8_t *a, uint8_t *b)
{
    uint8_t kept[PIXEL];
    memcpy(kept, a, PIXEL);
    memcpy(a, b, PIXEL);
    memcpy(b, kept, PIXEL);
}

static void mirror_row(uint8_t *row, int columns)
{
    uint8_t *left = row, *right = row + PIXEL * (size_t)(columns - 1);
    for (; left < right; left += PIXEL, right -= PIXEL) swap_pixels(left, right);
}

static void swap_bytes(uint8_t *a, uint8_t *b, size_t count)
{
    uint8_t kept[1024];
    for (size_t done = 0; done < count; done += sizeof kept) {
        size_t step = count - done < sizeof kept ? count - done : sizeof kept;
        memcpy(kept, a + done, step);
        memcpy(a + done, b + done, step);
        memcpy(b + done, kept, step);
    }
}

static void mirror(PfImage *image, const Turn *turn)
{
    int rows = pf_image_rows(image), columns = pf_image_columns(image);
    size_t stride = PIXEL * (size_t)columns;
    for (int y = 0; y < rows && turn->is_mirrored_across; y++)
        mirror_row(image->pixels + (size_t)y * stride, columns);
    for (int y = 0; y < rows / 2 && turn->is_mirrored_down; y++)
        swap_bytes(image->pixels + (size_t)y * stride,
                   image->pixels + (size_t)(rows - 1 - y) * stride, stride);
}

/* ---- turning rows into columns ---- */

static int make_spare(PfImage *image, size_t bytes, PfError *err)
{
    if (bytes <= image->spare_capacity) return 0;
    free(image->spare);
    image->spare_capacity = 0;
    image->spare = pf_alloc_aligned(bytes, 1, err);
    if (!image->spare) return -1;
    image->spare_capacity = bytes;
    return 0;
}

/* Columns [x, x + width) of rows [y, y + height), which become rows: a tile of both fits into the
 * cache. */
static void transpose_tile(const PfImage *image, const Turn *turn, int x, int y, int width,
                           int height)
{
    size_t rows = (size_t)pf_image_rows(image), columns = (size_t)pf_image_columns(image);
    ptrdiff_t step = turn->is_mirrored_across ? -PIXEL : PIXEL;
    for (int i = x; i < x + width; i++) {
        size_t down = turn->is_mirrored_down ? columns - 1 - (size_t)i : (size_t)i;
        size_t across = turn->is_mirrored_across ? rows - 1 - (size_t)y : (size_t)y;
        const uint8_t *in = image->pixels + PIXEL * ((size_t)y * columns + (size_t)i);
        uint8_t *out = image->spare + PIXEL * (down * rows + across);
        for (int j = 0; j < height; j++) {
            memcpy(out + j * step, in + (size_t)j * PIXEL * columns, PIXEL);
        }
    }
}

static int transpose(PfImage *image, const Turn *turn, PfError *err)
{
    int rows = pf_image_rows(image), columns = pf_image_columns(image);
    if (make_spare(image, PIXEL * (size_t)rows * (size_t)columns, err)) return -1;
    for (int y = 0; y < rows; y += TILE)
        for (int x = 0; x < columns; x += TILE)
            transpose_tile(image, turn, x, y, columns - x < TILE ? columns - x : TILE,
                           rows - y < TILE ? rows - y : TILE);
    uint8_t *pixels = image->pixels;
    size_t capacity = image->capacity;
    image->pixels = image->spare;
    image->capacity = image->spare_capacity;
    image->spare = pixels;
    image->spare_capacity = capacity;
    int width = image->width;
    image->width = image->height;
    image->height = width;
    return 0;
}

int pf_image_turn(PfImage *image, PfError *err)
{
    const Turn turn = turns[image->orientation];
    if (!turn.is_transposed)
        mirror(image, &turn);
    else if (transpose(image, &turn, err))
        return -1;
    if (turn.is_mirrored_across)
        image->left = (pf_image_columns(image) << image->halvings) - image->width;
    if (turn.is_mirrored_down)
        image->top = (pf_image_rows(image) << image->halvings) - image->height;
    return 0;
}
