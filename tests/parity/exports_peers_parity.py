#!/usr/bin/env python3
"""Networks that are fine-tuned from a cached cut, and exported, in the programs that they are for: the state dict with
strict=True in current torchvision and timm, ONNX in ONNX Runtime, TorchScript in current torch.

usage: exports_peers_parity.py RUN_BACKBONE [NETWORK]...

Weights are random, norms have lived; images are as large as the network's input, at SIZES. The probabilities are
those of `predict` within 1e-5.
"""
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import numpy as np
    import onnxruntime
    import open_clip
    import timm
    import torch
    import torchvision
    from PIL import Image
    from safetensors.torch import load_file, save_file
    from backbone_tool import check, finish
    from networks_parity import lively
except ImportError as missing:
    print(f"SKIP: {missing}")
    sys.exit(77)

BIN = Path(sys.argv[1]).resolve().parent.parent / "bin"
TOLERANCE = 1e-5
CLASSES = ["one", "two"]
onnxruntime.set_default_logger_severity(3)
for variable in ("PF_ENGINE", "PERMAFROST_PLUGIN"):
    os.environ.pop(variable, None)


def lively_tokens(model):
    """Norms, scales, tokens, positions and biases far from what constructors leave."""
    for name, parameter in model.named_parameters():
        data = parameter.data
        if data.dim() == 1 and name.endswith(("weight", "gamma", "gamma_1", "gamma_2")):
            data.uniform_(0.3, 1.2)
        elif any(word in name for word in ("token", "pos_embed", "positional", "latent", "class_emb")):
            data.normal_(0, 0.5)
        elif name.endswith("bias"):
            data.normal_(0, 0.1)
        elif data.dim() == 2:
            data.normal_(0, 1 / data.shape[1] ** 0.5)
    return model.eval()


def let_norms_measure(model, size):
    """Statistics of batch norms are of what goes through them: with any others these networks make all images alike."""
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.train().momentum = 1
    coarse = torch.nn.functional.interpolate(torch.randn(8, 3, 4, 4), size=size, mode="bicubic")
    with torch.no_grad():
        model(coarse + 0.3 * torch.randn_like(coarse))
    return model.eval()


def of_torchvision(name, **options):
    return lambda classes: getattr(torchvision.models, name)(num_classes=classes, weights=None, **options)


def of_timm(name, **options):
    return lambda classes: timm.create_model(name, num_classes=classes, **options)


def clip(classes):
    """The image tower alone, which has no classifier."""
    del classes
    return open_clip.create_model("ViT-B-32-quickgelu").visual


# Ours: the peer's constructor, what is trained, the cut before it, the head's tap (None: the default), sides of images.
NETWORKS = {
    "densenet121": (of_torchvision("densenet121"), "features.denseblock4", "features.transition3", [64]),
    "efficientnet_b0": (of_torchvision("efficientnet_b0"), "features.7", "features.6", [128]),
    "convnext_tiny": (of_torchvision("convnext_tiny"), "features.7", "features.6", [64]),
    "vit_b_16": (of_torchvision("vit_b_16"), "encoder.layers.encoder_layer_11", "encoder.layers.encoder_layer_10", [224]),
    "dinov2_vits14": (of_timm("vit_small_patch14_dinov2.lvd142m"), "blocks.11", "blocks.10", [98]),
    "dinov3_vits16": (of_timm("vit_small_patch16_dinov3.lvd1689m"), "blocks.11", "blocks.10", [112]),
    "clip_vit_b_32": (clip, "transformer.resblocks.11", "transformer.resblocks.10", [224, 96]),
    "siglip_vit_b_16": (of_timm("vit_base_patch16_siglip_224.webli", act_layer="gelu_tanh"), "blocks.11", "blocks.10", [224, 112]),
    "swin_t": (of_torchvision("swin_t"), "features.7", "features.6", [96]),
    "inception_v3": (of_torchvision("inception_v3", aux_logits=False, init_weights=False), "Mixed_7c", "Mixed_7b", [139]),
    "alexnet": (of_torchvision("alexnet"), "features.10", "features.9", [224]),
    "regnet_y_400mf": (of_torchvision("regnet_y_400mf"), "trunk_output.block4", "trunk_output.block3", [64]),
    "googlenet": (of_torchvision("googlenet", aux_logits=False, init_weights=False), "inception5b", "inception5a", [64]),
    "squeezenet1_1": (of_torchvision("squeezenet1_1"), "features.12", "features.11", [64]),
}
MEASURED = {"efficientnet_b0", "inception_v3", "googlenet"}  # by let_norms_measure
RATES = {"efficientnet_b0": "1e-4"}  # of large features: small weights keep what rounding makes of them small
NOT_LOADED = {
    "dinov3_vits16": "timm's names for the tokens are others than Meta's",
    "clip_vit_b_32": "the tower has no classifier",
    "squeezenet1_1": "its classifier is a convolution",
}


def run(what, program, *arguments):
    done = subprocess.run([BIN / program, *map(str, arguments)], capture_output=True, text=True)
    check(f"{what}: {program}", done.returncode == 0, "" if done.returncode == 0 else done.stderr.strip()[-600:])
    return done.stdout if done.returncode == 0 else None


def draw(folder, size):
    generator = np.random.default_rng(size)
    images = []
    for i in range(8):
        coarse = Image.fromarray(generator.integers(0, 256, (4, 4, 3)).astype(np.uint8)).resize((size, size), Image.BICUBIC)
        pixels = np.asarray(coarse).astype(np.int64) + generator.integers(-30, 30, (size, size, 3)) + (i % 2) * 20
        images.append(np.clip(pixels, 0, 255).astype(np.uint8))
        path = folder / CLASSES[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[-1]).save(path)
    return images


def normalised(images, preprocess):
    scaled = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
    return (scaled - torch.tensor(preprocess["mean"]).view(3, 1, 1)) / torch.tensor(preprocess["std"]).view(3, 1, 1)


def predicted(what, model, folder, count):
    """(count, 2), in the order of draw."""
    rows = json.loads(run(what, "predict", "--json", "-", "-q", "--top", 2, model, folder) or "[]")
    found = {int(Path(row["path"]).stem): {top["label"]: top["probability"] for top in row["top"]} for row in rows}
    return np.array([[found[i][name] for name in CLASSES] for i in range(count)])


def compare(what, found, expected):
    error = np.abs(found - expected).max() if found.shape == expected.shape else np.inf
    check(what, error < TOLERANCE, f"{error:.1e}")


def check_state_dict(what, name, path, x, expected):
    if name in NOT_LOADED:
        return
    fresh = NETWORKS[name][0](len(CLASSES))
    try:
        fresh.load_state_dict(load_file(path), strict=True)
    except RuntimeError as error:
        check(f"{what}: state dict, strict", False, str(error)[:600])
        return
    if name == "dinov2_vits14" or name == "siglip_vit_b_16" and x.shape[-1] != 224:
        check(f"{what}: state dict, strict", True, "(timm resizes positions otherwise)")
        return
    with torch.inference_mode():
        compare(f"{what}: state dict, strict", torch.softmax(fresh.eval()(x), 1).numpy(), expected)


def check_exports(what, name, model, x, expected, folder):
    for ending in ("safetensors", "onnx", "pt"):
        if ending == "safetensors" and name in NOT_LOADED:
            continue
        if run(f"{what}, {ending}", "predict", model, "-q", "--export", folder / f"out.{ending}") is None:
            return
    check_state_dict(what, name, folder / "out.safetensors", x, expected)
    session = onnxruntime.InferenceSession(str(folder / "out.onnx"), providers=["CPUExecutionProvider"])
    for count in (1, len(x)):
        compare(f"{what}: ONNX Runtime, batch {count}", session.run(None, {"image": x[:count].numpy()})[0], expected[:count])
    module = torch.jit.load(str(folder / "out.pt")).eval()
    with torch.inference_mode():
        for count in (1, len(x)):
            compare(f"{what}: TorchScript, batch {count}", module(x[:count]).numpy(), expected[:count])


def check_network(name):
    make, trained, cut, sizes = NETWORKS[name]
    torch.manual_seed(5)
    is_transformer = any(word in name for word in ("vit", "clip"))
    model = (lively_tokens if is_transformer else lively)(make(1000))
    if name in MEASURED:
        let_norms_measure(model, sizes[0])
    for size in sizes:
        what = f"{name} {size}"
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            images = draw(folder / "photos", size)
            save_file({key: value.contiguous().clone() for key, value in model.state_dict().items()}, folder / "weights.safetensors")
            if run(what, "extract", folder / "photos", "-q", "-o", folder / "c.h5", "--backbone", name, "--weights",
                   folder / "weights.safetensors", "--tap", cut, "--resize", size, "--crop", size, "--store", "f32") is None:
                continue
            tuned = folder / "tuned.safetensors"
            if run(what, "train", folder / "c.h5", "-q", "--val", 0, "--epochs", 4, "--lr", RATES.get(name, "1e-3"),
                   "--finetune", trained, "-o", tuned) is None:
                continue
            with open(tuned, "rb") as file:
                header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
            described = json.loads(header["__metadata__"]["permafrost"])
            changed = described["finetune"]["tensors"]
            check(f"{what}: tensors have learned", len(changed) > 0, f"{len(changed)}")
            x = normalised(images, described["preprocess"])
            expected = predicted(what, tuned, folder / "photos", len(images))
            check(f"{what}: images differ", np.ptp(expected[:, 0]) > 10 * TOLERANCE, f"{np.ptp(expected[:, 0]):.4f}")
            check_exports(what, name, tuned, x, expected, folder)


def main():
    torch.set_num_threads(2)
    for name in sys.argv[2:] or NETWORKS:
        try:
            check_network(name)
        except Exception as error:  # one network must not hide the others
            check(name, False, f"{type(error).__name__}: {error}")
    finish()


if __name__ == "__main__":
    main()
