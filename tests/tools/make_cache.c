/* Writes a small feature cache for the command-line tests: clouds of points, a
 * class each.
 *
 * usage: make_cache FILE.h5 [KIND...]
 *   val, test     every fourth, every fifth row is for that
 *   unlabelled    every seventh row has no class; nolabels: none has; notarget: no classes at all
 *   oneclass      all rows are of one
 *   nan           row 33 holds one
 *   taps          a map, the features, and features of noise
 *   resnet, vgg   the identity names such a backbone
 *   hard          the clouds overlap
 *   numbers       a second target, 'size': a number that the features tell, missing in every
 *                 ninth row; constant: it is always 5; unsized: val rows have none; unknown: no
 *                 row has one; large: it
 *                 is 1e30 times larger
 *   labels        another target, 'tags': one that no row has, and two that the features tell
 *   inf           row 33 holds one
 *   two           two rows
 *   lone          row 7 is the only one of its class
 *   newclass      the wasps are all in val or test, if there are any
 *   testants      the test rows are all ants
 *   many          100,000 classes, 400 of them with a row
 *   dead, huge    feature 3 is always 7, or 1e33 times larger
 *   equal         all features are 1 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/base/random.h"
#include "permafrost/feature_cache.h"

enum { ROWS = 400, D = 16, CLASSES = 4, MAP = 2 * 3 * 3, TAGS = 3, MANY = 100000 };

static int argument_count;
static char **arguments;

static int wants(const char *kind)
{
    for (int i = 2; i < argument_count; i++)
        if (!strcmp(arguments[i], kind)) return 1;
    return 0;
}

static const char *identity(void)
{
    if (wants("resnet"))
        return "{\"backbone\": {\"name\": \"resnet18\", \"weights_sha256\": \"f37072fd\"}, "
               "\"preprocess\": {\"resize\": 256, \"crop\": 224}, \"taps\": [\"avgpool\"]}";
    if (wants("vgg"))
        return "{\"backbone\": {\"name\": \"vgg16\", \"weights_sha256\": \"397923af\"}, "
               "\"preprocess\": {\"resize\": 256, \"crop\": 224}, \"taps\": [\"avgpool\"]}";
    return "{}";
}

static PfSplit split_of(int row);

static int32_t class_of(int row)
{
    if (wants("many")) return row * 211;
    if (wants("lone")) return row == 7 ? 3 : row % (CLASSES - 1);
    if (wants("newclass") && row % CLASSES == 2 && split_of(row) == PF_SPLIT_TRAIN) return 1;
    if (wants("testants") && split_of(row) == PF_SPLIT_TEST) return 0;
    if (wants("nolabels") || (wants("unlabelled") && row % 7 == 0)) return -1;
    return wants("oneclass") ? 2 : row % CLASSES;
}

static PfSplit split_of(int row)
{
    if (wants("val") && row / CLASSES % 4 == 0) return PF_SPLIT_VAL;
    if (wants("test") && row / CLASSES % 5 == 1) return PF_SPLIT_TEST;
    return PF_SPLIT_TRAIN;
}

static void change(float *features)
{
    if (wants("dead")) features[3] = 7;
    if (wants("huge")) features[3] *= 1e33f;
    for (int j = 0; j < D && wants("equal"); j++) features[j] = 1;
}

static const char *const *class_names(void)
{
    static const char *const few[] = {"ants", "bees", "wasps", "Käfer"};
    static const char *many[MANY];
    static char names[MANY][8];
    if (!wants("many")) return few;
    for (int c = 0; c < MANY; c++) {
        snprintf(names[c], sizeof names[c], "c%d", c);
        many[c] = names[c];
    }
    return many;
}

static int write_rows(PfCacheWriter *writer, PfError *err)
{
    static float features[D], noise[D], map[MAP];
    const double distance = wants("hard") ? 1 : 5;
    PfRandom random = pf_random_seeded(11, 0);
    for (int row = 0; row < (wants("two") ? 2 : ROWS); row++) {
        char path[40];
        int32_t class = class_of(row);
        snprintf(path, sizeof path, "class %d/%03d.jpg", row % CLASSES, row);
        for (int j = 0; j < D; j++) {
            noise[j] = (float)pf_random_normal(&random);
            features[j] = noise[j] + (float)(distance * (j % CLASSES == row % CLASSES));
        }
        for (int j = 0; j < MAP; j++) map[j] = features[j % D];
        if (wants("nan") && row == 33) features[5] = NAN;
        if (wants("inf") && row == 33) features[5] = INFINITY;
        float size = row % 9 ? 3 * features[0] - features[7] + 40 : NAN;
        if (wants("constant")) size = 5;
        if (wants("large")) size *= 1e30f;
        if (wants("unknown")) size = NAN;
        if (wants("unsized") && split_of(row) == PF_SPLIT_VAL) size = NAN;
        float values[1 + TAGS] = {size, 0, features[0] > 0, features[1] > 1};
        change(features);
        PfCacheSample sample = {.path = path,
                                .split = split_of(row),
                                .class_indices = &class,
                                .values = wants("numbers") ? values : values + 1};
        if (pf_cache_writer_append(writer, 1, &sample,
                                   wants("taps") ? (const void *const[]){map, features, noise, map}
                                                 : (const void *const[]){features},
                                   err))
            return -1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    static const char *const tags[] = {"none", "left", "right"};
    static const PfCacheTap one[] = {{"avgpool", {1, {D}}, PF_DTYPE_F32}};
    static const PfCacheTap several[] = {{"layer3", {3, {2, 3, 3}}, PF_DTYPE_F32},
                                         {"avgpool", {1, {D}}, PF_DTYPE_F32},
                                         {"noise", {1, {D}}, PF_DTYPE_F32},
                                         {"layer4", {3, {2, 3, 3}}, PF_DTYPE_F32}};
    argument_count = argc;
    arguments = argv;
    PfCacheTarget targets[3] = {
        {"class", PF_TARGET_CLASS, 1, class_names(), wants("many") ? MANY : CLASSES}};
    int target_count = !wants("notarget");
    if (wants("numbers"))
        targets[target_count++] = (PfCacheTarget){"size", PF_TARGET_REGRESSION, 1, NULL, 0};
    if (wants("labels"))
        targets[target_count++] = (PfCacheTarget){"tags", PF_TARGET_MULTILABEL, TAGS, tags, TAGS};
    PfCacheWriterConfig config = {.taps = wants("taps") ? several : one,
                                  .tap_count = wants("taps") ? 4 : 1,
                                  .targets = targets,
                                  .target_count = target_count,
                                  .identity = identity(),
                                  .provenance = "{}",
                                  .compression = PF_COMPRESS_GZIP,
                                  .threads = 1};
    PfCacheWriter *writer;
    PfError err = {0};
    if (argc < 2) return 2;
    if (pf_cache_writer_open(argv[1], &config, &writer, &err) || write_rows(writer, &err) ||
        pf_cache_writer_finish(&writer, NULL, &err)) {
        fprintf(stderr, "make_cache: %s\n", err.message);
        return 1;
    }
    return 0;
}
