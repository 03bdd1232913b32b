#include "network_cost.h"

#include <stdlib.h>

#include "memory.h"

static int64_t count_needed(const PfArch *arch, const PfShape *shapes, const unsigned char *needed)
{
    int64_t total = 0;
    for (int i = 0; i < arch->node_count; i++)
        if (needed[i]) total += pf_node_multiply_adds(&arch->nodes[i], &shapes[i]);
    return total;
}

/* needed[i] = 1 where any of the taps needs node i; of_one: room for node_count entries. */
static int mark_taps(const PfArch *arch, const char *const *taps, int tap_count,
                     unsigned char *needed, unsigned char *of_one, PfError *err)
{
    for (int t = 0; t < tap_count; t++) {
        int node;
        if (pf_arch_find_tap(arch, taps[t], &node, err)) return -1;
        pf_arch_mark_needed(arch, node, of_one);
        for (int i = 0; i < arch->node_count; i++) needed[i] |= of_one[i];
    }
    return 0;
}

int pf_network_multiply_adds(const PfArch *arch, int side, const char *const *taps, int tap_count,
                             int64_t *out, PfError *err)
{
    size_t count = (size_t)arch->node_count;
    PfShape *shapes = pf_calloc(count, sizeof *shapes, err);
    unsigned char *needed = shapes ? pf_calloc(2, count, err) : NULL;
    int failed = !needed || pf_arch_infer_shapes(arch, side, side, shapes, err) ||
                 mark_taps(arch, taps, tap_count, needed, needed + count, err);
    if (!failed) *out = count_needed(arch, shapes, needed);
    free(needed);
    free(shapes);
    return failed ? -1 : 0;
}
