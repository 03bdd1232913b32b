/* What decoders share, and the types of the functions that a format has. A format more is a file of
 * its own in extract/image/formats/, or in extract/image/codecs/ if a library reads it, a line in
 * the header there and a row in the table of extract/image/image.c. */
#ifndef PF_EXTRACT_IMAGE_PIXELS_DECODER_H
#define PF_EXTRACT_IMAGE_PIXELS_DECODER_H

#include <errno.h>

#include "extract/image/pixels/pixels.h"

/* Decodes a whole file that begins with the format's signature, and leaves the size as it likes on
 * failure. JPEG's alone can decode to less and heeds least_side; image->halvings is 0 before. */
typedef int PfImageDecoder(const uint8_t *bytes, size_t size, int least_side, PfImage *image,
                           PfError *err);

/* Whether a file, of which this may be the beginning only, is of a format that its signature alone
 * does not tell. */
typedef bool PfImageIsIt(const uint8_t *bytes, size_t size);

/* Opens the library that a format needs; fails where it is not there
 * (extract/image/codecs/codec_library.h). */
typedef int PfImageOpen(PfError *err);

/* One pixel: Y, Cb and Cr of 8 bits by JPEG's formula in PIL's fractions; cyan, magenta, yellow and
 * black, of which 255 is full ink. */
void pf_image_rgb_from_ycc(const uint8_t *ycc, uint8_t *rgb);
void pf_image_rgb_from_cmyk(const uint8_t *cmyk, uint8_t *rgb);

/* What a file, or its beginning, says of the picture's orientation; 0 where it says nothing. */
typedef int PfImageOrientation(const uint8_t *bytes, size_t size);

/* Fails with PF_EXIT_BAD_IMAGES: the file's fault. */
#define pf_image_bad(err, ...) pf_fail(err, PF_EXIT_BAD_IMAGES, __VA_ARGS__)

/* For libraries that tell lack of memory from a broken file in words, if at all: errno is set to 0
 * before they are called, and where they fail an allocation that the system refused has left ENOMEM
 * there. What a library itself refuses to ask for leaves it alone. */
static inline void pf_image_watch_memory(void)
{
    errno = 0;
}
static inline bool pf_image_lacked_memory(void)
{
    return errno == ENOMEM;
}
/* Fails with PF_EXIT_FAILED: nothing is known of the file. what: "a TIFF". */
#define pf_image_out_of_memory(err, what)                                                          \
    pf_fail(err, PF_EXIT_FAILED, "out of memory while decoding " what)

/* Sees that the size is neither empty nor too large. */
int pf_image_check_size(const PfImageLimits *limits, int64_t width, int64_t height, PfError *err);

/* Sees that decoding, which takes so many bytes of memory, is worth it for a file of that size. */
int pf_image_check_memory(const PfImageLimits *limits, int64_t needed_bytes, size_t file_bytes,
                          PfError *err);

static inline bool pf_image_is_interrupted(const PfImageLimits *limits)
{
    return limits->interrupted && *limits->interrupted;
}
/* Fails with PF_EXIT_INTERRUPTED. */
int pf_image_interrupted(PfError *err);

/* Checks the size, sets it, and allocates image->pixels unless they are large enough: for halved
 * sides where image->halvings is set. */
int pf_image_resize_buffer(PfImage *image, int64_t width, int64_t height, PfError *err);

/* The same with room for four bytes a pixel, which pf_image_flatten makes three of, in place. */
int pf_image_resize_rgba(PfImage *image, int64_t width, int64_t height, PfError *err);

/* Makes RGB of so many pixels of RGBA (alpha not premultiplied), which may lie at the same place:
 * alpha is dropped, or laid over the background that the caller asks for. Notes in the image
 * whether any pixel is less than opaque. Every decoder of a format with alpha, or with a
 * transparent colour, ends with it. */
void pf_image_flatten(PfImage *image, const uint8_t *rgba, uint8_t *rgb, size_t count);

#endif
