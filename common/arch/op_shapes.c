/* The shapes of operations' outputs: see op_columns.h. Where the inputs of a node do not fit, which
 * happens in networks from files, the message names the node and what it found. */
#include <string.h>

#include "common/arch/op_columns.h"
#include "common/arch/positions.h"
#include "common/base/integers.h"
#include "common/base/printable.h"

/* ---- failures ---- */

static int fail_shape(const PfNode *node, const char *expected, const PfShape *found, PfError *err)
{
    char text[PF_SHAPE_TEXT_SIZE];
    return pf_fail(err, PF_EXIT_FAILED, "node '%s' (%s) takes %s, found %s", node->name,
                   pf_op_row(node->op)->name, expected, pf_shape_text(found, text));
}

static int fail_axis(const PfNode *node, const PfShape *in, PfError *err)
{
    return fail_shape(node, "an axis that its input has", in, err);
}

static bool has_axis(const PfShape *shape, int axis)
{
    return axis >= 0 && axis < shape->rank;
}

/* ---- operations on each number ---- */

int pf_op_shape_same(UNUSED const PfNode *node, const PfShape *in, PfShape *out,
                     UNUSED PfError *err)
{
    *out = in[0];
    return 0;
}

/* An axis of the output, counted from the last one; 0 where the two do not fit. */
static int64_t broadcast_size(const PfShape *a, const PfShape *b, int from_last)
{
    const int64_t m = from_last < a->rank ? a->dims[a->rank - 1 - from_last] : 1;
    const int64_t n = from_last < b->rank ? b->dims[b->rank - 1 - from_last] : 1;
    return m == n || n == 1 ? m : m == 1 ? n : 0;
}

int pf_op_shape_broadcast(const PfNode *node, const PfShape *in, PfShape *out, PfError *err)
{
    char left[PF_SHAPE_TEXT_SIZE], right[PF_SHAPE_TEXT_SIZE];
    const int rank = (int)pf_max(in[0].rank, in[1].rank);
    *out = (PfShape){.rank = rank};
    for (int i = 0; i < rank; i++) {
        int64_t *size = &out->dims[rank - 1 - i];
        *size = broadcast_size(&in[0], &in[1], i);
        if (!*size)
            return pf_fail(err, PF_EXIT_FAILED,
                           "node '%s' (%s) takes shapes that fit, found %s "
                           "and %s",
                           node->name, pf_op_row(node->op)->name, pf_shape_text(&in[0], left),
                           pf_shape_text(&in[1], right));
    }
    return 0;
}

/* ---- maps ---- */

/* Output side of a convolution or pooling window: torch's floor mode, or its ceil mode, in which
 * the last window may reach over the end, also that of a map that is smaller than one, but begins
 * inside the map or in the padding before it. */
static int64_t window_size(const PfNode *node, int64_t size, int axis)
{
    const int64_t stride = node->stride[axis], padding = node->padding[axis];
    const int64_t over = node->ceil_mode ? stride - 1 : 0;
    int64_t count =
        pf_window_outputs(size + over, node->kernel[axis], stride, padding, node->dilation[axis]);
    if (node->ceil_mode && count > 0 && (count - 1) * stride >= size + padding) count--;
    return count;
}

static int window_shape(const PfNode *node, const PfShape *in, int64_t channels, PfShape *out,
                        PfError *err)
{
    if (in->rank != 3) return fail_shape(node, "maps (c, h, w)", in, err);
    *out = (PfShape){
        3, {channels, window_size(node, in->dims[1], 0), window_size(node, in->dims[2], 1)}};
    if (out->dims[1] > 0 && out->dims[2] > 0) return 0;
    return pf_fail(err, PF_EXIT_USAGE,
                   "the input is too small: at node '%s' a map of %lldx%lld is smaller than the "
                   "%dx%d window. Use a larger --crop.",
                   node->name, (long long)in->dims[1], (long long)in->dims[2], node->kernel[0],
                   node->kernel[1]);
}

static int check_channels(const PfNode *node, const PfShape *in, PfError *err)
{
    if (in->rank == 3 && in->dims[0] == node->in_channels) return 0;
    char expected[64];
    pf_format(expected, sizeof expected, "maps of %d channels", node->in_channels);
    return fail_shape(node, expected, in, err);
}

int pf_op_shape_conv(const PfNode *node, const PfShape *in, PfShape *out, PfError *err)
{
    if (check_channels(node, in, err)) return -1;
    return window_shape(node, in, node->out_channels, out, err);
}

int pf_op_shape_batch_norm(const PfNode *node, const PfShape *in, PfShape *out, PfError *err)
{
    *out = in[0];
    return check_channels(node, in, err);
}

int pf_op_shape_pool(const PfNode *node, const PfShape *in, PfShape *out, PfError *err)
{
    return window_shape(node, in, in->dims[0], out, err);
}

int pf_op_shape_adaptive_pool(const PfNode *node, const PfShape *in, PfShape *out, PfError *err)
{
    if (in->rank != 3) return fail_shape(node, "maps (c, h, w)", in, err);
    *out = (PfShape){3, {in->dims[0], node->pool_size, node->pool_size}};
    return 0;
}

static int padded_shape(const PfNode *node, const PfShape *in, PfShape *out, PfError *err)
{
    int pads[4];
    if (in->rank != 3) return fail_shape(node, "maps (c, h, w)", in, err);
    pf_node_pads(node, in, pads);
    *out = (PfShape){
        3, {in->dims[0], in->dims[1] + pads[0] + pads[2], in->dims[2] + pads[1] + pads[3]}};
    return 0;
}

int pf_op_shape_pad(const PfNode *node, const PfShape *in, PfShape *out, PfError *err)
{
    return padded_shape(node, in, out, err);
}

int pf_op_shape_pad_same(const PfNode *node, const PfShape *in, PfShape *out, PfError *err)
{
    return padded_shape(node, in, out, err);
}

int pf_op_shape_channel_shuffle(const PfNode *node, const PfShape *in, PfShape *out, PfError *err)
{
    *out = *in;
    if (in->rank == 3 && in->dims[0] % node->groups == 0) return 0;
    return fail_shape(node, "maps (c, h, w) whose channels its groups share evenly", in, err);
}

/* ---- rows ---- */

int pf_op_shape_linear(const PfNode *node, const PfShape *in, PfShape *out, PfError *err)
{
    const int64_t features = in->rank ? in->dims[in->rank - 1] : 1;
    if (features != node->in_channels)
        return pf_fail(err, PF_EXIT_FAILED, "node '%s' takes %d features, found %lld", node->name,
                       node->in_channels, (long long)features);
    *out = *in;
    out->dims[out->rank - 1] = node->out_channels;
    return 0;
}

int pf_op_shape_layer_norm(const PfNode *node, const PfShape *in, PfShape *out, PfError *err)
{
    *out = *in;
    if (in->rank && in->dims[in->rank - 1] == node->in_channels) return 0;
    return fail_shape(node, "as many channels as its weights have", in, err);
}

int pf_op_shape_attention(const PfNode *node, const PfShape *in, PfShape *out, PfError *err)
{
    for (int i = 0; i < 3; i++)
        if (in[i].rank != 2 || node->heads < 1 || in[i].dims[1] % node->heads)
            return fail_shape(node, "tokens whose channels the heads divide", &in[i], err);
    if (in[0].dims[1] != in[1].dims[1] || in[1].dims[0] != in[2].dims[0])
        return fail_shape(node, "keys as wide as queries, and as many values", &in[1], err);
    *out = (PfShape){2, {in[0].dims[0], in[2].dims[1]}};
    return 0;
}

/* ---- other arrangements ---- */

int pf_op_shape_flatten(UNUSED const PfNode *node, const PfShape *in, PfShape *out,
                        UNUSED PfError *err)
{
    *out = (PfShape){1, {pf_shape_count(in)}};
    return 0;
}

int pf_op_shape_reshape(const PfNode *node, const PfShape *in, PfShape *out, PfError *err)
{
    char text[PF_SHAPE_TEXT_SIZE];
    int64_t known = 1;
    *out = node->shape;
    for (int i = 0; i < out->rank; i++) known *= out->dims[i] < 0 ? 1 : out->dims[i];
    for (int i = 0; i < out->rank; i++)
        if (out->dims[i] < 0) out->dims[i] = pf_shape_count(in) / known;
    if (pf_shape_count(out) == pf_shape_count(in)) return 0;
    pf_shape_text(out, text);
    char expected[2 * PF_SHAPE_TEXT_SIZE];
    pf_format(expected, sizeof expected, "as many numbers as %s has", text);
    return fail_shape(node, expected, in, err);
}

int pf_op_shape_permute(const PfNode *node, const PfShape *in, PfShape *out, PfError *err)
{
    unsigned seen = 0;
    *out = (PfShape){.rank = in->rank};
    for (int i = 0; i < in->rank; i++) {
        if (i >= node->axis_count || !has_axis(in, node->axes[i])) return fail_axis(node, in, err);
        seen |= 1u << node->axes[i];
        out->dims[i] = in->dims[node->axes[i]];
    }
    return seen == (1u << in->rank) - 1 ? 0 : fail_axis(node, in, err);
}

int pf_op_shape_slice(const PfNode *node, const PfShape *in, PfShape *out, PfError *err)
{
    if (!has_axis(in, node->axis)) return fail_axis(node, in, err);
    const int64_t size = in->dims[node->axis];
    const bool is_inside = node->step >= 1 && node->start >= 0 && node->start < size;
    const int64_t most = is_inside ? (size - 1 - node->start) / node->step + 1 : 0;
    const int64_t count = node->count == PF_TO_THE_END ? most : node->count;
    const bool fits = is_inside && count >= 1 && count <= most;
    if (!fits) return fail_shape(node, "an axis as long as its slice", in, err);
    *out = *in;
    out->dims[node->axis] = count;
    return 0;
}

int pf_op_shape_concat(const PfNode *node, const PfShape *in, PfShape *out, PfError *err)
{
    *out = in[0];
    if (!has_axis(&in[0], node->axis)) return fail_axis(node, in, err);
    for (int i = 1; i < node->input_count; i++) {
        PfShape other = in[i];
        if (other.rank != out->rank) return fail_shape(node, "equal ranks", &in[i], err);
        other.dims[node->axis] = out->dims[node->axis];
        if (!pf_shape_equal(&other, out))
            return fail_shape(node, "shapes that differ along one axis", &in[i], err);
        out->dims[node->axis] += in[i].dims[node->axis];
    }
    return 0;
}

/* ---- others ---- */

static bool is_among(const int *axes, int count, int axis)
{
    for (int i = 0; i < count; i++)
        if (axes[i] == axis) return true;
    return false;
}

int pf_op_shape_mean(const PfNode *node, const PfShape *in, PfShape *out, PfError *err)
{
    for (int i = 0; i < node->axis_count; i++)
        if (!has_axis(in, node->axes[i])) return fail_axis(node, in, err);
    *out = (PfShape){.rank = 0};
    for (int axis = 0; axis < in->rank; axis++) {
        const bool is_mean = is_among(node->axes, node->axis_count, axis);
        if (!is_mean || node->keep_axes) out->dims[out->rank++] = is_mean ? 1 : in->dims[axis];
    }
    return 0;
}

/* The axes before the last two. */
static PfShape without_matrix(const PfShape *shape)
{
    PfShape rest = *shape;
    rest.rank -= 2;
    return rest;
}

int pf_op_shape_matmul(const PfNode *node, const PfShape *in, PfShape *out, PfError *err)
{
    for (int i = 0; i < 2; i++)
        if (in[i].rank < 2) return fail_shape(node, "matrices", &in[i], err);
    if (in[0].dims[in[0].rank - 1] != in[1].dims[in[1].rank - 2])
        return fail_shape(node, "a second matrix with as many rows as the first has columns",
                          &in[1], err);
    const PfShape rests[2] = {without_matrix(&in[0]), without_matrix(&in[1])};
    if (pf_op_shape_broadcast(node, rests, out, err)) return -1;
    out->dims[out->rank++] = in[0].dims[in[0].rank - 2];
    out->dims[out->rank++] = in[1].dims[in[1].rank - 1];
    return 0;
}

int pf_op_shape_parameter(const PfNode *node, UNUSED const PfShape *in, PfShape *out,
                          UNUSED PfError *err)
{
    *out = node->shape;
    return 0;
}

int pf_op_shape_positions(const PfNode *node, const PfShape *in, PfShape *out, PfError *err)
{
    if (!pf_positions_side(node)) return fail_shape(node, "a square grid", &node->shape, err);
    if (in->rank != 3 || in->dims[0] != node->shape.dims[1])
        return fail_shape(node, "the map of its patches", in, err);
    *out = (PfShape){2, {node->start + in->dims[1] * in->dims[2], in->dims[0]}};
    return 0;
}

int pf_op_shape_token_map(const PfNode *node, const PfShape *in, PfShape *out, PfError *err)
{
    if (in[1].rank != 3) return fail_shape(node, "the map of its patches", &in[1], err);
    if (in[0].rank != 2 || in[0].dims[0] != in[1].dims[1] * in[1].dims[2])
        return fail_shape(node, "a token for each patch", &in[0], err);
    *out = (PfShape){3, {in[0].dims[1], in[1].dims[1], in[1].dims[2]}};
    return 0;
}

/* ---- windows of a map (h, w, c) ---- */

static int64_t next_multiple(int64_t size, int64_t of)
{
    return (size + of - 1) / of * of;
}

int pf_op_shape_pad_behind(const PfNode *node, const PfShape *in, PfShape *out, PfError *err)
{
    if (in->rank != 3) return fail_shape(node, "maps (h, w, c)", in, err);
    *out = (PfShape){3,
                     {next_multiple(in->dims[0], node->kernel[0]),
                      next_multiple(in->dims[1], node->kernel[1]), in->dims[2]}};
    return 0;
}

int pf_op_shape_crop(const PfNode *node, const PfShape *in, PfShape *out, PfError *err)
{
    if (in[1].rank != 3) return fail_shape(node, "maps (h, w, c)", &in[1], err);
    if (in[0].rank != 3 || in[0].dims[0] < in[1].dims[0] || in[0].dims[1] < in[1].dims[1])
        return fail_shape(node, "a map no smaller than its second input", &in[0], err);
    *out = (PfShape){3, {in[1].dims[0], in[1].dims[1], in[0].dims[2]}};
    return 0;
}

int pf_op_shape_window_attention(const PfNode *node, const PfShape *in, PfShape *out, PfError *err)
{
    const int64_t side = node->kernel[0];
    const bool is_square = side > 0 && node->kernel[1] == side && node->start < side;
    if (!is_square || node->shape.rank != 2 || node->shape.dims[1] != node->heads ||
        node->shape.dims[0] != (2 * side - 1) * (2 * side - 1))
        return fail_shape(node, "square windows and a bias for each distance", &node->shape, err);
    if (in->rank != 3 || in->dims[0] % side || in->dims[1] % side ||
        in->dims[2] % (3 * (int64_t)node->heads))
        return fail_shape(node, "a map of whole windows, of queries, keys and values", in, err);
    *out = (PfShape){3, {in->dims[0], in->dims[1], in->dims[2] / 3}};
    return 0;
}

int pf_op_shape_rotate(const PfNode *node, const PfShape *in, PfShape *out, PfError *err)
{
    if (in[1].rank != 3) return fail_shape(node, "the map of its patches", &in[1], err);
    if (in->rank != 2 || in->dims[0] < in[1].dims[1] * in[1].dims[2] ||
        in->dims[1] % (4 * (int64_t)node->heads))
        return fail_shape(node, "tokens of all patches, whose heads four divides", in, err);
    *out = *in;
    return 0;
}
