/* Libraries of rarer formats: opened when the first such file is met, so that the programs start
 * and run where they are not installed. A format's file lists the functions that it calls,
 *
 *     #include <webp/decode.h>
 *     #define FUNCTIONS(_) _(WebPGetInfo) _(WebPDecodeRGB)
 *     PF_CODEC_LIBRARY(webp, "WebP", PF_WEBP_SONAME, PF_WEBP_PACKAGE, FUNCTIONS);
 *
 * and calls them as webp.WebPGetInfo(...) once pf_codec_library_open(&webp_library, err) has
 * succeeded. The types are those of the library's header, and the name of the file that is opened
 * is that of the library beside that header: so the compiler checks every call. Where CMake has not
 * found the header PF_WEBP_SONAME is not defined, and PF_CODEC_LEFT_OUT takes the decoder's place.
 */
#ifndef PF_EXTRACT_IMAGE_CODECS_CODEC_LIBRARY_H
#define PF_EXTRACT_IMAGE_CODECS_CODEC_LIBRARY_H

#include "extract/image/codecs/codecs.h"

typedef struct PfCodecLibrary {
    const char *format;       /* "WebP" */
    const char *file;         /* its SONAME, "libwebp.so.7" */
    const char *package;      /* Debian's name for it, "libwebp7" */
    const char *const *names; /* of the functions; NULL ends them */
    void *functions;          /* a struct of as many pointers, in that order */
    enum { PF_CODEC_UNTRIED, PF_CODEC_THERE, PF_CODEC_MISSING } state;
    char reason[200]; /* while missing */
} PfCodecLibrary;

#define PF_CODEC_POINTER(name) __typeof__(name) *name;
#define PF_CODEC_NAME(name) #name,
#define PF_CODEC_LIBRARY(variable, format, file, package, FUNCTIONS)                               \
    static struct {                                                                                \
        FUNCTIONS(PF_CODEC_POINTER)                                                                \
    } variable;                                                                                    \
    static const char *const variable##_names[] = {FUNCTIONS(PF_CODEC_NAME) NULL};                 \
    static PfCodecLibrary variable##_library = {                                                   \
        format, file, package, variable##_names, &variable, PF_CODEC_UNTRIED, ""}

/* Opens the library and finds its functions, the first time; from then on says the same again. Any
 * thread may call it. The library stays open. Fails with PF_EXIT_BAD_IMAGES, since only such images
 * suffer: "WebP needs libwebp.so.7, which is not installed. Hint: apt install libwebp7" */
int pf_codec_library_open(PfCodecLibrary *library, PfError *err);

/* Fails: this build is without the format. package: what would have to be there. */
int pf_codec_left_out(const char *format, const char *package, PfError *err);

/* The functions that the table in extract/image/image.c expects of a format, pf_image_NAME_open and
 * _decode. */
#define PF_CODEC_LEFT_OUT(name, format, package)                                                   \
    int pf_image_##name##_open(PfError *err)                                                       \
    {                                                                                              \
        return pf_codec_left_out(format, package, err);                                            \
    }                                                                                              \
    int pf_image_##name##_decode(const uint8_t *bytes, size_t size, int least_side,                \
                                 PfImage *image, PfError *err)                                     \
    {                                                                                              \
        (void)bytes, (void)size, (void)least_side, (void)image;                                    \
        return pf_codec_left_out(format, package, err);                                            \
    }

#endif
