/* What the folds of operators share. Others use fold.h. */
#ifndef PF_COMMON_ONNX_FOLDING_H
#define PF_COMMON_ONNX_FOLDING_H

#include "common/onnx/fold.h"

#define PF_ONNX_MAX_FOLD_INPUTS 256

/* A step whose inputs are all constants. */
typedef struct PfOnnxFold {
    PfOnnxModel *model;
    const PfOnnxStep *step;
    const PfOnnxTensor *inputs[PF_ONNX_MAX_FOLD_INPUTS]; /* NULL: left out */
    const PfOnnxTensor *made;                            /* its output; NULL: not folded */
    PfError *err;
} PfOnnxFold;

/* An output of that type and shape, zeroed, whose bytes are to be filled. NULL with a failure. */
PfOnnxTensor *pf_onnx_fold_make(PfOnnxFold *fold, PfDtype dtype, const PfOnnxDims *dims,
                                void **data);
/* The numbers of the first input under another shape. */
int pf_onnx_fold_look(PfOnnxFold *fold, const PfOnnxDims *dims);
/* A list of integers, or one of them. */
int pf_onnx_fold_list(PfOnnxFold *fold, const int64_t *numbers, int count, bool is_scalar);

/* Of the input `first` and every stride-th behind it: where all are integers, or all have
 * fractions, and their types differ, makes them alike. What is computed here has 64 bits, or is
 * float32, and a file's own constants have the type that it says. -1 with a failure; others stay as
 * they are. */
int pf_onnx_fold_alike(PfOnnxFold *fold, int first, int stride);

/* Takes work from the budget, as pf_onnx_take_work does: where steps are many and short, each must
 * not do much. -1 with a failure. */
int pf_onnx_fold_work(PfOnnxFold *fold, int64_t times, int64_t numbers);

typedef struct PfOnnxFoldRow {
    const char *type;
    int least_inputs;
    int (*fold)(PfOnnxFold *fold);
} PfOnnxFoldRow;

/* Constants and arrangements: fold_arrays.c; arithmetic: fold_numbers.c. Rows end with a type of
 * NULL. */
extern const PfOnnxFoldRow pf_onnx_array_folds[], pf_onnx_number_folds[];

#endif
