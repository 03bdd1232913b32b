/* The parts of loss.c that are worth vectors; see PfKernels and PfPointwiseBlock. */

/* Probabilities below 1.6e-28 are taken for 0: gradients of heads that are very sure
 * would else become subnormal on their way, and slow everything down. */
LANES Lanes loss_exp(Lanes x)
{
    return math_exp_above(-64.0f, x);
}

/* The last count < 16 values, and -inf behind them. */
LANES Lanes softmax_tail(const float *z, int count)
{
    return lanes_load_over(lanes_set(-INFINITY), z, count);
}

LANES_TARGET static float softmax_largest(const float *z, int64_t classes)
{
    Lanes largest = lanes_set(-INFINITY);
    int64_t c = 0;
    for (; c + 16 <= classes; c += 16) largest = lanes_max(lanes_load(z + c), largest);
    if (c < classes) largest = lanes_max(softmax_tail(z + c, (int)(classes - c)), largest);
    return lanes_largest(largest);
}

LANES_TARGET static float softmax_exp(const float *z, int64_t classes, float largest, float *out)
{
    Lanes sum = lanes_set(0), shift = lanes_set(largest);
    int64_t c = 0;
    for (; c + 16 <= classes; c += 16) {
        Lanes power = loss_exp(lanes_sub(lanes_load(z + c), shift));
        if (out) lanes_store(out + c, power);
        sum = lanes_add(sum, power);
    }
    if (c < classes) {
        int left = (int)(classes - c);
        Lanes power = loss_exp(lanes_sub(softmax_tail(z + c, left), shift));
        if (out) lanes_store_part(out + c, left, power);
        sum = lanes_add(sum, power);
    }
    return lanes_sum(sum);
}

LANES_TARGET static void softmax_exp_block(float *block, int64_t classes, float *largest,
                                           float *total)
{
    Lanes shift = lanes_set(-INFINITY), sum = lanes_set(0);
    for (int64_t c = 0; c < classes; c++) shift = lanes_max(lanes_load(block + 16 * c), shift);
    for (int64_t c = 0; c < classes; c++) {
        Lanes power = loss_exp(lanes_sub(lanes_load(block + 16 * c), shift));
        lanes_store(block + 16 * c, power);
        sum = lanes_add(sum, power);
    }
    lanes_store(largest, shift);
    lanes_store(total, sum);
}

/* ---- losses of single values ---- */

typedef struct Pointwise {
    Lanes loss, slope;
} Pointwise;

/* d = p - t:  d^2 */
LANES Pointwise pointwise_squared(Lanes p, Lanes t, Lanes delta)
{
    (void)delta;
    Lanes d = lanes_sub(p, t);
    return (Pointwise){lanes_mul(d, d), lanes_add(d, d)};
}

/* |d|, slope 0 at 0 */
LANES Pointwise pointwise_absolute(Lanes p, Lanes t, Lanes delta)
{
    (void)delta;
    Lanes d = lanes_sub(p, t), zero = lanes_set(0);
    Lanes slope = lanes_if_less(d, zero, lanes_set(-1.0f), zero);
    slope = lanes_if_less(zero, d, lanes_set(1.0f), slope);
    return (Pointwise){lanes_abs(d), lanes_if_nan(d, d, slope)};
}

/* d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2) */
LANES Pointwise pointwise_huber(Lanes p, Lanes t, Lanes delta)
{
    Lanes d = lanes_sub(p, t), size = lanes_abs(d), half = lanes_set(0.5f);
    Lanes inner = lanes_mul(lanes_mul(half, d), d);
    Lanes outer = lanes_mul(delta, lanes_fnma(half, delta, size));
    Lanes slope = lanes_min(delta, d);
    slope = lanes_max(lanes_sub(lanes_set(0), delta), slope);
    return (Pointwise){lanes_if_less(delta, size, outer, inner), slope};
}

/* log(1 + exp(-|z|)) + max(z, 0) - z t, slope sigmoid(z) - t */
LANES Pointwise pointwise_binary(Lanes z, Lanes t, Lanes delta)
{
    (void)delta;
    Lanes u = loss_exp(math_negative_abs(z));
    Lanes loss = lanes_fnma(z, t, lanes_max(lanes_set(0), z));
    return (Pointwise){lanes_add(loss, math_log1p(u)), lanes_sub(math_sigmoid_of(z, u), t)};
}

/* m^gamma times the cross-entropy, where the miss m is the probability of what is not so,
 * s (1 - t) + (1 - s) t with s = sigmoid(z). The slope is
 *   m^gamma (s - t) + gamma m^(gamma - 1) cross-entropy (1 - 2 t) s (1 - s),
 * whose cross-entropy / m stays near 1 where both end. */
LANES Pointwise pointwise_focal(Lanes z, Lanes t, Lanes gamma)
{
    Lanes u = loss_exp(math_negative_abs(z)), one = lanes_set(1.0f), zero = lanes_set(0);
    Lanes s = math_sigmoid_of(z, u), not_s = math_sigmoid_of(lanes_sub(zero, z), u);
    Lanes not_t = lanes_sub(one, t);
    Lanes entropy = lanes_add(lanes_fnma(z, t, lanes_max(zero, z)), math_log1p(u));
    Lanes miss = lanes_fma(s, not_t, lanes_mul(not_s, t));
    Lanes inverse = lanes_min(lanes_set(0x1p100f), lanes_div(one, miss));
    inverse = lanes_max(one, inverse);
    Lanes power = math_exp(lanes_fnma(gamma, math_log(inverse), zero));
    Lanes by_miss = lanes_mul(lanes_mul(lanes_mul(s, not_s), inverse), lanes_sub(not_t, t));
    Lanes slope = lanes_fma(lanes_mul(gamma, by_miss), entropy, lanes_sub(s, t));
    return (Pointwise){lanes_mul(power, entropy), lanes_mul(power, slope)};
}

/* A loss that has no function does not compile. */
LANES Pointwise pointwise_of(PfLossKind kind, Lanes p, Lanes t, Lanes parameter)
{
    switch (kind) {
#define POINTWISE_CASE(id, word, title, serves, function, ...)                                     \
    case PF_LOSS_##id: return pointwise_##function(p, t, parameter);
        PF_LOSSES(POINTWISE_CASE)
#undef POINTWISE_CASE
    case PF_LOSS_COUNT: break;
    }
    return (Pointwise){lanes_set(NAN), lanes_set(NAN)};
}

LANES void pointwise_sixteen(const PfPointwiseBlock *block, PfLossKind kind, int64_t j)
{
    Lanes target = lanes_load(block->targets + j), weight = lanes_load(block->weights + j);
    Lanes zero = lanes_set(0), one = lanes_set(1.0f);
    int left = block->columns - j < 16 ? (int)(block->columns - j) : 16;
    Lanes prediction = lanes_load_part(block->predictions + j, left);
    Pointwise result = pointwise_of(kind, prediction, target, lanes_set(block->parameter));
    /* Weight 0 leaves out, whatever the prediction. */
    Lanes gone = lanes_if_less(zero, weight, zero, one);
    gone = lanes_if_nan(target, one, gone);
    weight = lanes_if_less(zero, gone, zero, weight);
    Lanes loss = lanes_if_less(zero, gone, zero, result.loss);
    LanesDouble sum = lanes_double_load(block->losses + j);
    lanes_double_store(block->losses + j, lanes_double_add_product(sum, weight, loss));
    sum = lanes_double_load(block->weight_sums + j);
    lanes_double_store(block->weight_sums + j, lanes_double_add_product(sum, weight, one));
    if (!block->gradients) return;
    Lanes slope = lanes_if_less(zero, gone, zero, result.slope);
    Lanes factor = lanes_mul(weight, lanes_load(block->scales + j));
    lanes_store_part(block->gradients + j, left, lanes_mul(factor, slope));
}

LANES void pointwise_row(const PfPointwiseBlock *block, PfLossKind kind)
{
    for (int64_t j = 0; j < block->columns; j += 16) pointwise_sixteen(block, kind, j);
}

LANES_TARGET static void pointwise(const PfPointwiseBlock *block)
{
    switch (block->kind) {
#define POINTWISE_ROW(id, ...)                                                                     \
    case PF_LOSS_##id: pointwise_row(block, PF_LOSS_##id); break;
        PF_LOSSES(POINTWISE_ROW)
#undef POINTWISE_ROW
    }
}
