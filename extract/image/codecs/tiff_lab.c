/* L*a*b* to sRGB through Little CMS, as PIL converts it: perceptual, eight bits. */
#include "extract/image/codecs/codec_library.h"
#include "extract/image/codecs/tiff_internal.h"

#ifndef PF_LCMS2_SONAME

int pf_image_tiff_lab_open(PfError *err)
{
    return pf_codec_left_out(PF_IMAGE_TIFF_LAB, "liblcms2-dev", err);
}

int pf_tiff_lab_open(void **lab, PfError *err)
{
    *lab = NULL;
    return pf_image_tiff_lab_open(err);
}

void pf_tiff_lab_rgb(void *lab, const uint8_t *samples, int step, int count, uint8_t *rgb)
{
    (void)lab, (void)samples, (void)step, (void)count, (void)rgb;
}

void pf_tiff_lab_close(void **lab)
{
    *lab = NULL;
}

#else
#include <lcms2.h>

#define FUNCTIONS(_)                                                                               \
    _(cmsCreateContext)                                                                            \
    _(cmsDeleteContext)                                                                            \
    _(cmsCreateLab2ProfileTHR)                                                                     \
    _(cmsCreate_sRGBProfileTHR)                                                                    \
    _(cmsCloseProfile)                                                                             \
    _(cmsCreateTransformTHR)                                                                       \
    _(cmsDeleteTransform)                                                                          \
    _(cmsGetTransformContextID)                                                                    \
    _(cmsDoTransform)
PF_CODEC_LIBRARY(lcms2, PF_IMAGE_TIFF_LAB, PF_LCMS2_SONAME, PF_LCMS2_PACKAGE, FUNCTIONS);

int pf_image_tiff_lab_open(PfError *err)
{
    return pf_codec_library_open(&lcms2_library, err);
}

/* Of eight bits each, a and b from 0 for -128 on. */
#define LAB_BYTES (COLORSPACE_SH(PT_LabV2) | CHANNELS_SH(3) | BYTES_SH(1))

int pf_tiff_lab_open(void **lab, PfError *err)
{
    *lab = NULL;
    if (pf_image_tiff_lab_open(err)) return -1;
    cmsContext context = lcms2.cmsCreateContext(NULL, NULL);
    cmsHPROFILE from = context ? lcms2.cmsCreateLab2ProfileTHR(context, NULL) : NULL;
    cmsHPROFILE to = context ? lcms2.cmsCreate_sRGBProfileTHR(context) : NULL;
    if (from && to)
        *lab = lcms2.cmsCreateTransformTHR(context, from, LAB_BYTES, to, TYPE_RGB_8,
                                           INTENT_PERCEPTUAL, 0);
    if (from) lcms2.cmsCloseProfile(from);
    if (to) lcms2.cmsCloseProfile(to);
    if (*lab) return 0;
    if (context) lcms2.cmsDeleteContext(context);
    return pf_fail(err, PF_EXIT_FAILED, "Little CMS: out of memory");
}

void pf_tiff_lab_rgb(void *lab, const uint8_t *samples, int step, int count, uint8_t *rgb)
{
    enum { MOST = 256 };
    uint8_t part[MOST * 3];
    for (int done = 0; done < count; done += MOST) {
        int pixels = count - done < MOST ? count - done : MOST;
        for (int x = 0; x < pixels; x++, samples += step) {
            part[3 * x] = samples[0];
            part[3 * x + 1] = samples[1] ^ 128; /* TIFF's are signed */
            part[3 * x + 2] = samples[2] ^ 128;
        }
        lcms2.cmsDoTransform(lab, part, rgb + 3 * (size_t)done, (cmsUInt32Number)pixels);
    }
}

void pf_tiff_lab_close(void **lab)
{
    if (!*lab) return;
    cmsContext context = lcms2.cmsGetTransformContextID(*lab);
    lcms2.cmsDeleteTransform(*lab);
    lcms2.cmsDeleteContext(context);
    *lab = NULL;
}

#endif
