/* A network's TorchScript text. */
#ifndef PF_COMMON_ARCH_SCRIPT_H
#define PF_COMMON_ARCH_SCRIPT_H

#include <stdio.h>

#include "permafrost/arch.h"

/* Source of a method that takes the value of node start (0: normalised pixels (n, 3, h, w)), runs
 * what the outputs need behind it and returns a tuple of the outputs' values. It does nothing in
 * place: every node's value stays what it was, whoever else uses it. Batch norm asks its own module
 * whether it is training, dropout the whole. A node before start whose size alone is taken has the
 * size that shapes, of all nodes (pf_arch_infer_shapes), says; shapes may be NULL where there is
 * none, as with start 0. malloc'ed, or NULL. Fails where an output takes anything else but what
 * comes through start. */
char *pf_arch_script(const PfArch *arch, const char *method, int start, const int *outputs,
                     int output_count, const PfShape *shapes, PfError *err);

/* Writes the expression that a row of the table of operations has, `script`, for a node, whose
 * value is called v<index>. Fails where a word in braces is none. */
int pf_arch_script_expression(const PfNode *node, const char *script, FILE *out, PfError *err);

#endif
