#include "train/head/head_layer.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "common/base/options.h"

/* ---- the shape ---- */

#define MAX_WIDTH 65536

const char *const pf_activation_names[] = {[PF_RELU] = "relu", [PF_GELU] = "gelu"};
const char *const pf_head_norm_names[] = {
    [PF_HEAD_NORM_NONE] = "none", [PF_HEAD_NORM_BATCH] = "batch", [PF_HEAD_NORM_LAYER] = "layer"};

/* "256x128" */
static int parse_widths(const char *text, PfHeadSpec *spec)
{
    for (;;) {
        uint64_t width;
        size_t length = strcspn(text, "x");
        if (pf_options_read_unsigned(text, length, &width) || width < 1 || width > MAX_WIDTH ||
            spec->hidden_count == PF_MAX_HIDDEN)
            return -1;
        spec->hidden[spec->hidden_count++] = (int)width;
        if (!text[length]) return 0;
        text += length + 1;
    }
}

int pf_head_spec_parse(const char *text, PfHeadSpec *spec, PfError *err)
{
    spec->hidden_count = 0;
    if (!strcmp(text, "linear")) return 0;
    if (!strncmp(text, "mlp:", 4) && !parse_widths(text + 4, spec)) return 0;
    return pf_fail(err, PF_EXIT_USAGE,
                   "--head: expected linear, or mlp:WIDTH[xWIDTH...] with up to %d widths of 1 to "
                   "%d as in mlp:512x128, found '%s'",
                   PF_MAX_HIDDEN, MAX_WIDTH, text);
}

const char *pf_head_spec_text(const PfHeadSpec *spec, char text[PF_HEAD_SPEC_TEXT_SIZE])
{
    size_t used =
        (size_t)snprintf(text, PF_HEAD_SPEC_TEXT_SIZE, "%s", spec->hidden_count ? "mlp" : "linear");
    for (int i = 0; i < spec->hidden_count; i++)
        used += (size_t)snprintf(text + used, PF_HEAD_SPEC_TEXT_SIZE - used, "%c%d", i ? 'x' : ':',
                                 spec->hidden[i]);
    return text;
}

/* ---- batch norm ---- */

/* Two passes over a column of z: the differences from the mean are small. */
static void column_moments(const float *z, int64_t n, int64_t columns, int64_t c, double *mean,
                           double *variance)
{
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)z[i * columns + c];
    *mean = sum / (double)n;
    for (int64_t i = 0; i < n; i++) {
        double off = (double)z[i * columns + c] - *mean;
        squares += off * off;
    }
    *variance = squares / (double)n;
}

static void move(float *running, double value)
{
    *running += PF_BATCH_NORM_MOMENTUM * ((float)value - *running);
}

void pf_batch_norm_forward(float *z, int64_t n, int64_t columns, float *running, float *deviation)
{
    for (int64_t c = 0; c < columns; c++) {
        double mean = (double)running[c], variance = (double)running[columns + c];
        if (deviation) column_moments(z, n, columns, c, &mean, &variance);
        if (deviation && n > 1) { /* a lone row, the rest of an epoch, has no variance */
            move(&running[c], mean);
            move(&running[columns + c], variance * (double)n / (double)(n - 1));
        }
        float center = (float)mean, factor = (float)(1 / sqrt(variance + (double)PF_NORM_EPSILON));
        if (deviation) deviation[c] = factor;
        for (int64_t i = 0; i < n; i++) z[i * columns + c] = (z[i * columns + c] - center) * factor;
    }
}

/* dz = deviation (d - mean(d) - xhat mean(d xhat)): Ioffe and Szegedy 2015. */
void pf_batch_norm_backward(const float *normalised, int64_t n, int64_t columns,
                            const float *deviation, float *derivative)
{
    for (int64_t c = 0; c < columns; c++) {
        double sum = 0, along = 0;
        for (int64_t i = 0; i < n; i++) {
            double d = (double)derivative[i * columns + c];
            sum += d;
            along += d * (double)normalised[i * columns + c];
        }
        float mean = (float)(sum / (double)n), slope = (float)(along / (double)n);
        for (int64_t i = 0; i < n; i++) {
            int64_t at = i * columns + c;
            derivative[at] = deviation[c] * (derivative[at] - mean - normalised[at] * slope);
        }
    }
}

/* ---- layer norm ---- */

void pf_layer_norm_forward(float *z, int64_t n, int heads, int64_t width, float *deviation)
{
    for (int64_t slice = 0; slice < n * heads; slice++) {
        double mean, variance;
        float *row = z + slice * width;
        column_moments(row, width, 1, 0, &mean, &variance);
        float center = (float)mean, factor = (float)(1 / sqrt(variance + (double)PF_NORM_EPSILON));
        if (deviation) deviation[slice] = factor;
        for (int64_t c = 0; c < width; c++) row[c] = (row[c] - center) * factor;
    }
}

void pf_layer_norm_backward(const float *normalised, int64_t n, int heads, int64_t width,
                            const float *deviation, float *derivative)
{
    for (int64_t slice = 0; slice < n * heads; slice++)
        pf_batch_norm_backward(normalised + slice * width, width, 1, &deviation[slice],
                               derivative + slice * width);
}

/* ---- scale and shift ---- */

void pf_scale_and_shift(const float *z, int64_t n, int64_t columns, const float *scale, float *out)
{
    const float *shift = scale + columns;
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < columns; c++)
            out[i * columns + c] = z[i * columns + c] * scale[c] + shift[c];
}

void pf_scale_and_shift_backward(const float *z, int64_t n, int64_t columns, const float *scale,
                                 float *derivative, float *gradient)
{
    float *shift_gradient = gradient + columns;
    for (int64_t c = 0; c < columns; c++) gradient[c] = shift_gradient[c] = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < columns; c++) {
            float *d = &derivative[i * columns + c];
            gradient[c] += *d * z[i * columns + c];
            shift_gradient[c] += *d;
            *d *= scale[c];
        }
}

/* ---- activation and dropout ---- */

/* x Phi(x), as torch's default. */
static float gelu(float x)
{
    return (float)(0.5 * (double)x * (1 + erf((double)x * M_SQRT1_2)));
}

static float gelu_slope(float x)
{
    double z = (double)x, density = exp(-0.5 * z * z) * 0.5 * M_2_SQRTPI * M_SQRT1_2;
    return (float)(0.5 * (1 + erf(z * M_SQRT1_2)) + z * density);
}

void pf_activate(PfActivation activation, float *values, int64_t count)
{
    if (activation == PF_GELU)
        for (int64_t i = 0; i < count; i++) values[i] = gelu(values[i]);
    else
        for (int64_t i = 0; i < count; i++) values[i] = values[i] > 0 ? values[i] : 0;
}

void pf_activate_backward(PfActivation activation, const float *input, int64_t count,
                          float *derivative)
{
    if (activation == PF_GELU)
        for (int64_t i = 0; i < count; i++) derivative[i] *= gelu_slope(input[i]);
    else
        for (int64_t i = 0; i < count; i++) derivative[i] = input[i] > 0 ? derivative[i] : 0;
}

void pf_apply_mask(float *values, int64_t n, int heads, int64_t width, const float *mask)
{
    for (int64_t i = 0; i < n; i++)
        for (int h = 0; h < heads; h++)
            for (int64_t c = 0; c < width; c++)
                values[(i * heads + h) * width + c] *= mask[i * width + c];
}
