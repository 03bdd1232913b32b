/* X bitmaps, which are C source: black and white. As in PIL a bit that is set is white. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "extract/image/formats/raster.h"

enum { LONGEST_NUMBER = 9, LONGEST_HEADER = 4096 };

/* A text in bytes, or NULL. */
static const uint8_t *find(const uint8_t *bytes, size_t size, const char *text)
{
    return memmem(bytes, size, text, strlen(text));
}

/* The number in "#define NAME_width 20", whose name ends like this; -1 where there is none. */
static int64_t read_define(const uint8_t *bytes, size_t size, const char *ending)
{
    const uint8_t *at = find(bytes, size, ending), *end = bytes + size;
    int64_t value = 0;
    int digits = 0;
    if (!at) return -1;
    for (at += strlen(ending); at < end && isblank(*at); at++) continue;
    for (; at < end && isdigit(*at) && digits < LONGEST_NUMBER; at++, digits++)
        value = 10 * value + (*at - '0');
    return digits ? value : -1;
}

/* A comment may come first, if it is short. */
bool pf_image_is_xbm(const uint8_t *bytes, size_t size)
{
    size_t head = size < LONGEST_HEADER ? size : LONGEST_HEADER;
    bool is_source = size > 8 && (!memcmp(bytes, "#define ", 8) || !memcmp(bytes, "\n#define", 8) ||
                                  !memcmp(bytes, "/*", 2));
    return is_source && read_define(bytes, head, "_width ") > 0;
}

static int hex_value(int character)
{
    return isdigit(character) ? character - '0' : tolower(character) - 'a' + 10;
}

/* The next number of one or two digits after an x. -1 where there is none. */
static int next_byte(PfCursor *file)
{
    int value = 0, digits = 0, character = pf_cursor_byte(file);
    while (character >= 0 && character != 'x' && character != 'X') character = pf_cursor_byte(file);
    while (file->position < file->size && isxdigit(file->bytes[file->position]) && digits++ < 2)
        value = 16 * value + hex_value(file->bytes[file->position++]);
    return digits == 1 || digits == 2 ? value : -1;
}

static int read_rows(PfCursor *file, PfRaster *raster, PfImage *image, PfError *err)
{
    for (size_t i = 0; i < pf_raster_size(raster); i++) {
        if (i % 65536 == 0 && pf_image_is_interrupted(&image->limits))
            return pf_image_interrupted(err);
        int value = next_byte(file);
        if (value < 0) break;
        pf_raster_put_run(raster, (uint8_t)value, 1);
    }
    return pf_raster_check(raster, "XBM", image, err);
}

int pf_image_xbm_decode(const uint8_t *bytes, size_t size, int least_side, PfImage *image,
                        PfError *err)
{
    (void)least_side;
    size_t head = size < LONGEST_HEADER ? size : LONGEST_HEADER;
    int64_t width = read_define(bytes, head, "_width ");
    int64_t height = read_define(bytes, head, "_height ");
    const uint8_t *bits = find(bytes, head, "_bits[]");
    if (width < 0 || height < 0 || !bits)
        return pf_image_bad(err, "broken XBM: expected its width, its height and its bits");
    PfCursor file = pf_cursor(bytes, size, (size_t)(bits - bytes));
    PfRaster raster = {.row_bytes = ((size_t)width + 7) / 8};
    int result = pf_raster_open(&raster, width, height, size, image, err);
    if (!result) result = read_rows(&file, &raster, image, err);
    for (int y = 0; y < image->height && !result; y++) {
        const uint8_t *row = pf_raster_row(&raster, (size_t)y);
        uint8_t *out = pf_image_row(image, y);
        for (int x = 0; x < image->width; x++)
            memset(out + 3 * (size_t)x, row[x / 8] >> x % 8 & 1 ? 255 : 0, 3);
    }
    pf_raster_close(&raster);
    return result;
}
