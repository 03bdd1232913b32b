#include "common/onnx/model.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/printable.h"
#include "common/file/input_file.h"

int pf_onnx_fail(const PfOnnxModel *model, const PfOnnxStep *step, PfError *err, const char *format,
                 ...)
{
    char reason[1024];
    va_list arguments;
    va_start(arguments, format);
    pf_vformat(reason, sizeof reason, format, arguments);
    va_end(arguments);
    const char *name = *step->name              ? step->name
                       : step->output_count > 0 ? pf_onnx_value_name(model, step->outputs[0])
                                                : "";
    return pf_fail(err, PF_EXIT_FAILED, "'%s': node '%s' (%s%s%s, opset %lld): %" PF_SENTENCE,
                   model->path, name, step->domain, *step->domain ? "::" : "", step->type,
                   (long long)model->opset, reason);
}

int64_t pf_onnx_count(const PfOnnxDims *dims)
{
    int64_t count = 1;
    for (int i = 0; i < dims->rank; i++)
        if (__builtin_mul_overflow(count, dims->sizes[i], &count)) count = INT64_MAX;
    return count;
}

const char *pf_onnx_dims_text(const PfOnnxDims *dims, char text[PF_SHAPE_TEXT_SIZE])
{
    int used = snprintf(text, PF_SHAPE_TEXT_SIZE, "(");
    for (int i = 0; i < dims->rank && used < PF_SHAPE_TEXT_SIZE; i++)
        used += snprintf(text + used, (size_t)(PF_SHAPE_TEXT_SIZE - used), "%s%lld", i ? "," : "",
                         (long long)dims->sizes[i]);
    if (used < PF_SHAPE_TEXT_SIZE) snprintf(text + used, (size_t)(PF_SHAPE_TEXT_SIZE - used), ")");
    return text;
}

const char *pf_onnx_value_name(const PfOnnxModel *model, int value)
{
    return value < 0 ? "" : model->names.texts[value];
}

const PfOnnxSetting *pf_onnx_setting(const PfOnnxStep *step, const char *name)
{
    for (int i = 0; i < step->setting_count; i++)
        if (!strcmp(step->settings[i].name, name)) return &step->settings[i];
    return NULL;
}

int64_t pf_onnx_whole(const PfOnnxStep *step, const char *name, int64_t otherwise)
{
    const PfOnnxSetting *setting = pf_onnx_setting(step, name);
    return setting ? setting->whole : otherwise;
}

float pf_onnx_real(const PfOnnxStep *step, const char *name, float otherwise)
{
    const PfOnnxSetting *setting = pf_onnx_setting(step, name);
    return setting ? setting->real : otherwise;
}

const char *pf_onnx_text(const PfOnnxStep *step, const char *name, const char *otherwise)
{
    const PfOnnxSetting *setting = pf_onnx_setting(step, name);
    return setting && setting->text ? setting->text : otherwise;
}

void pf_onnx_model_free(PfOnnxModel **model)
{
    if (!*model) return;
    for (size_t i = 0; i < (*model)->data_count; i++)
        if (!(*model)->data[i].is_lent)
            pf_input_file_unmap((*model)->data[i].bytes, (*model)->data[i].size);
    free((*model)->data);
    free((*model)->steps);
    free((*model)->values);
    pf_text_index_free(&(*model)->names);
    pf_arena_free(&(*model)->arena);
    free(*model);
    *model = NULL;
}
