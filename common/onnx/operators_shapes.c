/* Operators that arrange the same numbers otherwise: see build.h. */
#include <string.h>

#include "common/base/integers.h"
#include "common/onnx/build.h"

#define ALL_OPSETS PF_ONNX_OLDEST_OPSET, PF_ONNX_NEWEST_OPSET

/* ---- nothing but another shape ---- */

static int translate_same(PfOnnxBuild *build)
{
    PfOnnxDims dims;
    int node;
    if (pf_onnx_take(build, 0, &node, &dims)) return -1;
    return pf_onnx_give_same(build, 0, node, &dims);
}

static int translate_dropout(PfOnnxBuild *build)
{
    const PfOnnxTensor *trains = pf_onnx_constant(build->model, build->step, 2);
    const bool is_training =
        pf_onnx_has_input(build, 2) && (!trains || pf_onnx_tensor_whole(trains, 0));
    const bool has_mask = build->step->output_count > 1 && build->step->outputs[1] >= 0 &&
                          build->model->values[build->step->outputs[1]].uses;
    if (is_training || has_mask)
        return pf_onnx_refuse(build, "expected a network as it is outside of training. Hint: "
                                     "model.eval() before the export");
    return translate_same(build);
}

/* From one type of numbers with a fraction to another: all are computed in float32. */
static int translate_cast(PfOnnxBuild *build)
{
    const int64_t to = pf_onnx_whole(build->step, "to", 0);
    if (to == 1 || to == 10 || to == 11 || to == 16) return translate_same(build);
    return pf_onnx_refuse(build,
                          "expected a cast to float, float16, bfloat16 or double, found type "
                          "%lld",
                          (long long)to);
}

static int translate_reshape(PfOnnxBuild *build)
{
    PfOnnxDims dims, out;
    int node;
    if (pf_onnx_take(build, 0, &node, &dims) ||
        pf_onnx_reshaped(build->model, build->step, &dims, &out, build->err))
        return -1;
    const PfShape *shape = &build->shapes[node];
    const int64_t count = pf_shape_count(shape);
    if (out.rank == 2 && out.sizes[0] == 1 && out.sizes[1] == count && shape->rank > 1) {
        if (!pf_onnx_add(build, PF_OP_FLATTEN, node, &node) || pf_onnx_settle(build, node))
            return -1;
    }
    return pf_onnx_give(build, 0, node, &out);
}

static int translate_expand(PfOnnxBuild *build)
{
    PfOnnxDims dims, asked = {0}, out;
    int node;
    if (pf_onnx_take(build, 0, &node, &dims) ||
        pf_onnx_list(build->model, build->step, "shape", 1, asked.sizes, &asked.rank, build->err))
        return -1;
    if (asked.rank < 0) asked.rank = 0;
    if (pf_onnx_broadcast(build->model, build->step, &dims, &asked, &out, build->err)) return -1;
    if (pf_onnx_count(&out) != pf_onnx_count(&dims))
        return pf_onnx_refuse(build, "expected that it repeats nothing that depends on the image");
    return pf_onnx_give(build, 0, node, &out);
}

/* ---- other orders ---- */

/* The node before, where two orders give the first again. */
static bool undoes(const PfOnnxBuild *build, int node, const int *axes, int count)
{
    const PfNode *before = &build->builder.arch->nodes[node];
    if (before->op != PF_OP_PERMUTE || before->axis_count != count) return false;
    for (int i = 0; i < count; i++)
        if (before->axes[axes[i]] != i) return false;
    return true;
}

static int permute(PfOnnxBuild *build, const int *axes, int count, int *node)
{
    bool is_same = true;
    for (int i = 0; i < count; i++) is_same = is_same && axes[i] == i;
    if (is_same) return 0;
    if (undoes(build, *node, axes, count)) {
        *node = build->builder.arch->nodes[*node].inputs[0];
        return 0;
    }
    PfNode *permute = pf_onnx_add(build, PF_OP_PERMUTE, *node, node);
    if (!permute) return -1;
    permute->axis_count = count;
    memcpy(permute->axes, axes, (size_t)count * sizeof *axes);
    return pf_onnx_settle(build, *node);
}

static int translate_transpose(PfOnnxBuild *build)
{
    PfOnnxDims dims, out;
    int axes[PF_ONNX_MAX_RANK], node;
    if (pf_onnx_take(build, 0, &node, &dims) ||
        pf_onnx_transposed(build->model, build->step, &dims, axes, &out, build->err))
        return -1;
    int dropped = pf_onnx_drops_axis(&dims);
    if (dropped && axes[0]) { /* the batch's axis moves: it is one like others */
        PfShape whole = {.rank = dims.rank};
        if (dims.rank > PF_MAX_RANK) return pf_onnx_refuse(build, "expected fewer axes");
        memcpy(whole.dims, dims.sizes, (size_t)dims.rank * sizeof *whole.dims);
        if (pf_onnx_reshape(build, &node, &whole)) return -1;
        dropped = 0;
    }
    for (int i = 0; i < dims.rank - dropped; i++) axes[i] = axes[i + dropped] - dropped;
    if (permute(build, axes, dims.rank - dropped, &node)) return -1;
    return pf_onnx_give(build, 0, node, &out);
}

/* ---- parts ---- */

static int slice(PfOnnxBuild *build, const PfOnnxDims *dims, const PfOnnxCut *cut, int *node)
{
    int axis;
    if (cut->start == 0 && cut->step == 1 && cut->count == dims->sizes[cut->axis]) return 0;
    if (pf_onnx_our_axis(build, dims, cut->axis, &axis)) return -1;
    PfNode *slice = pf_onnx_add(build, PF_OP_SLICE, *node, node);
    if (!slice) return -1;
    slice->axis = axis;
    slice->start = cut->start;
    slice->count = cut->count;
    slice->step = cut->step;
    return pf_onnx_settle(build, *node);
}

/* Shapes of slices are ONNX's, but for the axis that is dropped: after each, they are the same. */
static int translate_slice(PfOnnxBuild *build)
{
    PfOnnxCut cuts[PF_ONNX_MAX_RANK];
    PfOnnxDims dims;
    int node, count;
    if (pf_onnx_take(build, 0, &node, &dims) ||
        pf_onnx_cuts(build->model, build->step, &dims, cuts, &count, build->err))
        return -1;
    const PfOnnxDims in = dims; /* which axis is dropped is decided by the input */
    for (int i = 0; i < count; i++) {
        if (slice(build, &in, &cuts[i], &node)) return -1;
        dims.sizes[cuts[i].axis] = cuts[i].count;
    }
    return pf_onnx_give(build, 0, node, &dims);
}

/* Sizes along the axis: said, or equal ones. */
static int take_split(PfOnnxBuild *build, int64_t size, int64_t sizes[PF_NODE_MAX_INPUTS])
{
    const PfOnnxStep *step = build->step;
    const PfOnnxSetting *setting = pf_onnx_setting(step, "split");
    const PfOnnxTensor *tensor = pf_onnx_constant(build->model, step, 1);
    const int count = step->output_count;
    const int64_t found = setting ? setting->count : tensor ? pf_onnx_count(&tensor->dims) : count;
    const int64_t equal = (size + count - 1) / count;
    int64_t left = size;
    if (count > PF_NODE_MAX_INPUTS || found != count || (pf_onnx_has_input(build, 1) && !tensor))
        return pf_onnx_refuse(build, "expected a size for each output");
    for (int i = 0; i < count; i++) {
        sizes[i] = setting  ? setting->wholes[i]
                   : tensor ? pf_onnx_tensor_whole(tensor, i)
                            : pf_min(equal, left);
        if (sizes[i] < 1 || sizes[i] > left)
            return pf_onnx_refuse(build, "expected parts of %lld", (long long)size);
        left -= sizes[i];
    }
    return left ? pf_onnx_refuse(build, "expected parts of %lld in all", (long long)size) : 0;
}

static int translate_split(PfOnnxBuild *build)
{
    PfOnnxDims dims;
    int64_t sizes[PF_NODE_MAX_INPUTS];
    int node;
    PfOnnxCut cut = {.step = 1};
    if (pf_onnx_take(build, 0, &node, &dims) ||
        pf_onnx_axis(build->model, build->step, pf_onnx_whole(build->step, "axis", 0), dims.rank,
                     &cut.axis, build->err) ||
        take_split(build, dims.sizes[cut.axis], sizes))
        return -1;
    for (int i = 0; i < build->step->output_count; i++) {
        int part = node;
        PfOnnxDims out = dims;
        out.sizes[cut.axis] = cut.count = sizes[i];
        if (slice(build, &dims, &cut, &part) || pf_onnx_give(build, i, part, &out)) return -1;
        cut.start += sizes[i];
    }
    return 0;
}

/* By one constant index, or by several that follow each other evenly. */
static int translate_gather(PfOnnxBuild *build)
{
    const PfOnnxTensor *which = pf_onnx_constant(build->model, build->step, 1);
    PfOnnxDims dims, out = {0};
    int node;
    PfOnnxCut cut = {.step = 1};
    if (pf_onnx_take(build, 0, &node, &dims) ||
        pf_onnx_axis(build->model, build->step, pf_onnx_whole(build->step, "axis", 0), dims.rank,
                     &cut.axis, build->err))
        return -1;
    if (!which || which->dims.rank > 1 || !pf_onnx_tensor_is_whole(which) ||
        !(cut.count = pf_onnx_count(&which->dims)))
        return pf_onnx_refuse(build, "expected a constant index, or a list of them");
    const int64_t size = dims.sizes[cut.axis];
    for (int64_t i = 0; i < cut.count; i++) {
        int64_t at = pf_onnx_tensor_whole(which, i);
        if (at < 0) at += size;
        if (at < 0 || at >= size)
            return pf_onnx_refuse(build, "expected an index below %lld, found %lld",
                                  (long long)size, (long long)at);
        if (!i) cut.start = at;
        if (i == 1) cut.step = at - cut.start;
        if (cut.step < 1 || at != cut.start + i * cut.step)
            return pf_onnx_refuse(build, "expected indices that follow each other evenly");
    }
    for (int i = 0; i < dims.rank; i++) {
        if (i != cut.axis)
            out.sizes[out.rank++] = dims.sizes[i];
        else if (which->dims.rank)
            out.sizes[out.rank++] = cut.count;
    }
    if (slice(build, &dims, &cut, &node)) return -1;
    return pf_onnx_give(build, 0, node, &out);
}

static int translate_concat(PfOnnxBuild *build)
{
    const PfOnnxStep *step = build->step;
    int nodes[PF_NODE_MAX_INPUTS], index, axis = 0;
    PfOnnxDims dims = {0}, part;
    int64_t total = 0;
    if (step->input_count < 1 || step->input_count > PF_NODE_MAX_INPUTS)
        return pf_onnx_refuse(build, "expected 1 to %d inputs, found %d", PF_NODE_MAX_INPUTS,
                              step->input_count);
    for (int i = 0; i < step->input_count; i++) {
        if (pf_onnx_take_any(build, i, &nodes[i], &part)) return -1;
        if (pf_onnx_axis(build->model, step, pf_onnx_whole(step, "axis", 0), part.rank, &axis,
                         build->err))
            return -1;
        if (i && (part.rank != dims.rank || pf_onnx_drops_axis(&part) != pf_onnx_drops_axis(&dims)))
            return pf_onnx_refuse(build, "expected parts with as many axes");
        dims = part;
        total += part.sizes[axis];
    }
    int ours;
    if (pf_onnx_our_axis(build, &dims, axis, &ours)) return -1;
    PfNode *concat = pf_onnx_add(build, PF_OP_CONCAT, nodes[0], &index);
    if (!concat) return -1;
    memcpy(concat->inputs, nodes, (size_t)step->input_count * sizeof *nodes);
    concat->input_count = step->input_count;
    concat->axis = ours;
    dims.sizes[axis] = total;
    return pf_onnx_settle(build, index) || pf_onnx_give(build, 0, index, &dims) ? -1 : 0;
}

/* clang-format off */
const PfOnnxRow pf_onnx_shape_rows[] = {
    {"Identity", ALL_OPSETS, " ", translate_same},
    {"Dropout", ALL_OPSETS, " ratio seed ", translate_dropout},
    {"Cast", ALL_OPSETS, " saturate to ", translate_cast},
    {"Reshape", ALL_OPSETS, " allowzero ", translate_reshape},
    {"Flatten", ALL_OPSETS, " axis ", translate_reshape},
    {"Squeeze", ALL_OPSETS, " axes ", translate_reshape},
    {"Unsqueeze", ALL_OPSETS, " axes ", translate_reshape},
    {"Expand", ALL_OPSETS, " ", translate_expand},
    {"Transpose", ALL_OPSETS, " perm ", translate_transpose},
    {"Slice", ALL_OPSETS, " ", translate_slice},
    {"Split", ALL_OPSETS, " axis num_outputs split ", translate_split},
    {"Gather", ALL_OPSETS, " axis ", translate_gather},
    {"Concat", ALL_OPSETS, " axis ", translate_concat},
    {.type = NULL},
};
/* clang-format on */
