/* decode_images FILE...: decodes images, one after the other, and writes each as a JPEG into
 * memory, as pages have it. Exits with 0, or says why not and exits with the code of the first
 * failure: 3 where the file is at fault. */
#include <stdio.h>
#include <stdlib.h>

#include "extract/image/formats/thumbnail.h"
#include "extract/image/image.h"

static uint8_t file[1 << 22];

static int read_file(const char *path, size_t *size, PfError *err)
{
    FILE *stream = fopen(path, "rb");
    if (!stream) return pf_fail_errno(err, "'%s' cannot be opened", path);
    *size = fread(file, 1, sizeof file, stream);
    fclose(stream);
    return 0;
}

static int decode(const char *path, PfError *err)
{
    PfImage image = {0};
    size_t size = 0, jpeg_size = 0;
    uint8_t *jpeg = NULL;
    int failed =
        read_file(path, &size, err) || pf_image_decode(file, size, &image, err) ||
        pf_image_jpeg_encode(image.pixels, image.width, image.height, 92, &jpeg, &jpeg_size, err);
    free(jpeg);
    pf_image_free(&image);
    return failed ? -1 : 0;
}

int main(int argc, char **argv)
{
    PfError err = {0};
    for (int i = 1; i < argc; i++)
        if (decode(argv[i], &err)) {
            fprintf(stderr, "%s\n", err.message);
            return err.exit_code;
        }
    return 0;
}
