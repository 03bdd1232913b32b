/* GIF: the first frame on its screen, as Pillow shows it. The screen grows where the frame is
 * larger; around a smaller one it has the transparent colour, else the first one of the palette.
 * Without a palette indices are greys. A frame's own palette of all greys in order counts as none:
 * the screen's is used. No library is needed for so little. */
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "extract/image/formats/formats.h"

enum { CODES = 4096, CODE_BITS = 12, OPAQUE = -1 };

typedef struct Reader {
    const uint8_t *bytes;
    size_t size, position;
} Reader;

typedef struct Frame {
    int screen_width, screen_height;
    int x, y, width, height;
    bool is_interlaced;
    int transparent;        /* index of a colour; OPAQUE: there is none */
    const uint8_t *palette; /* NULL: greys */
    int colours;            /* of the palette */
} Frame;

static int get_le16(const uint8_t *bytes)
{
    return bytes[0] | bytes[1] << 8;
}

/* So many bytes; NULL where the file ends before. */
static const uint8_t *take(Reader *reader, size_t count)
{
    if (count > reader->size - reader->position) return NULL;
    reader->position += count;
    return reader->bytes + reader->position - count;
}

static int fail_truncated(const Reader *reader, PfError *err)
{
    return pf_image_bad(err, "truncated GIF: ends after %zu bytes, before its pixels",
                        reader->size);
}

/* ---- what comes before the pixels ---- */

/* The data of a block, and its size: 0 where there is none, or it is the end of several. */
static const uint8_t *take_block(Reader *reader, size_t *size)
{
    const uint8_t *length = take(reader, 1);
    *size = length ? *length : 0;
    const uint8_t *block = *size ? take(reader, *size) : NULL;
    if (!block) *size = 0;
    return block;
}

static int read_extension(Reader *reader, Frame *frame, PfError *err)
{
    enum { GRAPHIC_CONTROL = 249, HAS_TRANSPARENT = 1 };
    size_t size;
    const uint8_t *label = take(reader, 1);
    if (!label) return fail_truncated(reader, err);
    const uint8_t *block = take_block(reader, &size);
    if (*label == GRAPHIC_CONTROL && block) {
        if (size < 4) return pf_image_bad(err, "broken GIF: a control block of %zu bytes", size);
        if (block[0] & HAS_TRANSPARENT) frame->transparent = block[3];
    }
    while (block) block = take_block(reader, &size);
    return 0;
}

static bool is_grey_ramp(const uint8_t *palette, int colours)
{
    for (int i = 0; i < 3 * colours; i++)
        if (palette[i] != i / 3) return false;
    return true;
}

/* A palette, if the flags say that there is one, and it says more than none. */
static int read_palette(Reader *reader, int flags, Frame *frame, PfError *err)
{
    if (!(flags & 0x80)) return 0;
    int colours = 2 << (flags & 7);
    const uint8_t *palette = take(reader, 3 * (size_t)colours);
    if (!palette) return fail_truncated(reader, err);
    if (is_grey_ramp(palette, colours)) return 0;
    frame->palette = palette;
    frame->colours = colours;
    return 0;
}

static int read_screen(Reader *reader, Frame *frame, PfError *err)
{
    const uint8_t *screen = take(reader, 13);
    if (!screen) return fail_truncated(reader, err);
    if (memcmp(screen, "GIF87a", 6) && memcmp(screen, "GIF89a", 6))
        return pf_image_bad(err, "broken GIF: of a version other than 87a and 89a");
    *frame = (Frame){.screen_width = get_le16(screen + 6),
                     .screen_height = get_le16(screen + 8),
                     .transparent = OPAQUE};
    return read_palette(reader, screen[10], frame, err);
}

static int read_descriptor(Reader *reader, Frame *frame, PfError *err)
{
    const uint8_t *found = take(reader, 9);
    if (!found) return fail_truncated(reader, err);
    frame->x = get_le16(found);
    frame->y = get_le16(found + 2);
    frame->width = get_le16(found + 4);
    frame->height = get_le16(found + 6);
    frame->is_interlaced = found[8] & 0x40;
    if (frame->x + frame->width > frame->screen_width)
        frame->screen_width = frame->x + frame->width;
    if (frame->y + frame->height > frame->screen_height)
        frame->screen_height = frame->y + frame->height;
    if (!frame->width || !frame->height)
        return pf_image_bad(err, "broken GIF: its first frame is empty: %d x %d", frame->width,
                            frame->height);
    return read_palette(reader, found[8], frame, err);
}

/* Bytes that begin nothing are passed over. */
static int find_frame(Reader *reader, Frame *frame, PfError *err)
{
    for (;;) {
        const uint8_t *kind = take(reader, 1);
        if (!kind) return fail_truncated(reader, err);
        if (*kind == ';') return pf_image_bad(err, "broken GIF: it has no image");
        if (*kind == ',') return read_descriptor(reader, frame, err);
        if (*kind == '!' && read_extension(reader, frame, err)) return -1;
    }
}

/* ---- the pixels' indices ---- */

/* Where the next index goes. */
typedef struct Cursor {
    uint8_t *corner; /* of the frame, in the screen */
    size_t stride;
    int width, height, x, y, step, pass;
    int rows; /* that are complete */
} Cursor;

static bool is_full(const Cursor *cursor)
{
    return cursor->rows == cursor->height;
}

static void next_row(Cursor *cursor)
{
    static const uint8_t first[] = {0, 4, 2, 1}, steps[] = {8, 8, 4, 2};
    cursor->x = 0;
    cursor->rows++;
    cursor->y += cursor->step;
    while (cursor->y >= cursor->height && cursor->step > 1 && cursor->pass < 3) {
        cursor->pass++;
        cursor->y = first[cursor->pass];
        cursor->step = steps[cursor->pass];
    }
}

static void put(Cursor *cursor, const uint8_t *indices, int count)
{
    for (int i = 0; i < count && !is_full(cursor); i++) {
        cursor->corner[(size_t)cursor->y * cursor->stride + (size_t)cursor->x] = indices[i];
        if (++cursor->x == cursor->width) next_row(cursor);
    }
}

/* LZW's strings: each is a shorter one, or a single index, and an index more. */
typedef struct Codes {
    int bits, clear, end; /* of single indices; the two codes behind them */
    int next, size;       /* the first one without a string; bits of a code */
    int previous;         /* the code before; -1: there was none since the last clear */
    uint8_t first;        /* index of that one's string */
    uint16_t shorter[CODES];
    uint8_t last[CODES], text[CODES + 1];
} Codes;

static void clear_codes(Codes *codes)
{
    codes->clear = 1 << codes->bits;
    codes->end = codes->clear + 1;
    codes->next = codes->clear + 2;
    codes->size = codes->bits + 1;
    codes->previous = -1;
}

static void add_code(Codes *codes, int code)
{
    if (codes->previous >= 0 && codes->next < CODES) {
        codes->last[codes->next] = codes->first;
        codes->shorter[codes->next] = (uint16_t)codes->previous;
        if (codes->next == (1 << codes->size) - 1 && codes->size < CODE_BITS) codes->size++;
        codes->next++;
    }
    codes->previous = code;
}

/* Puts a code's string; -1 where it cannot have one. */
static int put_code(Codes *codes, int code, Cursor *cursor)
{
    uint8_t *end = codes->text + sizeof codes->text, *text = end;
    int at = code;
    if (codes->previous < 0 ? code >= codes->clear : code > codes->next) return -1;
    if (code == codes->next && codes->previous >= 0) {
        *--text = codes->first;
        at = codes->previous;
    }
    for (; at >= codes->clear; at = codes->shorter[at]) {
        if (at >= CODES || text == codes->text + 1) return -1;
        *--text = codes->last[at];
    }
    *--text = codes->first = (uint8_t)at;
    add_code(codes, code);
    put(cursor, text, (int)(end - text));
    return 0;
}

/* Codes of 1 to 13 bits out of blocks of bytes. */
typedef struct Bits {
    Reader *reader;
    const uint8_t *block;
    size_t left; /* of the block */
    uint32_t held;
    int count; /* of the bits held */
} Bits;

/* A block that the file does not hold as a whole does not count; an empty one does not end them. */
static bool next_block(Bits *bits)
{
    while (!bits->left) {
        const uint8_t *length = take(bits->reader, 1);
        if (!length) return false;
        bits->block = take(bits->reader, *length);
        if (!bits->block) return false;
        bits->left = *length;
    }
    return true;
}

/* The next code of so many bits; -1 where the data end. */
static int next_code(Bits *bits, int size)
{
    while (bits->count < size) {
        if (!bits->left && !next_block(bits)) return -1;
        bits->held |= (uint32_t)*bits->block++ << bits->count;
        bits->left--;
        bits->count += 8;
    }
    int code = (int)(bits->held & ((1u << size) - 1));
    bits->held >>= size;
    bits->count -= size;
    return code;
}

/* Until the frame is full, or its data end. */
static int inflate(Bits *bits, Codes *codes, Cursor *cursor, const PfImageLimits *limits,
                   PfError *err)
{
    clear_codes(codes);
    for (unsigned count = 1; !is_full(cursor); count++) {
        int code = next_code(bits, codes->size);
        if (code < 0 || code == codes->end) return 0;
        if (count % 4096 == 0 && pf_image_is_interrupted(limits)) return pf_image_interrupted(err);
        if (code == codes->clear)
            clear_codes(codes);
        else if (put_code(codes, code, cursor))
            return pf_image_bad(err, "broken GIF: wrong compressed pixels after %d of %d rows",
                                cursor->rows, cursor->height);
    }
    return 0;
}

static int fail_early(const Cursor *cursor, PfError *err)
{
    return pf_image_bad(err,
                        "truncated GIF: ends after %d of %d rows. Hint: extract "
                        "--keep-truncated takes what there is",
                        cursor->rows, cursor->height);
}

static int read_indices(Reader *reader, const Frame *frame, uint8_t *screen, PfImage *image,
                        PfError *err)
{
    Cursor cursor = {.corner = screen + (size_t)frame->y * (size_t)frame->screen_width + frame->x,
                     .stride = (size_t)frame->screen_width,
                     .width = frame->width,
                     .height = frame->height,
                     .step = frame->is_interlaced ? 8 : 1,
                     .pass = frame->is_interlaced ? 0 : 3};
    const uint8_t *code_bits = take(reader, 1);
    if (!code_bits) return fail_truncated(reader, err);
    if (*code_bits > CODE_BITS)
        return pf_image_bad(err, "broken GIF: indices of %d bits", *code_bits);
    Codes *codes = pf_calloc(1, sizeof *codes, err);
    if (!codes) return -1;
    Bits bits = {.reader = reader};
    codes->bits = *code_bits;
    int failed = inflate(&bits, codes, &cursor, &image->limits, err);
    free(codes);
    if (failed) return -1;
    image->is_truncated = !is_full(&cursor);
    if (image->is_truncated && !cursor.rows)
        return pf_image_bad(err, "truncated GIF: ends before its first row is complete");
    return image->is_truncated && !image->keep_truncated ? fail_early(&cursor, err) : 0;
}

/* ---- colours ---- */

/* Colours that the palette does not have are black, as in PIL. */
static void make_colours(const Frame *frame, uint8_t colours[256][4])
{
    for (int i = 0; i < 256; i++)
        for (int c = 0; c < 3; c++)
            colours[i][c] = !frame->palette      ? (uint8_t)i
                            : i < frame->colours ? frame->palette[3 * i + c]
                                                 : 0;
    for (int i = 0; i < 256; i++) colours[i][3] = i == frame->transparent ? 0 : 255;
}

static void paint(const Frame *frame, const uint8_t *screen, PfImage *image)
{
    uint8_t colours[256][4];
    size_t count = (size_t)image->width * (size_t)image->height;
    bool has_alpha = frame->transparent != OPAQUE;
    make_colours(frame, colours);
    for (size_t i = 0; i < count; i++)
        memcpy(image->pixels + (has_alpha ? 4 : 3) * i, colours[screen[i]], has_alpha ? 4 : 3);
    if (has_alpha) pf_image_flatten(image, image->pixels, image->pixels, count);
}

int pf_image_gif_decode(const uint8_t *bytes, size_t size, int least_side, PfImage *image,
                        PfError *err)
{
    (void)least_side;
    Reader reader = {bytes, size, 0};
    Frame frame;
    if (read_screen(&reader, &frame, err) || find_frame(&reader, &frame, err)) return -1;
    int64_t width = frame.screen_width, height = frame.screen_height;
    if (pf_image_check_size(&image->limits, width, height, err) ||
        pf_image_check_memory(&image->limits, 5 * width * height, size, err) ||
        pf_image_resize_rgba(image, width, height, err))
        return -1;
    uint8_t *screen = pf_calloc((size_t)(width * height), 1, err);
    if (!screen) return -1;
    if (frame.transparent != OPAQUE) memset(screen, frame.transparent, (size_t)(width * height));
    int failed = read_indices(&reader, &frame, screen, image, err);
    if (!failed) paint(&frame, screen, image);
    free(screen);
    return failed;
}
