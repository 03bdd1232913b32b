/* X pixel maps, which are C source: a table of characters and colours, and rows of characters. As
 * in PIL, colours are numbers of six hexadecimal digits, or None, which is transparent black. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "extract/image/formats/bytes.h"
#include "extract/image/formats/formats.h"

enum { LONGEST_KEY = 8, LONGEST_COLOR = 200 };

typedef struct Color {
    uint64_t key; /* its characters */
    uint8_t rgba[4];
} Color;

typedef struct PixelMap {
    int64_t width, height, color_count;
    int key_size;
    Color *colors; /* sorted by key, owned */
} PixelMap;

/* What stands between the first and the last quotation mark of the next line that has any. NULL at
 * the end. */
static const uint8_t *next_string(PfCursor *file, size_t *size)
{
    while (pf_cursor_left(file)) {
        const uint8_t *line = file->bytes + file->position;
        const uint8_t *end = memchr(line, '\n', pf_cursor_left(file));
        size_t length = end ? (size_t)(end - line) + 1 : pf_cursor_left(file);
        file->position += length;
        const uint8_t *first = memchr(line, '"', length);
        const uint8_t *last = first ? memrchr(line, '"', length) : NULL;
        if (!last || last == first) continue;
        *size = (size_t)(last - first) - 1;
        return first + 1;
    }
    return NULL;
}

static uint64_t get_key(const uint8_t *characters, int count)
{
    uint64_t key = 0;
    while (count-- > 0) key = key << 8 | *characters++;
    return key;
}

/* "20 10 3 1": width, height, colours, characters for each pixel. */
static int read_size(PfCursor *file, PixelMap *map, PfError *err)
{
    size_t size;
    char text[80] = "";
    long long width, height, colors;
    const uint8_t *string = next_string(file, &size);
    if (string) memcpy(text, string, size < sizeof text ? size : sizeof text - 1);
    if (sscanf(text, "%9lld %9lld %9lld %2d", &width, &height, &colors, &map->key_size) != 4 ||
        colors < 1 || map->key_size < 1 || map->key_size > LONGEST_KEY)
        return pf_image_bad(err, "broken XPM: expected its width, height, colours and characters");
    map->width = width;
    map->height = height;
    map->color_count = colors;
    return 0;
}

/* The word after the word "c", in "c #112233 m black". False where there is none. */
static bool find_color(const char *text, char color[LONGEST_COLOR + 1])
{
    char kind[LONGEST_COLOR + 1];
    int length;
    for (; sscanf(text, "%200s %200s%n", kind, color, &length) == 2; text += length)
        if (!strcmp(kind, "c")) return true;
    return false;
}

static int read_color(const uint8_t *string, size_t size, int key_size, Color *out, PfError *err)
{
    char text[LONGEST_COLOR + 1] = "", color[LONGEST_COLOR + 1] = "";
    if (size < (size_t)key_size)
        return pf_image_bad(err, "broken XPM: a colour without characters");
    out->key = get_key(string, key_size);
    size -= (size_t)key_size;
    memcpy(text, string + key_size, size < LONGEST_COLOR ? size : LONGEST_COLOR);
    bool is_found = find_color(text, color);
    memset(out->rgba, 0, 4);
    if (is_found && !strcmp(color, "None")) return 0;
    if (!is_found || color[0] != '#' || strspn(color + 1, "0123456789abcdefABCDEF") != 6 ||
        color[7])
        return pf_image_bad(err, "XPM with the colour '%.60s', which is not supported", color);
    unsigned long value = strtoul(color + 1, NULL, 16);
    for (int c = 0; c < 3; c++) out->rgba[c] = (uint8_t)(value >> (16 - 8 * c));
    out->rgba[3] = 255;
    return 0;
}

static int compare_colors(const void *a, const void *b)
{
    const Color *first = a, *second = b;
    return first->key < second->key ? -1 : first->key > second->key;
}

static int read_colors(PfCursor *file, PixelMap *map, PfError *err)
{
    size_t size, count = (size_t)map->color_count;
    if (count > pf_cursor_left(file))
        return pf_image_bad(err, "truncated XPM: ends in its %zu colours", count);
    map->colors = pf_calloc(count, sizeof *map->colors, err);
    if (!map->colors) return -1;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *string = next_string(file, &size);
        if (!string) return pf_image_bad(err, "truncated XPM: ends in its %zu colours", count);
        if (read_color(string, size, map->key_size, &map->colors[i], err)) return -1;
    }
    qsort(map->colors, count, sizeof *map->colors, compare_colors);
    return 0;
}

/* Pixels go on in the next string where one is too short. */
static int read_pixels(PfCursor *file, const PixelMap *map, PfImage *image, PfError *err)
{
    size_t count = (size_t)map->width * (size_t)map->height, size = 0, step = (size_t)map->key_size;
    const uint8_t *string = NULL;
    for (size_t i = 0; i < count; i++, string += step, size -= step) {
        if (i % 65536 == 0 && pf_image_is_interrupted(&image->limits))
            return pf_image_interrupted(err);
        while (size < step && (string = next_string(file, &size))) continue;
        if (!string) return pf_image_bad(err, "truncated XPM: %zu of %zu pixels", i, count);
        Color wanted = {.key = get_key(string, map->key_size)};
        const Color *color =
            bsearch(&wanted, map->colors, (size_t)map->color_count, sizeof wanted, compare_colors);
        if (!color) return pf_image_bad(err, "broken XPM: pixel %zu has no colour", i);
        pf_image_flatten(image, color->rgba, image->pixels + 3 * i, 1);
    }
    return 0;
}

int pf_image_xpm_decode(const uint8_t *bytes, size_t size, int least_side, PfImage *image,
                        PfError *err)
{
    (void)least_side;
    PixelMap map = {0};
    PfCursor file = pf_cursor(bytes, size, 0);
    if (read_size(&file, &map, err) ||
        pf_image_check_size(&image->limits, map.width, map.height, err))
        return -1;
    if (map.width * map.height * map.key_size > (int64_t)pf_cursor_left(&file))
        return pf_image_bad(err, "truncated XPM: %zu bytes cannot hold its pixels", size);
    int result = read_colors(&file, &map, err);
    if (!result) result = pf_image_resize_buffer(image, map.width, map.height, err);
    if (!result) result = read_pixels(&file, &map, image, err);
    free(map.colors);
    return result;
}
