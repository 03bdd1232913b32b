/* The page that --contact-sheet asks for. */
#include <stdlib.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "extract/extraction.h"
#include "extract/image/preprocess.h"
#include "extract/image/view.h"
#include "inspect/images/images.h"
#include "inspect/page/page.h"

#define MOST_IMAGES ((int64_t)240)
/* With --augmented so many, each with all of its views. */
#define MOST_AUGMENTED ((int64_t)30)
#define MOST_VIEWS 16
/* That are shown of a cache without views of its own: what --views 8 would make. */
#define USUAL_VIEWS 8
#define MOST_REJECTED ((int64_t)240)
#define CAPTION_SIZE 400
#define SIDE 160

typedef struct Sheet {
    const PfExtraction *run;
    PfImages *images;
    const PfPreprocess *preprocess;
    int views; /* tiles of each image */
    int64_t shown;
    const char **paths; /* (shown) lent by the cache */
    PfPageTile *tiles;  /* (shown, views) */
    uint8_t *crop;      /* (crop, crop, 3) */
    PfPageTile *rejected;
    char (*captions)[CAPTION_SIZE];
    int64_t rejected_count;
} Sheet;

static int take_crop(const Sheet *sheet, PfPageTile *tile, PfError *err)
{
    PfImage pixels = {
        .pixels = sheet->crop, .width = sheet->preprocess->crop, .height = sheet->preprocess->crop};
    return pf_thumbnail_encode(&pixels, SIDE, &tile->jpeg, &tile->size, err);
}

static int render(const Sheet *sheet, const PfImage *image, const uint8_t *digest,
                  PfPageTile *tiles, PfResizeScratch *scratch, PfError *err)
{
    for (int v = 0; v < sheet->views; v++) {
        PfView view = pf_view_draw((uint64_t)sheet->run->backbone->view_seed, digest, v,
                                   image->width, image->height, sheet->preprocess->squash);
        if ((sheet->views == 1
                 ? pf_preprocess_image(image, sheet->preprocess, sheet->crop, scratch, err)
                 : pf_view_render(image, sheet->preprocess, &view, sheet->crop, scratch, err)) ||
            take_crop(sheet, &tiles[v], err))
            return -1;
    }
    return 0;
}

/* An image that is gone since then has tiles without a picture. */
static int show_image(Sheet *sheet, int64_t row, const uint8_t *digest, PfPageTile *tiles,
                      PfError *err)
{
    PfSampleBytes bytes = {0};
    PfImage image = {0};
    PfResizeScratch scratch = {0};
    int failed = 0;
    if (!pf_images_read(sheet->images, row, &bytes, NULL)) {
        PfImage raw = {.width = bytes.width, .height = bytes.height, .pixels = bytes.data};
        bool is_file = bytes.width == 0;
        if (!is_file ||
            !pf_preprocess_decode(bytes.data, bytes.size_bytes, sheet->preprocess, &image, NULL))
            failed = render(sheet, is_file ? &image : &raw, digest, tiles, &scratch, err);
    }
    pf_image_free(&image);
    pf_resize_scratch_free(&scratch);
    pf_sample_bytes_free(&bytes);
    return failed;
}

static int show_images(Sheet *sheet, PfCache *cache, PfError *err)
{
    int64_t rows = pf_cache_row_count(cache);
    const char *const *paths;
    bool is_augmented = sheet->run->options->augmented;
    int own = sheet->run->backbone->views;
    sheet->views = !is_augmented ? 1 : own > 1 ? (int)pf_min(own, MOST_VIEWS) : USUAL_VIEWS;
    sheet->shown = pf_min(rows, is_augmented ? MOST_AUGMENTED : MOST_IMAGES);
    size_t side = (size_t)sheet->preprocess->crop;
    uint8_t(*digests)[PF_DIGEST_SIZE] = pf_calloc((size_t)rows + 1, PF_DIGEST_SIZE, err);
    sheet->paths = pf_calloc((size_t)sheet->shown + 1, sizeof *sheet->paths, err);
    sheet->tiles = pf_calloc((size_t)(sheet->shown * sheet->views) + 1, sizeof *sheet->tiles, err);
    sheet->crop = pf_calloc(side * side, 3, err);
    int failed = !digests || !sheet->paths || !sheet->tiles || !sheet->crop ||
                 pf_cache_paths(cache, &paths, err) || pf_cache_read_digests(cache, digests, err);
    for (int64_t i = 0; i < sheet->shown && !failed; i++) {
        int64_t row = i * rows / sheet->shown;
        PfPageTile *tiles = sheet->tiles + i * sheet->views;
        sheet->paths[i] = paths[row];
        for (int v = 0; v < sheet->views; v++)
            tiles[v] = (PfPageTile){.row = (int32_t)i, .caption = ""};
        if (sheet->run->interrupted && *sheet->run->interrupted)
            failed = pf_fail(err, PF_EXIT_INTERRUPTED, "interrupted");
        failed = failed || show_image(sheet, row, digests[row], tiles, err);
    }
    free(digests);
    return failed;
}

static int list_rejected(Sheet *sheet, PfCache *cache, PfError *err)
{
    const PfCacheReject *rejects;
    sheet->rejected_count = pf_min(pf_cache_rejected_count(cache), MOST_REJECTED);
    sheet->rejected = pf_calloc((size_t)sheet->rejected_count + 1, sizeof *sheet->rejected, err);
    sheet->captions = pf_calloc((size_t)sheet->rejected_count + 1, CAPTION_SIZE, err);
    if (!sheet->rejected || !sheet->captions || pf_cache_rejects(cache, &rejects, err)) return -1;
    for (int64_t i = 0; i < sheet->rejected_count; i++) {
        pf_format(sheet->captions[i], CAPTION_SIZE, "%s: %" PF_SENTENCE, rejects[i].path,
                  rejects[i].reason);
        sheet->rejected[i] = (PfPageTile){.row = -1, .caption = sheet->captions[i]};
    }
    return 0;
}

static int write_page(const Sheet *sheet, PfCache *cache, PfError *err)
{
    const PfExtractOptions *options = sheet->run->options;
    const char *slash = strrchr(options->output, '/');
    char note[200], rejected[120];
    int64_t rows = pf_cache_row_count(cache);
    snprintf(note, sizeof note, "%lld of %lld images%s, %d x %d pixels%s.", (long long)sheet->shown,
             (long long)rows, sheet->shown < rows ? ", evenly spaced" : "", sheet->preprocess->crop,
             sheet->preprocess->crop,
             sheet->views > 1 ? "; each with its views, the centre first" : "");
    snprintf(rejected, sizeof rejected, "%lld of %lld images that could not be used.",
             (long long)sheet->rejected_count, (long long)pf_cache_rejected_count(cache));
    PfPageGallery galleries[] = {
        {"As the network sees them", note, sheet->tiles, sheet->shown * sheet->views},
        {"Rejected", rejected, sheet->rejected, sheet->rejected_count}};
    PfPageData data = {.title = slash ? slash + 1 : options->output,
                       .rows = sheet->shown,
                       .paths = sheet->paths,
                       .galleries = galleries,
                       .gallery_count = sheet->rejected_count ? 2 : 1,
                       .images_reason = "the pictures are those that the network sees"};
    pf_page_add_fact(&data, "images", "%lld", (long long)rows);
    pf_page_add_fact(&data, "resize", "%d, crop %d", sheet->preprocess->resize,
                     sheet->preprocess->crop);
    return pf_page_write(options->contact_sheet, &data, err);
}

int pf_extraction_write_sheet(const PfExtraction *run, PfError *err)
{
    PfCache *cache;
    Sheet sheet = {.run = run, .preprocess = &run->backbone->preprocess};
    const char *const *paths;
    if (pf_cache_open(run->options->output, &cache, err)) return -1;
    int failed =
        pf_cache_paths(cache, &paths, err) ||
        pf_images_of_dataset(run->dataset, paths, pf_cache_row_count(cache), &sheet.images, err) ||
        show_images(&sheet, cache, err) || list_rejected(&sheet, cache, err) ||
        write_page(&sheet, cache, err);
    for (int64_t i = 0; sheet.tiles && i < sheet.shown * sheet.views; i++)
        free(sheet.tiles[i].jpeg);
    free(sheet.tiles);
    free(sheet.paths);
    free(sheet.crop);
    free(sheet.rejected);
    free(sheet.captions);
    pf_images_close(&sheet.images);
    pf_cache_close(&cache);
    if (!failed) pf_say("contact sheet: %s", run->options->contact_sheet);
    return failed ? -1 : 0;
}
