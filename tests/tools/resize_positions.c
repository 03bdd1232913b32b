/* Position embeddings resized, for tests/parity/positions_parity.py.
 *
 * resize_positions align|OFFSET SIDE START CHANNELS HEIGHT WIDTH: float32 numbers of SIDE x SIDE
 * positions behind START tokens from standard input, those of HEIGHT x WIDTH to standard output.
 * Without HEIGHT and WIDTH: the TorchScript that does the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/arch/ops.h"
#include "common/arch/positions.h"
#include "common/arch/script.h"

static int print_script(const PfNode *node)
{
    PfError err = {0};
    return pf_arch_script_expression(node, pf_op_row(node->op)->script, stdout, &err) ? 1 : 0;
}

static int resize(const PfNode *node, int64_t height, int64_t width)
{
    const size_t from_count = (size_t)pf_shape_count(&node->shape);
    const size_t to_count = (size_t)((node->start + height * width) * node->shape.dims[1]);
    float *from = calloc(from_count, sizeof *from), *to = calloc(to_count, sizeof *to);
    PfError err = {0};
    int failed = !from || !to || fread(from, sizeof *from, from_count, stdin) != from_count;
    failed = failed || pf_positions_resize(node, height, width, from, to, &err);
    failed = failed || fwrite(to, sizeof *to, to_count, stdout) != to_count;
    free(from);
    free(to);
    return failed;
}

int main(int argc, char **argv)
{
    if (argc != 5 && argc != 7) return 2;
    const int64_t side = atoi(argv[2]);
    PfNode node = {.op = PF_OP_POSITIONS,
                   .module = "pos_embed",
                   .inputs = {1},
                   .input_count = 1,
                   .start = atoi(argv[3]),
                   .align_corners = !strcmp(argv[1], "align"),
                   .antialias = !strcmp(argv[1], "antialias"),
                   .leading_one = 1};
    if (!node.align_corners && !node.antialias) node.value = strtof(argv[1], NULL);
    node.shape = (PfShape){2, {node.start + side * side, atoi(argv[4])}};
    return argc == 5 ? print_script(&node) : resize(&node, atoi(argv[5]), atoi(argv[6]));
}
