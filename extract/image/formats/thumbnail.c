#include "extract/image/formats/thumbnail.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

typedef struct Encoder {
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    unsigned char *bytes;
    unsigned long size;
    jmp_buf failed;
} Encoder;

_Noreturn static void leave(j_common_ptr jpeg)
{
    Encoder *encoder = jpeg->client_data;
    longjmp(encoder->failed, 1);
}

static void print_nothing(j_common_ptr jpeg)
{
    (void)jpeg;
}

static void encode(Encoder *encoder, const uint8_t *pixels, int width, int height, int quality)
{
    struct jpeg_compress_struct *jpeg = &encoder->jpeg;
    jpeg_create_compress(jpeg);
    jpeg_mem_dest(jpeg, &encoder->bytes, &encoder->size);
    jpeg->image_width = (JDIMENSION)width;
    jpeg->image_height = (JDIMENSION)height;
    jpeg->input_components = 3;
    jpeg->in_color_space = JCS_RGB;
    jpeg_set_defaults(jpeg);
    jpeg_set_quality(jpeg, quality, TRUE);
    jpeg->optimize_coding = TRUE;
    jpeg_start_compress(jpeg, TRUE);
    for (int y = 0; y < height; y++) {
        union { /* libjpeg does not say that it only reads */
            const uint8_t *read;
            JSAMPROW row;
        } line = {pixels + (size_t)y * 3 * (size_t)width};
        jpeg_write_scanlines(jpeg, &line.row, 1);
    }
    jpeg_finish_compress(jpeg);
}

int pf_image_jpeg_encode(const uint8_t *pixels, int width, int height, int quality, uint8_t **jpeg,
                         size_t *size, PfError *err)
{
    Encoder encoder;
    memset(&encoder, 0, sizeof encoder);
    encoder.jpeg.err = jpeg_std_error(&encoder.errors);
    encoder.errors.error_exit = leave;
    encoder.errors.output_message = print_nothing;
    encoder.jpeg.client_data = &encoder;
    int failed = setjmp(encoder.failed);
    if (!failed) encode(&encoder, pixels, width, height, quality);
    jpeg_destroy_compress(&encoder.jpeg);
    if (failed) {
        free(encoder.bytes);
        return pf_fail(err, PF_EXIT_FAILED, "libjpeg cannot write a picture of %d x %d", width,
                       height);
    }
    *jpeg = encoder.bytes;
    *size = encoder.size;
    return 0;
}
