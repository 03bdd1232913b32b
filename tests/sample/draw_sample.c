/* Draws the sample pictures: draw_sample FOLDER
 *
 *   FOLDER/pictures/train/boat/001.jpg ...   THING_COUNT classes of 100 and 25 pictures
 *   FOLDER/pictures/val/boat/001.jpg ...
 *   FOLDER/new/boat.jpg ...                  one of each, for predict
 *
 * The same pixels on every machine: seeded numbers, no mathematics beyond what
 * IEEE 754 defines, and no compiler fusing of operations. Prints their digest. */
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <stb/stb_image_write.h>

#include "canvas.h"
#include "common/base/clock.h"
#include "common/base/digest.h"
#include "common/base/log.h"
#include "common/thread/parallel.h"
#include "permafrost/error.h"

enum { TRAIN_COUNT = 100, VAL_COUNT = 25, NEW_COUNT = 1, SIDE_MIN = 96, SIDE_MAX = 160 };
enum { PER_CLASS = TRAIN_COUNT + VAL_COUNT + NEW_COUNT };
#define SEED 2026

typedef struct Work {
    const char *folder;
    atomic_int failures;
    _Atomic uint64_t digest; /* sum of the pictures' */
} Work;

static int random_side(PfRandom *random)
{
    return SIDE_MIN + (int)pf_random_below(random, SIDE_MAX - SIDE_MIN + 1);
}

/* Paints one picture into canvas and returns its bytes. */
static void paint(Canvas *canvas, Color *scratch, const Thing *thing, PfRandom *random,
                  uint8_t *bytes)
{
    canvas_paint_background(canvas, random);
    canvas_paint_thing(canvas, thing, random);
    canvas_paint_bars(canvas, (int)pf_random_below(random, 5) - 3, random);
    if (!pf_random_below(random, 16)) canvas_to_gray(canvas);
    canvas_blur(canvas, (int)pf_random_below(random, 5) / 4, scratch);
    canvas_to_bytes(canvas, random_between(random, 0, 0.025f), random, bytes);
}

/* Of the pixels, not of the files, whose bytes are stb_image_write's affair. */
static uint64_t digest_of(const uint8_t *bytes, size_t size)
{
    uint8_t digest[16];
    pf_digest_xxh128(bytes, size, digest);
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) value = value << 8 | digest[i];
    return value;
}

/* Where picture `index` of a class goes; every eighth is a PNG. */
static void name_picture(const char *folder, const char *class_name, int index, char *path,
                         size_t size)
{
    const char *suffix = index % 8 == 7 ? "png" : "jpg";
    if (index < TRAIN_COUNT)
        snprintf(path, size, "%s/pictures/train/%s/%03d.%s", folder, class_name, index + 1, suffix);
    else if (index < TRAIN_COUNT + VAL_COUNT)
        snprintf(path, size, "%s/pictures/val/%s/%03d.%s", folder, class_name,
                 index - TRAIN_COUNT + 1, suffix);
    else
        snprintf(path, size, "%s/new/%s.%s", folder, class_name, suffix);
}

static int write_picture(const char *path, int width, int height, const uint8_t *bytes, int quality)
{
    if (strstr(path, ".png")) return stbi_write_png(path, width, height, 3, bytes, 3 * width) != 0;
    return stbi_write_jpg(path, width, height, 3, bytes, quality) != 0;
}

static void draw_picture(void *context, int64_t number)
{
    Work *work = context;
    const Thing *thing = &things[number / PER_CLASS];
    PfRandom random = pf_random_seeded(SEED, (uint64_t)number);
    Canvas canvas = {.width = random_side(&random), .height = random_side(&random)};
    size_t count = (size_t)canvas.width * (size_t)canvas.height;
    canvas.pixels = malloc(count * sizeof *canvas.pixels);
    Color *scratch = malloc(count * sizeof *scratch);
    uint8_t *bytes = malloc(count * 3);
    char path[4096];
    name_picture(work->folder, thing->name, (int)(number % PER_CLASS), path, sizeof path);
    int done = 0;
    if (canvas.pixels && scratch && bytes) {
        paint(&canvas, scratch, thing, &random, bytes);
        atomic_fetch_add(&work->digest, digest_of(bytes, count * 3));
        int quality = 60 + (int)pf_random_below(&random, 36);
        done = write_picture(path, canvas.width, canvas.height, bytes, quality);
    }
    if (!done) atomic_fetch_add(&work->failures, 1);
    free(bytes);
    free(scratch);
    free(canvas.pixels);
}

static int make_folder(const char *folder, const char *name, const char *inner, PfError *err)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s/%s", folder, name, inner);
    if (!mkdir(path, 0777) || errno == EEXIST) return 0;
    return pf_fail_errno(err, "folder '%s' cannot be made", path);
}

static int make_folders(const char *folder, PfError *err)
{
    static const char *const folders[] = {"", "new", "pictures", "pictures/train", "pictures/val"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        if (make_folder(folder, folders[i], "", err)) return -1;
    for (int i = 0; i < THING_COUNT; i++)
        if (make_folder(folder, "pictures/train", things[i].name, err) ||
            make_folder(folder, "pictures/val", things[i].name, err))
            return -1;
    return 0;
}

int main(int argc, char **argv)
{
    pf_log_setup("draw_sample", PF_NORMAL);
    if (argc != 2 || argv[1][0] == '-') {
        fprintf(stderr, "usage: draw_sample FOLDER\n");
        return PF_EXIT_USAGE;
    }
    PfError err = {0};
    if (make_folders(argv[1], &err)) return pf_log_error(&err);
    Work work = {.folder = argv[1]};
    double started = pf_clock_seconds();
    pf_parallel_for(THING_COUNT * PER_CLASS, 0, draw_picture, &work);
    if (work.failures) {
        pf_fail(&err, PF_EXIT_FAILED, "%d pictures could not be written to '%s'", work.failures,
                argv[1]);
        return pf_log_error(&err);
    }
    char text[PF_DURATION_SIZE];
    pf_say("%d pictures of %d classes drawn in %s: %s", THING_COUNT * PER_CLASS, THING_COUNT,
           pf_clock_duration_text(pf_clock_seconds() - started, text), argv[1]);
    printf("pixels %016" PRIx64 "\n", work.digest);
    return PF_EXIT_DONE;
}
