/* How fast this machine computes convolutions when there is nothing else to do: what a network's
 * forward pass is compared with. */
#ifndef PF_EXTRACT_PIPELINE_CONV_PEAK_H
#define PF_EXTRACT_PIPELINE_CONV_PEAK_H

#include <signal.h>

#include "extract/backbone/plan.h"

/* GFLOP/s (a multiply-add is two) of 3x3 convolutions of a shape that suits every library: 128
 * channels, 28 x 28. They are a network of their own, run by the same plugin, in the plan's
 * precision, on the first of its devices, `batch` images at a time. Takes some tenths of a second,
 * and fails with PF_EXIT_INTERRUPTED where *interrupted becomes nonzero. No other backbone may be
 * open. */
int pf_conv_peak_measure(const PfBackbonePlan *plan, int batch,
                         const volatile sig_atomic_t *interrupted, double *gflops, PfError *err);

#endif
