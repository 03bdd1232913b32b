/* config.json and preprocessor_config.json beside weights, as Hugging Face and timm write them. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/hash_index.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/file/input_file.h"
#include "common/weights/internal.h"

#define CONFIG_BYTES ((off_t)16 << 20)

/* What such a file says of pixels. */
typedef struct Wish {
    PfPreprocess preprocess;    /* begins as ours: what it does not say is no difference */
    const char *odd_resampling; /* one that is not done here, or NULL */
    const char *odd_geometry;   /* what of its sizes is not done here, or NULL; static */
    const char *odd_scale;      /* what of its numbers is not done here, or NULL; static */
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

/* Pixels are divided by them. */
static void check_deviations(Wish *wish)
{
    for (int i = 0; i < 3; i++)
        if (!(wish->preprocess.std[i] > 0) || !isfinite(wish->preprocess.std[i]) ||
            !isfinite(wish->preprocess.mean[i]))
            wish->odd_scale = "a mean and a deviation that cannot be";
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

#define NOT_SQUARE "sizes or crops that are not square"

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
    if (height != width) wish->odd_geometry = NOT_SQUARE;
    return height == width ? height : 0;
}

/* Whether the name of a processor begins so: "CLIPFeatureExtractor", "CLIPImageProcessorFast". */
static bool is_of(const char *type, const char *name)
{
    return type && !strncmp(type, name, strlen(name));
}

/* The processors for which transformers takes "size": 224 for the shorter side; for others it is a
 * square. Those without a crop make images that are not square. */
static const struct {
    const char *name;
    bool crops; /* unless the file says otherwise */
} by_shorter_side[] = {
    {"Bit", true},          {"BridgeTower", true},    {"CLIP", true},      {"Chameleon", true},
    {"ChineseCLIP", true},  {"Conditional", false},   {"ConvNext", false}, {"Deformable", false},
    {"Detr", false},        {"GroundingDino", false}, {"Levit", true},     {"Llava", true},
    {"Mask2Former", false}, {"MaskFormer", false},    {"MobileNet", true}, {"MobileViT", true},
    {"OneFormer", false},   {"PoolFormer", true},     {"Siglip", false},   {"TextNet", false},
    {"VideoMAE", true},     {"Vilt", false},          {"Vivit", true},     {"Yolos", false},
};

/* *crops: as above, false of others. */
static bool takes_shorter_side(const char *type, bool *crops)
{
    *crops = false;
    for (size_t i = 0; i < sizeof by_shorter_side / sizeof *by_shorter_side; i++) {
        if (!is_of(type, by_shorter_side[i].name)) continue;
        *crops = by_shorter_side[i].crops;
        return true;
    }
    return false;
}

/* Whether the centre is cut out; PoolFormer's older files have a name of their own for it. */
static bool crops_centre(const cJSON *config, const char *type)
{
    bool crops;
    const cJSON *asked = member(config, "do_center_crop");
    if (!asked) asked = member(config, "do_resize_and_center_crop");
    takes_shorter_side(type, &crops);
    return asked ? cJSON_IsTrue(asked) : crops;
}

/* What the shorter side becomes; 0: the image becomes a square. */
static int shorter_side(const cJSON *size, const char *type, Wish *wish)
{
    bool crops;
    const int said = side(member(size, "shortest_edge"));
    if (said) return said;
    if (cJSON_IsNumber(size)) return takes_shorter_side(type, &crops) ? side(size) : 0;
    return is_of(type, "ConvNext") || is_of(type, "PoolFormer") ? square_side(size, wish) : 0;
}

/* The same before a crop, of which two processors make more. */
static int before_crop(const cJSON *config, const char *type, int shortest)
{
    const cJSON *percent = member(config, "crop_pct");
    const double part = cJSON_IsNumber(percent) ? percent->valuedouble : 1;
    if (is_of(type, "Levit")) return (int)(256.0 / 224 * shortest);
    if (is_of(type, "PoolFormer") && part > 0.1 && part <= 1) return (int)(shortest / part);
    return shortest;
}

static void read_geometry(const cJSON *config, Wish *wish)
{
    const cJSON *size = member(config, "size"), *percent = member(config, "crop_pct");
    const char *type = pf_json_member_text(config, "image_processor_type");
    if (!type) type = pf_json_member_text(config, "feature_extractor_type");
    const bool is_convnext = is_of(type, "ConvNext");
    const int shortest = shorter_side(size, type, wish);
    const cJSON *cut = member(config, "crop_size");
    const bool crops = crops_centre(config, type);
    int crop = crops && cut ? square_side(cut, wish) : 0;
    if (crops && !cut) crop = shortest; /* older files have one size for both */
    if (cJSON_IsFalse(member(config, "do_resize"))) {
        if (crop) set_resize(wish, 0, crop);
    } else if (is_convnext && shortest) { /* from 384 on it squashes */
        double part = cJSON_IsNumber(percent) ? percent->valuedouble : 224.0 / 256;
        if (shortest >= 384)
            set_squash(wish, shortest);
        else if (part > 0.1 && part <= 1)
            set_resize(wish, (int)(shortest / part), shortest);
    } else if (shortest) {
        set_resize(wish, before_crop(config, type, shortest), crop ? crop : shortest);
        if (!crop) wish->odd_geometry = NOT_SQUARE;
    } else if (size) {
        int square = square_side(size, wish);
        if (square) set_squash(wish, square);
        if (crop && crop != square) wish->odd_geometry = "squashing to more than the crop";
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
    if (cJSON_IsFalse(member(config, "do_rescale")) ||
        (cJSON_IsNumber(scale) && fabs(scale->valuedouble * 255 - 1) > 1e-3))
        wish->odd_scale = "another scale of pixels than 1/255";
    read_geometry(config, wish);
}

/* ---- timm: config.json ---- */

/* The object that says it: pretrained_cfg, or in older files the outermost; NULL where neither is
 * timm's. */
static const cJSON *timm_config(const cJSON *config)
{
    const cJSON *own = member(config, "pretrained_cfg");
    if (cJSON_IsObject(own)) return own;
    return cJSON_IsArray(member(config, "input_size")) ? config : NULL;
}

static void read_timm_geometry(const cJSON *own, int crop, double part, Wish *wish)
{
    const char *mode = pf_json_member_text(own, "crop_mode");
    const bool is_squashed = mode && !strcmp(mode, "squash");
    if (mode && !is_squashed && strcmp(mode, "center"))
        wish->odd_geometry = !strcmp(mode, "border") ? "borders around images (crop_mode border)"
                                                     : "a crop_mode that is not known here";
    else if (part <= 0.1 || part > 1)
        wish->odd_geometry = "a crop_pct that is not between 0.1 and 1";
    else if (is_squashed && part < 1)
        wish->odd_geometry = "squashing to more than the crop";
    else if (is_squashed)
        set_squash(wish, crop);
    else
        set_resize(wish, (int)floor(crop / part), crop);
}

/* Of two sizes the one that its weights are tested at. */
static void read_timm(const cJSON *config, Wish *wish)
{
    const cJSON *own = timm_config(config), *percent = member(own, "crop_pct");
    const cJSON *size = member(own, "input_size"), *tested = member(own, "test_input_size");
    const char *resampling = pf_json_member_text(own, "interpolation");
    if (cJSON_IsArray(tested)) size = tested;
    if (cJSON_IsNumber(member(own, "test_crop_pct"))) percent = member(own, "test_crop_pct");
    const int crop = side(cJSON_GetArrayItem(size, 1)), width = side(cJSON_GetArrayItem(size, 2));
    read_three(member(own, "mean"), wish->preprocess.mean);
    read_three(member(own, "std"), wish->preprocess.std);
    if (resampling) set_resampling(wish, resampling);
    if (crop != width)
        wish->odd_geometry = NOT_SQUARE;
    else if (crop)
        read_timm_geometry(own, crop, cJSON_IsNumber(percent) ? percent->valuedouble : 0.875, wish);
}

/* ---- open_clip: open_clip_config.json ---- */

static bool is_of_open_clip(const cJSON *config)
{
    return cJSON_IsObject(member(config, "preprocess_cfg")) &&
           cJSON_IsObject(member(config, "model_cfg"));
}

/* The side is the image tower's. */
static void read_open_clip(const cJSON *config, Wish *wish)
{
    const cJSON *own = member(config, "preprocess_cfg"), *size = member(own, "size");
    const char *mode = pf_json_member_text(own, "resize_mode");
    const char *resampling = pf_json_member_text(own, "interpolation");
    if (!size) size = member(member(member(config, "model_cfg"), "vision_cfg"), "image_size");
    const cJSON *last = cJSON_IsArray(size) ? cJSON_GetArrayItem(size, 1) : size;
    const int height = side(cJSON_IsArray(size) ? cJSON_GetArrayItem(size, 0) : size);
    read_three(member(own, "mean"), wish->preprocess.mean);
    read_three(member(own, "std"), wish->preprocess.std);
    if (resampling) set_resampling(wish, resampling);
    if (height != side(last))
        wish->odd_geometry = NOT_SQUARE;
    else if (mode && !strcmp(mode, "longest"))
        wish->odd_geometry = "borders around images (resize_mode longest)";
    else if (mode && !strcmp(mode, "squash") && height)
        set_squash(wish, height);
    else if (height)
        set_resize(wish, height, height);
}

/* ---- files ---- */

/* A folder as texts begin with it: "" or ending in a slash, of which `size` bytes count. */
typedef struct Folder {
    const char *text;
    int size;
} Folder;

/* The JSON of that name in a folder, and its path; NULL where there is none. */
static cJSON *read_in(Folder folder, const char *name, char **path)
{
    PfError err = {0};
    *path = pf_asprintf(NULL, "%.*s%s", folder.size, folder.text, name);
    if (!*path || access(*path, F_OK)) {
        free(*path);
        *path = NULL;
        return NULL;
    }
    char *text = pf_input_file_read_text(*path, "", CONFIG_BYTES, NULL, &err);
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

/* The folder of the weights; its text is NULL where they are no file's. */
static Folder folder_of(const PfWeights *weights)
{
    const char *slash = strrchr(weights->source, '/');
    if (!weights->bytes && !weights->shard_count) return (Folder){NULL, 0};
    return (Folder){weights->source, slash ? (int)(slash - weights->source) + 1 : 0};
}

static cJSON *read_beside(const PfWeights *weights, const char *name, char **path)
{
    const Folder folder = folder_of(weights);
    *path = NULL;
    return folder.text ? read_in(folder, name, path) : NULL;
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
    if (wish->odd_scale) {
        if (*odd) add(odd, size, "and");
        add(odd, size, wish->odd_scale);
    }
    if (wish->odd_geometry) {
        if (*odd) add(odd, size, "and");
        add(odd, size, wish->odd_geometry);
    }
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

/* The file that says it, whose path becomes *path, and what it says: the caller deletes it, as
 * wish's texts are its own. NULL where there is none. */
static cJSON *read_wish(Folder folder, Wish *wish, char **path)
{
    *path = NULL;
    if (!folder.text) return NULL;
    cJSON *config = read_in(folder, "preprocessor_config.json", path);
    if (config) {
        read_preprocessor(config, wish);
        check_deviations(wish);
        return config;
    }
    config = read_in(folder, "config.json", path);
    if (config && timm_config(config)) {
        read_timm(config, wish);
        check_deviations(wish);
        return config;
    }
    cJSON_Delete(config);
    free(*path);
    config = read_in(folder, "open_clip_config.json", path);
    if (config && is_of_open_clip(config)) {
        read_open_clip(config, wish);
        check_deviations(wish);
        return config;
    }
    cJSON_Delete(config);
    free(*path);
    *path = NULL;
    return NULL;
}

void pf_weights_compare_preprocess(const PfWeights *weights, const PfPreprocess *ours)
{
    char *path;
    Wish wish = {.preprocess = *ours};
    cJSON *config = read_wish(folder_of(weights), &wish, &path);
    if (config) say(path, ours, &wish);
    cJSON_Delete(config);
    free(path);
}

static int check_wish(const char *path, const Wish *wish, const PfGivenPixels *given, PfError *err)
{
    if (wish->odd_resampling && !given->interpolation)
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s', beside the weights, asks for resampling %s, which is not done here. "
                       "Hint: choose with --interpolation",
                       path, wish->odd_resampling);
    if (wish->odd_geometry && !given->size)
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s', beside the weights, asks for %s, which is not done here. Hint: "
                       "choose with --resize and --crop",
                       path, wish->odd_geometry);
    if (wish->odd_scale && !given->scale)
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s', beside the weights, asks for %s, which is not done here. Hint: "
                       "choose with --mean and --std",
                       path, wish->odd_scale);
    return 0;
}

static int follow(Folder folder, const PfGivenPixels *given, PfPreprocess *preprocess, char **path,
                  PfError *err)
{
    Wish wish = {.preprocess = *preprocess};
    cJSON *config = read_wish(folder, &wish, path);
    if (!config) return 0;
    int failed = check_wish(*path, &wish, given, err);
    if (failed) {
        free(*path);
        *path = NULL;
    } else {
        *preprocess = wish.preprocess;
    }
    cJSON_Delete(config);
    return failed;
}

int pf_weights_follow_preprocess(const PfWeights *weights, const PfGivenPixels *given,
                                 PfPreprocess *preprocess, char **path, PfError *err)
{
    return follow(folder_of(weights), given, preprocess, path, err);
}

int pf_weights_follow_folder(const char *folder, const PfGivenPixels *given,
                             PfPreprocess *preprocess, char **path, PfError *err)
{
    char *inside = pf_asprintf(err, "%s/", folder);
    if (!inside) return -1;
    int failed = follow((Folder){inside, (int)strlen(inside)}, given, preprocess, path, err);
    free(inside);
    return failed;
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

/* ---- names of classes ---- */

/* What transformers writes where nobody has named them. */
static bool is_placeholder(const char *name, int64_t number)
{
    char text[40];
    snprintf(text, sizeof text, "LABEL_%lld", (long long)number);
    return !strcmp(name, text);
}

/* The names by their numbers, lent, in a list to be freed. NULL where a number below `count` has no
 * name; also where memory is short, with err. */
static const char **by_number(const cJSON *labels, int64_t count, PfError *err)
{
    const char **names = pf_calloc((size_t)count + 1, sizeof *names, err);
    const cJSON *label;
    int64_t named = 0;
    if (!names) return NULL;
    cJSON_ArrayForEach(label, labels)
    {
        char key[24];
        const char *name = cJSON_GetStringValue(label);
        const long long number = strtoll(label->string, NULL, 10);
        snprintf(key, sizeof key, "%lld", number);
        if (number < 0 || number >= count || strcmp(key, label->string) || names[number] || !name ||
            !*name)
            break;
        names[number] = name;
        named++;
    }
    if (named == count) return names;
    free(names);
    return NULL;
}

static bool are_placeholders(const char *const *names, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (!is_placeholder(names[i], i)) return false;
    return true;
}

/* Adds a class's name, with its number where another before it has the same. seen: of the list. */
static int add_name(cJSON *list, PfTextIndex *seen, const char *name, int64_t number, PfError *err)
{
    const bool is_new = pf_text_index_find(seen, name, strlen(name)) < 0;
    char *own =
        is_new ? pf_strdup(name, err) : pf_asprintf(err, "%s (%lld)", name, (long long)number);
    cJSON *item = own ? cJSON_CreateString(own) : NULL;
    free(own);
    if (!cJSON_AddItemToArray(list, item)) return -1;
    if (pf_text_index_find(seen, item->valuestring, strlen(item->valuestring)) >= 0) return 0;
    return pf_text_index_add(seen, item->valuestring, err);
}

/* NULL where they are not all named; also where memory is short, with err. */
static cJSON *list_names(const cJSON *labels, int64_t count, PfError *err)
{
    PfTextIndex seen = {0};
    const char **names = by_number(labels, count, err);
    cJSON *list = names && !are_placeholders(names, count) ? cJSON_CreateArray() : NULL;
    int failed = 0;
    for (int64_t i = 0; list && !failed && i < count; i++)
        failed = add_name(list, &seen, names[i], i, err);
    pf_text_index_free(&seen);
    free(names);
    if (!failed) return list;
    cJSON_Delete(list);
    return NULL;
}

int pf_weights_class_names(const PfWeights *weights, int64_t count, cJSON **names, char **path,
                           PfError *err)
{
    PfError memory = {0};
    cJSON *config = read_beside(weights, "config.json", path);
    const cJSON *labels = member(config, "id2label");
    *names = NULL;
    if (cJSON_IsObject(labels) && cJSON_GetArraySize(labels) != count)
        pf_warn("'%s', beside the weights, names %d classes, and they have %lld: not used", *path,
                cJSON_GetArraySize(labels), (long long)count);
    else if (cJSON_IsObject(labels))
        *names = list_names(labels, count, &memory);
    cJSON_Delete(config);
    if (!*names) {
        free(*path);
        *path = NULL;
    }
    return *memory.message ? pf_fail(err, memory.exit_code, "%" PF_SENTENCE, memory.message) : 0;
}
