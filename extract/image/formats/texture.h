/* Blocks of 4 x 4 pixels, as graphics hardware stores textures: BC1 (DXT1) to BC7. */
#ifndef PF_EXTRACT_IMAGE_FORMATS_TEXTURE_H
#define PF_EXTRACT_IMAGE_FORMATS_TEXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* RGBA of the 16 pixels, row by row. Kinds without alpha are opaque. */
typedef uint8_t PfTextureBlock[16][4];

/* How blocks are stored. Of those with one or two channels, one is grey, and two are red and green
 * beside a blue of 0, or, where they are signed, 128. */
typedef enum PfTextureKind {
    PF_TEXTURE_BC1,
    PF_TEXTURE_BC2,
    PF_TEXTURE_BC3,
    PF_TEXTURE_BC4,
    PF_TEXTURE_BC5,
    PF_TEXTURE_BC5_SIGNED,
    PF_TEXTURE_BC6,
    PF_TEXTURE_BC6_SIGNED,
    PF_TEXTURE_BC7,
} PfTextureKind;

/* Bytes of a block: 8 or 16. */
size_t pf_texture_block_size(PfTextureKind kind);

/* Any bytes are a block. Floating-point colours (BC6) are clipped to 0 .. 1. */
void pf_texture_decode(PfTextureKind kind, const uint8_t *block, PfTextureBlock out);

#endif
