/* JPEG as PIL reads it: libjpeg's accurate integer DCT, fancy upsampling and
 * block smoothing, which are its defaults.
 *
 * The scans of a progressive file each visit all of its blocks, and an empty one takes a few bytes:
 * their number is limited, by libjpeg's progress monitor, which also looks for Ctrl-C.
 *
 * libjpeg's own memory source invents an end-of-image marker where data run
 * out and goes on with grey. Ours suspends instead, as PIL's does, so that a
 * truncated file is seen; what libjpeg only warns of is accepted, as by PIL.
 * With image->keep_truncated it invents that marker once, as PIL's does with LOAD_TRUNCATED_IMAGES.
 *
 * Data may end before the marker and hold every row: libjpeg does not give the last ones out, as it
 * reads ahead. PIL refuses such a file too. With a marker added it is seen whether data are
 * missing as well, which the message says. */
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

#include "common/base/integers.h"
#include "extract/image/formats/formats.h"

/* Cameras write one scan, encoders for the web about ten. */
#define MAX_SCANS 500
/* So many times the pixels of the largest image that is taken are visited, by all scans together.
 */
#define MAX_SCANS_OF_LARGEST 16

#define TRUNCATED_HINT ". Hint: extract --keep-truncated takes what there is"

typedef struct Decoder {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr source;
    struct jpeg_progress_mgr progress;
    const PfImageLimits *limits;
    int max_scans;
    bool may_end; /* where data end, an end marker is put */
    bool has_ended;
    bool has_started, is_cut, is_second_look;
    long data_missing;                                  /* warnings of libjpeg's since then */
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

static void count_missing(j_common_ptr jpeg, int level)
{
    Decoder *decoder = jpeg->client_data;
    if (level < 0 && decoder->has_ended) decoder->data_missing++;
}

static void do_nothing(j_decompress_ptr jpeg)
{
    (void)jpeg;
}

/* Suspends, unless an end marker may be put there. */
static boolean end_data(j_decompress_ptr jpeg)
{
    static const JOCTET end_marker[] = {0xff, JPEG_EOI};
    Decoder *decoder = jpeg->client_data;
    if (!decoder->may_end || decoder->has_ended) return FALSE;
    decoder->has_ended = true;
    jpeg->src->next_input_byte = end_marker;
    jpeg->src->bytes_in_buffer = sizeof end_marker;
    return TRUE;
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
        .fill_input_buffer = end_data,
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

/* Whether every coefficient of the image has come. */
static bool has_all_data(const Decoder *decoder)
{
    const struct jpeg_decompress_struct *jpeg = &decoder->jpeg;
    if (decoder->data_missing) return false;
    for (int c = 0; c < jpeg->num_components; c++) {
        if (!jpeg->comp_info[c].quant_table) return false; /* no scan of it has begun */
        for (int k = 0; jpeg->coef_bits && k < DCTSIZE2; k++)
            if (jpeg->coef_bits[c][k]) return false; /* bits still to come, or -1 */
    }
    return true;
}

/* Reads rows until the data end, from output_scanline on. */
static void read_rows_there(j_decompress_ptr jpeg, PfImage *image)
{
    JSAMPARRAY cmyk = NULL;
    if (jpeg->out_color_space == JCS_CMYK)
        cmyk = jpeg->mem->alloc_sarray((j_common_ptr)jpeg, JPOOL_IMAGE, jpeg->output_width * 4, 1);
    size_t stride = 3 * (size_t)jpeg->output_width;
    while (jpeg->output_scanline < jpeg->output_height) {
        uint8_t *row = image->pixels + jpeg->output_scanline * stride;
        if (!read_row(jpeg, row, cmyk)) return;
    }
}

/* For those who have not asked for it yet. */
static const char *hint(const Decoder *decoder)
{
    return decoder->may_end ? "" : TRUNCATED_HINT;
}

/* All rows; of a file that ends early, and is to be kept, black ones for those that do not come. */
static int read_rows(Decoder *decoder, PfImage *image, PfError *err)
{
    j_decompress_ptr jpeg = &decoder->jpeg;
    read_rows_there(jpeg, image);
    JDIMENSION rows = jpeg->output_scanline, all = jpeg->output_height;
    if (rows < all && decoder->may_end && rows) {
        size_t stride = 3 * (size_t)jpeg->output_width;
        memset(image->pixels + rows * stride, 0, (all - rows) * stride);
        return 0;
    }
    if (rows == all) return 0;
    decoder->is_cut = !decoder->may_end;
    return pf_image_bad(err, "truncated JPEG: ends after %u of %u rows%s", rows, all,
                        hint(decoder));
}

/* For a file that has just been refused as truncated. Decoding goes on as if the end marker were
 * there; where that brings every row, the marker is all that the file lacks, and the message says
 * so. */
static void look_for_rows(Decoder *decoder, PfImage *image, PfError *err)
{
    j_decompress_ptr jpeg = &decoder->jpeg;
    decoder->may_end = decoder->is_second_look = true;
    if (!decoder->has_started && !jpeg_start_decompress(jpeg)) return;
    read_rows_there(jpeg, image);
    if (jpeg->output_scanline < jpeg->output_height || !has_all_data(decoder)) return;
    pf_image_bad(
        err, "truncated JPEG: all of its %u rows are there, but not its end marker" TRUNCATED_HINT,
        jpeg->output_height);
}

/* How often the sides may be halved. */
static int choose_halvings(const struct jpeg_decompress_struct *jpeg, int least_side)
{
    int64_t side = pf_min(jpeg->image_width, jpeg->image_height);
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
    return (int)pf_min(scans, MAX_SCANS);
}

static int decode_pixels(Decoder *decoder, size_t size, int least_side, PfImage *image,
                         PfError *err)
{
    j_decompress_ptr jpeg = &decoder->jpeg;
    image->halvings = choose_halvings(jpeg, least_side);
    jpeg->scale_num = 1;
    jpeg->scale_denom = 1u << image->halvings;
    if (pf_image_check_size(&image->limits, jpeg->image_width, jpeg->image_height, err) ||
        pf_image_check_memory(&image->limits, memory_needed(image, jpeg), size, err) ||
        pf_image_resize_buffer(image, jpeg->image_width, jpeg->image_height, err))
        return -1;
    decoder->max_scans = count_scans_allowed(jpeg, &image->limits);
    jpeg->progress = &decoder->progress;
    decoder->may_end = image->keep_truncated;
    if (!jpeg_start_decompress(jpeg)) {
        decoder->is_cut = !decoder->may_end;
        return pf_image_bad(err, "truncated JPEG: ends before its last scan%s", hint(decoder));
    }
    decoder->has_started = true;
    if (read_rows(decoder, image, err)) return -1;
    image->is_truncated = decoder->has_ended;
    /* A missing end marker is no fault once all rows are there; garbage between
     * the scans is, and is found here. */
    jpeg_finish_decompress(jpeg);
    return 0;
}

static int decode(Decoder *decoder, const uint8_t *bytes, size_t size, int least_side,
                  PfImage *image, PfError *err)
{
    start(decoder, bytes, size);
    if (read_header(&decoder->jpeg, err)) return -1;
    if (!decode_pixels(decoder, size, least_side, image, err)) return 0;
    if (decoder->is_cut) look_for_rows(decoder, image, err);
    return -1;
}

static int fail(Decoder *decoder, PfError *err)
{
    char reason[JMSG_LENGTH_MAX];
    if (decoder->cause == INTERRUPTED) return pf_image_interrupted(err);
    if (decoder->is_second_look) return -1; /* err says what was found at first */
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
    if (decoder->errors.msg_code == JERR_OUT_OF_MEMORY)
        return pf_image_out_of_memory(err, "a JPEG");
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
    decoder.errors.emit_message = count_missing;
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
