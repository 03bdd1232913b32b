/* 16 floats and what can be done with them, in plain C: the definition that
 * lanes_avx2.h, lanes_avx512.h and lanes_neon.h follow bit for bit.
 *
 * Kernels (conv/lanes.h, and those of train/kernels that end in _lanes.h) are written once in these
 * words and compiled once for every instruction set. 16 lanes whatever the width of the registers:
 * so sums over lanes come out the same everywhere. Every function rounds as IEEE 754 says; which
 * NaN comes out of several is left open. */
#ifndef PF_COMMON_SIMD_LANES_PLAIN_H
#define PF_COMMON_SIMD_LANES_PLAIN_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define LANES_TARGET
#define LANES static inline

typedef struct Lanes {
    float v[16];
} Lanes;

#define PF_EACH_LANE for (int i = 0; i < 16; i++)

LANES Lanes lanes_set(float value)
{
    Lanes r;
    PF_EACH_LANE r.v[i] = value;
    return r;
}

LANES Lanes lanes_load(const float *values)
{
    Lanes r;
    memcpy(r.v, values, sizeof r.v);
    return r;
}

/* The first count, 0 to 16, and the fill's other lanes. Touches no memory behind them. */
LANES Lanes lanes_load_over(Lanes fill, const float *values, int count)
{
    PF_EACH_LANE fill.v[i] = i < count ? values[i] : fill.v[i];
    return fill;
}

/* The same, filled with zeros. */
LANES Lanes lanes_load_part(const float *values, int count)
{
    return lanes_load_over(lanes_set(0), values, count);
}

LANES void lanes_store(float *values, Lanes a)
{
    memcpy(values, a.v, sizeof a.v);
}

/* The first count, 0 to 16. */
LANES void lanes_store_part(float *values, int count, Lanes a)
{
    for (int i = 0; i < count; i++) values[i] = a.v[i];
}

LANES Lanes lanes_add(Lanes a, Lanes b)
{
    PF_EACH_LANE a.v[i] += b.v[i];
    return a;
}

LANES Lanes lanes_sub(Lanes a, Lanes b)
{
    PF_EACH_LANE a.v[i] -= b.v[i];
    return a;
}

LANES Lanes lanes_mul(Lanes a, Lanes b)
{
    PF_EACH_LANE a.v[i] *= b.v[i];
    return a;
}

LANES Lanes lanes_div(Lanes a, Lanes b)
{
    PF_EACH_LANE a.v[i] /= b.v[i];
    return a;
}

LANES Lanes lanes_sqrt(Lanes a)
{
    PF_EACH_LANE a.v[i] = sqrtf(a.v[i]);
    return a;
}

/* a b + c, rounded once */
LANES Lanes lanes_fma(Lanes a, Lanes b, Lanes c)
{
    PF_EACH_LANE c.v[i] = fmaf(a.v[i], b.v[i], c.v[i]);
    return c;
}

/* c - a b, rounded once */
LANES Lanes lanes_fnma(Lanes a, Lanes b, Lanes c)
{
    PF_EACH_LANE c.v[i] = fmaf(-a.v[i], b.v[i], c.v[i]);
    return c;
}

/* b where either is NaN. */
LANES Lanes lanes_max(Lanes a, Lanes b)
{
    PF_EACH_LANE a.v[i] = a.v[i] > b.v[i] ? a.v[i] : b.v[i];
    return a;
}

/* b where either is NaN. */
LANES Lanes lanes_min(Lanes a, Lanes b)
{
    PF_EACH_LANE a.v[i] = a.v[i] < b.v[i] ? a.v[i] : b.v[i];
    return a;
}

LANES Lanes lanes_abs(Lanes a)
{
    PF_EACH_LANE a.v[i] = fabsf(a.v[i]);
    return a;
}

/* To the nearest whole number, ties to even. */
LANES Lanes lanes_round(Lanes a)
{
    PF_EACH_LANE a.v[i] = rintf(a.v[i]);
    return a;
}

/* a < b ? yes : no */
LANES Lanes lanes_if_less(Lanes a, Lanes b, Lanes yes, Lanes no)
{
    PF_EACH_LANE no.v[i] = a.v[i] < b.v[i] ? yes.v[i] : no.v[i];
    return no;
}

LANES Lanes lanes_if_nan(Lanes a, Lanes yes, Lanes no)
{
    PF_EACH_LANE no.v[i] = isnan(a.v[i]) ? yes.v[i] : no.v[i];
    return no;
}

/* The nearest value of bfloat16, ties to even; a NaN stays as it is. */
LANES Lanes lanes_round_bf16(Lanes a)
{
    Lanes r;
    PF_EACH_LANE
    {
        uint32_t bits;
        memcpy(&bits, &a.v[i], sizeof bits);
        bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
        memcpy(&r.v[i], &bits, sizeof bits);
    }
    return lanes_if_nan(a, a, r);
}

/* a 2^n, rounded once, for a in [0.5, 2] and whole n in [-127, 129]; NaN where a is. */
LANES Lanes lanes_scale(Lanes a, Lanes n)
{
    PF_EACH_LANE a.v[i] = isnan(n.v[i]) ? n.v[i] : ldexpf(a.v[i], (int)n.v[i]);
    return a;
}

/* 2^(n - 1) for whole n in [-126, 128], of -126 that or 0; any number where n is NaN. */
LANES Lanes lanes_half_power(Lanes n)
{
    PF_EACH_LANE n.v[i] = isnan(n.v[i]) ? n.v[i] : ldexpf(0.5f, (int)n.v[i]);
    return n;
}

/* a = mantissa 2^exponent with the mantissa in [1, 2), for normal positive a. */
LANES Lanes lanes_exponent(Lanes a)
{
    PF_EACH_LANE
    {
        uint32_t bits;
        memcpy(&bits, &a.v[i], sizeof bits);
        a.v[i] = (float)((int)(bits >> 23) - 127);
    }
    return a;
}

LANES Lanes lanes_mantissa(Lanes a)
{
    PF_EACH_LANE
    {
        uint32_t bits;
        memcpy(&bits, &a.v[i], sizeof bits);
        bits = (bits & 0x007fffffu) | 0x3f800000u;
        memcpy(&a.v[i], &bits, sizeof bits);
    }
    return a;
}

/* Sums lanes i and i + 8, of those i and i + 4, and so on. */
LANES float lanes_sum(Lanes a)
{
    for (int width = 8; width; width /= 2)
        for (int i = 0; i < width; i++) a.v[i] += a.v[i + width];
    return a.v[0];
}

/* Without NaNs the largest lane. */
LANES float lanes_largest(Lanes a)
{
    for (int width = 8; width; width /= 2)
        for (int i = 0; i < width; i++) a.v[i] = a.v[i] > a.v[i + width] ? a.v[i] : a.v[i + width];
    return a.v[0];
}

/* 16 doubles, for sums of many floats. */
typedef struct LanesDouble {
    double v[16];
} LanesDouble;

LANES LanesDouble lanes_double_load(const double *values)
{
    LanesDouble r;
    memcpy(r.v, values, sizeof r.v);
    return r;
}

LANES void lanes_double_store(double *values, LanesDouble a)
{
    memcpy(values, a.v, sizeof a.v);
}

/* sum + a b: the product of two floats is exact in double. */
LANES LanesDouble lanes_double_add_product(LanesDouble sum, Lanes a, Lanes b)
{
    PF_EACH_LANE sum.v[i] += (double)a.v[i] * (double)b.v[i];
    return sum;
}

#endif
