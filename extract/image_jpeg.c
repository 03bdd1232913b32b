/* JPEG as PIL reads it: libjpeg's accurate integer DCT, fancy upsampling and
 * block smoothing, which are its defaults.
 *
 * The scans of a progressive file each visit all of its blocks, and an empty one takes a few bytes:
 * their number is limited, by libjpeg's progress monitor, which also looks for Ctrl-C.
 *
 * libjpeg's own memory source invents an end-of-image marker where data run
 * out and goes on with grey. Ours suspends instead, as PIL's does, so that a
 * truncated file is seen; what libjpeg only warns of is accepted, as by PIL. */
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>

#include "image_decoder.h"

/* Cameras write one scan, encoders for the web about ten. */
#define MAX_SCANS 500
/* So many times the pixels of the largest image that is taken are visited, by all scans together.
 */
#define MAX_SCANS_OF_LARGEST 16

typedef struct Decoder {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr source;
    struct jpeg_progress_mgr progress;
    const PfImageLimits *limits;
    int max_scans;
    enum { BROKEN, TOO_MANY_SCANS, INTERRUPTED } cause; /* of what lands in failed */
    jmp_buf failed;
} Decoder;

static void look_at_progress(j_common_ptr jpeg)
{
    Decoder *decoder = jpeg->client_data;
    if (pf_image_is_interrupted(decoder->limits))
        decoder->cause = INTERRUPTED;
    else if (decoder->jpeg.input_scan_number > decoder->max_scans)
        decoder->cause = TOO_MANY_SCANS;
    else
        return;
    longjmp(decoder->failed, 1);
}

_Noreturn static void leave(j_common_ptr jpeg)
{
    Decoder *decoder = jpeg->client_data;
    longjmp(decoder->failed, 1);
}

static void print_nothing(j_common_ptr jpeg)
{
    (void)jpeg;
}

static void do_nothing(j_decompress_ptr jpeg)
{
    (void)jpeg;
}

static boolean suspend(j_decompress_ptr jpeg)
{
    (void)jpeg;
    return FALSE;
}

static void skip(j_decompress_ptr jpeg, long count)
{
    struct jpeg_source_mgr *source = jpeg->src;
    if (count <= 0) return;
    size_t step = (size_t)count < source->bytes_in_buffer ? (size_t)count : source->bytes_in_buffer;
    source->next_input_byte += step;
    source->bytes_in_buffer -= step;
}

/* Whatever fails from here on lands in decoder->failed. */
static void start(Decoder *decoder, const uint8_t *bytes, size_t size)
{
    decoder->source = (struct jpeg_source_mgr){
        .next_input_byte = bytes,
        .bytes_in_buffer = size,
        .init_source = do_nothing,
        .fill_input_buffer = suspend,
        .skip_input_data = skip,
        .resync_to_restart = jpeg_resync_to_restart,
        .term_source = do_nothing,
    };
    jpeg_create_decompress(&decoder->jpeg);
    decoder->jpeg.src = &decoder->source;
}

static int read_header(j_decompress_ptr jpeg, PfError *err)
{
    int found;
    do found = jpeg_read_header(jpeg, FALSE);
    while (found == JPEG_HEADER_TABLES_ONLY);
    if (found == JPEG_SUSPENDED) return pf_image_bad(err, "truncated JPEG: ends before its pixels");
    int components = jpeg->num_components;
    if (components != 1 && components != 3 && components != 4)
        return pf_image_bad(err, "JPEG with %d components; expected 1, 3 or 4", components);
    jpeg->out_color_space = components == 4 ? JCS_CMYK : JCS_RGB;
    return 0;
}

/* PIL takes every CMYK JPEG as inverted, as Adobe writes them (0 is full ink),
 * and mixes white * (1 - ink) * (1 - black) in 8-bit arithmetic. */
static void rgb_from_inverted_cmyk(const uint8_t *cmyk, int width, uint8_t *rgb)
{
    for (int x = 0; x < width; x++, cmyk += 4)
        for (int c = 0; c < 3; c++) {
            int product = (255 - cmyk[c]) * cmyk[3] + 128;
            *rgb++ = (uint8_t)(cmyk[3] - ((product + (product >> 8)) >> 8));
        }
}

/* Returns 0 where the data end. */
static JDIMENSION read_row(j_decompress_ptr jpeg, uint8_t *row, JSAMPARRAY cmyk)
{
    if (!cmyk) return jpeg_read_scanlines(jpeg, &row, 1);
    JDIMENSION count = jpeg_read_scanlines(jpeg, cmyk, 1);
    if (count) rgb_from_inverted_cmyk(cmyk[0], (int)jpeg->output_width, row);
    return count;
}

static int read_rows(j_decompress_ptr jpeg, PfImage *image, PfError *err)
{
    JSAMPARRAY cmyk = NULL;
    if (jpeg->out_color_space == JCS_CMYK)
        cmyk = jpeg->mem->alloc_sarray((j_common_ptr)jpeg, JPOOL_IMAGE, jpeg->output_width * 4, 1);
    size_t stride = 3 * (size_t)jpeg->output_width;
    while (jpeg->output_scanline < jpeg->output_height) {
        uint8_t *row = image->pixels + jpeg->output_scanline * stride;
        if (!read_row(jpeg, row, cmyk))
            return pf_image_bad(err, "truncated JPEG: ends after %u of %u rows",
                                jpeg->output_scanline, jpeg->output_height);
    }
    return 0;
}

/* How often the sides may be halved. */
static int choose_halvings(const struct jpeg_decompress_struct *jpeg, int least_side)
{
    int64_t side = jpeg->image_width < jpeg->image_height ? jpeg->image_width : jpeg->image_height;
    int halvings = 0;
    while (least_side > 0 && halvings < 3 && side >= (int64_t)least_side << (halvings + 1))
        halvings++;
    return halvings;
}

/* The rows, and the coefficients of a file of several scans, which are kept until the last one. */
static int64_t memory_needed(const PfImage *image, struct jpeg_decompress_struct *jpeg)
{
    int64_t needed = 3 * ((int64_t)jpeg->image_width * jpeg->image_height >> 2 * image->halvings);
    for (int c = 0; jpeg_has_multiple_scans(jpeg) && c < jpeg->num_components; c++)
        needed += (int64_t)jpeg->comp_info[c].width_in_blocks *
                  jpeg->comp_info[c].height_in_blocks * DCTSIZE2 * (int64_t)sizeof(JCOEF);
    return needed;
}

static int count_scans_allowed(const struct jpeg_decompress_struct *jpeg,
                               const PfImageLimits *limits)
{
    int64_t most = limits->max_pixels ? limits->max_pixels : PF_IMAGE_MAX_PIXELS;
    int64_t scans = MAX_SCANS_OF_LARGEST * most / ((int64_t)jpeg->image_width * jpeg->image_height);
    return scans < MAX_SCANS ? (int)scans : MAX_SCANS;
}

static int decode(Decoder *decoder, const uint8_t *bytes, size_t size, int least_side,
                  PfImage *image, PfError *err)
{
    j_decompress_ptr jpeg = &decoder->jpeg;
    start(decoder, bytes, size);
    if (read_header(jpeg, err)) return -1;
    image->halvings = choose_halvings(jpeg, least_side);
    jpeg->scale_num = 1;
    jpeg->scale_denom = 1u << image->halvings;
    if (pf_image_check_size(&image->limits, jpeg->image_width, jpeg->image_height, err) ||
        pf_image_check_memory(&image->limits, memory_needed(image, jpeg), size, err) ||
        pf_image_resize_buffer(image, jpeg->image_width, jpeg->image_height, err))
        return -1;
    decoder->max_scans = count_scans_allowed(jpeg, &image->limits);
    jpeg->progress = &decoder->progress;
    if (!jpeg_start_decompress(jpeg))
        return pf_image_bad(err, "truncated JPEG: ends before its last scan");
    if (read_rows(jpeg, image, err)) return -1;
    /* A missing end marker is no fault once all rows are there; garbage between
     * the scans is, and is found here. */
    jpeg_finish_decompress(jpeg);
    return 0;
}

static int fail(Decoder *decoder, PfError *err)
{
    char reason[JMSG_LENGTH_MAX];
    if (decoder->cause == INTERRUPTED) return pf_image_interrupted(err);
    if (decoder->cause == TOO_MANY_SCANS && decoder->max_scans < MAX_SCANS)
        return pf_image_bad(err,
                            PF_IMAGE_TOO_LARGE
                            ": more than %d scans in a JPEG of %u x %u pixels, of which all "
                            "together visit at most %d times the pixels of the largest image "
                            "that is taken. Hint: --max-pixels",
                            decoder->max_scans, decoder->jpeg.image_width,
                            decoder->jpeg.image_height, MAX_SCANS_OF_LARGEST);
    if (decoder->cause == TOO_MANY_SCANS)
        return pf_image_bad(err,
                            "more than %d scans in a JPEG of %u x %u pixels: no encoder makes "
                            "so many, and each takes as long as an image",
                            decoder->max_scans, decoder->jpeg.image_width,
                            decoder->jpeg.image_height);
    decoder->errors.format_message((j_common_ptr)&decoder->jpeg, reason);
    return pf_image_bad(err, "broken JPEG: %s", reason);
}

int pf_image_jpeg_decode(const uint8_t *bytes, size_t size, int least_side, PfImage *image,
                         PfError *err)
{
    Decoder decoder;
    int result;
    memset(&decoder, 0, sizeof decoder);
    decoder.jpeg.err = jpeg_std_error(&decoder.errors);
    decoder.jpeg.client_data = &decoder;
    decoder.errors.error_exit = leave;
    decoder.errors.output_message = print_nothing;
    decoder.progress.progress_monitor = look_at_progress;
    decoder.limits = &image->limits;
    if (setjmp(decoder.failed)) {
        result = fail(&decoder, err);
    } else {
        result = decode(&decoder, bytes, size, least_side, image, err);
    }
    jpeg_destroy_decompress(&decoder.jpeg);
    return result;
}
