#include "extract/image/formats/thumbnail.h"

#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

/* Bytes of the first buffer; it is doubled where it is full. */
#define LEAST_BYTES ((size_t)1 << 14)

typedef struct Encoder {
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_destination_mgr destination;
    uint8_t *bytes; /* (capacity) what there is so far, whatever fails */
    size_t size, capacity;
    bool lacks_memory;
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

/* ---- where the file goes ---- */

/* Makes room behind the bytes that are there, which fill the buffer. libjpeg's own destination in
 * memory loses sight of its buffer where there is no room for a larger one. */
static void grow(Encoder *encoder)
{
    size_t size = encoder->capacity, capacity = size ? 2 * size : LEAST_BYTES;
    uint8_t *bytes = realloc(encoder->bytes, capacity);
    if (!bytes) {
        encoder->lacks_memory = true;
        longjmp(encoder->failed, 1);
    }
    encoder->bytes = bytes;
    encoder->capacity = capacity;
    encoder->destination.next_output_byte = bytes + size;
    encoder->destination.free_in_buffer = capacity - size;
}

static void begin_output(j_compress_ptr jpeg)
{
    grow(jpeg->client_data);
}

static boolean go_on(j_compress_ptr jpeg)
{
    grow(jpeg->client_data);
    return TRUE;
}

static void end_output(j_compress_ptr jpeg)
{
    Encoder *encoder = jpeg->client_data;
    encoder->size = encoder->capacity - encoder->destination.free_in_buffer;
}

/* ---- the whole ---- */

static void encode(Encoder *encoder, const uint8_t *pixels, int width, int height, int quality)
{
    struct jpeg_compress_struct *jpeg = &encoder->jpeg;
    jpeg_create_compress(jpeg);
    encoder->destination = (struct jpeg_destination_mgr){.init_destination = begin_output,
                                                         .empty_output_buffer = go_on,
                                                         .term_destination = end_output};
    jpeg->dest = &encoder->destination;
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
        bool lacks_memory = encoder.lacks_memory || encoder.errors.msg_code == JERR_OUT_OF_MEMORY;
        free(encoder.bytes);
        if (lacks_memory)
            return pf_fail(err, PF_EXIT_FAILED, "out of memory while writing a JPEG of %d x %d",
                           width, height);
        return pf_fail(err, PF_EXIT_FAILED, "libjpeg cannot write a picture of %d x %d", width,
                       height);
    }
    *jpeg = encoder.bytes;
    *size = encoder.size;
    return 0;
}
