/* An ONNX file as it is written: its nodes ("steps" here, for a node is one of our graph), values
 * and initialisers. Names are those of the file. Everything is lent from the model, and the numbers
 * of initialisers from the file's mapped bytes wherever they can be used as they lie there. */
#ifndef PF_COMMON_ONNX_MODEL_H
#define PF_COMMON_ONNX_MODEL_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/base/arena.h"
#include "common/base/digest.h"
#include "common/base/hash_index.h"
#include "permafrost/error.h"
#include "permafrost/tensor.h"

/* As ONNX counts them, with the batch axis. */
#define PF_ONNX_MAX_RANK 8
/* Numbers of one value: products of sizes then fit where they are computed. */
#define PF_ONNX_MAX_COUNT ((int64_t)1 << 40)

#define PF_ONNX_OLDEST_OPSET 11
#define PF_ONNX_NEWEST_OPSET 21

typedef struct PfOnnxDims {
    int rank;
    int64_t sizes[PF_ONNX_MAX_RANK];
} PfOnnxDims;

/* A constant. Integers are kept as they are in the file. */
typedef struct PfOnnxTensor {
    PfDtype dtype;
    PfOnnxDims dims;
    const void *data; /* not necessarily aligned */
} PfOnnxTensor;

/* An attribute. What it does not have is 0. */
typedef struct PfOnnxSetting {
    const char *name;
    int64_t whole;
    float real;
    const char *text;      /* NULL: it has none */
    const int64_t *wholes; /* (count) */
    const float *reals;    /* (real_count) */
    int count, real_count;
    const PfOnnxTensor *tensor; /* or NULL */
    bool is_absent;             /* while it is read: there is none */
    bool has_others;            /* a graph, texts, sparse tensors: what is not read */
} PfOnnxSetting;

typedef struct PfOnnxStep {
    const char *name, *type, *domain; /* "", or as in the file; "ai.onnx" is "" */
    const char *overload;             /* which of several functions of that type; or "" */
    int *inputs;                      /* values; -1: left out */
    int input_count;
    int *outputs; /* values; -1: left out */
    int output_count;
    PfOnnxSetting *settings;
    int setting_count;
    bool is_gone; /* folded, or taken into another step */
} PfOnnxStep;

typedef struct PfOnnxValue {
    const PfOnnxTensor *constant; /* or NULL */
    int producer;                 /* a step; -1: none */
    int uses;                     /* by steps and as an output of the graph */
    bool is_output;
    /* Once it is translated: */
    bool is_made;
    PfOnnxDims dims; /* of one image */
    int node;        /* of our graph; its shape is dims without a leading 1 */
} PfOnnxValue;

/* A path that initialisers lie at. Several may lead to one file, which is mapped and counted once.
 */
typedef struct PfOnnxData {
    const char *location; /* as the model has it */
    const uint8_t *bytes;
    size_t size;
    dev_t device;
    ino_t inode;
    bool is_lent;                     /* its bytes are mapped by another one of the list */
    char sha256[PF_SHA256_TEXT_SIZE]; /* of the file; "": not computed */
} PfOnnxData;

typedef struct PfOnnxModel {
    const char *path; /* lent */
    int folder;       /* descriptor of what external data is looked for in; -1: there is none */
    int64_t opset;
    PfOnnxStep *steps; /* owned */
    int step_count;
    PfOnnxValue *values;    /* (names.count) */
    PfTextIndex names;      /* of values */
    int input;              /* the image */
    int64_t input_sizes[4]; /* 0: any */
    int *outputs;
    int output_count;
    PfOnnxData *data; /* external */
    size_t data_count, data_capacity;
    size_t budget; /* numbers that folding may still make */
    PfArena arena;
} PfOnnxModel;

void pf_onnx_model_free(PfOnnxModel **model);

/* Numbers of a tensor; 1 for a scalar; INT64_MAX where they are more than that. */
int64_t pf_onnx_count(const PfOnnxDims *dims);
const char *pf_onnx_dims_text(const PfOnnxDims *dims, char text[PF_SHAPE_TEXT_SIZE]);
const char *pf_onnx_value_name(const PfOnnxModel *model, int value);

/* The attribute of that name, or NULL. */
const PfOnnxSetting *pf_onnx_setting(const PfOnnxStep *step, const char *name);
int64_t pf_onnx_whole(const PfOnnxStep *step, const char *name, int64_t otherwise);
float pf_onnx_real(const PfOnnxStep *step, const char *name, float otherwise);
const char *pf_onnx_text(const PfOnnxStep *step, const char *name, const char *otherwise);

/* "'FILE': node 'NAME' (TYPE, opset 17): ", then the reason, which begins so. Returns -1. */
int pf_onnx_fail(const PfOnnxModel *model, const PfOnnxStep *step, PfError *err, const char *format,
                 ...) __attribute__((format(printf, 4, 5)));

#endif
