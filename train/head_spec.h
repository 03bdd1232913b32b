/* The shape of a head: "linear", "mlp:256", "mlp:512x128". */
#ifndef PF_HEAD_SPEC_H
#define PF_HEAD_SPEC_H

#include "permafrost/error.h"

#define PF_MAX_HIDDEN 8
#define PF_HEAD_SPEC_TEXT_SIZE 96

typedef enum PfActivation { PF_RELU, PF_GELU } PfActivation;
typedef enum PfHeadNorm { PF_HEAD_NORM_NONE, PF_HEAD_NORM_BATCH, PF_HEAD_NORM_LAYER } PfHeadNorm;

/* As they are called on the command line and in files; by the enums. */
#define PF_ACTIVATION_COUNT 2
#define PF_HEAD_NORM_COUNT 3
extern const char *const pf_activation_names[PF_ACTIVATION_COUNT];
extern const char *const pf_head_norm_names[PF_HEAD_NORM_COUNT];

/* Hidden layers are Linear, normalisation, activation, dropout; the last is Linear alone. */
typedef struct PfHeadSpec {
    int hidden_count; /* 0: linear */
    int hidden[PF_MAX_HIDDEN];
    PfActivation activation;
    PfHeadNorm norm;
    double dropout; /* probability that a hidden value is dropped */
} PfHeadSpec;

/* Sets the widths; the rest stays. */
int pf_head_spec_parse(const char *text, PfHeadSpec *spec, PfError *err);
/* "mlp:512x128" into text, which is returned. */
const char *pf_head_spec_text(const PfHeadSpec *spec, char text[PF_HEAD_SPEC_TEXT_SIZE]);

#endif
