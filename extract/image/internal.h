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
PfImageDecoder pf_image_dib_decode, pf_image_ico_decode, pf_image_cur_decode, pf_image_tga_decode;
PfImageDecoder pf_image_psd_decode, pf_image_sgi_decode, pf_image_pcx_decode, pf_image_dcx_decode;
PfImageDecoder pf_image_qoi_decode, pf_image_sun_decode, pf_image_xbm_decode, pf_image_xpm_decode;
PfImageDecoder pf_image_dds_decode, pf_image_icns_decode;

/* Whether a file, of which this may be the beginning only, is of a format that its signature alone
 * does not tell. */
typedef bool PfImageIsLikely(const uint8_t *bytes, size_t size);

PfImageIsLikely pf_image_is_likely_dib, pf_image_is_likely_ico, pf_image_is_likely_cur;
PfImageIsLikely pf_image_is_likely_sgi, pf_image_is_likely_pcx, pf_image_is_likely_xbm,
    pf_image_is_likely_tga;

/* Decodes a PNG that pf_image_png_decode has checked and rewritten, at most 1 GB. */
int pf_image_stb_decode(const uint8_t *png, size_t size, PfImage *image, PfError *err);

/* What a file, or its beginning, says of the picture's orientation; 0 where it says nothing. */
typedef int PfImageOrientation(const uint8_t *bytes, size_t size);

PfImageOrientation pf_image_jpeg_orientation, pf_image_png_orientation;

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

#endif
