#include "common/onnx/fold.h"

#include <math.h>
#include <string.h>

#include "common/base/integers.h"

#define MAX_FOLD_INPUTS 256

/* ---- numbers ---- */

bool pf_onnx_tensor_is_whole(const PfOnnxTensor *tensor)
{
    switch (tensor->dtype) {
    case PF_DTYPE_F32:
    case PF_DTYPE_F16:
    case PF_DTYPE_BF16:
    case PF_DTYPE_F64: return false;
    default: return true;
    }
}

int64_t pf_onnx_tensor_whole(const PfOnnxTensor *tensor, int64_t index)
{
    const size_t width = pf_dtype_size(tensor->dtype);
    const uint8_t *at = (const uint8_t *)tensor->data + (size_t)index * width;
    const uint64_t bits = pf_little_endian(at, width);
    if (!pf_onnx_tensor_is_whole(tensor)) {
        const double real = pf_onnx_tensor_real(tensor, index);
        return fabs(real) < 9e18 ? (int64_t)real : 0;
    }
    if (tensor->dtype == PF_DTYPE_U8 || tensor->dtype == PF_DTYPE_BOOL || width == 8)
        return (int64_t)bits;
    const uint64_t sign = (uint64_t)1 << (8 * width - 1);
    return (int64_t)((bits ^ sign) - sign);
}

double pf_onnx_tensor_real(const PfOnnxTensor *tensor, int64_t index)
{
    const size_t width = pf_dtype_size(tensor->dtype);
    const uint8_t *at = (const uint8_t *)tensor->data + (size_t)index * width;
    double number;
    float narrow;
    if (pf_onnx_tensor_is_whole(tensor)) return (double)pf_onnx_tensor_whole(tensor, index);
    if (tensor->dtype == PF_DTYPE_F64) {
        memcpy(&number, at, sizeof number);
        return number;
    }
    uint64_t aligned = pf_little_endian(at, width);
    pf_f32_from_dtype_array(&narrow, &aligned, tensor->dtype, 1);
    return (double)narrow;
}

PfOnnxTensor *pf_onnx_tensor_new(PfOnnxModel *model, const PfOnnxStep *step, PfDtype dtype,
                                 const PfOnnxDims *dims, void **data, PfError *err)
{
    size_t count = 1;
    bool fits = dims->rank <= PF_ONNX_MAX_RANK;
    for (int i = 0; i < dims->rank && fits; i++) {
        const int64_t size = dims->sizes[i];
        fits = size >= 0 && (size || dims->rank == 1) &&
               (!size || (uint64_t)size <= model->budget / count);
        count *= (size_t)size;
    }
    if (!fits || count > model->budget) {
        pf_onnx_fail(model, step, err, "expected constants no larger than the file's own");
        return NULL;
    }
    model->budget -= count;
    PfOnnxTensor *tensor = pf_arena_allocate(&model->arena, sizeof *tensor, 16, err);
    const size_t bytes = count * pf_dtype_size(dtype) + 8;
    void *room = tensor ? pf_arena_allocate(&model->arena, bytes, 64, err) : NULL;
    if (!room) return NULL;
    memset(room, 0, bytes);
    *tensor = (PfOnnxTensor){dtype, *dims, room};
    *data = room;
    return tensor;
}

/* ---- what a fold has at hand ---- */

typedef struct Fold {
    PfOnnxModel *model;
    const PfOnnxStep *step;
    const PfOnnxTensor *inputs[MAX_FOLD_INPUTS]; /* NULL: left out */
    const PfOnnxTensor *made;
    PfError *err;
} Fold;

typedef struct Places {
    int64_t at[PF_ONNX_MAX_RANK];
} Places;

static PfOnnxTensor *make(Fold *fold, PfDtype dtype, const PfOnnxDims *dims, void **data)
{
    PfOnnxTensor *tensor =
        pf_onnx_tensor_new(fold->model, fold->step, dtype, dims, data, fold->err);
    fold->made = tensor;
    return tensor;
}

/* The same numbers under another shape. */
static int look_at(Fold *fold, const PfOnnxDims *dims)
{
    PfOnnxTensor *tensor = pf_arena_allocate(&fold->model->arena, sizeof *tensor, 16, fold->err);
    if (!tensor) return -1;
    *tensor = *fold->inputs[0];
    tensor->dims = *dims;
    fold->made = tensor;
    return 0;
}

static int make_list(Fold *fold, const int64_t *numbers, int count, bool is_scalar)
{
    void *data;
    PfOnnxDims dims = {is_scalar ? 0 : 1, {count}};
    if (!make(fold, PF_DTYPE_I64, &dims, &data)) return -1;
    memcpy(data, numbers, (size_t)count * sizeof *numbers);
    return 0;
}

/* The next place of an array in row-major order. */
static void advance(const PfOnnxDims *dims, Places *places)
{
    for (int axis = dims->rank - 1; axis >= 0; axis--) {
        if (++places->at[axis] < dims->sizes[axis]) return;
        places->at[axis] = 0;
    }
}

/* Where a place of a broadcast result lies in one that was broadcast. */
static int64_t offset_in(const PfOnnxDims *dims, const PfOnnxDims *whole, const Places *places)
{
    int64_t offset = 0;
    for (int axis = 0; axis < dims->rank; axis++) {
        const int64_t at = places->at[axis + whole->rank - dims->rank];
        offset = offset * dims->sizes[axis] + (dims->sizes[axis] == 1 ? 0 : at);
    }
    return offset;
}

static void copy_number(const PfOnnxTensor *from, int64_t index, void *to, int64_t at)
{
    const size_t width = pf_dtype_size(from->dtype);
    memcpy((uint8_t *)to + (size_t)at * width, (const uint8_t *)from->data + (size_t)index * width,
           width);
}

/* ---- constants ---- */

static int fold_constant(Fold *fold)
{
    const PfOnnxStep *step = fold->step;
    const PfOnnxSetting *setting = step->setting_count == 1 ? &step->settings[0] : NULL;
    void *data;
    if (setting && setting->tensor) {
        fold->made = setting->tensor;
        return 0;
    }
    if (setting && !strcmp(setting->name, "value_int"))
        return make_list(fold, &setting->whole, 1, true);
    if (setting && !strcmp(setting->name, "value_ints"))
        return make_list(fold, setting->wholes, setting->count, false);
    const bool is_one = setting && !strcmp(setting->name, "value_float");
    if (!is_one && !(setting && !strcmp(setting->name, "value_floats")))
        return pf_onnx_fail(fold->model, step, fold->err, "expected numbers, found something else");
    PfOnnxDims dims = {is_one ? 0 : 1, {setting->real_count}};
    if (!make(fold, PF_DTYPE_F32, &dims, &data)) return -1;
    memcpy(data, is_one ? &setting->real : setting->reals,
           sizeof(float) * (size_t)pf_onnx_count(&dims));
    return 0;
}

static int fold_fill(Fold *fold)
{
    const PfOnnxSetting *value = pf_onnx_setting(fold->step, "value");
    PfOnnxDims dims = {0};
    void *data;
    if (pf_onnx_list(fold->model, fold->step, "shape", 0, dims.sizes, &dims.rank, fold->err))
        return -1;
    const PfDtype dtype = value && value->tensor ? value->tensor->dtype : PF_DTYPE_F32;
    if (dims.rank < 0 || !make(fold, dtype, &dims, &data)) return -1;
    if (!value || !value->tensor || pf_onnx_count(&value->tensor->dims) != 1) return 0;
    const int64_t count = pf_onnx_count(&dims);
    for (int64_t i = 0; i < count; i++) copy_number(value->tensor, 0, data, i);
    return 0;
}

static int fold_range(Fold *fold)
{
    void *data;
    double numbers[3];
    for (int i = 0; i < 3; i++) {
        if (!fold->inputs[i] || pf_onnx_count(&fold->inputs[i]->dims) != 1)
            return pf_onnx_fail(fold->model, fold->step, fold->err, "expected three numbers");
        numbers[i] = pf_onnx_tensor_real(fold->inputs[i], 0);
    }
    const double count = ceil((numbers[1] - numbers[0]) / numbers[2]);
    if (!(count >= 0 && count < 1e9))
        return pf_onnx_fail(fold->model, fold->step, fold->err, "expected a range that ends");
    const bool is_whole = pf_onnx_tensor_is_whole(fold->inputs[0]);
    PfOnnxDims dims = {1, {(int64_t)count}};
    if (!make(fold, is_whole ? PF_DTYPE_I64 : PF_DTYPE_F32, &dims, &data)) return -1;
    for (int64_t i = 0; i < dims.sizes[0]; i++) {
        const double number = numbers[0] + (double)i * numbers[2];
        if (is_whole)
            ((int64_t *)data)[i] = (int64_t)number;
        else
            ((float *)data)[i] = (float)number;
    }
    return 0;
}

/* ---- other arrangements ---- */

static int fold_same(Fold *fold)
{
    return look_at(fold, &fold->inputs[0]->dims);
}

static int fold_reshape(Fold *fold)
{
    PfOnnxDims dims;
    if (pf_onnx_reshaped(fold->model, fold->step, &fold->inputs[0]->dims, &dims, fold->err))
        return -1;
    return look_at(fold, &dims);
}

static int fold_transpose(Fold *fold)
{
    const PfOnnxTensor *in = fold->inputs[0];
    int axes[PF_ONNX_MAX_RANK];
    PfOnnxDims dims;
    Places places = {{0}};
    void *data;
    if (pf_onnx_transposed(fold->model, fold->step, &in->dims, axes, &dims, fold->err) ||
        !make(fold, in->dtype, &dims, &data))
        return -1;
    int64_t strides[PF_ONNX_MAX_RANK], stride = 1;
    for (int i = in->dims.rank - 1; i >= 0; i--) {
        strides[i] = stride;
        stride *= in->dims.sizes[i];
    }
    const int64_t count = pf_onnx_count(&dims);
    for (int64_t i = 0; i < count; i++, advance(&dims, &places)) {
        int64_t from = 0;
        for (int axis = 0; axis < dims.rank; axis++) from += places.at[axis] * strides[axes[axis]];
        copy_number(in, from, data, i);
    }
    return 0;
}

static int fold_gather(Fold *fold)
{
    const PfOnnxTensor *in = fold->inputs[0], *which = fold->inputs[1];
    int axis;
    void *data;
    if (!which || pf_onnx_axis(fold->model, fold->step, pf_onnx_whole(fold->step, "axis", 0),
                               in->dims.rank, &axis, fold->err))
        return -1;
    PfOnnxDims dims = {.rank = in->dims.rank - 1 + which->dims.rank};
    if (dims.rank > PF_ONNX_MAX_RANK)
        return pf_onnx_fail(fold->model, fold->step, fold->err, "expected fewer axes");
    int64_t before = 1, behind = 1;
    const int64_t size = in->dims.sizes[axis], picked = pf_onnx_count(&which->dims);
    for (int i = 0; i < in->dims.rank; i++) {
        if (i < axis) before *= dims.sizes[i] = in->dims.sizes[i];
        if (i > axis) behind *= dims.sizes[i - 1 + which->dims.rank] = in->dims.sizes[i];
    }
    for (int i = 0; i < which->dims.rank; i++) dims.sizes[axis + i] = which->dims.sizes[i];
    if (!make(fold, in->dtype, &dims, &data)) return -1;
    for (int64_t k = 0; k < picked; k++) {
        int64_t at = pf_onnx_tensor_whole(which, k);
        if (at < 0) at += size;
        if (at < 0 || at >= size)
            return pf_onnx_fail(fold->model, fold->step, fold->err,
                                "expected an index below %lld, found %lld", (long long)size,
                                (long long)at);
        for (int64_t b = 0; b < before; b++)
            for (int64_t i = 0; i < behind; i++)
                copy_number(in, (b * size + at) * behind + i, data, (b * picked + k) * behind + i);
    }
    return 0;
}

static int fold_slice(Fold *fold)
{
    const PfOnnxTensor *in = fold->inputs[0];
    PfOnnxCut cuts[PF_ONNX_MAX_RANK];
    PfOnnxDims dims = in->dims;
    int count;
    int64_t starts[PF_ONNX_MAX_RANK] = {0}, steps[PF_ONNX_MAX_RANK];
    Places places = {{0}};
    void *data;
    for (int i = 0; i < PF_ONNX_MAX_RANK; i++) steps[i] = 1;
    if (pf_onnx_cuts(fold->model, fold->step, &in->dims, cuts, &count, fold->err)) return -1;
    for (int i = 0; i < count; i++) {
        dims.sizes[cuts[i].axis] = cuts[i].count;
        starts[cuts[i].axis] = cuts[i].start;
        steps[cuts[i].axis] = cuts[i].step;
    }
    if (!make(fold, in->dtype, &dims, &data)) return -1;
    const int64_t total = pf_onnx_count(&dims);
    for (int64_t i = 0; i < total; i++, advance(&dims, &places)) {
        int64_t from = 0;
        for (int axis = 0; axis < dims.rank; axis++)
            from = from * in->dims.sizes[axis] + starts[axis] + places.at[axis] * steps[axis];
        copy_number(in, from, data, i);
    }
    return 0;
}

static int fold_concat(Fold *fold)
{
    const PfOnnxTensor *first = fold->inputs[0];
    int axis;
    void *data;
    if (pf_onnx_axis(fold->model, fold->step, pf_onnx_whole(fold->step, "axis", 0),
                     first->dims.rank, &axis, fold->err))
        return -1;
    PfOnnxDims dims = first->dims;
    dims.sizes[axis] = 0;
    for (int k = 0; k < fold->step->input_count; k++) {
        const PfOnnxTensor *part = fold->inputs[k];
        bool fits = part && part->dtype == first->dtype && part->dims.rank == dims.rank;
        for (int i = 0; i < dims.rank && fits; i++)
            fits = i == axis || part->dims.sizes[i] == dims.sizes[i];
        if (!fits)
            return pf_onnx_fail(fold->model, fold->step, fold->err, "expected parts that fit");
        dims.sizes[axis] += part->dims.sizes[axis];
    }
    if (!make(fold, first->dtype, &dims, &data)) return -1;
    int64_t before = 1, behind = 1, at = 0;
    for (int i = 0; i < axis; i++) before *= dims.sizes[i];
    for (int i = axis + 1; i < dims.rank; i++) behind *= dims.sizes[i];
    for (int k = 0; k < fold->step->input_count; k++) {
        const PfOnnxTensor *part = fold->inputs[k];
        const int64_t run = part->dims.sizes[axis] * behind;
        for (int64_t b = 0; b < before; b++)
            for (int64_t i = 0; i < run; i++)
                copy_number(part, b * run + i, data, b * dims.sizes[axis] * behind + at + i);
        at += run;
    }
    return 0;
}

static int fold_expand(Fold *fold)
{
    const PfOnnxTensor *in = fold->inputs[0];
    PfOnnxDims asked = {0}, dims;
    Places places = {{0}};
    void *data;
    if (pf_onnx_list(fold->model, fold->step, "shape", 1, asked.sizes, &asked.rank, fold->err))
        return -1;
    if (asked.rank < 0) asked.rank = 0;
    if (pf_onnx_broadcast(fold->model, fold->step, &in->dims, &asked, &dims, fold->err)) return -1;
    if (dims.rank == in->dims.rank && !memcmp(dims.sizes, in->dims.sizes, sizeof dims.sizes))
        return look_at(fold, &dims);
    if (!make(fold, in->dtype, &dims, &data)) return -1;
    const int64_t count = pf_onnx_count(&dims);
    for (int64_t i = 0; i < count; i++, advance(&dims, &places))
        copy_number(in, offset_in(&in->dims, &dims, &places), data, i);
    return 0;
}

/* ---- arithmetic ---- */

static PfDtype cast_type(int64_t to)
{
    switch (to) {
    case 1: return PF_DTYPE_F32;
    case 10: return PF_DTYPE_F16;
    case 16: return PF_DTYPE_BF16;
    case 11: return PF_DTYPE_F64;
    default: return PF_DTYPE_I64;
    }
}

/* Numbers with a fraction stay as they are when they are cast to another such type: what is
 * computed with them is computed in float32 anyway. */
static int fold_cast(Fold *fold)
{
    const PfOnnxTensor *in = fold->inputs[0];
    const int64_t to = pf_onnx_whole(fold->step, "to", 0);
    const bool is_whole = pf_onnx_tensor_is_whole(in);
    const bool becomes_whole = cast_type(to) == PF_DTYPE_I64;
    void *data;
    if (is_whole == becomes_whole) return look_at(fold, &in->dims);
    if (!make(fold, becomes_whole ? PF_DTYPE_I64 : PF_DTYPE_F32, &in->dims, &data)) return -1;
    const int64_t count = pf_onnx_count(&in->dims);
    for (int64_t i = 0; i < count; i++) {
        if (becomes_whole)
            ((int64_t *)data)[i] = pf_onnx_tensor_whole(in, i);
        else
            ((float *)data)[i] = (float)pf_onnx_tensor_real(in, i);
    }
    return 0;
}

/* Of integers that wrap, as in other programs. */
static int64_t wrap_add(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

static int64_t wrap_subtract(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a - (uint64_t)b);
}

static int64_t wrap_multiply(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a * (uint64_t)b);
}

static int64_t divide(int64_t a, int64_t b)
{
    return b == -1 ? wrap_subtract(0, a) : b ? a / b : 0;
}

static int64_t whole_equal(int64_t a, int64_t b)
{
    return a == b;
}
static int64_t whole_less(int64_t a, int64_t b)
{
    return a < b;
}
static int64_t whole_greater(int64_t a, int64_t b)
{
    return a > b;
}
static int64_t whole_and(int64_t a, int64_t b)
{
    return a && b;
}
static int64_t whole_or(int64_t a, int64_t b)
{
    return a || b;
}
static double real_add(double a, double b)
{
    return a + b;
}
static double real_subtract(double a, double b)
{
    return a - b;
}
static double real_multiply(double a, double b)
{
    return a * b;
}
static double real_divide(double a, double b)
{
    return a / b;
}

/* Integers for integers, else float32; only real: always float32. */
static const struct {
    const char *type;
    int64_t (*whole)(int64_t a, int64_t b);
    double (*real)(double a, double b);
} pairs[] = {
    {"Add", wrap_add, real_add},
    {"Sub", wrap_subtract, real_subtract},
    {"Mul", wrap_multiply, real_multiply},
    {"Div", divide, real_divide},
    {"Min", pf_min, fmin},
    {"Max", pf_max, fmax},
    {"Pow", NULL, pow},
    {"Equal", whole_equal, NULL},
    {"Less", whole_less, NULL},
    {"Greater", whole_greater, NULL},
    {"And", whole_and, NULL},
    {"Or", whole_or, NULL},
};
#define PAIR_COUNT (sizeof pairs / sizeof pairs[0])

static int fold_pair(Fold *fold)
{
    const PfOnnxTensor *a = fold->inputs[0], *b = fold->inputs[1];
    size_t row = 0;
    Places places = {{0}};
    PfOnnxDims dims;
    void *data;
    while (row < PAIR_COUNT && strcmp(pairs[row].type, fold->step->type)) row++;
    if (row == PAIR_COUNT || !b || fold->step->input_count != 2)
        return pf_onnx_fail(fold->model, fold->step, fold->err, "expected two inputs");
    const bool is_whole =
        pf_onnx_tensor_is_whole(a) && pf_onnx_tensor_is_whole(b) && pairs[row].whole;
    if (!is_whole && !pairs[row].real) return 0;
    if (pf_onnx_broadcast(fold->model, fold->step, &a->dims, &b->dims, &dims, fold->err) ||
        !make(fold, is_whole ? PF_DTYPE_I64 : PF_DTYPE_F32, &dims, &data))
        return -1;
    const int64_t count = pf_onnx_count(&dims);
    for (int64_t i = 0; i < count; i++, advance(&dims, &places)) {
        const int64_t m = offset_in(&a->dims, &dims, &places),
                      n = offset_in(&b->dims, &dims, &places);
        if (is_whole)
            ((int64_t *)data)[i] =
                pairs[row].whole(pf_onnx_tensor_whole(a, m), pf_onnx_tensor_whole(b, n));
        else
            ((float *)data)[i] =
                (float)pairs[row].real(pf_onnx_tensor_real(a, m), pf_onnx_tensor_real(b, n));
    }
    return 0;
}

/* Of two; of others, parameters are made, which the network compares. */
static int fold_extreme(Fold *fold)
{
    return fold->step->input_count == 2 ? fold_pair(fold) : 0;
}

static double negative(double a)
{
    return -a;
}
static double reciprocal(double a)
{
    return 1 / a;
}

static const struct {
    const char *type;
    double (*real)(double a);
} singles[] = {{"Sqrt", sqrt},
               {"Exp", exp},
               {"Log", log},
               {"Erf", erf},
               {"Abs", fabs},
               {"Neg", negative},
               {"Reciprocal", reciprocal},
               {"Floor", floor},
               {"Ceil", ceil}};
#define SINGLE_COUNT (sizeof singles / sizeof singles[0])

static int fold_single(Fold *fold)
{
    const PfOnnxTensor *in = fold->inputs[0];
    const bool is_whole = pf_onnx_tensor_is_whole(in);
    size_t row = 0;
    void *data;
    while (row < SINGLE_COUNT && strcmp(singles[row].type, fold->step->type)) row++;
    if (is_whole && strcmp(fold->step->type, "Neg")) return 0;
    if (row == SINGLE_COUNT ||
        !make(fold, is_whole ? PF_DTYPE_I64 : PF_DTYPE_F32, &in->dims, &data))
        return -1;
    const int64_t count = pf_onnx_count(&in->dims);
    for (int64_t i = 0; i < count; i++) {
        if (is_whole)
            ((int64_t *)data)[i] = wrap_subtract(0, pf_onnx_tensor_whole(in, i));
        else
            ((float *)data)[i] = (float)singles[row].real(pf_onnx_tensor_real(in, i));
    }
    return 0;
}

static int fold_not(Fold *fold)
{
    const PfOnnxTensor *in = fold->inputs[0];
    void *data;
    if (!make(fold, PF_DTYPE_I64, &in->dims, &data)) return -1;
    const int64_t count = pf_onnx_count(&in->dims);
    for (int64_t i = 0; i < count; i++) ((int64_t *)data)[i] = !pf_onnx_tensor_whole(in, i);
    return 0;
}

static int fold_where(Fold *fold)
{
    const PfOnnxTensor *a = fold->inputs[1], *b = fold->inputs[2], *which = fold->inputs[0];
    PfOnnxDims both, dims;
    Places places = {{0}};
    void *data;
    if (!a || !b || a->dtype != b->dtype) return 0;
    if (pf_onnx_broadcast(fold->model, fold->step, &a->dims, &b->dims, &both, fold->err) ||
        pf_onnx_broadcast(fold->model, fold->step, &both, &which->dims, &dims, fold->err) ||
        !make(fold, a->dtype, &dims, &data))
        return -1;
    const int64_t count = pf_onnx_count(&dims);
    for (int64_t i = 0; i < count; i++, advance(&dims, &places)) {
        const bool is_a = pf_onnx_tensor_whole(which, offset_in(&which->dims, &dims, &places)) != 0;
        const PfOnnxTensor *from = is_a ? a : b;
        copy_number(from, offset_in(&from->dims, &dims, &places), data, i);
    }
    return 0;
}

static int fold_product(Fold *fold)
{
    const PfOnnxTensor *in = fold->inputs[0];
    int64_t product = 1;
    if (!pf_onnx_tensor_is_whole(in) || in->dims.rank != 1) return 0;
    for (int64_t i = 0; i < in->dims.sizes[0]; i++)
        product = wrap_multiply(product, pf_onnx_tensor_whole(in, i));
    return make_list(fold, &product, 1, !pf_onnx_whole(fold->step, "keepdims", 1));
}

/* ---- the table ---- */

static const struct {
    const char *type;
    int least_inputs;
    int (*fold)(Fold *fold);
} folds[] = {
    {"Constant", 0, fold_constant},
    {"ConstantOfShape", 1, fold_fill},
    {"Range", 3, fold_range},
    {"Identity", 1, fold_same},
    {"Reshape", 2, fold_reshape},
    {"Flatten", 1, fold_reshape},
    {"Squeeze", 1, fold_reshape},
    {"Unsqueeze", 1, fold_reshape},
    {"Transpose", 1, fold_transpose},
    {"Gather", 2, fold_gather},
    {"Slice", 1, fold_slice},
    {"Concat", 1, fold_concat},
    {"Expand", 2, fold_expand},
    {"Cast", 1, fold_cast},
    {"Add", 2, fold_pair},
    {"Sub", 2, fold_pair},
    {"Mul", 2, fold_pair},
    {"Div", 2, fold_pair},
    {"Min", 2, fold_extreme},
    {"Max", 2, fold_extreme},
    {"Pow", 2, fold_pair},
    {"Equal", 2, fold_pair},
    {"Less", 2, fold_pair},
    {"Greater", 2, fold_pair},
    {"And", 2, fold_pair},
    {"Or", 2, fold_pair},
    {"Sqrt", 1, fold_single},
    {"Exp", 1, fold_single},
    {"Log", 1, fold_single},
    {"Erf", 1, fold_single},
    {"Abs", 1, fold_single},
    {"Neg", 1, fold_single},
    {"Reciprocal", 1, fold_single},
    {"Floor", 1, fold_single},
    {"Ceil", 1, fold_single},
    {"Not", 1, fold_not},
    {"Where", 3, fold_where},
    {"ReduceProd", 1, fold_product},
};
#define FOLD_COUNT (sizeof folds / sizeof folds[0])

static int keep(PfOnnxModel *model, PfOnnxStep *step, const PfOnnxTensor *made)
{
    if (!made || step->output_count < 1 || step->outputs[0] < 0) return 0;
    model->values[step->outputs[0]].constant = made;
    step->is_gone = true;
    return 0;
}

/* Sizes of a value that the image has to be known for. */
static int fold_shape(Fold *fold, PfOnnxStep *step)
{
    const PfOnnxModel *model = fold->model;
    if (step->input_count != 1 || step->inputs[0] < 0) return 0;
    const PfOnnxValue *value = &model->values[step->inputs[0]];
    if (!value->is_made && !value->constant) return 0;
    const PfOnnxDims *dims = value->constant ? &value->constant->dims : &value->dims;
    int64_t start = pf_onnx_whole(step, "start", 0), end = pf_onnx_whole(step, "end", dims->rank);
    const int64_t count = pf_onnx_count(dims);
    if (!strcmp(step->type, "Size")) return make_list(fold, &count, 1, true);
    start = pf_max(0, pf_min(start < 0 ? start + dims->rank : start, dims->rank));
    end = pf_max(start, pf_min(end < 0 ? end + dims->rank : end, dims->rank));
    return make_list(fold, dims->sizes + start, (int)(end - start), false);
}

int pf_onnx_fold(PfOnnxModel *model, PfOnnxStep *step, PfError *err)
{
    Fold fold = {.model = model, .step = step, .err = err};
    size_t row = 0;
    if (*step->domain || step->input_count > MAX_FOLD_INPUTS) return 0;
    if (!strcmp(step->type, "Shape") || !strcmp(step->type, "Size"))
        return fold_shape(&fold, step) ? -1 : keep(model, step, fold.made);
    while (row < FOLD_COUNT && strcmp(folds[row].type, step->type)) row++;
    if (row == FOLD_COUNT || step->input_count < folds[row].least_inputs ||
        (folds[row].least_inputs && step->inputs[0] < 0))
        return 0;
    for (int i = 0; i < step->input_count; i++) {
        fold.inputs[i] = pf_onnx_constant(model, step, i);
        if (step->inputs[i] >= 0 && !fold.inputs[i]) return 0;
    }
    return folds[row].fold(&fold) ? -1 : keep(model, step, fold.made);
}
