/* The numbers of constants, and constants of our own. */
#ifndef PF_COMMON_ONNX_CONSTANTS_H
#define PF_COMMON_ONNX_CONSTANTS_H

#include "common/onnx/model.h"

/* An integer or a number of a constant. */
int64_t pf_onnx_tensor_whole(const PfOnnxTensor *tensor, int64_t index);
double pf_onnx_tensor_real(const PfOnnxTensor *tensor, int64_t index);
bool pf_onnx_tensor_is_whole(const PfOnnxTensor *tensor);

/* A constant of our own, zeroed: lent from the model, and taken from its budget. data: its bytes,
 * to be filled. NULL with a failure that names the step. */
PfOnnxTensor *pf_onnx_tensor_new(PfOnnxModel *model, const PfOnnxStep *step, PfDtype dtype,
                                 const PfOnnxDims *dims, void **data, PfError *err);

/* Takes work on numbers from the budget: so many times so many of them, of which eight count as
 * one. false: too little is left. */
bool pf_onnx_take_work(PfOnnxModel *model, int64_t times, int64_t numbers);

/* Where one is in an array. */
typedef struct PfOnnxPlaces {
    int64_t at[PF_ONNX_MAX_RANK];
} PfOnnxPlaces;

/* The next place of an array in row-major order. */
void pf_onnx_advance(const PfOnnxDims *dims, PfOnnxPlaces *places);
/* Where a place of a broadcast result lies in one that was broadcast. */
int64_t pf_onnx_offset_in(const PfOnnxDims *dims, const PfOnnxDims *whole,
                          const PfOnnxPlaces *places);
void pf_onnx_copy_number(const PfOnnxTensor *from, int64_t index, void *to, int64_t at);

#endif
