/* The formats that are read here, or by libraries that the programs link with (libjpeg-turbo, zlib,
 * stb_image). */
#ifndef PF_EXTRACT_IMAGE_FORMATS_FORMATS_H
#define PF_EXTRACT_IMAGE_FORMATS_FORMATS_H

#include "extract/image/pixels/decoder.h"

PfImageDecoder pf_image_jpeg_decode, pf_image_png_decode, pf_image_bmp_decode, pf_image_pnm_decode;
PfImageDecoder pf_image_gif_decode, pf_image_dib_decode, pf_image_ico_decode, pf_image_cur_decode;
PfImageDecoder pf_image_tga_decode, pf_image_psd_decode, pf_image_sgi_decode, pf_image_pcx_decode;
PfImageDecoder pf_image_dcx_decode, pf_image_qoi_decode, pf_image_sun_decode, pf_image_xbm_decode;
PfImageDecoder pf_image_xpm_decode, pf_image_dds_decode, pf_image_icns_decode;

PfImageIsIt pf_image_is_dib, pf_image_is_ico, pf_image_is_cur, pf_image_is_sgi, pf_image_is_pcx;
PfImageIsIt pf_image_is_xbm, pf_image_is_tga;

PfImageOrientation pf_image_jpeg_orientation, pf_image_png_orientation, pf_image_webp_orientation;

/* Decodes a PNG that pf_image_png_decode has checked and rewritten, at most 1 GB. has_alpha: it has
 * samples of alpha, or says which colours are transparent. */
int pf_image_stb_decode(const uint8_t *png, size_t size, bool has_alpha, PfImage *image,
                        PfError *err);

#endif
