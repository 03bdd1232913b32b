#!/usr/bin/env python3
"""Vision transformers and their taps against timm, open_clip, transformers and torchvision as PyPI has them.

usage: transformers_peers_parity.py RUN_BACKBONE [NETWORK]...

The largest difference of a tap is under 1e-4 of its largest value, at two sizes of images where a network takes any.
Weights are random, and far from what constructors leave. Of networks above 400 million parameters the first four blocks
are compared.
"""
import os
import sys
import tempfile

try:
    import numpy as np
    import torch
    import timm
    from backbone_tool import MEAN, STD, attempt, check, finish, leave_out, relative_error, run, shape_text
    from safetensors.torch import save_file
except ImportError as missing:
    print(f"SKIP: {missing}")
    sys.exit(77)

TOOL = sys.argv[1]
TOLERANCE = 1e-4
MOST_TAPS = 16  # that the tool takes
for variable in ("PF_ENGINE", "PERMAFROST_PLUGIN"):
    os.environ.pop(variable, None)  # all of these are the C engine's


def lively(model):
    """All parameters far from their trivial values."""
    for name, parameter in model.named_parameters():
        data = parameter.data
        if name.endswith(("gamma", "lambda1")) or "norm" in name.split(".")[-2:][0] and name.endswith("weight") \
                or data.dim() == 1 and name.endswith("weight"):
            data.uniform_(0.3, 1.2)
        elif "token" in name or "pos" in name or "class_emb" in name or "probe" in name or "latent" in name:
            data.normal_(0, 0.5)
        elif name.endswith("bias"):
            data.normal_(0, 0.1)
        elif data.dim() == 2:
            data.normal_(0, 1.2 / data.shape[1] ** 0.5)
        elif "table" in name:
            data.normal_(0, 0.5)
    return model.eval()


def noise(size):
    generator = np.random.default_rng(size)
    coarse = generator.integers(0, 256, (2, 7, 7, 3)).repeat(size // 7 + 1, 1).repeat(size // 7 + 1, 2)
    return np.clip(coarse[:, :size, :size] + generator.integers(-40, 40, (2, size, size, 3)), 0, 255).astype(np.uint8)


def normalised(images):
    scaled = torch.from_numpy(images).permute(0, 3, 1, 2).float().div(255)
    return (scaled - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)


def token_taps(tokens, prefix, side, has_class=True, name=""):
    """The taps of tokens that are behind the last norm; prefix: tokens before the patches'."""
    patches = tokens[:, prefix:]
    taps = {"tokens": tokens, "patches": patches, "mean": patches.mean(1),
            "map": patches.transpose(1, 2).reshape(len(tokens), -1, side, side)}
    if has_class:
        taps["cls"] = tokens[:, 0]
        taps["cls+mean"] = torch.cat([tokens[:, 0], patches.mean(1)], 1)
    return {name + tap: value for tap, value in taps.items()}


def compare(label, network, state, images, expected):
    """state: tensors of a weights file."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "weights.safetensors")
        save_file({name: tensor.contiguous().clone() for name, tensor in state.items()}, path)
        taps = list(expected)
        for first in range(0, len(taps), MOST_TAPS):
            group = taps[first:first + MOST_TAPS]
            done, found, shapes = run(TOOL, folder, network, images, group, "--weights", path)
            check(f"{label} runs", done.returncode == 0 and list(shapes) == group)
            for tap in found:
                error = relative_error(found[tap], expected[tap].numpy())
                check(f"{label} {tap} {shape_text(expected[tap])}",
                      error < TOLERANCE and shapes[tap] == shape_text(expected[tap]), f"{error:.1e}, {shapes[tap]}")


# ---- timm's vision transformers, DINOv2 ----

def intermediate(model, pixels, block, norm=None):
    """All tokens behind a block, and behind the last norm, as Meta's get_intermediate_layers gives them."""
    found = []
    hook = model.get_submodule(block).register_forward_hook(lambda module, inputs, output: found.append(output))
    model(pixels)
    hook.remove()
    return (norm or model.norm)(found[0])


def timm_state(model, registers, as_timm):
    """With registers: the class token's own position, which timm has added to it, apart again, as Meta has it."""
    state = model.state_dict()
    if not registers or as_timm:
        return state
    position = torch.randn_like(state["cls_token"])
    state["register_tokens"] = state.pop("reg_token")
    state["cls_token"] = state["cls_token"] - position
    state["pos_embed"] = torch.cat([position, state["pos_embed"]], 1)
    return state


def check_timm(network, theirs, sizes, registers=0, depth=None, grown=None, as_timm=False):
    """grown: the size of images that positions are made for; as_timm: with timm's own names."""
    for size in sizes:
        torch.manual_seed(3)
        options = {"depth": depth} if depth else {}
        model = lively(timm.create_model(theirs, dynamic_img_size=True, **options))
        last = depth or len(model.blocks)
        gated = "giant" in theirs and not as_timm
        state = {name.replace("mlp.fc1", "mlp.w12").replace("mlp.fc2", "mlp.w3") if gated else name: tensor
                 for name, tensor in timm_state(model, registers, as_timm).items()}
        if size != grown and not registers and "dinov2" in theirs:
            # Meta's factors have an offset, and there is no antialiasing.
            side, new = grown // 14, size // 14
            grid = model.pos_embed.data[:, 1:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
            grid = torch.nn.functional.interpolate(grid, scale_factor=[(new + 0.1) / side] * 2, mode="bicubic")
            positions = torch.cat([model.pos_embed.data[:, :1], grid.flatten(2).transpose(1, 2)], 1)
            model = timm.create_model(theirs, img_size=size, **options).eval()
            model.load_state_dict({**timm_own(state, theirs), "pos_embed": positions})
        images = noise(size)
        pixels = normalised(images)
        side = size // model.patch_embed.patch_size[0]
        expected = {}
        if not depth:
            expected.update(token_taps(model.forward_features(pixels), 1 + registers, side))
        for block in {1, last - 1}:
            expected.update(token_taps(intermediate(model, pixels, f"blocks.{block}"), 1 + registers, side,
                                       name=f"blocks.{block}."))
        if not depth and not registers and model.num_classes:
            expected["head"] = model(pixels)
        compare(f"{network}, {size}", network, state, images, expected)


def timm_own(state, theirs):
    return {name.replace("mlp.w12", "mlp.fc1").replace("mlp.w3", "mlp.fc2") if "giant" in theirs else name: tensor
            for name, tensor in state.items()}


# ---- torchvision's ----

def new_vit(network, size):
    """Of vit_h_14, which has 632 million parameters, the first four blocks."""
    import torchvision
    if network == "vit_h_14":
        return torchvision.models.VisionTransformer(size, patch_size=14, num_layers=4, num_heads=16, hidden_dim=1280,
                                                    mlp_dim=5120)
    return getattr(torchvision.models, network)(image_size=size)


def check_vit(network, sizes):
    from torchvision.models.vision_transformer import interpolate_embeddings
    torch.manual_seed(3)
    model = lively(new_vit(network, 224))
    state, patch, last = model.state_dict(), model.patch_size, len(model.encoder.layers) - 1
    for size in sizes:
        model = new_vit(network, size).eval()
        model.load_state_dict(interpolate_embeddings(size, patch, dict(state)))
        images = noise(size)
        pixels = normalised(images)
        expected = {}
        for block in 1, last:
            module = f"encoder.layers.encoder_layer_{block}"
            expected.update(token_taps(intermediate(model, pixels, module, model.encoder.ln), 1, size // patch,
                                       name=f"blocks.{block}."))
        if network != "vit_h_14":
            expected["heads.head"] = model(pixels)
        compare(f"{network}, {size}", network, state, images, expected)


# ---- CLIP ----

def clip_taps(visual, pixels, side):
    found, last = {}, len(visual.transformer.resblocks) - 1
    hooks = [visual.transformer.resblocks[block].register_forward_hook(
        lambda module, inputs, output, block=block: found.update({block: output})) for block in (1, last)]
    expected = {"projection": visual(pixels)}
    for hook in hooks:
        hook.remove()
    expected.update(token_taps(visual.ln_post(found[last]), 1, side))
    expected.update(token_taps(visual.ln_post(found[1]), 1, side, name="blocks.1."))
    return expected


def check_clip(network, theirs, sizes, pick=lambda state: state):
    """With the whole model's state dict, or what is picked of it."""
    import open_clip
    torch.manual_seed(3)
    model = lively(open_clip.create_model(theirs)).float()
    for size in sizes:
        resized = open_clip.create_model(theirs, force_image_size=size).eval()
        state = dict(model.state_dict())
        open_clip.model.resize_pos_embed(state, resized)
        resized.load_state_dict(state)
        images = noise(size)
        expected = clip_taps(resized.visual, normalised(images), size // resized.visual.patch_size[0])
        compare(f"{network}, open_clip's {theirs}, {size}", network, pick(model.state_dict()), images, expected)


def without_visual(state):
    """As OpenAI's image tower alone."""
    return {name[len("visual."):]: tensor for name, tensor in state.items() if name.startswith("visual.")}


def check_clip_of_transformers(network, activation, **sizes):
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection
    torch.manual_seed(3)
    model = lively(CLIPVisionModelWithProjection(CLIPVisionConfig(hidden_act=activation, **sizes)))
    images = noise(224)
    pixels = normalised(images)
    found = model(pixels, output_hidden_states=True)
    tower = model.vision_model
    expected = {"projection": found.image_embeds, "cls": tower.post_layernorm(found.last_hidden_state)[:, 0]}
    side = 224 // sizes["patch_size"]
    expected.update(token_taps(tower.post_layernorm(found.hidden_states[2]), 1, side, name="blocks.1."))
    compare(f"{network}, transformers", network, model.state_dict(), images, expected)


# ---- SigLIP ----

def siglip_taps(model, pixels, side):
    tokens = model.forward_features(pixels)
    expected = {"pooled": model.forward_head(tokens)}
    expected.update(token_taps(tokens, 0, side, has_class=False))
    expected.update(token_taps(intermediate(model, pixels, "blocks.1"), 0, side, has_class=False, name="blocks.1."))
    return expected


def check_siglip(network, theirs, sizes, prefix=""):
    """prefix: "visual.trunk.", as open_clip has it beside a text tower."""
    torch.manual_seed(3)
    model = lively(timm.create_model(theirs, act_layer="gelu_tanh", dynamic_img_size=True))
    state = {prefix + name: tensor for name, tensor in model.state_dict().items()}
    for size in sizes:
        images = noise(size)
        compare(f"{network}, timm {prefix} {size}", network, state, images,
                siglip_taps(model, normalised(images), size // 16))


def check_siglip_of_transformers(network):
    from transformers import SiglipVisionConfig, SiglipVisionModel
    torch.manual_seed(3)
    model = lively(SiglipVisionModel(SiglipVisionConfig()))
    images = noise(224)
    found = model(normalised(images), output_hidden_states=True)
    expected = {"pooled": found.pooler_output, "tokens": found.last_hidden_state, "blocks.1": found.hidden_states[2]}
    for prefix in "", "vision_model.":  # as today's version writes names, and as published files have them
        state = {prefix + name: tensor for name, tensor in model.state_dict().items()}
        compare(f"{network}, transformers {prefix}", network, state, images, expected)


# ---- DINOv2 of transformers ----

OLDER = {"attention.q_proj": "attention.attention.query", "attention.k_proj": "attention.attention.key",
         "attention.v_proj": "attention.attention.value", "attention.o_proj": "attention.output.dense"}


def published(state):
    """Names as published files have them, where this version has others."""
    for new, old in OLDER.items():
        state = {name.replace(new, old): tensor for name, tensor in state.items()}
    return state


def check_dinov2_of_transformers(network, kind, registers=0, **sizes):
    import transformers
    torch.manual_seed(3)
    config = getattr(transformers, kind + "Config")(image_size=518, patch_size=14, **sizes)
    model = lively(getattr(transformers, kind + "Model")(config))
    images = noise(518)
    found = model(normalised(images), output_hidden_states=True)
    last = len(found.hidden_states) - 2
    expected = {"blocks.1": found.hidden_states[2]}
    if not sizes.get("num_hidden_layers"):
        expected.update(token_taps(found.last_hidden_state, 1 + registers, 37))
    else:
        expected.update(token_taps(found.last_hidden_state, 1 + registers, 37, name=f"blocks.{last}."))
    compare(f"{network}, transformers", network, published(model.state_dict()), images, expected)
    compare(f"{network}, transformers' newer names", network, model.state_dict(), images,
            {"blocks.1": expected["blocks.1"]})


# ---- DINOv3's ConvNeXt ----

def check_dinov3_convnext(kind, size, **config):
    """By transformers' names, and by timm's, which has the same numbers under others."""
    from transformers import DINOv3ConvNextConfig, DINOv3ConvNextModel
    torch.manual_seed(3)
    network = f"dinov3_convnext_{kind}"
    model = lively(DINOv3ConvNextModel(DINOv3ConvNextConfig(**config)))
    images = noise(size)
    found = model(normalised(images))
    expected = {"classifier.1": found.pooler_output}
    compare(f"{network}, transformers, {size}", network, model.state_dict(), images, expected)
    model = lively(timm.create_model(f"convnext_{kind}.dinov3_lvd1689m"))
    expected = {"features.3": intermediate(model, normalised(images), "stages.1", torch.nn.Identity()),
                "features.7": model.forward_features(normalised(images)), "classifier.1": model(normalised(images))}
    compare(f"{network}, timm, {size}", network, model.state_dict(), images, expected)
    state = {}
    for name, tensor in model.state_dict().items():  # as Meta has them, whose names timm's loader takes apart
        for old, new in ("stem.", "downsample_layers.0."), (".blocks.", "."), ("conv_dw", "dwconv"), ("mlp.fc", "pwconv"), \
                ("head.norm", "norm"):
            name = name.replace(old, new)
        for stage in "123":
            name = name.replace(f"stages.{stage}.downsample", f"downsample_layers.{stage}")
        state[name] = tensor
    compare(f"{network}, Meta's names, {size}", network, state, images, expected)


# ---- DINOv3's vision transformers ----

def meta_state(model):
    """Of transformers' DINOv3ViTModel, as Meta has it: keys' biases are there, and a mask of zeros for them."""
    state = {}
    for name, tensor in model.state_dict().items():
        name = name.replace("model.layer.", "blocks.").replace("layer_scale1.lambda1", "ls1.gamma")
        name = name.replace("layer_scale2.lambda1", "ls2.gamma").replace("attention.o_proj", "attn.proj")
        name = name.replace("mlp.up_proj", "mlp.fc1").replace("mlp.down_proj", "mlp.fc2")
        name = name.replace("embeddings.patch_embeddings", "patch_embed.proj").replace("embeddings.", "")
        state[name.replace("register_tokens", "storage_tokens")] = tensor
    for block in range(len(model.model.layer)):
        base = f"blocks.{block}.attention."
        parts = [state.pop(f"{base}{part}_proj.weight") for part in "qkv"]
        query, value = state.pop(base + "q_proj.bias"), state.pop(base + "v_proj.bias")
        ones = torch.ones_like(query)
        state[f"blocks.{block}.attn.qkv.weight"] = torch.cat(parts)
        state[f"blocks.{block}.attn.qkv.bias"] = torch.cat([query, torch.randn_like(query), value])
        state[f"blocks.{block}.attn.qkv.bias_mask"] = torch.cat([ones, 0 * ones, ones])
    return state


def check_dinov3_of_transformers(network, sizes, **config):
    from transformers import DINOv3ViTConfig, DINOv3ViTModel
    torch.manual_seed(3)
    model = lively(DINOv3ViTModel(DINOv3ViTConfig(num_register_tokens=4, **config)))
    older = {name.replace("model.layer.", "layer."): tensor for name, tensor in model.state_dict().items()}
    for size in sizes:
        images = noise(size)
        found = model(normalised(images), output_hidden_states=True)
        tokens = model.norm(found.hidden_states[2])
        expected = {**token_taps(found.last_hidden_state, 5, size // 16), **token_taps(tokens, 5, size // 16, name="blocks.1.")}
        compare(f"{network}, transformers, {size}", network, model.state_dict(), images, expected)
    compare(f"{network}, transformers' older names", network, older, images, {"cls": expected["cls"]})
    compare(f"{network}, Meta's names", network, meta_state(model), images, expected)


def check_dinov3_of_timm(network, theirs, size):
    torch.manual_seed(3)
    model = lively(timm.create_model(theirs))
    for name, parameter in model.named_parameters():
        if "gamma" in name:
            parameter.data.uniform_(0.3, 1.2)
    images = noise(size)
    tokens = model.forward_features(normalised(images))
    compare(f"{network}, timm's {theirs}, {size}", network, model.state_dict(), images, token_taps(tokens, 5, size // 16))


NETWORKS = {
    "dinov3_vits16": lambda: check_dinov3_of_transformers("dinov3_vits16", [224, 112], hidden_size=384,
                                                          num_attention_heads=6, intermediate_size=1536),
    "dinov3_vitb16": lambda: check_dinov3_of_transformers("dinov3_vitb16", [224, 96], hidden_size=768,
                                                          num_attention_heads=12, intermediate_size=3072),
    "dinov3_vitl16": lambda: check_dinov3_of_transformers("dinov3_vitl16", [224, 96], hidden_size=1024, num_hidden_layers=24,
                                                          num_attention_heads=16, intermediate_size=4096),
    "dinov3_vits16 of timm": lambda: [check_dinov3_of_timm("dinov3_vits16", f"vit_small_patch16_dinov3{more}", 112)
                                      for more in ("", "_qkvb")],
    **{f"dinov3_convnext_{kind}": lambda kind=kind, depths=depths, sizes=sizes: [
        check_dinov3_convnext(kind, size, depths=depths, hidden_sizes=sizes) for size in (96, 224)]
       for kind, depths, sizes in (("tiny", [3, 3, 9, 3], [96, 192, 384, 768]), ("small", [3, 3, 27, 3], [96, 192, 384, 768]),
                                   ("base", [3, 3, 27, 3], [128, 256, 512, 1024]),
                                   ("large", [3, 3, 27, 3], [192, 384, 768, 1536]))},
    "clip_vit_b_32": lambda: check_clip("clip_vit_b_32", "ViT-B-32-quickgelu", [224, 160]),
    "clip_vit_b_32 alone": lambda: check_clip("clip_vit_b_32", "ViT-B-32-quickgelu", [224], without_visual),
    "clip_vit_b_32_gelu": lambda: check_clip("clip_vit_b_32_gelu", "ViT-B-32", [224]),
    "clip_vit_b_16": lambda: check_clip("clip_vit_b_16", "ViT-B-16-quickgelu", [224, 160]),
    "clip_vit_l_14": lambda: check_clip("clip_vit_l_14", "ViT-L-14-quickgelu", [224, 112]),
    "clip_vit_l_14_gelu": lambda: check_clip("clip_vit_l_14_gelu", "ViT-L-14", [224]),
    "clip_vit_b_32 of transformers": lambda: check_clip_of_transformers("clip_vit_b_32", "quick_gelu", patch_size=32),
    "clip_vit_b_16_gelu of transformers": lambda: check_clip_of_transformers("clip_vit_b_16_gelu", "gelu", patch_size=16),
    "siglip_vit_b_16": lambda: check_siglip("siglip_vit_b_16", "vit_base_patch16_siglip_224", [224, 160]),
    "siglip_vit_b_16 of open_clip": lambda: check_siglip("siglip_vit_b_16", "vit_base_patch16_siglip_224", [224],
                                                         "visual.trunk."),
    "siglip_vit_b_16 of transformers": lambda: check_siglip_of_transformers("siglip_vit_b_16"),
    "dinov2_vits14 of transformers": lambda: check_dinov2_of_transformers(
        "dinov2_vits14", "Dinov2", hidden_size=384, num_attention_heads=6),
    "dinov2_vits14_reg of transformers": lambda: check_dinov2_of_transformers(
        "dinov2_vits14_reg", "Dinov2WithRegisters", 4, hidden_size=384, num_attention_heads=6),
    "dinov2_vitg14 of transformers": lambda: check_dinov2_of_transformers(
        "dinov2_vitg14", "Dinov2", hidden_size=1536, num_attention_heads=24, num_hidden_layers=4, use_swiglu_ffn=True),
    **{network: lambda network=network, sizes=sizes: check_vit(network, sizes) for network, sizes in {
        "vit_b_32": [224, 160], "vit_b_16": [224, 112], "vit_l_32": [224, 160], "vit_l_16": [224, 112],
        "vit_h_14": [224, 112]}.items()},
    "vit_s_16": lambda: check_timm("vit_s_16", "vit_small_patch16_224", [224, 144]),
    "dinov2_vits14": lambda: check_timm("dinov2_vits14", "vit_small_patch14_dinov2", [224, 98], grown=518),
    "dinov2_vitb14": lambda: check_timm("dinov2_vitb14", "vit_base_patch14_dinov2", [224, 98], grown=518),
    "dinov2_vitb14_reg": lambda: check_timm("dinov2_vitb14_reg", "vit_base_patch14_reg4_dinov2", [224, 98], 4),
    "dinov2_vitl14": lambda: check_timm("dinov2_vitl14", "vit_large_patch14_dinov2", [224, 98], grown=518),
    "dinov2_vitl14_reg": lambda: check_timm("dinov2_vitl14_reg", "vit_large_patch14_reg4_dinov2", [224, 98], 4),
    "dinov2_vits14_reg": lambda: check_timm("dinov2_vits14_reg", "vit_small_patch14_reg4_dinov2", [224, 98], 4),
    "dinov2_vitg14": lambda: check_timm("dinov2_vitg14", "vit_giant_patch14_dinov2", [98], depth=4, grown=518),
    "dinov2_vits14_reg of timm": lambda: check_timm("dinov2_vits14_reg", "vit_small_patch14_reg4_dinov2", [98], 4,
                                                    as_timm=True),
    "dinov2_vitg14 of timm": lambda: check_timm("dinov2_vitg14", "vit_giant_patch14_dinov2", [98], depth=4, grown=518,
                                                as_timm=True),
    "dinov2_vitg14_reg": lambda: check_timm("dinov2_vitg14_reg", "vit_giant_patch14_reg4_dinov2", [98], 4, depth=4),
}

OF_FOUR_BLOCKS = [name for name in NETWORKS if name.startswith(("dinov2_vitg14", "vit_h_14"))]

with torch.inference_mode():
    asked = sys.argv[2:] or list(NETWORKS)
    for name in NETWORKS:
        if name not in asked:
            leave_out(name, "not asked for")
    for name in asked:
        attempt(name, NETWORKS[name])
        if name in OF_FOUR_BLOCKS:
            leave_out(name, "above 400 million parameters; its first four blocks are compared")
finish()
