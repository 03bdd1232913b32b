/* The angles by which places turn queries and keys: PF_OP_ROTATE. */
#ifndef PF_COMMON_ARCH_ROTATION_H
#define PF_COMMON_ARCH_ROTATION_H

#include "permafrost/arch.h"

/* Cosine and sine of the angle, computed in double, by which the node turns the numbers `which` and
 * `which` + channels / 2 of a head's `channels` numbers, of patch number `patch` of a map (height,
 * width). which < channels / 2; four divides channels. As DINOv3 (Simeoni et al. 2025,
 * arXiv:2508.10104) does it; permafrost/arch.h has the formula. */
void pf_rotation_angle(const PfNode *node, int64_t channels, int64_t height, int64_t width,
                       int64_t patch, int64_t which, float *cosine, float *sine);

#endif
