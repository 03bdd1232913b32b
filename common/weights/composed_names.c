/* Tensors that other programs keep under other names, or in pieces: transformers has queries, keys
 * and values apart, timm the positions of registers' networks without the class token's. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/weights/internal.h"

#define MOST_PARTS 3
#define NAME_SIZE 256

typedef enum How {
    JOINED,     /* its parts one below the other; of one part: that */
    TURNED,     /* rows are columns */
    FIRST_ROWS, /* of a larger one, as many as are wanted */
    LAST_ROWS,
    BELOW_ZEROS,  /* behind a first row of zeros */
    AROUND_ZEROS, /* two parts with as many zeros between */
    ZEROS,        /* in a file that has the part */
    TIMES         /* two parts multiplied, in the place of the first */
} How;

/* '#' in names: the block's number. */
typedef struct Recipe {
    const char *ours;
    const char *parts[MOST_PARTS];
    How how;
} Recipe;

/* The names of one kind of files; `first` tells them. */
typedef struct Naming {
    const char *family;
    const char *whose;
    const char *first;
    const Recipe *recipes;
    size_t count;
} Naming;

/* clang-format off */
#define SAME(ours, theirs) {ours ".weight", {theirs ".weight"}, JOINED}, {ours ".bias", {theirs ".bias"}, JOINED}
#define THREE(ours, base, end, q, k, v) {ours, {base q end, base k end, base v end}, JOINED}

static const Recipe dinov2[] = {
    {"cls_token", {"embeddings.cls_token"}, JOINED},
    {"pos_embed", {"embeddings.position_embeddings"}, JOINED},
    {"register_tokens", {"embeddings.register_tokens"}, JOINED},
    SAME("patch_embed.proj", "embeddings.patch_embeddings.projection"),
    SAME("norm", "layernorm"),
    SAME("blocks.#.norm1", "encoder.layer.#.norm1"),
    SAME("blocks.#.norm2", "encoder.layer.#.norm2"),
    THREE("blocks.#.attn.qkv.weight", "encoder.layer.#.attention.attention.", ".weight", "query", "key", "value"),
    THREE("blocks.#.attn.qkv.bias", "encoder.layer.#.attention.attention.", ".bias", "query", "key", "value"),
    THREE("blocks.#.attn.qkv.weight", "encoder.layer.#.attention.", ".weight", "q_proj", "k_proj", "v_proj"),
    THREE("blocks.#.attn.qkv.bias", "encoder.layer.#.attention.", ".bias", "q_proj", "k_proj", "v_proj"),
    SAME("blocks.#.attn.proj", "encoder.layer.#.attention.output.dense"),
    SAME("blocks.#.attn.proj", "encoder.layer.#.attention.o_proj"),
    {"blocks.#.ls1.gamma", {"encoder.layer.#.layer_scale1.lambda1"}, JOINED},
    {"blocks.#.ls2.gamma", {"encoder.layer.#.layer_scale2.lambda1"}, JOINED},
    SAME("blocks.#.mlp.fc1", "encoder.layer.#.mlp.fc1"),
    SAME("blocks.#.mlp.fc2", "encoder.layer.#.mlp.fc2"),
    SAME("blocks.#.mlp.w12", "encoder.layer.#.mlp.weights_in"),
    SAME("blocks.#.mlp.w3", "encoder.layer.#.mlp.weights_out"),
    {"blocks.#.mlp.w12.weight", {"encoder.layer.#.mlp.gate_proj.weight", "encoder.layer.#.mlp.up_proj.weight"}, JOINED},
    {"blocks.#.mlp.w12.bias", {"encoder.layer.#.mlp.gate_proj.bias", "encoder.layer.#.mlp.up_proj.bias"}, JOINED},
    SAME("blocks.#.mlp.w3", "encoder.layer.#.mlp.down_proj"),
};

/* timm adds the class token's position to the class token, and calls a gated network's layers as
 * others. */
static const Recipe timm_registers[] = {
    {"register_tokens", {"reg_token"}, JOINED},
    {"pos_embed", {"pos_embed"}, BELOW_ZEROS},
    SAME("blocks.#.mlp.w12", "blocks.#.mlp.fc1"),
    SAME("blocks.#.mlp.w3", "blocks.#.mlp.fc2"),
};
static const Recipe timm_gated[] = {
    SAME("blocks.#.mlp.w12", "blocks.#.mlp.fc1"),
    SAME("blocks.#.mlp.w3", "blocks.#.mlp.fc2"),
};

static const Recipe clip[] = {
    {"class_embedding", {"embeddings.class_embedding"}, JOINED},
    {"positional_embedding", {"embeddings.position_embedding.weight"}, JOINED},
    {"conv1.weight", {"embeddings.patch_embedding.weight"}, JOINED},
    SAME("ln_pre", "pre_layrnorm"),
    SAME("ln_post", "post_layernorm"),
    {"proj", {"visual_projection.weight"}, TURNED},
    SAME("transformer.resblocks.#.ln_1", "encoder.layers.#.layer_norm1"),
    SAME("transformer.resblocks.#.ln_2", "encoder.layers.#.layer_norm2"),
    THREE("transformer.resblocks.#.attn.in_proj_weight", "encoder.layers.#.self_attn.", ".weight", "q_proj", "k_proj", "v_proj"),
    THREE("transformer.resblocks.#.attn.in_proj_bias", "encoder.layers.#.self_attn.", ".bias", "q_proj", "k_proj", "v_proj"),
    SAME("transformer.resblocks.#.attn.out_proj", "encoder.layers.#.self_attn.out_proj"),
    SAME("transformer.resblocks.#.mlp.c_fc", "encoder.layers.#.mlp.fc1"),
    SAME("transformer.resblocks.#.mlp.c_proj", "encoder.layers.#.mlp.fc2"),
};

static const Recipe siglip[] = {
    {"pos_embed", {"embeddings.position_embedding.weight"}, JOINED},
    SAME("patch_embed.proj", "embeddings.patch_embedding"),
    SAME("norm", "post_layernorm"),
    SAME("blocks.#.norm1", "encoder.layers.#.layer_norm1"),
    SAME("blocks.#.norm2", "encoder.layers.#.layer_norm2"),
    THREE("blocks.#.attn.qkv.weight", "encoder.layers.#.self_attn.", ".weight", "q_proj", "k_proj", "v_proj"),
    THREE("blocks.#.attn.qkv.bias", "encoder.layers.#.self_attn.", ".bias", "q_proj", "k_proj", "v_proj"),
    SAME("blocks.#.attn.proj", "encoder.layers.#.self_attn.out_proj"),
    SAME("blocks.#.mlp.fc1", "encoder.layers.#.mlp.fc1"),
    SAME("blocks.#.mlp.fc2", "encoder.layers.#.mlp.fc2"),
    {"attn_pool.latent", {"head.probe"}, JOINED},
    {"attn_pool.q.weight", {"head.attention.in_proj_weight"}, FIRST_ROWS},
    {"attn_pool.q.bias", {"head.attention.in_proj_bias"}, FIRST_ROWS},
    {"attn_pool.kv.weight", {"head.attention.in_proj_weight"}, LAST_ROWS},
    {"attn_pool.kv.bias", {"head.attention.in_proj_bias"}, LAST_ROWS},
    SAME("attn_pool.proj", "head.attention.out_proj"),
    SAME("attn_pool.norm", "head.layernorm"),
    SAME("attn_pool.mlp.fc1", "head.mlp.fc1"),
    SAME("attn_pool.mlp.fc2", "head.mlp.fc2"),
};

#define DINOV3_LAYER(theirs) \
    SAME("blocks.#.norm1", theirs ".norm1"), SAME("blocks.#.norm2", theirs ".norm2"), \
    THREE("blocks.#.attn.qkv.weight", theirs ".attention.", ".weight", "q_proj", "k_proj", "v_proj"), \
    {"blocks.#.attn.qkv.bias", {theirs ".attention.q_proj.bias", theirs ".attention.v_proj.bias"}, AROUND_ZEROS}, \
    SAME("blocks.#.attn.proj", theirs ".attention.o_proj"), \
    {"blocks.#.ls1.gamma", {theirs ".layer_scale1.lambda1"}, JOINED}, \
    {"blocks.#.ls2.gamma", {theirs ".layer_scale2.lambda1"}, JOINED}, \
    SAME("blocks.#.mlp.fc1", theirs ".mlp.up_proj"), SAME("blocks.#.mlp.fc2", theirs ".mlp.down_proj")

/* ours: of torchvision; s: the stage's number. */
#define STAGE(ours, s, block, conv, norm, first, second) \
    SAME(ours ".#.block.0", "stages." s block ".#." conv), SAME(ours ".#.block.2", "stages." s block ".#." norm), \
    SAME(ours ".#.block.3", "stages." s block ".#." first), SAME(ours ".#.block.5", "stages." s block ".#." second), \
    {ours ".#.layer_scale", {"stages." s block ".#.gamma"}, JOINED}
#define STAGES(block, conv, norm, first, second) \
    STAGE("features.1", "0", block, conv, norm, first, second), STAGE("features.3", "1", block, conv, norm, first, second), \
    STAGE("features.5", "2", block, conv, norm, first, second), STAGE("features.7", "3", block, conv, norm, first, second)
#define BETWEEN(ours, theirs) SAME(ours ".0", theirs ".0"), SAME(ours ".1", theirs ".1")

static const Recipe convnext_meta[] = {
    STAGES("", "dwconv", "norm", "pwconv1", "pwconv2"), SAME("classifier.0", "norm"),
    BETWEEN("features.0", "downsample_layers.0"), BETWEEN("features.2", "downsample_layers.1"),
    BETWEEN("features.4", "downsample_layers.2"), BETWEEN("features.6", "downsample_layers.3"),
};
static const Recipe convnext_transformers[] = {
    STAGES(".layers", "depthwise_conv", "layer_norm", "pointwise_conv1", "pointwise_conv2"),
    SAME("classifier.0", "layer_norm"),
    BETWEEN("features.0", "stages.0.downsample_layers"), BETWEEN("features.2", "stages.1.downsample_layers"),
    BETWEEN("features.4", "stages.2.downsample_layers"), BETWEEN("features.6", "stages.3.downsample_layers"),
};
static const Recipe convnext_timm[] = {
    STAGES(".blocks", "conv_dw", "norm", "mlp.fc1", "mlp.fc2"), SAME("classifier.0", "head.norm"),
    BETWEEN("features.0", "stem"), BETWEEN("features.2", "stages.1.downsample"),
    BETWEEN("features.4", "stages.2.downsample"), BETWEEN("features.6", "stages.3.downsample"),
};

/* Keys have no bias. */
static const Recipe dinov3_meta[] = {
    {"blocks.#.attn.qkv.bias", {"blocks.#.attn.qkv.bias", "blocks.#.attn.qkv.bias_mask"}, TIMES},
};
static const Recipe dinov3_transformers[] = {
    {"cls_token", {"embeddings.cls_token"}, JOINED},
    {"storage_tokens", {"embeddings.register_tokens"}, JOINED},
    SAME("patch_embed.proj", "embeddings.patch_embeddings"), SAME("norm", "norm"),
    DINOV3_LAYER("layer.#"), DINOV3_LAYER("model.layer.#"),
};
static const Recipe dinov3_timm[] = {
    {"storage_tokens", {"reg_token"}, JOINED},
    {"blocks.#.ls1.gamma", {"blocks.#.gamma_1"}, JOINED},
    {"blocks.#.ls2.gamma", {"blocks.#.gamma_2"}, JOINED},
    {"blocks.#.attn.qkv.bias", {"blocks.#.attn.q_bias", "blocks.#.attn.v_bias"}, AROUND_ZEROS},
    {"blocks.#.attn.qkv.bias", {"blocks.#.attn.qkv.weight"}, ZEROS},
};

#define NAMING(family, whose, first, recipes) {family, whose, first, recipes, sizeof recipes / sizeof recipes[0]}
static const Naming namings[] = {
    NAMING("DinoVisionTransformer", "transformers", "embeddings.patch_embeddings.projection.weight", dinov2),
    NAMING("DinoVisionTransformer", "timm", "reg_token", timm_registers),
    NAMING("DinoVisionTransformer", "timm", "blocks.0.mlp.fc1.weight", timm_gated),
    NAMING("CLIP", "transformers", "embeddings.patch_embedding.weight", clip),
    NAMING("DINOv3ConvNeXt", "Meta", "downsample_layers.0.0.weight", convnext_meta),
    NAMING("DINOv3ConvNeXt", "transformers", "stages.0.downsample_layers.0.weight", convnext_transformers),
    NAMING("DINOv3ConvNeXt", "timm", "stem.0.weight", convnext_timm),
    NAMING("DINOv3VisionTransformer", "Meta", "blocks.0.attn.qkv.bias_mask", dinov3_meta),
    NAMING("DINOv3VisionTransformer", "transformers", "embeddings.register_tokens", dinov3_transformers),
    NAMING("DINOv3VisionTransformer", "timm", "reg_token", dinov3_timm),
    NAMING("SigLIP", "transformers", "embeddings.patch_embedding.weight", siglip),
};
/* clang-format on */

/* ---- names ---- */

/* Whether the name is the recipe's; *number: where the number of its block begins, or NULL. */
static bool is_of(const char *name, const char *pattern, const char **number)
{
    *number = NULL;
    for (; *pattern; pattern++) {
        if (*pattern != '#') {
            if (*name++ != *pattern) return false;
            continue;
        }
        *number = name;
        const size_t digits = strspn(name, "0123456789");
        if (!digits || digits > 4) return false;
        name += digits;
    }
    return !*name;
}

/* What stands before the names of such a file ("vision_model."): *length bytes of what is returned;
 * NULL where the file is none. */
static const char *find_prefix(const PfWeights *weights, const char *first, size_t *length)
{
    for (size_t i = 0; i < weights->count; i++) {
        const char *name = weights->tensors[i].name;
        const size_t all = strlen(name), end = strlen(first);
        if (all < end || strcmp(name + all - end, first)) continue;
        *length = all - end;
        /* Not of a text's embeddings or of another layer's. */
        if (!*length || name[*length - 1] == '.') return name;
    }
    return NULL;
}

/* Beside "vision_model." lies the projection: what stands before the last part of a prefix. */
static size_t outer_length(const char *prefix, size_t length)
{
    size_t outer = length ? length - 1 : 0;
    while (outer && prefix[outer - 1] != '.') outer--;
    return outer;
}

typedef struct Source {
    const PfWeights *weights;
    const char *prefix;
    size_t length;
} Source;

static const PfTensorView *find_part(const Source *source, const char *pattern, const char *number)
{
    char name[NAME_SIZE];
    const char *gap = strchr(pattern, '#');
    const int digits = number ? (int)strspn(number, "0123456789") : 0;
    const size_t lengths[] = {source->length, outer_length(source->prefix, source->length)};
    for (int i = 0; i < 2; i++) {
        const int used =
            gap ? snprintf(name, sizeof name, "%.*s%.*s%.*s%s", (int)lengths[i], source->prefix,
                           (int)(gap - pattern), pattern, digits, number, gap + 1)
                : snprintf(name, sizeof name, "%.*s%s", (int)lengths[i], source->prefix, pattern);
        const PfTensorView *view =
            used > 0 && used < NAME_SIZE ? pf_weights_find_tensor(source->weights, name) : NULL;
        if (view) return view;
    }
    return NULL;
}

/* ---- numbers ---- */

static void turn(const float *from, float *to, int64_t rows, int64_t columns)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) to[i * columns + j] = from[j * rows + i];
}

/* How many of the wanted numbers come from the parts; -1 where the parts do not fit. */
static int64_t numbers_of(const Recipe *recipe, const PfShape *shape,
                          const PfTensorView *const *parts)
{
    int64_t sum = 0;
    const int64_t wanted = pf_shape_count(shape);
    for (int i = 0; i < MOST_PARTS && parts[i]; i++) sum += pf_shape_count(&parts[i]->shape);
    switch (recipe->how) {
    case AROUND_ZEROS: sum += wanted / 3; break;
    case ZEROS: return wanted;
    case TIMES: return sum == 2 * wanted ? wanted : -1;
    default: break;
    }
    const bool is_part = recipe->how == FIRST_ROWS || recipe->how == LAST_ROWS;
    if (recipe->how == BELOW_ZEROS) sum += shape->dims[shape->rank - 1];
    return is_part ? (sum > wanted ? wanted : -1) : sum == wanted ? wanted : -1;
}

/* read: the parts, one behind the other. */
static void arrange(const Recipe *recipe, const PfShape *shape, int64_t given, const float *read,
                    float *numbers)
{
    const int64_t wanted = pf_shape_count(shape), third = wanted / 3;
    switch (recipe->how) {
    case TURNED: turn(read, numbers, shape->dims[0], shape->dims[1]); break;
    case ZEROS: memset(numbers, 0, (size_t)wanted * sizeof *numbers); break;
    case TIMES:
        for (int64_t i = 0; i < wanted; i++) numbers[i] = read[i] * read[wanted + i];
        break;
    case AROUND_ZEROS:
        memset(numbers, 0, (size_t)wanted * sizeof *numbers);
        memcpy(numbers, read, (size_t)third * sizeof *numbers);
        memcpy(numbers + 2 * third, read + third, (size_t)third * sizeof *numbers);
        break;
    case JOINED:
    case FIRST_ROWS:
    case LAST_ROWS:
    case BELOW_ZEROS:
        memcpy(numbers, read + (recipe->how == LAST_ROWS ? given - wanted : 0),
               (size_t)wanted * sizeof *numbers);
    }
}

/* The parameter in float, as the recipe makes it of its parts. NULL: memory is short. */
static float *compose(PfWeights *weights, const Recipe *recipe, const PfShape *shape,
                      const PfTensorView *const *parts, PfError *err)
{
    const int64_t wanted = pf_shape_count(shape), given = pf_shape_count(&parts[0]->shape);
    const int64_t most = recipe->how == TIMES ? 2 * wanted : wanted > given ? wanted : given;
    float *numbers = pf_weights_allocate(weights, (size_t)wanted * sizeof *numbers, err);
    float *read = numbers ? pf_calloc((size_t)most, sizeof *read, err) : NULL;
    int64_t used = recipe->how == BELOW_ZEROS ? shape->dims[shape->rank - 1] : 0;
    if (!read) return NULL;
    for (int i = 0; i < MOST_PARTS && parts[i]; i++) {
        const int64_t count = pf_shape_count(&parts[i]->shape);
        pf_f32_from_dtype_array(read + used, parts[i]->data, parts[i]->dtype, (size_t)count);
        used += count;
    }
    arrange(recipe, shape, given, read, numbers);
    free(read);
    return numbers;
}

static bool is_floating(PfDtype dtype)
{
    return dtype == PF_DTYPE_F32 || dtype == PF_DTYPE_F16 || dtype == PF_DTYPE_BF16 ||
           dtype == PF_DTYPE_F64;
}

/* Puts the parameter into *out where the recipe is its; *is_made: it was. */
static int make_one(PfWeights *weights, const Source *source, const Recipe *recipe,
                    const PfParameter *parameter, PfTensorView *out, bool *is_made, PfError *err)
{
    const PfTensorView *parts[MOST_PARTS + 1] = {NULL};
    const char *number;
    if (!is_of(parameter->name, recipe->ours, &number)) return 0;
    for (int i = 0; i < MOST_PARTS && recipe->parts[i]; i++) {
        parts[i] = find_part(source, recipe->parts[i], number);
        if (!parts[i] || !is_floating(parts[i]->dtype)) return 0;
    }
    if (numbers_of(recipe, &parameter->shape, parts) < 0) return 0; /* the check will say so */
    const float *numbers = compose(weights, recipe, &parameter->shape, parts, err);
    if (!numbers) return -1;
    *out = (PfTensorView){.dtype = PF_DTYPE_F32, .shape = parameter->shape, .data = numbers};
    *is_made = true;
    return 0;
}

static bool is_there(const PfWeights *weights, const PfParameter *parameter)
{
    const PfTensorView *view = pf_weights_find_tensor(weights, parameter->name);
    return view && pf_shape_equal(&view->shape, &parameter->shape);
}

/* Under the name, in the place of what has it. */
static int put(PfWeights *weights, const char *name, const PfTensorView *view, PfError *err)
{
    for (size_t i = 0; i < weights->count; i++)
        if (!strcmp(weights->tensors[i].name, name)) {
            weights->tensors[i].view = *view;
            return 0;
        }
    return pf_weights_add(weights, name, strlen(name), view, err);
}

static int make_all(PfWeights *weights, const Source *source, const Naming *naming,
                    const PfParameter *parameters, int count, int *made, PfError *err)
{
    PfTensorView *views = pf_calloc((size_t)count + 1, sizeof *views, err);
    bool *is_made = pf_calloc((size_t)count + 1, sizeof *is_made, err);
    int failed = !views || !is_made;
    for (int p = 0; p < count && !failed; p++)
        for (size_t r = 0; r < naming->count && !failed && !is_made[p]; r++)
            if (naming->recipes[r].how == TIMES || !is_there(weights, &parameters[p]))
                failed = make_one(weights, source, &naming->recipes[r], &parameters[p], &views[p],
                                  &is_made[p], err);
    for (int p = 0; p < count && !failed; p++) {
        if (!is_made[p]) continue;
        failed = put(weights, parameters[p].name, &views[p], err);
        ++*made;
    }
    free(views);
    free(is_made);
    return failed;
}

int pf_weights_compose_names(PfWeights *weights, const PfArch *arch, PfError *err)
{
    PfParameter *parameters = NULL;
    int count = 0, failed = 0;
    if (!arch->node_count) return 0;
    for (size_t i = 0; i < sizeof namings / sizeof namings[0] && !failed; i++) {
        const Naming *naming = &namings[i];
        Source source = {.weights = weights};
        int made = 0;
        if (strcmp(naming->family, arch->family)) continue;
        if (!(source.prefix = find_prefix(weights, naming->first, &source.length))) continue;
        if (!parameters && pf_arch_parameters(arch, arch->node_count - 1, &parameters, &count, err))
            return -1;
        failed = make_all(weights, &source, naming, parameters, count, &made, err);
        if (!made || failed) continue;
        pf_say("weights '%s': %d tensors are made of those that %s has under other names",
               weights->source, made, naming->whose);
        failed = pf_weights_index(weights, err);
    }
    free(parameters);
    return failed ? -1 : 0;
}
