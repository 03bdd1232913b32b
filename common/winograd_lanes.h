/* The transforms of winograd.h in the words of one instruction set: its lanes_*.h is
 * included before this.
 *
 * The six points at which polynomials are multiplied are 0, a, -a, b, -b and
 * infinity with a = 5/8 and b = 3/2, whose powers are exact in float. They lie closer
 * to 1 than the usual 1 and 2, so that less is lost to cancellation. */
#include "convolution_kernels.h"

#define A1 0.625f
#define A2 (A1 * A1)
#define A3 (A1 * A1 * A1)
#define B1 1.5f
#define B2 (B1 * B1)
#define B3 (B1 * B1 * B1)

/* ---- transforms ---- */

/* Six values along one side of an input's tile become values at the six points. */
LANES void winograd_input_line(const Lanes d[6], Lanes at[6])
{
    const Lanes a2 = lanes_set(A2), b2 = lanes_set(B2), both = lanes_set(A2 * B2),
                sum = lanes_set(A2 + B2), a = lanes_set(A1), b = lanes_set(B1);
    Lanes even_a = lanes_fnma(b2, d[2], d[4]), odd_a = lanes_fnma(b2, d[1], d[3]);
    Lanes even_b = lanes_fnma(a2, d[2], d[4]), odd_b = lanes_fnma(a2, d[1], d[3]);
    at[0] = lanes_fma(both, d[0], lanes_fnma(sum, d[2], d[4]));
    at[1] = lanes_fma(a, odd_a, even_a);
    at[2] = lanes_fnma(a, odd_a, even_a);
    at[3] = lanes_fma(b, odd_b, even_b);
    at[4] = lanes_fnma(b, odd_b, even_b);
    at[5] = lanes_fma(both, d[1], lanes_fnma(sum, d[3], d[5]));
}

/* From six points back to four values along one side of an output's tile. */
LANES void winograd_output_line(const Lanes at[6], Lanes y[4])
{
    Lanes even_a = lanes_add(at[1], at[2]), odd_a = lanes_sub(at[1], at[2]);
    Lanes even_b = lanes_add(at[3], at[4]), odd_b = lanes_sub(at[3], at[4]);
    y[0] = lanes_add(lanes_add(at[0], even_a), even_b);
    y[1] = lanes_fma(lanes_set(A1), odd_a, lanes_mul(lanes_set(B1), odd_b));
    y[2] = lanes_fma(lanes_set(A2), even_a, lanes_mul(lanes_set(B2), even_b));
    y[3] = lanes_fma(lanes_set(A3), odd_a, lanes_fma(lanes_set(B3), odd_b, at[5]));
}

/* Three weights of a row or column of the kernel at the six points, divided by what
 * the other two transforms leave out: each point's distances from all others. */
LANES void winograd_weight_line(const Lanes w[3], Lanes at[6])
{
    const Lanes a2 = lanes_set(A2), b2 = lanes_set(B2), a = lanes_set(A1), b = lanes_set(B1);
    const Lanes scale_a = lanes_set(1 / (2 * A2 * (A2 - B2)));
    const Lanes scale_b = lanes_set(1 / (2 * B2 * (B2 - A2)));
    Lanes even_a = lanes_fma(a2, w[2], w[0]), even_b = lanes_fma(b2, w[2], w[0]);
    at[0] = lanes_mul(w[0], lanes_set(1 / (A2 * B2)));
    at[1] = lanes_mul(scale_a, lanes_fma(a, w[1], even_a));
    at[2] = lanes_mul(scale_a, lanes_fnma(a, w[1], even_a));
    at[3] = lanes_mul(scale_b, lanes_fma(b, w[1], even_b));
    at[4] = lanes_mul(scale_b, lanes_fnma(b, w[1], even_b));
    at[5] = w[2];
}

LANES_TARGET static void winograd_weights(const float *w, float *out, int64_t point)
{
    Lanes lines[6][3];
    for (int x = 0; x < 3; x++) {
        Lanes column[3], at[6];
        for (int y = 0; y < 3; y++) column[y] = lanes_load(w + 16 * (3 * y + x));
        winograd_weight_line(column, at);
        for (int i = 0; i < 6; i++) lines[i][x] = at[i];
    }
    for (int i = 0; i < 6; i++) {
        Lanes at[6];
        winograd_weight_line(lines[i], at);
        for (int j = 0; j < 6; j++) lanes_store(out + (6 * i + j) * point, at[j]);
    }
}

LANES_TARGET static void winograd_input_tile(const PfWinogradInputTile *tile)
{
    for (int64_t c = 0; c < tile->channels; c += 16) {
        Lanes lines[6][6];
        for (int x = 0; x < 6; x++) {
            Lanes d[6], at[6];
            for (int y = 0; y < 6; y++) d[y] = lanes_load(tile->pixels[6 * y + x] + c);
            winograd_input_line(d, at);
            for (int i = 0; i < 6; i++) lines[i][x] = at[i];
        }
        for (int i = 0; i < 6; i++) {
            Lanes at[6];
            winograd_input_line(lines[i], at);
            for (int j = 0; j < 6; j++)
                lanes_store(tile->out + (6 * i + j) * tile->point + c, at[j]);
        }
    }
}

LANES void winograd_store_pixel(const PfWinogradOutputTile *tile, int pixel, int64_t k, Lanes y)
{
    float *to = tile->pixels[pixel];
    if (!to) return;
    y = lanes_add(y, lanes_load(tile->bias + k));
    if (tile->sum) y = lanes_add(y, lanes_load(tile->sum + (to - tile->base) + k));
    if (tile->relu) y = lanes_max(lanes_set(0), y); /* NaN stays */
    if (tile->bf16) y = lanes_round_bf16(y);
    lanes_store(to + k, y);
}

LANES_TARGET static void winograd_output_tile(const PfWinogradOutputTile *tile)
{
    for (int64_t k = 0; k < tile->channels; k += 16) {
        Lanes lines[4][6];
        for (int j = 0; j < 6; j++) {
            Lanes at[6], y[4];
            for (int i = 0; i < 6; i++)
                at[i] = lanes_load(tile->in + (6 * i + j) * tile->point + k);
            winograd_output_line(at, y);
            for (int i = 0; i < 4; i++) lines[i][j] = y[i];
        }
        for (int i = 0; i < 4; i++) {
            Lanes y[4];
            winograd_output_line(lines[i], y);
            for (int j = 0; j < 4; j++) winograd_store_pixel(tile, 4 * i + j, k, y[j]);
        }
    }
}
