/* An image in memory: RGB pixels with what its file says of them, and the limits that a caller
 * sets. */
#ifndef PF_EXTRACT_IMAGE_PIXELS_PIXELS_H
#define PF_EXTRACT_IMAGE_PIXELS_PIXELS_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "permafrost/error.h"

/* Larger images are refused before anything is allocated for them, unless limits say otherwise. */
#ifndef PF_IMAGE_MAX_PIXELS
#define PF_IMAGE_MAX_PIXELS ((int64_t)1 << 28)
#endif
/* What --max-pixels takes at most. */
#define PF_IMAGE_MOST_PIXELS ((int64_t)1 << 30)
/* What decoding may take whatever the size of the file, and how many times the file's own size
 * where that is more. A photograph is nowhere near; a file of a few KB that claims 200 megapixels
 * is. */
#define PF_IMAGE_FREE_BYTES ((int64_t)160 << 20)
#define PF_IMAGE_MAX_EXPANSION 256
/* How the reasons begin that larger limits would do away with. */
#define PF_IMAGE_TOO_LARGE "too large"

typedef struct PfImageLimits {
    int64_t max_pixels; /* of an image, up to PF_IMAGE_MOST_PIXELS, however small its file is; 0:
                           PF_IMAGE_MAX_PIXELS, and memory in proportion to the file, as above */
    const volatile sig_atomic_t *interrupted; /* nonzero ends decoding with PF_EXIT_INTERRUPTED; may
                                                 be NULL */
} PfImageLimits;

/* Starts as {0}, or with limits. One PfImage decodes any number of images, one after the other,
 * and keeps its buffer between them. */
typedef struct PfImage {
    int width, height; /* of the image in the file, however it was decoded; turned, once it is */
    uint8_t *pixels;   /* (rows, columns, 3) RGB, owned; unless reduced (height, width, 3) */
    size_t capacity;   /* bytes allocated at pixels */
    int halvings;      /* so many times the sides were halved, 0 to 3, and rounded up */
    int orientation;   /* what the file says, 1 to 8 (see pf_image_orientation in
                          extract/image/image.h); 0 and 1: upright */
    int left, top;     /* so many pixels of the file's are in front of the image: rounding up adds
                          them at its ends, which turning brings to its beginnings */
    uint8_t *spare;    /* what images are turned into, exchanged for pixels then; owned */
    size_t spare_capacity;
    PfImageLimits limits;  /* the caller's */
    bool keep_truncated;   /* the caller's: a file that ends early is taken as far as it goes */
    bool is_truncated;     /* that this one did */
    bool has_background;   /* the caller's: transparency is laid over background; else dropped */
    uint8_t background[3]; /* RGB */
    bool is_transparent;   /* this one has pixels that are less than opaque */
} PfImage;

static inline int pf_image_columns(const PfImage *image)
{
    return (image->width + (1 << image->halvings) - 1) >> image->halvings;
}

static inline int pf_image_rows(const PfImage *image)
{
    return (image->height + (1 << image->halvings) - 1) >> image->halvings;
}

/* Turns the image as its orientation says, once: PIL's ImageOps.exif_transpose. Takes as much
 * memory again where width and height change places. */
int pf_image_turn(PfImage *image, PfError *err);

/* Frees the buffers; the image is {0} again. */
void pf_image_free(PfImage *image);

#endif
