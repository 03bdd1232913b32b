/* Shapes, element types and borrowed views of dense row-major arrays. */
#ifndef PERMAFROST_TENSOR_H
#define PERMAFROST_TENSOR_H

#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

typedef enum PfDtype {
    PF_DTYPE_F32,
    PF_DTYPE_F16,
    PF_DTYPE_BF16,
    PF_DTYPE_F64,
    PF_DTYPE_U8,
    PF_DTYPE_I8,
    PF_DTYPE_I16,
    PF_DTYPE_I32,
    PF_DTYPE_I64,
    PF_DTYPE_BOOL,
} PfDtype;

#define PF_MAX_RANK 6

typedef struct PfShape {
    int rank; /* 0 for a scalar */
    int64_t dims[PF_MAX_RANK];
} PfShape;

/* A dense row-major array that somebody else owns. */
typedef struct PfTensorView {
    PfDtype dtype;
    PfShape shape;
    const void *data; /* not necessarily aligned to the element size */
} PfTensorView;

typedef struct PfNamedTensor {
    const char *name; /* as in a torch state_dict: "layer1.0.conv1.weight" */
    PfTensorView view;
} PfNamedTensor;

size_t pf_dtype_size(PfDtype dtype);
/* "f32", "f16", ... in our own notation; static storage. */
const char *pf_dtype_name(PfDtype dtype);

/* Number of elements; 1 for a scalar. */
int64_t pf_shape_count(const PfShape *shape);
int pf_shape_equal(const PfShape *a, const PfShape *b);

#define PF_SHAPE_TEXT_SIZE 96
/* Writes "(64,3,7,7)" and returns text. */
const char *pf_shape_text(const PfShape *shape, char text[PF_SHAPE_TEXT_SIZE]);

/* IEEE half precision, round to nearest even, with infinities and NaN. */
uint16_t pf_f16_from_f32(float value);
float pf_f32_from_f16(uint16_t bits);
/* Arrays; F16C where the processor has it, same bits everywhere. */
void pf_f16_from_f32_array(uint16_t *out, const float *in, size_t count);
void pf_f32_from_f16_array(float *out, const uint16_t *in, size_t count);
/* count elements of F32, F16, BF16, F64 or U8 to float. */
void pf_f32_from_dtype_array(float *out, const void *in, PfDtype dtype, size_t count);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
#endif
