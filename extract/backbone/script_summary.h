/* What a TorchScript file has to offer: its layers are known to its program alone, its outputs are
 * found by running it once. */
#ifndef PF_EXTRACT_BACKBONE_SCRIPT_SUMMARY_H
#define PF_EXTRACT_BACKBONE_SCRIPT_SUMMARY_H

#include <stdio.h>

#include "extract/backbone/plan.h"

/* Prints a table of the file's taps, or of those of options->taps. options: of a plan, whose
 * backbone is the file; its preprocessing counts for the input's side alone. input: that side in
 * pixels, or 0 for the usual one. Loads the plugin and runs the file on the processor. */
int pf_script_summary_print(const PfBackboneOptions *options, int input, FILE *stream,
                            PfError *err);

#endif
