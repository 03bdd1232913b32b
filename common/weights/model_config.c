/* config.json and preprocessor_config.json beside weights, as Hugging Face and timm write them. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/weights/internal.h"

#define CONFIG_BYTES ((off_t)16 << 20)

/* What such a file says of pixels. */
typedef struct Wish {
    PfPreprocess preprocess;      /* begins as ours: what it does not say is no difference */
    const char *odd_resampling;   /* one that is not done here, or NULL */
    bool odd_scale, odd_geometry; /* pixels are not divided by 255; sizes that are not square */
} Wish;

static const cJSON *member(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

/* 0 where it is not a number that a side of an image may have. */
static int side(const cJSON *number)
{
    return cJSON_IsNumber(number) && number->valuedouble >= 1 && number->valuedouble <= 16384
               ? (int)number->valuedouble
               : 0;
}

static void read_three(const cJSON *list, float out[3])
{
    if (cJSON_GetArraySize(list) != 3) return;
    for (int i = 0; i < 3; i++)
        if (!cJSON_IsNumber(cJSON_GetArrayItem(list, i))) return;
    for (int i = 0; i < 3; i++) out[i] = (float)cJSON_GetArrayItem(list, i)->valuedouble;
}

static void set_resampling(Wish *wish, const char *name)
{
    if (!strcmp(name, "bilinear"))
        wish->preprocess.interpolation = PF_BILINEAR;
    else if (!strcmp(name, "bicubic"))
        wish->preprocess.interpolation = PF_BICUBIC;
    else if (strcmp(name, "random"))
        wish->odd_resampling = name;
}

static void set_resize(Wish *wish, int resize, int crop)
{
    wish->preprocess.squash = 0;
    wish->preprocess.resize = resize;
    wish->preprocess.crop = crop;
}

static void set_squash(Wish *wish, int crop)
{
    wish->preprocess.squash = 1;
    wish->preprocess.resize = 0;
    wish->preprocess.crop = crop;
}

/* ---- Hugging Face: preprocessor_config.json ---- */

/* A side out of 224 or {"height": 224, "width": 224}; 0: none, or they differ. */
static int square_side(const cJSON *size, Wish *wish)
{
    if (cJSON_IsNumber(size)) return side(size);
    int height = side(member(size, "height")), width = side(member(size, "width"));
    wish->odd_geometry |= height != width;
    return height == width ? height : 0;
}

static void read_geometry(const cJSON *config, Wish *wish)
{
    const cJSON *size = member(config, "size"), *percent = member(config, "crop_pct");
    const char *type = pf_json_member_text(config, "image_processor_type");
    if (!type) type = pf_json_member_text(config, "feature_extractor_type");
    const bool is_convnext = type && strstr(type, "ConvNext");
    int shortest = side(member(size, "shortest_edge"));
    const bool crops = cJSON_IsTrue(member(config, "do_center_crop"));
    int crop = crops ? square_side(member(config, "crop_size"), wish) : 0;
    if (is_convnext && !shortest) shortest = square_side(size, wish);
    if (cJSON_IsFalse(member(config, "do_resize"))) {
        if (crop) set_resize(wish, 0, crop);
    } else if (is_convnext && shortest) { /* from 384 on it squashes */
        double part = cJSON_IsNumber(percent) ? percent->valuedouble : 224.0 / 256;
        if (shortest >= 384)
            set_squash(wish, shortest);
        else if (part > 0.1 && part <= 1)
            set_resize(wish, (int)(shortest / part), shortest);
    } else if (shortest) {
        set_resize(wish, shortest, crop ? crop : shortest);
        wish->odd_geometry |= !crop;
    } else if (size) {
        int square = square_side(size, wish);
        if (square) set_squash(wish, square);
        wish->odd_geometry |= crop && crop != square;
    }
}

static void read_preprocessor(const cJSON *config, Wish *wish)
{
    static const char *const resamplings[] = {"nearest", "lanczos", "bilinear",
                                              "bicubic", "box",     "hamming"};
    const cJSON *resample = member(config, "resample"), *scale = member(config, "rescale_factor");
    read_three(member(config, "image_mean"), wish->preprocess.mean);
    read_three(member(config, "image_std"), wish->preprocess.std);
    if (cJSON_IsFalse(member(config, "do_normalize")))
        for (int i = 0; i < 3; i++) {
            wish->preprocess.mean[i] = 0;
            wish->preprocess.std[i] = 1;
        }
    if (cJSON_IsNumber(resample) && resample->valueint >= 0 && resample->valueint < 6)
        set_resampling(wish, resamplings[resample->valueint]);
    wish->odd_scale = cJSON_IsFalse(member(config, "do_rescale")) ||
                      (cJSON_IsNumber(scale) && fabs(scale->valuedouble * 255 - 1) > 1e-3);
    read_geometry(config, wish);
}

/* ---- timm: config.json ---- */

static void read_timm(const cJSON *config, Wish *wish)
{
    const cJSON *own = member(config, "pretrained_cfg"), *percent = member(own, "crop_pct");
    const cJSON *size = member(own, "input_size");
    const char *resampling = pf_json_member_text(own, "interpolation");
    const char *mode = pf_json_member_text(own, "crop_mode");
    int crop = side(cJSON_GetArrayItem(size, 1)), width = side(cJSON_GetArrayItem(size, 2));
    read_three(member(own, "mean"), wish->preprocess.mean);
    read_three(member(own, "std"), wish->preprocess.std);
    if (resampling) set_resampling(wish, resampling);
    if (!crop) return;
    wish->odd_geometry |= crop != width || (mode && !strcmp(mode, "border"));
    double part = cJSON_IsNumber(percent) ? percent->valuedouble : 0.875;
    if (mode && !strcmp(mode, "squash") && part >= 1)
        set_squash(wish, crop);
    else if (part > 0.1 && part <= 1)
        set_resize(wish, (int)floor(crop / part), crop);
}

/* ---- files ---- */

/* The JSON of that name in a folder ("" or ending in a slash, `size` bytes of it), and its path;
 * NULL where there is none. */
static cJSON *read_in(const char *folder, int size, const char *name, char **path)
{
    PfError err = {0};
    *path = pf_asprintf(NULL, "%.*s%s", size, folder, name);
    if (!*path || access(*path, F_OK)) {
        free(*path);
        *path = NULL;
        return NULL;
    }
    char *text = pf_weights_read_text(*path, CONFIG_BYTES, &err);
    cJSON *config = NULL;
    if (text && !pf_json_check_size(text, strlen(text), *path, name, &err))
        config = pf_json_parse(text, *path, name, &err);
    free(text);
    if (config) return config;
    pf_warn("'%s', beside the weights, is not read: %" PF_SENTENCE, *path, err.message);
    free(*path);
    *path = NULL;
    return NULL;
}

/* The same beside the weights. */
static cJSON *read_beside(const PfWeights *weights, const char *name, char **path)
{
    const char *slash = strrchr(weights->source, '/');
    *path = NULL;
    if (!weights->bytes && !weights->shard_count) return NULL;
    return read_in(weights->source, slash ? (int)(slash - weights->source) + 1 : 0, name, path);
}

/* ---- what it would take ---- */

static bool differ(const float a[3], const float b[3])
{
    for (int i = 0; i < 3; i++)
        if (fabsf(a[i] - b[i]) > 5e-4f) return true;
    return false;
}

static void add(char *text, size_t size, const char *what)
{
    size_t used = strlen(text);
    snprintf(text + used, size - used, " %s", what);
}

static void add_three(char *text, size_t size, const char *option, const float values[3])
{
    char part[80];
    snprintf(part, sizeof part, "%s %.6g,%.6g,%.6g", option, (double)values[0], (double)values[1],
             (double)values[2]);
    add(text, size, part);
}

/* The options that make ours theirs; "" where nothing differs. */
static void list_options(const PfPreprocess *ours, const PfPreprocess *theirs, char *text,
                         size_t size)
{
    char part[64];
    const bool other_size = ours->crop != theirs->crop || ours->resize != theirs->resize ||
                            !ours->squash != !theirs->squash;
    *text = 0;
    if (differ(ours->mean, theirs->mean)) add_three(text, size, "--mean", theirs->mean);
    if (differ(ours->std, theirs->std)) add_three(text, size, "--std", theirs->std);
    if (other_size && theirs->squash)
        snprintf(part, sizeof part, "--squash --crop %d", theirs->crop);
    else
        snprintf(part, sizeof part, "--resize %d --crop %d", theirs->resize, theirs->crop);
    if (other_size) add(text, size, part);
    if (ours->interpolation != theirs->interpolation)
        add(text, size,
            theirs->interpolation == PF_BICUBIC ? "--interpolation bicubic"
                                                : "--interpolation bilinear");
}

/* What is not done here; "" for nothing. */
static void list_odd(const Wish *wish, char *odd, size_t size)
{
    *odd = '\0';
    if (wish->odd_resampling) {
        add(odd, size, "resampling");
        add(odd, size, wish->odd_resampling);
    }
    if (wish->odd_scale)
        add(odd, size,
            *odd ? "and another scale of pixels than 1/255" : "another scale of pixels than 1/255");
    if (wish->odd_geometry)
        add(odd, size,
            *odd ? "and sizes that are not square" : "sizes or crops that are not square");
}

static void say(const char *path, const PfPreprocess *ours, const Wish *wish)
{
    char options[300], odd[200];
    list_options(ours, &wish->preprocess, options, sizeof options);
    list_odd(wish, odd, sizeof odd);
    if (!*options && !*odd) return;
    pf_warn("'%s', beside the weights, prepares images otherwise than this run%s%s%s%s", path,
            *options ? ". To follow it, add" : "", options,
            *odd ? "; it asks for what is not done here:" : "", odd);
}

void pf_weights_compare_preprocess(const PfWeights *weights, const PfPreprocess *ours)
{
    char *path;
    Wish wish = {.preprocess = *ours};
    cJSON *config = read_beside(weights, "preprocessor_config.json", &path);
    if (config) {
        read_preprocessor(config, &wish);
    } else {
        config = read_beside(weights, "config.json", &path);
        if (config) read_timm(config, &wish);
    }
    if (config) say(path, ours, &wish);
    cJSON_Delete(config);
    free(path);
}

void pf_weights_follow_preprocess(const char *folder, PfPreprocess *preprocess)
{
    char *inside = pf_asprintf(NULL, "%s/", folder), *path = NULL, odd[200];
    Wish wish = {.preprocess = *preprocess};
    cJSON *config =
        inside ? read_in(inside, (int)strlen(inside), "preprocessor_config.json", &path) : NULL;
    if (config) {
        read_preprocessor(config, &wish);
    } else if (inside) {
        config = read_in(inside, (int)strlen(inside), "config.json", &path);
        if (config) read_timm(config, &wish);
    }
    list_odd(&wish, odd, sizeof odd);
    if (config) {
        *preprocess = wish.preprocess;
        pf_say("images are prepared as '%s' says", path);
    }
    if (*odd) pf_warn("'%s' asks for what is not done here:%s", path, odd);
    cJSON_Delete(config);
    free(inside);
    free(path);
}

int pf_weights_check_resnet_config(const PfWeights *weights, PfError *err)
{
    char *path;
    cJSON *config = read_beside(weights, "config.json", &path);
    const char *activation = pf_json_member_text(config, "hidden_act"), *what = NULL;
    if (cJSON_IsTrue(member(config, "downsample_in_bottleneck")))
        what = "strides in the first convolution of a bottleneck (downsample_in_bottleneck)";
    if (cJSON_IsTrue(member(config, "downsample_in_first_stage")))
        what = "a first stage with strides (downsample_in_first_stage)";
    if (activation && strcmp(activation, "relu")) what = "another activation than ReLU";
    int failed =
        what ? pf_fail(err, PF_EXIT_FAILED,
                       "weights '%s': by '%s' it is another network than torchvision's ResNet: %s",
                       weights->source, path, what)
             : 0;
    cJSON_Delete(config);
    free(path);
    return failed;
}
