#!/usr/bin/env python3
"""Vision transformers with timm's and Meta's names against timm's, and against Meta's own where that is installed.

usage: transformers_parity.py RUN_BACKBONE [NETWORK]...

The largest difference of a tap is under 1e-4 of its largest value. Of DINOv2 with registers timm adds what Meta keeps
as the class token's position to the class token: so do we before we compare.
"""
import os
import sys
import tempfile

try:
    import torch
    import timm
    from backbone_tool import check, finish, normalised, pixels, relative_error, run, save_weights, shape_text
except ImportError as missing:
    print(f"SKIP: {missing}")
    sys.exit(77)

TOOL = sys.argv[1]
TOLERANCE = 1e-4
for variable in ("PF_ENGINE", "PERMAFROST_PLUGIN"):
    os.environ.pop(variable, None)  # all of these are the C engine's
TAPS = ["patch_embed.proj", "blocks.0.norm1", "blocks.0.attn.qkv", "blocks.0.attn", "blocks.0.mlp.fc1", "blocks.0.mlp.act",
        "blocks.0", "blocks.5.mlp", "blocks.11", "norm", "cls"]
NETWORKS = {"vit_s_16": ("vit_small_patch16_224", 224), "dinov2_vits14": ("vit_small_patch14_dinov2", 518),
            "dinov2_vits14_reg": ("vit_small_patch14_reg4_dinov2", 518)}


def lively(model):
    for name, parameter in model.named_parameters():
        if name.endswith("gamma") or "norm" in name and name.endswith("weight"):
            parameter.data.uniform_(0.3, 1.2)
        elif "token" in name or "pos_embed" in name:
            parameter.data.normal_(0, 0.5)
        elif name.endswith("bias"):
            parameter.data.normal_(0, 0.1)
    return model.eval()


def metas_names(state):
    """A state dict with registers as Meta arranges it."""
    state = dict(state)
    if "reg_token" not in state:
        return state
    position = torch.randn_like(state["cls_token"])
    state["register_tokens"] = state.pop("reg_token")
    state["cls_token"] = state["cls_token"] - position
    state["pos_embed"] = torch.cat([position, state["pos_embed"]], 1)
    return {**state, "mask_token": torch.zeros(1, position.shape[-1])}


def by_hooks(model, images, taps):
    found, modules = {}, dict(model.named_modules())
    def keep(tap):
        def hook(module, inputs, output):
            found[tap] = output.clone()
        return hook
    for tap in taps:
        if tap in modules:
            modules[tap].register_forward_hook(keep(tap))
    model(normalised(images))
    found["cls"] = found["norm"][:, 0]
    return {tap: found[tap] for tap in taps}


def check_features(label, name, model, state, size, taps):
    images = pixels(2, 16 * (size // 16 + 1))[:, :size, :size].copy()
    expected = by_hooks(model, images, taps)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "weights.pth")
        torch.save(state, path)
        done, found, shapes = run(TOOL, folder, name, images, taps, "--weights", path)
        check(f"{label} runs", done.returncode == 0 and list(shapes) == taps)
        for tap in found:
            error = relative_error(found[tap], expected[tap].numpy())
            check(f"{label} {tap} {shape_text(expected[tap])}",
                  error < TOLERANCE and shapes[tap] == shape_text(expected[tap]), f"{error:.1e}, {shapes[tap]}")


def check_random(name, size):
    """Random weights neither vanish nor overflow."""
    with tempfile.TemporaryDirectory() as folder:
        images = pixels(1, 16 * (size // 16 + 1))[:, :size, :size].copy()
        _, found, _ = run(TOOL, folder, name, images, ["cls"], "--weights", "random:1")
        largest = abs(found["cls"]).max() if found else 0
        check(f"{name} with random weights", 1e-2 < largest < 1e3, f"largest {largest:.1e}")


def metas_own():
    """Meta's network, from the package dinov2; None where there is none."""
    try:
        from dinov2.models.vision_transformer import vit_small
    except ImportError as missing:
        print(f"Meta's own network is not compared: {missing}")
        return None
    return vit_small(patch_size=14, img_size=518, init_values=1.0, block_chunks=0)


torch.manual_seed(7)
with torch.inference_mode():
    for network in sys.argv[2:] or NETWORKS:
        theirs, size = NETWORKS[network]
        model = lively(timm.create_model(theirs))
        taps = TAPS + (["head"] if network == "vit_s_16" else [])
        check_features(network, network, model, metas_names(model.state_dict()), size, taps)
        check_random(network, size)
    model = metas_own()
    if model:
        model = lively(model)
        for size in 518, 224, 98:  # positions are resized but for the first
            check_features(f"Meta's own, {size}", "dinov2_vits14", model, model.state_dict(), size, TAPS)
finish()
