/* stb_image's PNG decoder, the only part of it that is compiled. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "image_decoder.h"

/* stb_image grows its output for as long as the compressed data go on; a few
 * kilobytes can become gigabytes. */
static _Thread_local size_t allocation_limit;
static _Thread_local int limit_reached;

static void *reallocate(void *block, size_t size)
{
    if (size > allocation_limit) {
        limit_reached = 1;
        return NULL;
    }
    return realloc(block, size);
}

#define STBI_MALLOC(size) reallocate(NULL, size)
#define STBI_REALLOC(block, size) reallocate(block, size)
#define STBI_FREE(block) free(block)
#define STBI_ONLY_PNG
#define STBI_NO_STDIO
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
/* Reported where the file ends, so there is no narrower place for this. */
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb/stb_image.h>

static int report(PfError *err)
{
    if (limit_reached)
        return pf_image_bad(err, "broken PNG: its data unpack to more than its pixels");
    const char *reason = stbi_failure_reason();
    if (strcmp(reason, "outofmem") == 0)
        return pf_fail(err, PF_EXIT_FAILED, "out of memory while decoding a PNG");
    return pf_image_bad(err, "broken PNG: %s", reason);
}

int pf_image_stb_decode(const uint8_t *png, size_t size, size_t limit, PfImage *image, PfError *err)
{
    if (size > INT_MAX) return pf_image_bad(err, "too large: %zu bytes", size);
    allocation_limit = limit;
    limit_reached = 0;
    int width, height, channels;
    uint8_t *pixels = stbi_load_from_memory(png, (int)size, &width, &height, &channels, 3);
    if (!pixels) return report(err);
    free(image->pixels);
    *image = (PfImage){width, height, pixels, (size_t)width * (size_t)height * 3};
    return 0;
}
