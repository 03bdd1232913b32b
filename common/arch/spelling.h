/* The names that people type for networks and their sets of weights: ours, torchvision's enums,
 * timm's, and those of repositories of the Hugging Face hub. */
#ifndef PF_COMMON_ARCH_SPELLING_H
#define PF_COMMON_ARCH_SPELLING_H

#include <stdbool.h>

#include "permafrost/arch.h"

typedef struct PfSpelling {
    const char *network;         /* the built-in one's name, as pf_arch_new takes it; static */
    const PfWeightsEntry *entry; /* the published set that is named, too; static; NULL: none is.
                                    Of a repository that is none of the tables', a copy whose `hub`
                                    is that repository */
    bool is_other;               /* it was written otherwise than `network` */
} PfSpelling;

/* Understands, of a network and its set:
 *
 *   resnet50, ResNet50                                   the network
 *   resnet50.IMAGENET1K_V2, ResNet50_Weights.DEFAULT     with a set, as torchvision's enums name it
 *   resnet50.tv2_in1k, vit_small_patch14_dinov2.lvd142m  the same as timm names it
 *   vit_small_patch14_dinov2                             timm's name of a network
 *   timm/NAME, hf:timm/NAME, hf:ORG/NAME                 a repository that holds such a set
 *
 * A name that fits nothing, and a set that a known network does not have here: -1, an error of
 * usage with the nearest names, or the sets that there are. */
int pf_spelling_read(const char *spelling, PfSpelling *out, PfError *err);

/* Whether a text with a slash in it is written like a repository of the hub rather than like a
 * path: "facebook/dinov2-small", and whatever begins with "hf:". */
bool pf_spelling_is_of_hub(const char *spelling);

/* Fails with the networks that were most likely meant. */
int pf_spelling_fail_unknown(const char *spelling, PfError *err);

#endif
