/* Position embeddings, which belong to a grid of patches, for another grid. */
#ifndef PF_COMMON_ARCH_POSITIONS_H
#define PF_COMMON_ARCH_POSITIONS_H

#include "permafrost/arch.h"

/* Side of the square grid whose positions the node of PF_OP_POSITIONS has; 0: it is no square. */
int64_t pf_positions_side(const PfNode *node);

/* to: (start + height * width, c), from: of node->shape, (start + side * side, c). The first
 * `start` rows, as of a class token, stay; so do all where the grid is as large. The others are
 * resized as torch's bicubic interpolation does, in double but for the places, which it takes in
 * float:
 * - with align_corners, as torchvision's interpolate_embeddings has it;
 * - with antialias, as torch's bicubic interpolation has it then: by the factors height / side and
 *   width / side, as timm and DINOv2 with registers have it;
 * - else by the factors (height + value) / side and (width + value) / side, as DINOv2 has it with
 *   0.1 as value. */
int pf_positions_resize(const PfNode *node, int64_t height, int64_t width, const float *from,
                        float *to, PfError *err);

#endif
