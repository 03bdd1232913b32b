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
    const bool is_known = trains && pf_onnx_count(&trains->dims) == 1;
    const bool is_training =
        pf_onnx_has_input(build, 2) && (!is_known || pf_onnx_tensor_whole(trains, 0));
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

static int translate_cast_like(PfOnnxBuild *build)
{
    const PfOnnxTensor *like = pf_onnx_constant(build->model, build->step, 1);
    if (!like || !pf_onnx_tensor_is_whole(like)) return translate_same(build);
    return pf_onnx_refuse(build, "expected a cast to numbers with a fraction, found integers");
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

/* What repeats is a product with ones. */
static int translate_expand(PfOnnxBuild *build)
{
    PfOnnxDims dims, asked = {0}, out;
    int node, ones;
    if (pf_onnx_take(build, 0, &node, &dims) ||
        pf_onnx_list(build->model, build->step, "shape", 1, asked.sizes, &asked.rank, build->err))
        return -1;
    if (asked.rank < 0) asked.rank = 0;
    if (pf_onnx_broadcast(build->model, build->step, &dims, &asked, &out, build->err)) return -1;
    if (pf_onnx_count(&out) != pf_onnx_count(&dims)) {
        PfShape shape;
        if (pf_onnx_shape(build, &out, &shape) || pf_onnx_put_numbers(build, 1, &shape, &ones) ||
            pf_onnx_add_pair(build, PF_OP_MULTIPLY, node, ones, &node))
            return -1;
    }
    return pf_onnx_give(build, 0, node, &out);
}

/* The node with all axes of ONNX's, also the one in front that is left out elsewhere. */
static int reshape_to(PfOnnxBuild *build, const PfOnnxDims *dims, int *node)
{
    PfShape whole = {.rank = dims->rank};
    if (dims->rank > PF_MAX_RANK) return pf_onnx_refuse(build, "expected fewer axes");
    memcpy(whole.dims, dims->sizes, (size_t)dims->rank * sizeof *whole.dims);
    return pf_onnx_reshape(build, node, &whole);
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
        if (reshape_to(build, &dims, &node)) return -1;
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

/* The numbers at constant indices: in one slice where they follow each other evenly, else in as few
 * as that takes. */
static int add_gathered(PfOnnxBuild *build, const PfOnnxDims *dims, int axis,
                        const PfOnnxTensor *which, int *node)
{
    const int64_t count = pf_onnx_count(&which->dims), size = dims->sizes[axis];
    int parts[PF_NODE_MAX_INPUTS], part_count = 0, ours = 0;
    PfOnnxCut cut = {.axis = axis, .step = 1};
    for (int64_t i = 0; i <= count; i++) {
        int64_t at = i < count ? pf_onnx_tensor_whole(which, i) : -1;
        if (at < 0) at += size;
        if (i < count && (at < 0 || at >= size))
            return pf_onnx_refuse(build, "expected an index below %lld, found %lld",
                                  (long long)size, (long long)at);
        const int64_t last = cut.start + (cut.count - 1) * cut.step;
        if (i < count && cut.count == 1 && at > last) cut.step = at - last;
        if (i < count && cut.count && at == last + cut.step) {
            cut.count++;
            continue;
        }
        if (cut.count) {
            if (part_count == PF_NODE_MAX_INPUTS)
                return pf_onnx_refuse(build, "expected indices that follow each other evenly");
            parts[part_count] = *node;
            if (cut.count == 1) cut.step = 1;
            if (slice(build, dims, &cut, &parts[part_count++])) return -1;
        }
        cut = (PfOnnxCut){.axis = axis, .start = at, .count = 1, .step = 1};
    }
    *node = parts[0];
    if (part_count == 1) return 0;
    if (pf_onnx_our_axis(build, dims, axis, &ours)) return -1;
    PfNode *concat = pf_onnx_add(build, PF_OP_CONCAT, parts[0], node);
    if (!concat) return -1;
    memcpy(concat->inputs, parts, (size_t)part_count * sizeof *parts);
    concat->input_count = part_count;
    concat->axis = ours;
    return pf_onnx_settle(build, *node);
}

static int translate_gather(PfOnnxBuild *build)
{
    const PfOnnxTensor *which = pf_onnx_constant(build->model, build->step, 1);
    PfOnnxDims dims, out = {0};
    int node, axis;
    if (pf_onnx_take(build, 0, &node, &dims) ||
        pf_onnx_axis(build->model, build->step, pf_onnx_whole(build->step, "axis", 0), dims.rank,
                     &axis, build->err))
        return -1;
    if (!which || !pf_onnx_tensor_is_whole(which) || !pf_onnx_count(&which->dims))
        return pf_onnx_refuse(build, "expected a constant index, or a list of them");
    if (dims.rank - 1 + which->dims.rank > PF_ONNX_MAX_RANK)
        return pf_onnx_refuse(build, "expected fewer axes");
    for (int i = 0; i < dims.rank; i++) {
        if (i != axis) out.sizes[out.rank++] = dims.sizes[i];
        for (int k = 0; i == axis && k < which->dims.rank; k++)
            out.sizes[out.rank++] = which->dims.sizes[k];
    }
    if (add_gathered(build, &dims, axis, which, &node)) return -1;
    return pf_onnx_give(build, 0, node, &out);
}

/* Parts of one image, with the axis of the batch where one of them has another size along it. */
static int add_concat(PfOnnxBuild *build, const int *nodes, int count, const PfOnnxDims *dims,
                      int axis, int *index)
{
    PfNode *concat = pf_onnx_add(build, PF_OP_CONCAT, nodes[0], index);
    if (!concat) return -1;
    memcpy(concat->inputs, nodes, (size_t)count * sizeof *nodes);
    concat->input_count = count;
    concat->axis = axis;
    return pf_onnx_settle(build, *index) || pf_onnx_give(build, 0, *index, dims) ? -1 : 0;
}

static int translate_concat(PfOnnxBuild *build)
{
    const PfOnnxStep *step = build->step;
    int nodes[PF_NODE_MAX_INPUTS], index, axis = 0, ours, whole_count = 0;
    PfOnnxDims parts[PF_NODE_MAX_INPUTS];
    int64_t total = 0;
    const int count = step->input_count;
    if (count < 1 || count > PF_NODE_MAX_INPUTS)
        return pf_onnx_refuse(build, "expected 1 to %d inputs, found %d", PF_NODE_MAX_INPUTS,
                              count);
    for (int i = 0; i < count; i++) {
        if (pf_onnx_take(build, i, &nodes[i], &parts[i])) return -1;
        if (parts[i].rank != parts[0].rank)
            return pf_onnx_refuse(build, "expected parts with as many axes");
        if (pf_onnx_axis(build->model, step, pf_onnx_whole(step, "axis", 0), parts[i].rank, &axis,
                         build->err))
            return -1;
        total += parts[i].sizes[axis];
        whole_count += !pf_onnx_drops_axis(&parts[i]);
    }
    for (int i = 0; i < count && whole_count; i++)
        if (reshape_to(build, &parts[i], &nodes[i])) return -1;
    PfOnnxDims dims = parts[0];
    ours = axis;
    if (!whole_count && pf_onnx_our_axis(build, &dims, axis, &ours)) return -1;
    dims.sizes[axis] = total;
    return add_concat(build, nodes, count, &dims, ours, &index);
}

/* A value that depends on the image, so many times along each axis. */
static int translate_tile(PfOnnxBuild *build)
{
    int64_t repeats[PF_ONNX_MAX_RANK];
    PfOnnxDims dims;
    int node, count, axis;
    if (pf_onnx_take(build, 0, &node, &dims) ||
        pf_onnx_list(build->model, build->step, "repeats", 1, repeats, &count, build->err))
        return -1;
    if (count != dims.rank) return pf_onnx_refuse(build, "expected a number for each axis");
    const PfOnnxDims in = dims;
    for (int i = 0; i < count; i++) {
        if (repeats[i] == 1) continue;
        if (repeats[i] < 1 || repeats[i] > PF_NODE_MAX_INPUTS)
            return pf_onnx_refuse(build, "expected 1 to %d times", PF_NODE_MAX_INPUTS);
        if (pf_onnx_our_axis(build, &in, i, &axis)) return -1;
        PfNode *concat = pf_onnx_add(build, PF_OP_CONCAT, node, &node);
        if (!concat) return -1;
        concat->input_count = (int)repeats[i];
        for (int k = 1; k < concat->input_count; k++) concat->inputs[k] = concat->inputs[0];
        concat->axis = axis;
        dims.sizes[i] *= repeats[i];
        if (pf_onnx_settle(build, node)) return -1;
    }
    return pf_onnx_give(build, 0, node, &dims);
}

/* Channels to squares of pixels, or back. */
static int rearrange(PfOnnxBuild *build, int *node, const PfShape *five, const int axes[5],
                     const PfOnnxDims *out)
{
    if (pf_onnx_reshape(build, node, five) || permute(build, axes, 5, node)) return -1;
    return pf_onnx_give(build, 0, *node, out);
}

static int take_blocks(PfOnnxBuild *build, int *node, PfOnnxDims *dims, int64_t *side)
{
    *side = pf_onnx_whole(build->step, "blocksize", 0);
    if (pf_onnx_take(build, 0, node, dims)) return -1;
    if (dims->rank == 4 && dims->sizes[0] == 1 && *side >= 1 && *side <= 1 << 10) return 0;
    return pf_onnx_refuse(build, "expected maps (1, c, h, w) and a size of blocks");
}

static int translate_depth_to_space(PfOnnxBuild *build)
{
    static const int by_depth[] = {2, 3, 0, 4, 1}, by_columns[] = {0, 3, 1, 4, 2};
    const bool is_columns = !strcmp(pf_onnx_text(build->step, "mode", "DCR"), "CRD");
    PfOnnxDims dims;
    int64_t side;
    int node;
    if (take_blocks(build, &node, &dims, &side)) return -1;
    const int64_t c = dims.sizes[1], h = dims.sizes[2], w = dims.sizes[3];
    if (c % (side * side)) return pf_onnx_refuse(build, "expected channels for each of a block");
    const int64_t left = c / (side * side);
    const PfShape by_d = {5, {side, side, left, h, w}}, by_c = {5, {left, side, side, h, w}};
    const PfOnnxDims out = {4, {1, left, h * side, w * side}};
    return is_columns ? rearrange(build, &node, &by_c, by_columns, &out)
                      : rearrange(build, &node, &by_d, by_depth, &out);
}

static int translate_space_to_depth(PfOnnxBuild *build)
{
    static const int axes[] = {2, 4, 0, 1, 3};
    PfOnnxDims dims;
    int64_t side;
    int node;
    if (take_blocks(build, &node, &dims, &side)) return -1;
    const int64_t c = dims.sizes[1], h = dims.sizes[2], w = dims.sizes[3];
    if (h % side || w % side) return pf_onnx_refuse(build, "expected sides that blocks fill");
    const PfShape five = {5, {c, h / side, side, w / side, side}};
    const PfOnnxDims out = {4, {1, c * side * side, h / side, w / side}};
    return rearrange(build, &node, &five, axes, &out);
}

/* clang-format off */
const PfOnnxRow pf_onnx_shape_rows[] = {
    {"Identity", ALL_OPSETS, " ", translate_same},
    {"Dropout", ALL_OPSETS, " ratio seed ", translate_dropout},
    {"Cast", ALL_OPSETS, " saturate to ", translate_cast},
    {"CastLike", 15, PF_ONNX_NEWEST_OPSET, " saturate ", translate_cast_like},
    {"Tile", ALL_OPSETS, " ", translate_tile},
    {"DepthToSpace", ALL_OPSETS, " blocksize mode ", translate_depth_to_space},
    {"SpaceToDepth", ALL_OPSETS, " blocksize ", translate_space_to_depth},
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
