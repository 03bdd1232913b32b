/* The inner loops of training, once per instruction set.
 *
 * Every set computes the same bits: a number is rounded where its definition
 * rounds (a fused multiply-add is one rounding) and sums have one order. Only
 * which of several NaNs comes out is left open. The functions that the trainer
 * calls are in gemm.h, vector_math.h, loss.h and optimizer.h. */
#ifndef PF_TRAIN_KERNELS_KERNELS_H
#define PF_TRAIN_KERNELS_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* A block of C: up to gemm_rows x 16 * gemm_vectors elements. */
typedef struct PfGemmTile {
    int rows, columns;
    int64_t depth;  /* steps of k */
    const float *a; /* element (r, k) at a[r * a_row + k * a_step] */
    int64_t a_row, a_step;
    const float *b; /* (depth, columns), rows b_row apart */
    int64_t b_row;
    float *packed; /* (depth, columns rounded up to 16), 64-byte aligned */
    float *c;      /* (rows, columns), rows c_row apart */
    int64_t c_row;
    int accumulate; /* 0: C starts from zero */
} PfGemmTile;

/* One row of a loss of single values. Arrays but the first two have room for
 * columns rounded up to 16; what lies behind the columns is any number. */
typedef struct PfPointwiseBlock {
    int kind;        /* a PfLossKind */
    float parameter; /* of the loss */
    int64_t columns;
    const float *predictions;
    float *gradients; /* may be the predictions; NULL: not wanted */
    const float *targets, *weights, *scales;
    double *losses, *weight_sums; /* added to */
} PfPointwiseBlock;

struct PfStepBlock; /* optimizer.h */
struct PfAdamStep;
struct PfSgdStep;

typedef struct PfKernels {
    const char *name; /* "plain", "neon", "avx2", "avx512" */

    int gemm_rows, gemm_vectors; /* of the largest tile */
    /* From b, of which a copy is left in packed, zeros behind the last column. */
    void (*gemm_first_tile)(const PfGemmTile *tile);
    /* From packed alone. */
    void (*gemm_tile)(const PfGemmTile *tile);

    /* out[i] = f(x[i]) */
    void (*exp)(const float *x, int64_t count, float *out);
    void (*log)(const float *x, int64_t count, float *out); /* of [1, 2^100] or NaN */
    void (*sigmoid)(const float *x, int64_t count, float *out);
    void (*gelu)(const float *x, int64_t count, float *out);
    void (*gelu_slope)(const float *x, int64_t count, float *out);
    void (*column_sums)(const float *x, int64_t rows, int64_t columns, int64_t stride,
                        double *sums);
    void (*column_square_sums)(const float *x, int64_t rows, int64_t columns, int64_t stride,
                               double *sums);

    /* The largest number of z; -inf where there is none. */
    float (*softmax_largest)(const float *z, int64_t classes);
    /* out = exp(z - largest), unless it is NULL; may be z. Returns their sum: 16
     * sums, of every 16th class each, then as lanes_sum adds them. */
    float (*softmax_exp)(const float *z, int64_t classes, float largest, float *out);
    /* Both for 16 slices: block (classes, 16) becomes its exponentials, largest and
     * total (16); total is summed over ascending classes. */
    void (*softmax_exp_block)(float *block, int64_t classes, float *largest, float *total);
    void (*pointwise)(const PfPointwiseBlock *block);

    void (*adam)(const struct PfStepBlock *block, const struct PfAdamStep *step);
    void (*sgd)(const struct PfStepBlock *block, const struct PfSgdStep *step);
} PfKernels;

/* The widest set that this processor has, or the one that PF_KERNELS in the
 * environment names and the processor has; found once. */
const PfKernels *pf_kernels(void);
/* From now on that set; NULL: the best one again. For tests, while nothing runs. */
void pf_kernels_use(const PfKernels *kernels);

extern const PfKernels pf_kernels_plain;
/* NULL where the processor lacks it. */
const PfKernels *pf_kernels_avx2(void);
const PfKernels *pf_kernels_avx512(void);
const PfKernels *pf_kernels_neon(void);

#endif
