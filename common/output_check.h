/* What a command must not write over: its own inputs, another of its outputs, and files that are
 * plainly something else than what it would put there. */
#ifndef PF_OUTPUT_CHECK_H
#define PF_OUTPUT_CHECK_H

#include "permafrost/error.h"

/* What may be replaced; beside it always: nothing, an empty file, pipes and devices. */
typedef enum PfContent {
    PF_CONTENT_ANY,
    PF_CONTENT_MODEL,       /* a model that train wrote */
    PF_CONTENT_JSON,        /* a result or a summary of ours */
    PF_CONTENT_CSV,         /* results that train wrote */
    PF_CONTENT_STATE_DICT,  /* what predict --export wrote: .safetensors, */
    PF_CONTENT_ONNX,        /* .onnx, */
    PF_CONTENT_TORCHSCRIPT, /* .pt */
} PfContent;

/* Some of them begin alike, so that what is looked for is what our programs put into each. */
typedef struct PfOutput {
    const char *option; /* "--json": for messages */
    const char *path;   /* NULL, or "-": no file, and nothing is checked */
    PfContent content;
} PfOutput;

/* PF_EXIT_USAGE where two outputs are the same file: by whatever names and links. */
int pf_outputs_check_distinct(const PfOutput *outputs, int count, PfError *err);
/* PF_EXIT_USAGE where the output is the file `input` (NULL: none), which is `what`. */
int pf_output_check_input(const PfOutput *output, const char *input, const char *what,
                          PfError *err);
/* PF_EXIT_FAILED where something else is there, with the words for it. */
int pf_output_check_content(const PfOutput *output, PfError *err);

/* The three of them, for each output against each of inputs[i], which is whats[i]. */
int pf_outputs_check(const PfOutput *outputs, int count, const char *const *inputs,
                     const char *const *whats, int input_count, PfError *err);

#endif
