#include "common/onnx/views.h"

#include <string.h>

PfOnnxView pf_onnx_view(const PfOnnxBuild *build, int node)
{
    const PfShape *shape = &build->shapes[node];
    PfOnnxView view = {.node = node, .factor = 1, .count = shape->rank};
    int64_t stride = 1;
    for (int axis = shape->rank - 1; axis >= 0; axis--) {
        view.strides[axis] = (PfOnnxStride){shape->dims[axis], stride, axis};
        stride *= shape->dims[axis];
    }
    return view;
}

/* ---- of one node, by what its axes are in its input ---- */

/* How an index of each axis of a node moves in its input. */
typedef struct Axes {
    int rank;
    int64_t sizes[PF_MAX_RANK];
    int64_t strides[PF_MAX_RANK]; /* in the node's own numbers */
    int64_t moves[PF_MAX_RANK];   /* in its input's */
    int64_t reach[PF_MAX_RANK];   /* the largest index that a view has along it */
    int64_t offset;               /* in its input's */
} Axes;

static void set_axes(Axes *axes, const PfShape *shape)
{
    int64_t stride = 1;
    *axes = (Axes){.rank = shape->rank};
    for (int i = shape->rank - 1; i >= 0; i--) {
        axes->sizes[i] = shape->dims[i];
        axes->strides[i] = stride;
        stride *= shape->dims[i];
    }
}

static bool add_part(PfOnnxView *view, int64_t size, int64_t stride, int axis)
{
    if (size == 1) return true;
    if (view->count == PF_ONNX_MAX_STRIDES) return false;
    view->strides[view->count++] = (PfOnnxStride){size, stride, axis};
    return true;
}

/* A run of the node's numbers as runs along its axes, of which it may cover several. */
static bool move_part(Axes *axes, PfOnnxStride part, PfOnnxView *out)
{
    PfOnnxStride parts[PF_MAX_RANK];
    int count = 0;
    for (int i = axes->rank - 1; i >= 0 && part.size > 1; i--) {
        const int64_t stride = axes->strides[i], size = axes->sizes[i];
        if (part.stride >= stride * size) continue;
        const int64_t step = part.stride / stride;
        if (part.stride % stride) return false;
        int64_t here = part.size;
        if ((part.size - 1) * step >= size) { /* it goes on along the axis before */
            here = size / step;
            if (size % step || part.size % here) return false;
        }
        parts[count++] = (PfOnnxStride){here, step * axes->moves[i], part.axis};
        axes->reach[i] += (here - 1) * step;
        part = (PfOnnxStride){part.size / here, stride * size, part.axis};
    }
    if (part.size > 1) return false;
    while (count--)
        if (!add_part(out, parts[count].size, parts[count].stride, parts[count].axis)) return false;
    return true;
}

static int move(Axes *axes, int input, PfOnnxView *view)
{
    PfOnnxView out = {.node = input, .factor = view->factor, .offset = axes->offset};
    for (int i = 0; i < axes->rank; i++) {
        const int64_t first = view->offset / axes->strides[i] % axes->sizes[i];
        axes->reach[i] = first;
        out.offset += first * axes->moves[i];
    }
    for (int i = 0; i < view->count; i++)
        if (!move_part(axes, view->strides[i], &out)) return 0;
    for (int i = 0; i < axes->rank; i++)
        if (axes->reach[i] >= axes->sizes[i]) return 0; /* a carry, which strides cannot say */
    *view = out;
    return 1;
}

static int through_permute(const PfOnnxBuild *build, const PfNode *node, PfOnnxView *view)
{
    Axes axes, in;
    set_axes(&axes, &build->shapes[view->node]);
    set_axes(&in, &build->shapes[node->inputs[0]]);
    for (int i = 0; i < axes.rank; i++) axes.moves[i] = in.strides[node->axes[i]];
    return move(&axes, node->inputs[0], view);
}

static int through_slice(const PfOnnxBuild *build, const PfNode *node, PfOnnxView *view)
{
    Axes axes, in;
    set_axes(&axes, &build->shapes[view->node]);
    set_axes(&in, &build->shapes[node->inputs[0]]);
    memcpy(axes.moves, in.strides, sizeof axes.moves);
    axes.moves[node->axis] *= node->step;
    axes.offset = node->start * in.strides[node->axis];
    return move(&axes, node->inputs[0], view);
}

/* A product with one number, or a quotient by it. */
static int through_factor(const PfOnnxBuild *build, const PfNode *node, PfOnnxView *view)
{
    PfOnnxTensor tensor;
    const bool divides = node->op == PF_OP_DIVIDE;
    for (int i = divides; i < 2; i++) {
        const int other = node->inputs[1 - i];
        if (!pf_onnx_node_tensor(build, node->inputs[i], &tensor) ||
            pf_onnx_count(&tensor.dims) != 1 ||
            pf_shape_count(&build->shapes[other]) != pf_shape_count(&build->shapes[view->node]))
            continue;
        const double number = pf_onnx_tensor_real(&tensor, 0);
        view->factor = divides ? view->factor / number : view->factor * number;
        view->node = other;
        return 1;
    }
    return 0;
}

int pf_onnx_view_through(const PfOnnxBuild *build, PfOnnxView *view)
{
    const PfNode *node = &build->builder.arch->nodes[view->node];
    switch (node->op) {
    case PF_OP_RESHAPE:
    case PF_OP_FLATTEN:
    case PF_OP_DROPOUT: view->node = node->inputs[0]; return 1;
    case PF_OP_PERMUTE: return through_permute(build, node, view);
    case PF_OP_SLICE: return through_slice(build, node, view);
    case PF_OP_MULTIPLY:
    case PF_OP_DIVIDE: return through_factor(build, node, view);
    default: return 0;
    }
}

/* Parts of one index are one stride where they follow each other. */
int64_t pf_onnx_view_stride(const PfOnnxView *view, int axis)
{
    int64_t size = 1, stride = 0;
    for (int i = view->count; i-- > 0;) {
        const PfOnnxStride *part = &view->strides[i];
        if (part->axis != axis || part->size == 1) continue;
        if (size > 1 && part->stride != size * stride) return -1;
        if (size == 1) stride = part->stride;
        size *= part->size;
    }
    return stride;
}
