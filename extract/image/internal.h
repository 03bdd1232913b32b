/* What the decoders behind image.h share, and the functions that a format has. A format more is a
 * file of its own, a line here and a row in the table of image.c. */
#ifndef PF_EXTRACT_IMAGE_INTERNAL_H
#define PF_EXTRACT_IMAGE_INTERNAL_H

#include "extract/image/image.h"

/* Decodes a whole file that begins with the format's signature, and leaves the size as it likes on
 * failure. JPEG's alone can decode to less and heeds least_side; image->halvings is 0 before. */
typedef int PfImageDecoder(const uint8_t *bytes, size_t size, int least_side, PfImage *image,
                           PfError *err);

PfImageDecoder pf_image_jpeg_decode, pf_image_png_decode, pf_image_bmp_decode, pf_image_pnm_decode;
PfImageDecoder pf_image_webp_decode, pf_image_gif_decode, pf_image_avif_decode,
    pf_image_heif_decode;
PfImageDecoder pf_image_tiff_decode, pf_image_jpeg2000_decode;
PfImageDecoder pf_image_dib_decode, pf_image_ico_decode, pf_image_cur_decode, pf_image_tga_decode;
PfImageDecoder pf_image_psd_decode, pf_image_sgi_decode, pf_image_pcx_decode, pf_image_dcx_decode;
PfImageDecoder pf_image_qoi_decode, pf_image_sun_decode, pf_image_xbm_decode, pf_image_xpm_decode;
PfImageDecoder pf_image_dds_decode, pf_image_icns_decode;

/* Whether a file, of which this may be the beginning only, is of a format that its signature alone
 * does not tell. */
typedef bool PfImageIsIt(const uint8_t *bytes, size_t size);

PfImageIsIt pf_image_is_avif, pf_image_is_heif, pf_image_is_dib, pf_image_is_ico, pf_image_is_cur;
PfImageIsIt pf_image_is_sgi, pf_image_is_pcx, pf_image_is_xbm, pf_image_is_tga;

/* Opens the library that a format needs; fails where it is not there (codec_library.h). */
typedef int PfImageOpen(PfError *err);

PfImageOpen pf_image_tiff_open, pf_image_jpeg2000_open;
PfImageOpen pf_image_webp_open, pf_image_avif_open, pf_image_heif_open;

/* Decodes a PNG that pf_image_png_decode has checked and rewritten, at most 1 GB. has_alpha: it has
 * samples of alpha, or says which colours are transparent. */
int pf_image_stb_decode(const uint8_t *png, size_t size, bool has_alpha, PfImage *image,
                        PfError *err);

/* One pixel: Y, Cb and Cr of 8 bits by JPEG's formula in PIL's fractions; cyan, magenta, yellow and
 * black, of which 255 is full ink. */
void pf_image_rgb_from_ycc(const uint8_t *ycc, uint8_t *rgb);
void pf_image_rgb_from_cmyk(const uint8_t *cmyk, uint8_t *rgb);

/* What a file, or its beginning, says of the picture's orientation; 0 where it says nothing. */
typedef int PfImageOrientation(const uint8_t *bytes, size_t size);

PfImageOrientation pf_image_jpeg_orientation, pf_image_png_orientation, pf_image_webp_orientation,
    pf_image_avif_orientation;

/* Fails with PF_EXIT_BAD_IMAGES: the file's fault. */
#define pf_image_bad(err, ...) pf_fail(err, PF_EXIT_BAD_IMAGES, __VA_ARGS__)

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
