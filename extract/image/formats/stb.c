/* stb_image's PNG decoder, the only part of it that is compiled. */
#include <stdlib.h>
#include <string.h>

#include "extract/image/formats/formats.h"

#define STBI_ONLY_PNG
#define STBI_NO_STDIO
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
/* Reported where the file ends, so there is no narrower place for this. */
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb/stb_image.h>

/* stb_image gives no reason where the buffer to inflate into cannot be had. */
static int report(PfError *err)
{
    const char *reason = stbi_failure_reason();
    if (!reason || strcmp(reason, "outofmem") == 0) return pf_image_out_of_memory(err, "a PNG");
    return pf_image_bad(err, "broken PNG: %s", reason);
}

int pf_image_stb_decode(const uint8_t *png, size_t size, bool has_alpha, PfImage *image,
                        PfError *err)
{
    int width, height, channels, wanted = has_alpha ? 4 : 3;
    stbi__g_failure_reason = NULL; /* of the image before, in this thread */
    uint8_t *pixels = stbi_load_from_memory(png, (int)size, &width, &height, &channels, wanted);
    if (!pixels) return report(err);
    free(image->pixels); /* stb_image allocates with malloc, as we do */
    image->width = width;
    image->height = height;
    image->pixels = pixels;
    image->capacity = (size_t)width * (size_t)height * (size_t)wanted;
    if (has_alpha) pf_image_flatten(image, pixels, pixels, (size_t)width * (size_t)height);
    return 0;
}
