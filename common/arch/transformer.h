/* What the families of vision transformers share (Dosovitskiy et al. 2020, arXiv:2010.11929). */
#ifndef PF_COMMON_ARCH_TRANSFORMER_H
#define PF_COMMON_ARCH_TRANSFORMER_H

#include "common/arch/family.h"

/* How a family calls the parts of a block. */
typedef struct PfBlockNames {
    const char *norm1;
    const char *attention; /* what is before ".query", ".key", ".value" and ".attention" */
    const char *qkv, *qkv_module;
    const char *projection;
    const char *attention_dropout; /* NULL: none */
    const char *scale1;            /* of the layer scale; its parameter is scale1.gamma */
    const char *norm2;
    const char *fc1, *activation, *fc1_dropout, *fc2, *fc2_dropout; /* dropouts may be NULL */
    const char *scale2;
    /* Base of the periods by which queries and keys of patches are turned, and the node of the
     * patches' map; 0: they are not. */
    float rotation;
    int map;
} PfBlockNames;

/* As timm and Meta call them. */
extern const PfBlockNames pf_arch_timm_block_names;

typedef struct PfTransformer {
    int image, patch; /* sides in pixels */
    int layers, heads, width, hidden;
    int has_layer_scale;
    PfOp activation;
    float eps;    /* of the norms */
    int is_gated; /* fc1 gives both sides of a gate, silu(first) * second, so wide each */
} PfTransformer;

/* What the taps of tokens are made of. */
typedef struct PfTokens {
    int map;                /* the node of the patches' convolution */
    int first_patch;        /* how many tokens stand before the patches': class token, registers */
    const char *norm;       /* module of the last norm */
    const char *class_name; /* tap of the class token behind that, as a vector; NULL: none */
} PfTokens;

#define PF_TRANSFORMER_MOST_LAYERS 64

/* The patches' tokens (n, width) of the normalised pixels, node 0. conv: the name of the
 * convolution, *map its node; the two nodes behind it get the other names. */
int pf_arch_add_patches(PfArchBuilder *builder, const PfTransformer *transformer, const char *conv,
                        const char *reshape, const char *permute, int *map);

/* A parameter (rows, width), with an axis of 1 before these in the file. */
int pf_arch_add_tokens(PfArchBuilder *builder, const char *name, int rows, int width);

/* The positions of a class token and of the patches whose convolution is node `map`, resized where
 * the image has another size; the caller says how. */
PfNode *pf_arch_add_positions(PfArchBuilder *builder, const PfTransformer *transformer,
                              const char *name, int map, int *index);

/* Rows of tokens, one below the other. */
int pf_arch_add_rows(PfArchBuilder *builder, const char *name, int above, int below);

/* count rows of tokens (axis 0) or channels (axis 1) from start on. */
int pf_arch_add_part(PfArchBuilder *builder, const char *name, int input, int axis, int start,
                     int count);

/* A block whose norm comes first; prefix: "blocks.0". */
int pf_arch_add_transformer_block(PfArchBuilder *builder, const PfTransformer *transformer,
                                  const PfBlockNames *names, const char *prefix, int input);

/* Taps aside: "tokens", "patches", "mean", "map", "class_name" and "cls+mean" of the last norm, and
 * of each block the same of its output, ends[i], behind the last norm: "blocks.0.tokens", ...,
 * "blocks.0.cls", "blocks.0.cls+mean". blocks.: as builder->arch->blocks says. */
void pf_arch_add_token_taps(PfArchBuilder *builder, const PfTransformer *transformer,
                            const PfTokens *tokens, const int *ends, int norm);

/* The first row of tokens as a vector, "cls". */
int pf_arch_add_class_token(PfArchBuilder *builder, int input);

#endif
