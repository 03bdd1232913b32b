/* By the specifications of the formats: EXT_texture_compression_s3tc and _rgtc, and
 * ARB_texture_compression_bptc, of the OpenGL registry. */
#include "extract/image/formats/texture.h"

#include <math.h>
#include <string.h>

#include "extract/image/formats/bytes.h"

enum { PIXELS = 16 };

size_t pf_texture_block_size(PfTextureKind kind)
{
    return kind == PF_TEXTURE_BC1 || kind == PF_TEXTURE_BC4 ? 8 : 16;
}

/* ==== BC1 to BC5 ==== */

/* 5, 6 and 5 bits, opaque. */
static void put_565(uint32_t color, uint8_t rgb[4])
{
    uint32_t red = color >> 11, green = color >> 5 & 63, blue = color & 31;
    rgb[0] = (uint8_t)(red << 3 | red >> 2);
    rgb[1] = (uint8_t)(green << 2 | green >> 4);
    rgb[2] = (uint8_t)(blue << 3 | blue >> 2);
    rgb[3] = 255;
}

/* Two colours, two between them, and two bits for each pixel that choose one. BC1 says by the order
 * of the two that there is but one between them, and transparent black. */
static void decode_colors(const uint8_t *block, bool may_have_black, PfTextureBlock out)
{
    uint8_t colors[4][4] = {{0}};
    uint32_t first = pf_get_le16(block), second = pf_get_le16(block + 2);
    bool is_three = may_have_black && first <= second;
    put_565(first, colors[0]);
    put_565(second, colors[1]);
    for (int c = 0; c < 3; c++) {
        int a = colors[0][c], b = colors[1][c];
        colors[2][c] = (uint8_t)(is_three ? (a + b) / 2 : (2 * a + b) / 3);
        colors[3][c] = (uint8_t)(is_three ? 0 : (a + 2 * b) / 3);
    }
    colors[2][3] = 255;
    colors[3][3] = is_three ? 0 : 255;
    uint32_t choices = pf_get_le32(block + 4);
    for (int i = 0; i < PIXELS; i++) memcpy(out[i], colors[choices >> 2 * i & 3], 4);
}

/* Two values, six between them, or four and the extremes, and three bits for each pixel. */
static void decode_values(const uint8_t *block, bool is_signed, uint8_t out[PIXELS])
{
    uint8_t values[8];
    int a = is_signed ? (uint8_t)(block[0] + 128) : block[0];
    int b = is_signed ? (uint8_t)(block[1] + 128) : block[1];
    int steps = a > b ? 7 : 5;
    values[0] = (uint8_t)a;
    values[1] = (uint8_t)b;
    for (int i = 1; i < steps; i++) values[i + 1] = (uint8_t)(((steps - i) * a + i * b) / steps);
    if (steps == 5) {
        values[6] = 0;
        values[7] = 255;
    }
    uint64_t choices = pf_get_le16(block + 2) | (uint64_t)pf_get_le32(block + 4) << 16;
    for (int i = 0; i < PIXELS; i++) out[i] = values[choices >> 3 * i & 7];
}

/* BC2: four bits of alpha for each pixel, then its colours. */
static void decode_bc2(const uint8_t *block, PfTextureBlock out)
{
    decode_colors(block + 8, false, out);
    for (int i = 0; i < PIXELS; i++) out[i][3] = (uint8_t)((block[i / 2] >> i % 2 * 4 & 15) * 17);
}

/* BC3: alpha as the values of one channel are stored, then the colours. */
static void decode_bc3(const uint8_t *block, PfTextureBlock out)
{
    uint8_t alpha[PIXELS];
    decode_values(block, false, alpha);
    decode_colors(block + 8, false, out);
    for (int i = 0; i < PIXELS; i++) out[i][3] = alpha[i];
}

static void decode_grey(const uint8_t *block, PfTextureBlock out)
{
    uint8_t values[PIXELS];
    decode_values(block, false, values);
    for (int i = 0; i < PIXELS; i++) {
        memset(out[i], values[i], 3);
        out[i][3] = 255;
    }
}

static void decode_red_and_green(const uint8_t *block, bool is_signed, PfTextureBlock out)
{
    uint8_t red[PIXELS], green[PIXELS];
    decode_values(block, is_signed, red);
    decode_values(block + 8, is_signed, green);
    for (int i = 0; i < PIXELS; i++) {
        out[i][0] = red[i];
        out[i][1] = green[i];
        out[i][2] = is_signed ? 128 : 0;
        out[i][3] = 255;
    }
}

/* ==== what BC6 and BC7 share: bits, partitions and weights ==== */

/* The bits of a block, from the lowest on. */
typedef struct Bits {
    const uint8_t *block;
    int position;
} Bits;

static int take_bits(Bits *bits, int count)
{
    int value = 0;
    for (int i = 0; i < count; i++, bits->position++)
        value |= (bits->block[bits->position / 8] >> bits->position % 8 & 1) << i;
    return value;
}

/* Which of two subsets each pixel is in: a bit for each, from the lowest. */
static const uint16_t two_subsets[64] = {
    0xcccc, 0x8888, 0xeeee, 0xecc8, 0xc880, 0xfeec, 0xfec8, 0xec80, 0xc800, 0xffec, 0xfe80,
    0xe800, 0xffe8, 0xff00, 0xfff0, 0xf000, 0xf710, 0x008e, 0x7100, 0x08ce, 0x008c, 0x7310,
    0x3100, 0x8cce, 0x088c, 0x3110, 0x6666, 0x366c, 0x17e8, 0x0ff0, 0x718e, 0x399c, 0xaaaa,
    0xf0f0, 0x5a5a, 0x33cc, 0x3c3c, 0x55aa, 0x9696, 0xa55a, 0x73ce, 0x13c8, 0x324c, 0x3bdc,
    0x6996, 0xc33c, 0x9966, 0x0660, 0x0272, 0x04e4, 0x4e40, 0x2720, 0xc936, 0x936c, 0x39c6,
    0x639c, 0x9336, 0x9cc6, 0x817e, 0xe718, 0xccf0, 0x0fcc, 0x7744, 0xee22};

/* Which of three: two bits for each. */
static const uint32_t three_subsets[64] = {
    0xaa685050, 0x6a5a5040, 0x5a5a4200, 0x5450a0a8, 0xa5a50000, 0xa0a05050, 0x5555a0a0, 0x5a5a5050,
    0xaa550000, 0xaa555500, 0xaaaa5500, 0x90909090, 0x94949494, 0xa4a4a4a4, 0xa9a59450, 0x2a0a4250,
    0xa5945040, 0x0a425054, 0xa5a5a500, 0x55a0a0a0, 0xa8a85454, 0x6a6a4040, 0xa4a45000, 0x1a1a0500,
    0x0050a4a4, 0xaaa59090, 0x14696914, 0x69691400, 0xa08585a0, 0xaa821414, 0x50a4a450, 0x6a5a0200,
    0xa9a58000, 0x5090a0a8, 0xa8a09050, 0x24242424, 0x00aa5500, 0x24924924, 0x24499224, 0x50a50a50,
    0x500aa550, 0xaaaa4444, 0x66660000, 0xa5a0a5a0, 0x50a050a0, 0x69286928, 0x44aaaa44, 0x66666600,
    0xaa444444, 0x54a854a8, 0x95809580, 0x96969600, 0xa85454a8, 0x80959580, 0xaa141414, 0x96960000,
    0xaaaa1414, 0xa05050a0, 0xa0a5a5a0, 0x96000000, 0x40804080, 0xa9a8a9a8, 0xaaaaaa44, 0x2a4a5254};

/* The pixel of the second of two subsets, and of the second and third of three, whose choice has a
 * bit less: hexadecimal, by partition. In the first subset it is pixel 0. */
static const char *const anchor_of_two =
    "fffffffffffffffff282288f28228822ff6828ff28222ff66268ff22fffff22f";
static const char *const anchors_of_three[2] = {
    "33ff83ff88666533338f336a588685ff8f356a8ff3f5ffff3f55585a5a8dfc33",
    "f883ff38fffffff8f8f3f8f83f6affa8f3faa89a6f8f3668f3ffffffffff3ff8",
};

static int subset_of(int subsets, int partition, int pixel)
{
    if (subsets == 2) return two_subsets[partition] >> pixel & 1;
    if (subsets == 3) return (int)(three_subsets[partition] >> 2 * pixel & 3);
    return 0;
}

static bool is_at(const char *anchors, int partition, int pixel)
{
    return anchors[partition] == "0123456789abcdef"[pixel];
}

static bool is_anchor(int subsets, int partition, int pixel)
{
    if (pixel == 0) return true;
    if (subsets == 2) return is_at(anchor_of_two, partition, pixel);
    return subsets == 3 && (is_at(anchors_of_three[0], partition, pixel) ||
                            is_at(anchors_of_three[1], partition, pixel));
}

/* Of the second end, in parts of 64, for a choice of so many bits. */
static int weight_of(int choice, int bits)
{
    static const int8_t two[4] = {0, 21, 43, 64}, three[8] = {0, 9, 18, 27, 37, 46, 55, 64};
    static const int8_t four[16] = {0, 4, 9, 13, 17, 21, 26, 30, 34, 38, 43, 47, 51, 55, 60, 64};
    return bits == 2 ? two[choice] : bits == 3 ? three[choice] : four[choice];
}

/* ==== BC7 ==== */

typedef struct Bc7Mode {
    int subsets, partition_bits, rotation_bits, selection_bits, color_bits, alpha_bits;
    bool has_own_last_bit, has_shared_last_bit; /* of each end, of both ends of a subset */
    int choice_bits, alpha_choice_bits;
} Bc7Mode;

static const Bc7Mode bc7_modes[8] = {
    {3, 4, 0, 0, 4, 0, true, false, 3, 0},  {2, 6, 0, 0, 6, 0, false, true, 3, 0},
    {3, 6, 0, 0, 5, 0, false, false, 2, 0}, {2, 6, 0, 0, 7, 0, true, false, 2, 0},
    {1, 0, 2, 1, 5, 6, false, false, 2, 3}, {1, 0, 2, 0, 7, 8, false, false, 2, 2},
    {1, 0, 0, 0, 7, 7, true, false, 4, 0},  {2, 6, 0, 0, 5, 5, true, false, 2, 0},
};

/* RGBA of both ends of each subset. */
typedef int Bc7Ends[6][4];

/* So many bits become eight, the highest filling those that are missing. */
static int widen(int value, int bits)
{
    value <<= 8 - bits;
    return value | value >> bits;
}

static void take_ends(Bits *bits, const Bc7Mode *mode, Bc7Ends ends)
{
    int count = 2 * mode->subsets, depth[4];
    bool has_last = mode->has_own_last_bit || mode->has_shared_last_bit;
    for (int c = 0; c < 4; c++) {
        depth[c] = c < 3 ? mode->color_bits : mode->alpha_bits;
        for (int i = 0; i < count; i++) ends[i][c] = depth[c] ? take_bits(bits, depth[c]) : 255;
    }
    for (int i = 0; i < count && has_last; i++) {
        if (mode->has_shared_last_bit && i % 2) continue;
        int last = take_bits(bits, 1);
        for (int e = i; e <= i + mode->has_shared_last_bit; e++)
            for (int c = 0; c < 4; c++)
                if (depth[c]) ends[e][c] = ends[e][c] << 1 | last;
    }
    for (int i = 0; i < count; i++)
        for (int c = 0; c < 4; c++)
            if (depth[c]) ends[i][c] = widen(ends[i][c], depth[c] + has_last);
}

static int between(int first, int second, int weight)
{
    return ((64 - weight) * first + weight * second + 32) >> 6;
}

/* The weights of colour and of alpha of each pixel. */
static void take_weights(Bits *bits, const Bc7Mode *mode, int partition, bool is_exchanged,
                         int weights[PIXELS][2])
{
    for (int i = 0; i < PIXELS; i++) {
        int less = is_anchor(mode->subsets, partition, i);
        weights[i][0] = weight_of(take_bits(bits, mode->choice_bits - less), mode->choice_bits);
        weights[i][1] = weights[i][0];
    }
    for (int i = 0; i < PIXELS && mode->alpha_choice_bits; i++)
        weights[i][1] =
            weight_of(take_bits(bits, mode->alpha_choice_bits - (i == 0)), mode->alpha_choice_bits);
    for (int i = 0; i < PIXELS && is_exchanged; i++) {
        int color = weights[i][0];
        weights[i][0] = weights[i][1];
        weights[i][1] = color;
    }
}

/* A rotation exchanges a colour with alpha. A block without a mode is transparent black. */
static void decode_bc7(const uint8_t *block, PfTextureBlock out)
{
    Bits bits = {block, 0};
    int number = 0, weights[PIXELS][2];
    Bc7Ends ends;
    memset(out, 0, sizeof(PfTextureBlock));
    while (number < 8 && !take_bits(&bits, 1)) number++;
    if (number == 8) return;
    const Bc7Mode *mode = &bc7_modes[number];
    int partition = take_bits(&bits, mode->partition_bits);
    int rotation = take_bits(&bits, mode->rotation_bits);
    bool is_exchanged = take_bits(&bits, mode->selection_bits);
    take_ends(&bits, mode, ends);
    take_weights(&bits, mode, partition, is_exchanged, weights);
    for (int i = 0; i < PIXELS; i++) {
        int subset = subset_of(mode->subsets, partition, i);
        const int *first = ends[2 * subset], *second = ends[2 * subset + 1];
        for (int c = 0; c < 4; c++) {
            int from = rotation && c == rotation - 1 ? 3 : rotation && c == 3 ? rotation - 1 : c;
            out[i][c] = (uint8_t)between(first[from], second[from], weights[i][from == 3]);
        }
    }
}

/* ==== BC6 ==== */

typedef struct Bc6Mode {
    int subsets;
    bool has_differences; /* all ends but the first are stored as differences from it */
    int bits, red_bits, green_bits, blue_bits; /* of the first end; of the others */
    const char *layout; /* channel and end (w, x, y, z), bit or bits, in their order in the block */
} Bc6Mode;

static const Bc6Mode bc6_modes[14] = {
    {2, true, 10, 5, 5, 5,
     "gy4 by4 bz4 rw0:9 gw0:9 bw0:9 rx0:4 gz4 gy0:3 gx0:4 bz0 gz0:3 bx0:4 bz1 by0:3 ry0:4 bz2 "
     "rz0:4 bz3"},
    {2, true, 7, 6, 6, 6,
     "gy5 gz4:5 rw0:6 bz0:1 by4 gw0:6 by5 bz2 gy4 bw0:6 bz3 bz5:4 rx0:5 gy0:3 gx0:5 gz0:3 bx0:5 "
     "by0:3 ry0:5 rz0:5"},
    {2, true, 11, 5, 4, 4,
     "rw0:9 gw0:9 bw0:9 rx0:4 rw10 gy0:3 gx0:3 gw10 bz0 gz0:3 bx0:3 bw10 bz1 by0:3 ry0:4 bz2 rz0:4 "
     "bz3"},
    {2, true, 11, 4, 5, 4,
     "rw0:9 gw0:9 bw0:9 rx0:3 rw10 gz4 gy0:3 gx0:4 gw10 gz0:3 bx0:3 bw10 bz1 by0:3 ry0:3 bz0 bz2 "
     "rz0:3 gy4 bz3"},
    {2, true, 11, 4, 4, 5,
     "rw0:9 gw0:9 bw0:9 rx0:3 rw10 by4 gy0:3 gx0:3 gw10 bz0 gz0:3 bx0:4 bw10 by0:3 ry0:3 bz1:2 "
     "rz0:3 bz4:3"},
    {2, true, 9, 5, 5, 5,
     "rw0:8 by4 gw0:8 gy4 bw0:8 bz4 rx0:4 gz4 gy0:3 gx0:4 bz0 gz0:3 bx0:4 bz1 by0:3 ry0:4 bz2 "
     "rz0:4 bz3"},
    {2, true, 8, 6, 5, 5,
     "rw0:7 gz4 by4 gw0:7 bz2 gy4 bw0:7 bz3:4 rx0:5 gy0:3 gx0:4 bz0 gz0:3 bx0:4 bz1 by0:3 ry0:5 "
     "rz0:5"},
    {2, true, 8, 5, 6, 5,
     "rw0:7 bz0 by4 gw0:7 gy5:4 bw0:7 gz5 bz4 rx0:4 gz4 gy0:3 gx0:5 gz0:3 bx0:4 bz1 by0:3 ry0:4 "
     "bz2 rz0:4 bz3"},
    {2, true, 8, 5, 5, 6,
     "rw0:7 bz1 by4 gw0:7 by5 gy4 bw0:7 bz5:4 rx0:4 gz4 gy0:3 gx0:4 bz0 gz0:3 bx0:5 by0:3 ry0:4 "
     "bz2 rz0:4 bz3"},
    {2, false, 6, 6, 6, 6,
     "rw0:5 gz4 bz0:1 by4 gw0:5 gy5 by5 bz2 gy4 bw0:5 gz5 bz3 bz5:4 rx0:5 gy0:3 gx0:5 gz0:3 bx0:5 "
     "by0:3 ry0:5 rz0:5"},
    {1, false, 10, 10, 10, 10, "rw0:9 gw0:9 bw0:9 rx0:9 gx0:9 bx0:9"},
    {1, true, 11, 9, 9, 9, "rw0:9 gw0:9 bw0:9 rx0:8 rw10 gx0:8 gw10 bx0:8 bw10"},
    {1, true, 12, 8, 8, 8, "rw0:9 gw0:9 bw0:9 rx0:7 rw11:10 gx0:7 gw11:10 bx0:7 bw11:10"},
    {1, true, 16, 4, 4, 4, "rw0:9 gw0:9 bw0:9 rx0:3 rw15:10 gx0:3 gw15:10 bx0:3 bw15:10"},
};

/* Red, green and blue of the first and second end of the first and second subset. */
typedef int Bc6Ends[4][3];

static void take_layout(Bits *bits, const char *layout, Bc6Ends ends)
{
    while (*layout) {
        int channel = *layout == 'r' ? 0 : *layout == 'g' ? 1 : 2, end = layout[1] - 'w';
        int bit = 0, last;
        for (layout += 2; *layout >= '0' && *layout <= '9'; layout++)
            bit = 10 * bit + *layout - '0';
        last = bit;
        if (*layout == ':')
            for (last = 0, layout++; *layout >= '0' && *layout <= '9'; layout++)
                last = 10 * last + *layout - '0';
        for (int step = last < bit ? -1 : 1;; bit += step) {
            ends[end][channel] |= take_bits(bits, 1) << bit;
            if (bit == last) break;
        }
        if (*layout == ' ') layout++;
    }
}

static int extend_sign(int value, int bits)
{
    return value >> (bits - 1) & 1 ? value - (1 << bits) : value;
}

/* The ends as whole numbers of that many bits. */
static void resolve_ends(const Bc6Mode *mode, bool is_signed, Bc6Ends ends)
{
    const int others[3] = {mode->red_bits, mode->green_bits, mode->blue_bits};
    for (int c = 0; c < 3; c++) {
        if (is_signed) ends[0][c] = extend_sign(ends[0][c], mode->bits);
        for (int e = 1; e < 2 * mode->subsets; e++) {
            if (is_signed || mode->has_differences) ends[e][c] = extend_sign(ends[e][c], others[c]);
            if (!mode->has_differences) continue;
            ends[e][c] = (ends[e][c] + ends[0][c]) & ((1 << mode->bits) - 1);
        }
    }
}

/* To 16 bits, or 15 and a sign. */
static int widen_half(int value, int bits, bool is_signed)
{
    int size = value < 0 ? -value : value;
    if (bits >= (is_signed ? 16 : 15) || value == 0) return value;
    if (!is_signed)
        return value == (1 << bits) - 1 ? 0xffff : ((value << 15) + 0x4000) >> (bits - 1);
    int wide = size >= (1 << (bits - 1)) - 1 ? 0x7fff : ((size << 15) + 0x4000) >> (bits - 1);
    return value < 0 ? -wide : wide;
}

/* The number of 16 bits of which this is the form, clipped to 0 .. 1 and in 255ths. */
static uint8_t finish(int value, bool is_signed)
{
    if (value <= 0) return 0;
    int half = is_signed ? value * 31 / 32 : value * 31 / 64, exponent = half >> 10;
    float fraction = (float)(exponent ? (half & 1023) + 1024 : half & 1023);
    float number = ldexpf(fraction, (exponent ? exponent : 1) - 25);
    return number > 1.0F ? 255 : (uint8_t)(number * 255.0F);
}

/* Two bits say which of the first two modes it is, or how five of them are to be read. -1: none. */
static int take_bc6_mode(Bits *bits)
{
    int low = take_bits(bits, 2);
    if (low < 2) return low;
    int mode = (low == 2 ? 2 : 10) + take_bits(bits, 3);
    return mode < 14 ? mode : -1;
}

/* A block of an unknown mode is black. */
static void decode_bc6(const uint8_t *block, bool is_signed, PfTextureBlock out)
{
    Bits bits = {block, 0};
    Bc6Ends ends = {{0}};
    int number = take_bc6_mode(&bits);
    memset(out, 0, sizeof(PfTextureBlock));
    for (int i = 0; i < PIXELS; i++) out[i][3] = 255;
    if (number < 0) return;
    const Bc6Mode *mode = &bc6_modes[number];
    take_layout(&bits, mode->layout, ends);
    int partition = mode->subsets == 2 ? take_bits(&bits, 5) : 0;
    int choice_bits = mode->subsets == 2 ? 3 : 4;
    resolve_ends(mode, is_signed, ends);
    for (int e = 0; e < 2 * mode->subsets; e++)
        for (int c = 0; c < 3; c++) ends[e][c] = widen_half(ends[e][c], mode->bits, is_signed);
    for (int i = 0; i < PIXELS; i++) {
        int subset = subset_of(mode->subsets, partition, i);
        int less = is_anchor(mode->subsets, partition, i);
        int weight = weight_of(take_bits(&bits, choice_bits - less), choice_bits);
        const int *first = ends[2 * subset], *second = ends[2 * subset + 1];
        for (int c = 0; c < 3; c++)
            out[i][c] = finish((first[c] * (64 - weight) + second[c] * weight) >> 6, is_signed);
    }
}

void pf_texture_decode(PfTextureKind kind, const uint8_t *block, PfTextureBlock out)
{
    switch (kind) {
    case PF_TEXTURE_BC1: decode_colors(block, true, out); return;
    case PF_TEXTURE_BC2: decode_bc2(block, out); return;
    case PF_TEXTURE_BC3: decode_bc3(block, out); return;
    case PF_TEXTURE_BC4: decode_grey(block, out); return;
    case PF_TEXTURE_BC5: decode_red_and_green(block, false, out); return;
    case PF_TEXTURE_BC5_SIGNED: decode_red_and_green(block, true, out); return;
    case PF_TEXTURE_BC6: decode_bc6(block, false, out); return;
    case PF_TEXTURE_BC6_SIGNED: decode_bc6(block, true, out); return;
    case PF_TEXTURE_BC7: decode_bc7(block, out); return;
    }
}
