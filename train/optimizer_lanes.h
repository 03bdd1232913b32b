/* The steps of optimizer_steps.h, 16 columns at a time. */

/* Where 16 columns of one row stand. */
LANES Lanes step_load(const float *values, int count)
{
    return count == 16 ? lanes_load(values) : lanes_load_part(values, count);
}

LANES void step_store(float *values, int count, Lanes a)
{
    if (count == 16)
        lanes_store(values, a);
    else
        lanes_store_part(values, count, a);
}

/* 0 where |a| is smaller than that: running means of rare gradients would else end
 * up subnormal, for ever, and slow. */
LANES Lanes step_flush(Lanes a, float smallest)
{
    return lanes_if_less(lanes_abs(a), lanes_set(smallest), lanes_set(0), a);
}

LANES void adam_sixteen(const PfStepBlock *block, const PfAdamStep *step, int64_t row, int64_t j,
                        int count)
{
    int64_t at = row * block->stride + j;
    Lanes p = step_load(block->parameters + at, count);
    Lanes g = step_load(block->gradient + row * block->gradient_stride + j, count);
    Lanes m = step_load(block->mean + at, count), v = step_load(block->square + at, count);
    g = step_flush(lanes_fma(step_load(step->decay + j, count), p, g), PF_SMALLEST_GRADIENT);
    m = lanes_fma(lanes_set(step->beta1), m, lanes_mul(lanes_set(step->one_less_beta1), g));
    m = step_flush(m, PF_SMALLEST_MEAN);
    Lanes scaled = lanes_mul(lanes_set(step->one_less_beta2), g);
    v = lanes_fma(scaled, g, lanes_mul(lanes_set(step->beta2), v));
    v = step_flush(v, PF_SMALLEST_SQUARE);
    Lanes below = lanes_fma(lanes_sqrt(v), lanes_set(step->correction), lanes_set(step->epsilon));
    Lanes move = lanes_div(lanes_mul(step_load(step->rate + j, count), m), below);
    p = lanes_sub(lanes_mul(step_load(step->shrink + j, count), p), move);
    step_store(block->mean + at, count, m);
    step_store(block->square + at, count, v);
    step_store(block->parameters + at, count, p);
}

LANES_TARGET static void adam(const PfStepBlock *block, const PfAdamStep *step)
{
    for (int64_t row = 0; row < block->rows; row++) {
        int64_t j = 0;
        for (; j + 16 <= block->columns; j += 16) adam_sixteen(block, step, row, j, 16);
        if (j < block->columns) adam_sixteen(block, step, row, j, (int)(block->columns - j));
    }
}

LANES void sgd_sixteen(const PfStepBlock *block, const PfSgdStep *step, int64_t row, int64_t j,
                       int count)
{
    int64_t at = row * block->stride + j;
    Lanes p = step_load(block->parameters + at, count);
    Lanes g = step_load(block->gradient + row * block->gradient_stride + j, count);
    Lanes m = step_load(block->mean + at, count);
    Lanes momentum = step_load(step->momentum + j, count);
    g = lanes_fma(step_load(step->decay + j, count), p, g);
    m = step_flush(lanes_fma(momentum, m, g), PF_SMALLEST_MEAN);
    Lanes move = step->nesterov ? lanes_fma(momentum, m, g) : m;
    p = lanes_fnma(step_load(step->rate + j, count), move, p);
    step_store(block->mean + at, count, m);
    step_store(block->parameters + at, count, p);
}

LANES_TARGET static void sgd(const PfStepBlock *block, const PfSgdStep *step)
{
    for (int64_t row = 0; row < block->rows; row++) {
        int64_t j = 0;
        for (; j + 16 <= block->columns; j += 16) sgd_sixteen(block, step, row, j, 16);
        if (j < block->columns) sgd_sixteen(block, step, row, j, (int)(block->columns - j));
    }
}
