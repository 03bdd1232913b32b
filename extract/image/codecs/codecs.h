/* The formats that are read through libraries which are opened when they are first needed
 * (codec_library.h). */
#ifndef PF_EXTRACT_IMAGE_CODECS_CODECS_H
#define PF_EXTRACT_IMAGE_CODECS_CODECS_H

#include "extract/image/pixels/decoder.h"

/* How the reasons begin of TIFFs that are refused for the want of Little CMS. */
#define PF_IMAGE_TIFF_LAB "TIFF in L*a*b* colours"

PfImageDecoder pf_image_webp_decode, pf_image_avif_decode, pf_image_heif_decode;
PfImageDecoder pf_image_tiff_decode, pf_image_jpeg2000_decode;

PfImageOpen pf_image_webp_open, pf_image_avif_open, pf_image_heif_open;
PfImageOpen pf_image_tiff_open, pf_image_jpeg2000_open;
PfImageOpen pf_image_tiff_lab_open; /* what TIFFs in L*a*b* need beside libtiff */

PfImageIsIt pf_image_is_avif, pf_image_is_heif;

PfImageOrientation pf_image_avif_orientation;

#endif
