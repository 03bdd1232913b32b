/* Functions of 16 floats at a time, in the words of lanes_plain.h; a lanes_*.h is included before
 * this. The same bits whatever the instruction set. NaN gives NaN. */
#ifndef PF_COMMON_SIMD_LANES_MATH_H
#define PF_COMMON_SIMD_LANES_MATH_H

#define PF_EXP_FLOOR (-87.33654f) /* log 2^-126 */

/* exp(x) = 2^n exp(r), n whole, |r| <= ln 2 / 2, exp(r) = 1 + r + r^2 q(r). The
 * coefficients are a minimax fit: 3e-9 relative, a twentieth of a rounding. Below
 * the floor, which is not less than PF_EXP_FLOOR, the result is 0; so no result is
 * subnormal, and nothing after it has to be slow. */
LANES Lanes math_exp_above(float floor, Lanes exponent)
{
    Lanes x = lanes_max(lanes_set(floor), exponent);
    x = lanes_min(lanes_set(89.0f), x);
    Lanes n = lanes_round(lanes_mul(x, lanes_set(0x1.715476p+0f)));
    /* ln 2 = 355 / 512 and a rest: with so short a number the first step is exact. */
    Lanes r = lanes_fnma(n, lanes_set(355.0f / 512.0f), x);
    r = lanes_fnma(n, lanes_set(-0x1.bd0106p-13f), r);
    Lanes q = lanes_set(0x1.6db64cp-10f);
    q = lanes_fma(q, r, lanes_set(0x1.123ce0p-7f));
    q = lanes_fma(q, r, lanes_set(0x1.55545cp-5f));
    q = lanes_fma(q, r, lanes_set(0x1.55548cp-3f));
    q = lanes_fma(q, r, lanes_set(0.5f));
    Lanes power = lanes_add(lanes_fma(lanes_mul(r, r), q, r), lanes_set(1.0f));
    return lanes_if_less(exponent, lanes_set(floor), lanes_set(0), lanes_scale(power, n));
}

LANES Lanes math_exp(Lanes x)
{
    return math_exp_above(PF_EXP_FLOOR, x);
}

/* log(1 + u) for u in [0, 1]. With s = u / (2 + u) it is 2 artanh(s), written as
 * u - (u^2/2 - s (u^2/2 + s^2 p(s^2))) so that the leading term is exact. */
LANES Lanes math_log1p(Lanes u)
{
    Lanes s = lanes_div(u, lanes_add(lanes_set(2.0f), u));
    Lanes z = lanes_mul(s, s), half = lanes_mul(lanes_mul(lanes_set(0.5f), u), u);
    Lanes p = lanes_set(0x1.f1b2c8p-3f);
    p = lanes_fma(p, z, lanes_set(0x1.b6d5b0p-3f));
    p = lanes_fma(p, z, lanes_set(0x1.25097cp-2f));
    p = lanes_fma(p, z, lanes_set(0x1.9996a8p-2f));
    p = lanes_fma(p, z, lanes_set(0x1.555558p-1f));
    Lanes series = lanes_fma(z, p, half);
    return lanes_sub(u, lanes_fnma(s, series, half));
}

/* Of a sum of exponentials: x in [1, 2^100], or NaN. */
LANES Lanes math_log(Lanes x)
{
    Lanes rest = lanes_sub(lanes_mantissa(x), lanes_set(1.0f));
    Lanes log = lanes_fma(lanes_exponent(x), lanes_set(0x1.62e430p-1f), math_log1p(rest));
    return lanes_if_nan(x, x, log);
}

/* 1 / (1 + exp(-x)) from u = exp(-|x|). */
LANES Lanes math_sigmoid_of(Lanes x, Lanes u)
{
    Lanes above = lanes_div(lanes_set(1.0f), lanes_add(lanes_set(1.0f), u));
    return lanes_if_less(x, lanes_set(0), lanes_mul(u, above), above);
}

LANES Lanes math_negative_abs(Lanes x)
{
    return lanes_sub(lanes_set(0), lanes_abs(x));
}

LANES Lanes math_sigmoid(Lanes x)
{
    return math_sigmoid_of(x, math_exp(math_negative_abs(x)));
}

/* x / (1 + exp(-x)), with the exponential of above, but by powers of r = x + n ln 2, and with no
 * result to be set to 0: at 87 the sum is 1 already, and at -89 the power is infinite. */
LANES Lanes math_silu(Lanes x)
{
    Lanes cut = lanes_min(lanes_set(87.0f), lanes_max(lanes_set(-89.0f), x));
    Lanes n = lanes_round(lanes_mul(cut, lanes_set(-0x1.715476p+0f)));
    Lanes r = lanes_fma(n, lanes_set(355.0f / 512.0f), cut);
    r = lanes_fma(n, lanes_set(-0x1.bd0106p-13f), r);
    Lanes q = lanes_set(0x1.6db64cp-10f);
    q = lanes_fma(q, r, lanes_set(-0x1.123ce0p-7f));
    q = lanes_fma(q, r, lanes_set(0x1.55545cp-5f));
    q = lanes_fma(q, r, lanes_set(-0x1.55548cp-3f));
    q = lanes_fma(q, r, lanes_set(0.5f));
    Lanes twice = lanes_fnma(lanes_mul(r, r), q, r);
    twice = lanes_fnma(lanes_set(2.0f), twice, lanes_set(2.0f));
    return lanes_div(x, lanes_fma(twice, lanes_half_power(n), lanes_set(1.0f)));
}

/* The normal distribution function: P(-x) = exp(-h(x)) / 2 for x >= 0, P(x) = 1 -
 * P(-x). h is a fit on [0, 6.5], weighted so that P is good to 8e-9; behind that it
 * keeps growing. */
LANES Lanes math_normal_cdf(Lanes x)
{
    Lanes t = lanes_abs(x), h = lanes_set(0x1.07bd4cp-19f);
    h = lanes_fma(h, t, lanes_set(-0x1.c9ed26p-16f));
    h = lanes_fma(h, t, lanes_set(0x1.0ea35cp-13f));
    h = lanes_fma(h, t, lanes_set(0x1.8e1c68p-14f));
    h = lanes_fma(h, t, lanes_set(-0x1.40dd14p-8f));
    h = lanes_fma(h, t, lanes_set(0x1.2a1648p-5f));
    h = lanes_fma(h, t, lanes_set(0x1.45f024p-2f));
    h = lanes_fma(h, t, lanes_set(0x1.98846cp-1f));
    Lanes below = lanes_mul(lanes_set(0.5f), math_exp(lanes_fnma(h, t, lanes_set(0))));
    return lanes_if_less(x, lanes_set(0), below, lanes_sub(lanes_set(1.0f), below));
}

LANES Lanes math_gelu(Lanes x)
{
    return lanes_mul(x, math_normal_cdf(x));
}

/* P(x) + x exp(-x^2/2) / sqrt(2 pi) */
LANES Lanes math_gelu_slope(Lanes x)
{
    Lanes bell = math_exp(lanes_mul(lanes_mul(lanes_set(-0.5f), x), x));
    Lanes density = lanes_mul(lanes_set(0x1.988454p-2f), bell);
    return lanes_fma(x, density, math_normal_cdf(x));
}

/* tanh(x) = x + x^3 p(x^2) below 5/8, where p is a minimax fit, good to 5e-9; from there on
 * (1 - u) / (1 + u) with u = exp(-2 |x|), and the sign of x. */
LANES Lanes math_tanh(Lanes x)
{
    Lanes z = lanes_mul(x, x), p = lanes_set(0x1.2c83c0p-9f), one = lanes_set(1.0f);
    p = lanes_fma(p, z, lanes_set(-0x1.116a16p-7f));
    p = lanes_fma(p, z, lanes_set(0x1.64a976p-6f));
    p = lanes_fma(p, z, lanes_set(-0x1.ba08c4p-5f));
    p = lanes_fma(p, z, lanes_set(0x1.1110eap-3f));
    p = lanes_fma(p, z, lanes_set(-0x1.555556p-2f));
    Lanes near = lanes_fma(lanes_mul(x, z), p, x);
    Lanes u = math_exp(lanes_mul(lanes_set(-2.0f), lanes_abs(x)));
    Lanes far = lanes_div(lanes_sub(one, u), lanes_add(one, u));
    far = lanes_if_less(x, lanes_set(0), lanes_sub(lanes_set(0), far), far);
    return lanes_if_less(lanes_abs(x), lanes_set(0.625f), near, far);
}

#endif
