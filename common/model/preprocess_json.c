#include "common/model/preprocess_json.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The double that prints as the float does: 0.485, not 0.48500001430511475. */
static double shortest_double(float value)
{
    char text[32];
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)value);
        if (strtof(text, NULL) == value) break;
    }
    return strtod(text, NULL);
}

static void add_triple(cJSON *object, const char *key, const float values[3])
{
    double doubles[3];
    for (int i = 0; i < 3; i++) doubles[i] = shortest_double(values[i]);
    cJSON_AddItemToObject(object, key, cJSON_CreateDoubleArray(doubles, 3));
}

const char *pf_preprocess_json_interpolation_name(PfInterpolation interpolation)
{
    return interpolation == PF_BICUBIC ? "bicubic" : "bilinear";
}

const char *pf_preprocess_json_resize_order_name(PfResizeOrder order)
{
    static const char *const names[PF_RESIZE_ORDERS] = {
        [PF_PILLOW12] = "pillow12", [PF_PILLOW13] = "pillow13"};
    return names[order];
}

cJSON *pf_preprocess_json_new(const PfPreprocess *preprocess)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddNumberToObject(object, "resize", preprocess->resize);
    cJSON_AddNumberToObject(object, "crop", preprocess->crop);
    cJSON_AddBoolToObject(object, "squash", preprocess->squash);
    cJSON_AddStringToObject(object, "interpolation",
                            pf_preprocess_json_interpolation_name(preprocess->interpolation));
    add_triple(object, "mean", preprocess->mean);
    add_triple(object, "std", preprocess->std);
    if (preprocess->fast_decode) cJSON_AddTrueToObject(object, "fast_decode");
    if (preprocess->exif) cJSON_AddStringToObject(object, "exif", "apply");
    if (preprocess->resize_order)
        cJSON_AddStringToObject(object, "resize_order",
                                pf_preprocess_json_resize_order_name(preprocess->resize_order));
    if (preprocess->keep_truncated) cJSON_AddTrueToObject(object, "keep_truncated");
    if (preprocess->has_background) {
        const uint8_t *over = preprocess->background;
        cJSON_AddItemToObject(object, "background",
                              cJSON_CreateIntArray((const int[]){over[0], over[1], over[2]}, 3));
    }
    return object;
}

static int read_triple(const cJSON *object, const char *key, float out[3])
{
    const cJSON *array = cJSON_GetObjectItemCaseSensitive(object, key);
    if (cJSON_GetArraySize(array) != 3) return -1;
    for (int i = 0; i < 3; i++) {
        const cJSON *number = cJSON_GetArrayItem(array, i);
        if (!cJSON_IsNumber(number)) return -1;
        out[i] = (float)number->valuedouble;
    }
    return 0;
}

static bool is_side(const cJSON *number, int minimum)
{
    return cJSON_IsNumber(number) && number->valuedouble >= minimum &&
           number->valuedouble <= PF_SIDE_MAX;
}

static bool is_text(const cJSON *text, const char *name)
{
    return cJSON_IsString(text) && !strcmp(text->valuestring, name);
}

int pf_preprocess_json_read_later(const cJSON *object, PfPreprocess *out, PfError *err)
{
    const cJSON *exif = cJSON_GetObjectItemCaseSensitive(object, "exif");
    const cJSON *order = cJSON_GetObjectItemCaseSensitive(object, "resize_order");
    out->exif = is_text(exif, "apply");
    if (exif && !out->exif && !is_text(exif, "ignore"))
        return pf_fail(
            err, PF_EXIT_FAILED,
            "the \"preprocess\" entry has an \"exif\" of another kind than \"apply\" and "
            "\"ignore\": a later version made it");
    out->resize_order = PF_PILLOW12;
    if (!order) return 0;
    for (int i = 0; i < PF_RESIZE_ORDERS; i++) {
        if (!is_text(order, pf_preprocess_json_resize_order_name((PfResizeOrder)i))) continue;
        out->resize_order = (PfResizeOrder)i;
        return 0;
    }
    return pf_fail(err, PF_EXIT_FAILED,
                   "the \"preprocess\" entry has a \"resize_order\" of another kind than "
                   "\"pillow12\" and \"pillow13\": a later version made it");
}

static int read_background(const cJSON *object, PfPreprocess *out, PfError *err)
{
    const cJSON *array = cJSON_GetObjectItemCaseSensitive(object, "background");
    float values[3];
    if (!array) return 0;
    int failed = read_triple(object, "background", values);
    for (int i = 0; i < 3 && !failed; i++) {
        failed = !(values[i] >= 0 && values[i] <= 255) || values[i] != (float)(int)values[i];
        if (!failed) out->background[i] = (uint8_t)values[i];
    }
    out->has_background = 1;
    if (!failed) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "the \"preprocess\" entry has a \"background\" other than three whole numbers "
                   "from 0 to 255");
}

int pf_preprocess_json_read(const cJSON *object, PfPreprocess *out, PfError *err)
{
    const cJSON *resize = cJSON_GetObjectItemCaseSensitive(object, "resize");
    const cJSON *crop = cJSON_GetObjectItemCaseSensitive(object, "crop");
    const cJSON *mode = cJSON_GetObjectItemCaseSensitive(object, "interpolation");
    *out = (PfPreprocess){0};
    const bool is_bicubic = is_text(mode, pf_preprocess_json_interpolation_name(PF_BICUBIC));
    const bool is_bilinear = is_text(mode, pf_preprocess_json_interpolation_name(PF_BILINEAR));
    if (!is_side(resize, 0) || !is_side(crop, 1) || (!is_bicubic && !is_bilinear) ||
        read_triple(object, "mean", out->mean) || read_triple(object, "std", out->std))
        return pf_fail(err, PF_EXIT_FAILED,
                       "the \"preprocess\" entry lacks a usable resize, crop, interpolation, mean "
                       "or std");
    out->resize = resize->valueint;
    out->crop = crop->valueint;
    out->squash = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, "squash"));
    out->interpolation = is_bicubic ? PF_BICUBIC : PF_BILINEAR;
    out->fast_decode = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, "fast_decode"));
    out->keep_truncated = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, "keep_truncated"));
    if (read_background(object, out, err)) return -1;
    return pf_preprocess_json_read_later(object, out, err);
}
