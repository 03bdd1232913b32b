/* Operations in ONNX's terms whose constants follow from the size of a map: see op_columns.h. */
#include "common/arch/onnx_nodes.h"
#include "common/arch/op_columns.h"
#include "common/arch/positions.h"
#include "common/arch/rotation.h"

/* ---- pools ---- */

/* Row i has, of as many places as go into the window i, their share of its mean; by_columns: the
 * matrix turned. */
static int add_shares(PfOnnxNodes *out, int64_t places, int64_t windows, bool by_columns,
                      PfError *err)
{
    const PfShape shape = {2, {by_columns ? places : windows, by_columns ? windows : places}};
    float *shares = pf_onnx_nodes_add_numbers(out, shape, err);
    if (!shares) return -1;
    for (int64_t i = 0; i < windows; i++) {
        const int64_t first = i * places / windows;
        const int64_t end = ((i + 1) * places + windows - 1) / windows;
        for (int64_t k = first; k < end; k++)
            shares[by_columns ? k * windows + i : i * places + k] = 1 / (float)(end - first);
    }
    return 0;
}

/* ONNX has no adaptive pooling: windows that do not overlap, where the sizes divide, else a matrix
 * of means along each axis. */
PF_ONNX_COLUMN(pf_op_onnx_adaptive_pool)
{
    const int64_t height = in->dims[1], width = in->dims[2], size = node->pool_size;
    if (height == size && width == size) return 0;
    if (size == 1) {
        pf_onnx_nodes_add(out, "GlobalAveragePool", "0");
        return 0;
    }
    if (height % size || width % size) {
        if (add_shares(out, height, size, false, err) || add_shares(out, width, size, true, err))
            return -1;
        pf_onnx_nodes_add(out, "MatMul", "$1 0");
        pf_onnx_nodes_add(out, "MatMul", "before $2");
        return 0;
    }
    PfOnnxNode *pool = pf_onnx_nodes_add(out, "AveragePool", "0");
    pf_onnx_nodes_set_pair(pool, "kernel_shape", height / size, width / size);
    pf_onnx_nodes_set_pair(pool, "strides", height / size, width / size);
    return 0;
}

/* ---- positions ---- */

/* As they are in the file, for images whose grid they were made for, else resized once and for all.
 * With a leading axis of 1 as many as there are images. */
PF_ONNX_COLUMN(pf_op_onnx_positions)
{
    const int64_t side = pf_positions_side(node), height = in->dims[1], width = in->dims[2];
    if (height == side && width == side) return pf_op_onnx_parameter(node, in, out, err);
    if (!node->leading_one) {
        pf_onnx_nodes_add_positions(out, height, width);
        pf_onnx_nodes_add(out, "Identity", "$1");
        return 0;
    }
    const PfShape resized = {2, {node->start + height * width, in->dims[0]}};
    pf_onnx_nodes_add_integers(out, (const int64_t[]){0}, 1);
    pf_onnx_nodes_add_integers(out, (const int64_t[]){1}, 1);
    pf_onnx_nodes_add_integers(out, resized.dims, resized.rank);
    pf_onnx_nodes_add_positions(out, height, width);
    pf_onnx_nodes_add(out, "Shape", "image");
    pf_onnx_nodes_add(out, "Slice", "before $1 $2");
    pf_onnx_nodes_set_int(pf_onnx_nodes_add(out, "Concat", "before $3"), "axis", 0);
    pf_onnx_nodes_add(out, "Expand", "$4 before");
    return 0;
}

/* ---- attention in windows ---- */

typedef struct Windows {
    int64_t height, width; /* of the map */
    int64_t side, pixels;  /* of a window */
    int64_t rows, columns; /* of windows */
    int64_t shift[2];      /* along y and x; none along an axis of one window */
    int64_t heads, channels;
} Windows;

static Windows windows_of(const PfNode *node, const PfShape *in)
{
    const int64_t side = node->kernel[0];
    return (Windows){
        .height = in->dims[0],
        .width = in->dims[1],
        .side = side,
        .pixels = side * side,
        .rows = in->dims[0] / side,
        .columns = in->dims[1] / side,
        .shift = {in->dims[0] > side ? node->start : 0, in->dims[1] > side ? node->start : 0},
        .heads = node->heads,
        .channels = in->dims[2] / 3 / node->heads};
}

/* Pixel `pixel` of window `window`, along an axis (0: y) of the map that was shifted. */
static int64_t place_in_map(const Windows *windows, int64_t window, int64_t pixel, int axis)
{
    return axis ? window % windows->columns * windows->side + pixel % windows->side
                : window / windows->columns * windows->side + pixel / windows->side;
}

/* Where the pixels of the windows, one window behind the other, are in the map; and the inverse. */
static int add_orders(PfOnnxNodes *out, const Windows *windows, PfError *err)
{
    const int64_t area = windows->height * windows->width;
    int64_t *order = pf_onnx_nodes_add_indices(out, (PfShape){1, {area}}, err);
    int64_t *inverse = order ? pf_onnx_nodes_add_indices(out, (PfShape){1, {area}}, err) : NULL;
    if (!inverse) return -1;
    for (int64_t i = 0; i < area; i++) {
        const int64_t window = i / windows->pixels, pixel = i % windows->pixels;
        const int64_t y = place_in_map(windows, window, pixel, 0) + windows->shift[0];
        const int64_t x = place_in_map(windows, window, pixel, 1) + windows->shift[1];
        order[i] = y % windows->height * windows->width + x % windows->width;
        inverse[order[i]] = i;
    }
    return 0;
}

/* Which row of the table is for the distance of two pixels. */
static int add_distances(PfOnnxNodes *out, const Windows *windows, PfError *err)
{
    const int64_t pixels = windows->pixels;
    int64_t *rows = pf_onnx_nodes_add_indices(out, (PfShape){2, {pixels, pixels}}, err);
    if (!rows) return -1;
    for (int64_t i = 0; i < pixels * pixels; i++)
        rows[i] = pf_window_distance(windows->side, i / pixels, i % pixels);
    return 0;
}

/* 2 for pixels that come from the beginning of the map along y, and 1 along x. */
static int region(const Windows *windows, int64_t window, int64_t pixel)
{
    const bool below =
        place_in_map(windows, window, pixel, 0) >= windows->height - windows->shift[0];
    const bool right =
        place_in_map(windows, window, pixel, 1) >= windows->width - windows->shift[1];
    return 2 * below + right;
}

/* (windows, 1, pixels, pixels): -100 for two pixels between which the beginning of the map lies. */
static int add_mask(PfOnnxNodes *out, const Windows *windows, PfError *err)
{
    const int64_t pixels = windows->pixels, count = windows->rows * windows->columns;
    float *mask = pf_onnx_nodes_add_numbers(out, (PfShape){4, {count, 1, pixels, pixels}}, err);
    if (!mask) return -1;
    for (int64_t i = 0; i < count * pixels * pixels; i++) {
        const int64_t window = i / pixels / pixels;
        const int query = region(windows, window, i / pixels % pixels);
        mask[i] = query == region(windows, window, i % pixels) ? 0 : -100;
    }
    return 0;
}

static void add_transpose(PfOnnxNodes *out, const char *input, const int64_t *order, int count)
{
    PfOnnxAttribute *perm =
        pf_onnx_nodes_set_ints(pf_onnx_nodes_add(out, "Transpose", input), "perm");
    for (int i = 0; i < count; i++) perm->ints[perm->count++] = order[i];
}

static void add_gather(PfOnnxNodes *out, const char *inputs, int64_t axis)
{
    pf_onnx_nodes_set_int(pf_onnx_nodes_add(out, "Gather", inputs), "axis", axis);
}

/* Constants: 1 and 2 the orders, 3 the distances, 4 to 7 shapes, 8 to 10 which of queries, keys and
 * values, 11 the scale, 12 the mask, if any. */
static int add_window_constants(PfOnnxNodes *out, const PfNode *node, const Windows *windows,
                                PfError *err)
{
    const int64_t area = windows->height * windows->width;
    const int64_t count = windows->rows * windows->columns;
    const int64_t width = windows->heads * windows->channels;
    if (add_orders(out, windows, err) || add_distances(out, windows, err)) return -1;
    pf_onnx_nodes_add_integers(out, (const int64_t[]){0, area, 3 * width}, 3);
    pf_onnx_nodes_add_integers(
        out, (const int64_t[]){0, count, windows->pixels, 3, windows->heads, windows->channels}, 6);
    pf_onnx_nodes_add_integers(out, (const int64_t[]){-1, area, width}, 3);
    pf_onnx_nodes_add_integers(out, (const int64_t[]){0, windows->height, windows->width, width},
                               4);
    for (int64_t i = 0; i < 3; i++) pf_onnx_nodes_add_integers(out, &i, 1);
    pf_onnx_nodes_add_number(out, node->scale);
    return windows->shift[0] || windows->shift[1] ? add_mask(out, windows, err) : 0;
}

/* One Gather shifts the map and cuts it into windows, one puts it together again. In between the
 * axes are (1, batch, windows, heads, pixels, channels). */
PF_ONNX_COLUMN(pf_op_onnx_window_attention)
{
    const Windows windows = windows_of(node, in);
    if (add_window_constants(out, node, &windows, err)) return -1;
    add_gather(out, "itself $3", 0);
    add_transpose(out, "before", (const int64_t[]){2, 0, 1}, 3);
    pf_onnx_nodes_add(out, "Reshape", "0 $4");
    add_gather(out, "before $1", 1);
    pf_onnx_nodes_add(out, "Reshape", "before $5");
    add_transpose(out, "before", (const int64_t[]){3, 0, 1, 4, 2, 5}, 6);
    add_gather(out, "#6 $8", 0);
    add_gather(out, "#6 $9", 0);
    add_gather(out, "#6 $10", 0);
    add_transpose(out, "#8", (const int64_t[]){0, 1, 2, 3, 5, 4}, 6);
    pf_onnx_nodes_add(out, "MatMul", "#7 #10");
    pf_onnx_nodes_add(out, "Mul", "before $11");
    pf_onnx_nodes_add(out, "Add", "before #2");
    if (out->constant_count > 11) pf_onnx_nodes_add(out, "Add", "before $12");
    pf_onnx_nodes_set_int(pf_onnx_nodes_add(out, "Softmax", "before"), "axis", -1);
    pf_onnx_nodes_add(out, "MatMul", "before #9");
    add_transpose(out, "before", (const int64_t[]){0, 1, 2, 4, 3, 5}, 6);
    pf_onnx_nodes_add(out, "Reshape", "before $6");
    add_gather(out, "before $2", 1);
    pf_onnx_nodes_add(out, "Reshape", "before $7");
    return 0;
}

/* ---- rotations ---- */

/* (tokens, 1, 2, half of a head): by what the halves of each token are multiplied, sines: by what
 * the other half is. Tokens that are no patches stay as they are. */
static int add_factors(PfOnnxNodes *out, const PfNode *node, const PfShape *in, bool sines,
                       PfError *err)
{
    const int64_t half = in[0].dims[1] / node->heads / 2;
    const int64_t height = in[1].dims[1], width = in[1].dims[2];
    const int64_t first = in[0].dims[0] - height * width;
    float *factors = pf_onnx_nodes_add_numbers(out, (PfShape){4, {in[0].dims[0], 1, 2, half}}, err);
    if (!factors) return -1;
    for (int64_t i = 0; i < in[0].dims[0] * 2 * half; i++) {
        const int64_t token = i / (2 * half), which = i % half, side = i / half % 2;
        float cosine = 1, sine = 0;
        if (token >= first)
            pf_rotation_angle(node, 2 * half, height, width, token - first, which, &cosine, &sine);
        factors[i] = !sines ? cosine : side ? sine : -sine;
    }
    return 0;
}

PF_ONNX_COLUMN(pf_op_onnx_rotate)
{
    const int64_t channels = in[0].dims[1], half = channels / node->heads / 2;
    if (add_factors(out, node, in, false, err) || add_factors(out, node, in, true, err)) return -1;
    pf_onnx_nodes_add_integers(out, (const int64_t[]){0, 0, node->heads, 2, half}, 5);
    pf_onnx_nodes_add_integers(out, (const int64_t[]){0, 0, channels}, 3);
    pf_onnx_nodes_add_integers(out, (const int64_t[]){1, 0}, 2);
    pf_onnx_nodes_add(out, "Reshape", "0 $3");
    pf_onnx_nodes_add(out, "Mul", "before $1");
    add_gather(out, "#1 $5", 3);
    pf_onnx_nodes_add(out, "Mul", "before $2");
    pf_onnx_nodes_add(out, "Add", "#2 #4");
    pf_onnx_nodes_add(out, "Reshape", "before $4");
    return 0;
}
