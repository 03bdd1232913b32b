/* From a file's bytes to RGB pixels, equal to those of PIL's
 * Image.open(...).convert("RGB").
 *
 * JPEG through libjpeg-turbo, PNG through zlib and stb_image, WebP, TIFF, JPEG 2000, AVIF and HEIC
 * through libraries that are opened when they are first needed, the others here. The
 * format is told by the content, never by the file's name. EXIF rotation is read, and
 * applied by pf_image_turn alone, but for HEIC, which its library turns. One deliberate difference:
 * 16-bit grey is scaled to 8 bits, where PIL clips everything above 255 to white.
 *
 * Reduced decoding is PIL's Image.draft: libjpeg computes each 8 x 8 block at 4 x 4, 2 x 2 or one
 * pixel. Its fractions between these are left out, as in PIL: they have no SIMD code. */
#ifndef PF_EXTRACT_IMAGE_IMAGE_H
#define PF_EXTRACT_IMAGE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "extract/image/pixels/pixels.h"
#include "permafrost/error.h"

/* Decodes a whole file. With keep_truncated a file that ends within its pixels, or a JPEG before
 * its end marker, is taken with the pixels that Pillow has with ImageFile.LOAD_TRUNCATED_IMAGES:
 * JPEGs of one scan are grey where data are missing; BMP, TGA, PSD, PCX, SGI, SUN raster, XBM and
 * binary PNM, where Pillow takes them, black or of colour 0; GIF of its transparent colour, else
 * the first. Where no row can be decoded, which is black in Pillow, it is refused, and so are all
 * other formats.
 *
 * On failure the message is a reason without the path
 * ("truncated JPEG: ends after 120 of 375 rows"), the size is 0 x 0, the buffer
 * stays for the next image, and err->exit_code tells whose fault it is:
 * PF_EXIT_BAD_IMAGES the file's, PF_EXIT_FAILED ours (memory), PF_EXIT_INTERRUPTED nobody's. */
int pf_image_decode(const uint8_t *bytes, size_t size, PfImage *image, PfError *err);

/* The same, but the sides of a JPEG are halved as often as both remain least_side or more.
 * least_side 0: never. Other formats come as they are. */
int pf_image_decode_reduced(const uint8_t *bytes, size_t size, int least_side, PfImage *image,
                            PfError *err);

/* Bytes of a file's beginning that tell its format. */
#define PF_IMAGE_SIGNATURE_BYTES 128

/* What a file is that begins with these bytes: "JPEG", "HEIF"; NULL where they say nothing that is
 * known. *is_decoded: whether pf_image_decode reads that format. A few letters may be text as well:
 * what follows BM and P6 must fit, too. Targa has no signature, so that all its header must. */
const char *pf_image_format_name(const uint8_t *bytes, size_t size, bool *is_decoded);

/* The name of the format of a file that begins with these bytes, if the library that decodes it
 * cannot be opened (err: why, and what to install); else NULL. */
const char *pf_image_lacks_library(const uint8_t *bytes, size_t size, PfError *err);

/* Whether an image that was refused for this reason may be taken now: the limits are larger than
 * the usual ones, or its format is read by now and its library there. */
bool pf_image_may_be_taken_now(const char *reason, bool has_larger_limits);

/* Which way up the picture in a file is, 1 to 8: what PIL's ImageOps.exif_transpose goes by. 1,
 * upright, where nothing is said. bytes: the beginning of a file, or all of it.
 *
 *   JPEG  the first APP1 segment that begins with "Exif\0\0"
 *   PNG   the chunk eXIf, the last one before the pixels, else the last one behind them; without
 *         one the text "Raw profile type exif"; where neither says it, tiff:Orientation in the text
 *         "XML:com.adobe.xmp"
 *   WebP  the chunk EXIF; where it says nothing, tiff:Orientation in the chunk "XMP "
 *   AVIF  the primary image's turn and mirror (irot, imir); EXIF does not count, as it says there
 *
 * Whatever is cut off, contradicts itself or has no meaning says nothing, as in PIL. */
int pf_image_orientation(const uint8_t *bytes, size_t size);

#endif
