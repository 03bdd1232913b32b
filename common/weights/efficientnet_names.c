/* EfficientNet-Lite by the names of efficientnet_lite_pytorch, whose blocks are numbered through:
 * timm's are made of them. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/weights/internal.h"

#define MAX_BLOCKS 64

/* Beginnings of names. Those of blocks, after "_blocks.#.", have two counterparts: in blocks that
 * expand, and in those that do not. */
static const struct {
    const char *theirs, *ours;
} outer_names[] = {
    {"_conv_stem.", "conv_stem."}, {"_bn0.", "bn1."},
    {"_conv_head.", "conv_head."}, {"_bn1.", "bn2."},
    {"_fc.", "classifier."},
};
static const struct {
    const char *theirs, *expanding, *plain;
} block_names[] = {
    {"_expand_conv.", "conv_pw.", NULL},          {"_bn0.", "bn1.", NULL},
    {"_depthwise_conv.", "conv_dw.", "conv_dw."}, {"_bn1.", "bn2.", "bn1."},
    {"_project_conv.", "conv_pwl.", "conv_pw."},  {"_bn2.", "bn3.", "bn2."},
};

/* Where a block is among timm's, whose stages each have channels of their own. */
typedef struct Place {
    int stage, index;
    bool expands;
} Place;

static const PfTensorView *find_block_tensor(const PfWeights *weights, int block, const char *part)
{
    char name[64];
    snprintf(name, sizeof name, "_blocks.%d.%s", block, part);
    return pf_weights_find_tensor(weights, name);
}

/* How many blocks there are; 0 where the file is none of these networks'. */
static int find_places(const PfWeights *weights, Place places[MAX_BLOCKS])
{
    int64_t channels = 0;
    int count = 0, stage = -1, index = 0;
    if (!pf_weights_find_tensor(weights, "_conv_stem.weight") ||
        find_block_tensor(weights, 0, "_se_reduce.weight"))
        return 0;
    for (; count < MAX_BLOCKS; count++) {
        const PfTensorView *last = find_block_tensor(weights, count, "_project_conv.weight");
        if (!last || last->shape.rank != 4) break;
        const bool is_new = last->shape.dims[0] != channels;
        channels = last->shape.dims[0];
        stage += is_new;
        index = is_new ? 0 : index + 1;
        places[count] =
            (Place){stage, index, find_block_tensor(weights, count, "_expand_conv.weight") != NULL};
    }
    return count;
}

static char *rename_in_block(const char *name, const Place *places, int count, PfError *err)
{
    char *end;
    const long block = strtol(name + strlen("_blocks."), &end, 10);
    if (*end != '.' || block < 0 || block >= count) return NULL;
    const Place *place = &places[block];
    for (size_t i = 0; i < sizeof block_names / sizeof block_names[0]; i++) {
        const size_t length = strlen(block_names[i].theirs);
        const char *ours = place->expands ? block_names[i].expanding : block_names[i].plain;
        if (ours && !strncmp(end + 1, block_names[i].theirs, length))
            return pf_asprintf(err, "blocks.%d.%d.%s%s", place->stage, place->index, ours,
                               end + 1 + length);
    }
    return NULL;
}

/* NULL where the name has no counterpart, and where memory is short. */
static char *rename_tensor(const char *name, const Place *places, int count, PfError *err)
{
    if (!strncmp(name, "_blocks.", strlen("_blocks.")))
        return rename_in_block(name, places, count, err);
    for (size_t i = 0; i < sizeof outer_names / sizeof outer_names[0]; i++) {
        const size_t length = strlen(outer_names[i].theirs);
        if (!strncmp(name, outer_names[i].theirs, length))
            return pf_asprintf(err, "%s%s", outer_names[i].ours, name + length);
    }
    return NULL;
}

int pf_weights_rename_efficientnet(PfWeights *weights, PfError *err)
{
    Place places[MAX_BLOCKS];
    const int count = find_places(weights, places);
    if (!count) return 0;
    PfError failure = {0};
    for (size_t i = 0; i < weights->count; i++) {
        char *name = rename_tensor(weights->tensors[i].name, places, count, &failure);
        if (!name && failure.exit_code) {
            if (err) *err = failure;
            return -1;
        }
        if (!name) continue;
        free((char *)(uintptr_t)weights->tensors[i].name);
        weights->tensors[i].name = name;
    }
    weights->pads_as_tensorflow = true;
    pf_say(
        "weights '%s': an EfficientNet-Lite by efficientnet_lite_pytorch's names, which are read "
        "as timm's",
        weights->source);
    return pf_weights_index(weights, err);
}
