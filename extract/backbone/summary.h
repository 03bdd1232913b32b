/* The table of a network's layers, as torchinfo prints it, without libtorch. */
#ifndef PF_EXTRACT_BACKBONE_SUMMARY_H
#define PF_EXTRACT_BACKBONE_SUMMARY_H

#include <stdio.h>

#include "permafrost/arch.h"

typedef struct PfSummaryOptions {
    int input;   /* side of the square input in pixels; 0 = the network's usual crop */
    int classes; /* > 0: everything up to the tap frozen, then a new Linear with so many outputs */
    const char *tap; /* cut after this node; NULL: up to the outputs, or with classes the default
                        tap */
    const char *outputs; /* nodes, with commas between; NULL: the network ends with its last node */
} PfSummaryOptions;

typedef struct PfSummaryTotals {
    int64_t parameters, trainable;
    int64_t multiply_adds;
    int64_t input_bytes, activation_bytes,
        parameter_bytes; /* f32; activations forward and backward */
} PfSummaryTotals;

/* Prints the table to stream (NULL: only counts) and fills *totals (may be NULL). */
int pf_summary_print(const PfArch *arch, const PfSummaryOptions *options, FILE *stream,
                     PfSummaryTotals *totals, PfError *err);

#endif
