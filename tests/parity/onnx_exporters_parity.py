#!/usr/bin/env python3
"""ONNX files as the exporters of current torch, timm, transformers, open_clip and keras write them, as --backbone
FILE.onnx beside ONNX Runtime: small variants of the networks, with random weights.

usage: onnx_exporters_parity.py RUN_BACKBONE [NETWORK]...

The largest difference of an output is under 1e-4 of its largest value.
"""
import contextlib
import io
import logging
import os
import re
import sys
import tempfile
import warnings

os.environ["KERAS_BACKEND"] = "torch"
try:
    import numpy as np
    import onnx
    import onnxruntime
    import torch
    import torchvision
    from backbone_tool import check, finish, normalised, pixels, relative_error, run
except ImportError as missing:
    print(f"SKIP: {missing}")
    sys.exit(77)

TOOL = os.path.abspath(sys.argv[1])
WANTED = sys.argv[2:]
TOLERANCE = 1e-4
KEPT = os.environ.get("PF_KEEP")  # a folder that the files stay in
warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
onnxruntime.set_default_logger_severity(3)
for variable in ("PF_ENGINE", "PERMAFROST_PLUGIN"):
    os.environ.pop(variable, None)


def randomised(model):
    """Nothing is left at 0 or 1: norms, biases, scales of layers, tokens."""
    torch.manual_seed(3)
    for name, tensor in list(model.named_parameters()) + list(model.named_buffers()):
        if not tensor.is_floating_point() or name.endswith("num_batches_tracked"):
            continue
        if name.endswith("running_var") or ("norm" in name or "bn" in name or "ln" in name) and name.endswith("weight"):
            tensor.data.uniform_(0.7, 1.3)
        elif not tensor.abs().max() > 0:
            tensor.data.normal_(0, 0.1)
        elif name.split(".")[-1] in ("bias", "running_mean", "gamma", "lambda1", "layer_scale") or "token" in name:
            tensor.data.uniform_(-0.3, 0.3)
        elif "pos" in name and tensor.dim() > 1 and isinstance(tensor, torch.nn.Parameter):
            tensor.data.normal_(0, 0.3)
    return model.eval()


def tv_convnext():
    config = torchvision.models.convnext.CNBlockConfig
    return torchvision.models.ConvNeXt([config(32, 64, 1), config(64, None, 1)], num_classes=10)


def tv_vit():
    return torchvision.models.VisionTransformer(64, 16, 2, 4, 64, 128, num_classes=10)


def tv_swin(version=1):
    networks = torchvision.models.swin_transformer
    more = {"block": networks.SwinTransformerBlockV2, "downsample_layer": networks.PatchMergingV2} if version == 2 else {}
    return torchvision.models.SwinTransformer([4, 4], 32, [2, 2], [2, 4], [4, 4], num_classes=10, **more)


def of_timm(name, **options):
    import timm
    return timm.create_model(name, **options)


class Output(torch.nn.Module):
    """Of a network of transformers: one of its outputs."""

    def __init__(self, model, which):
        super().__init__()
        self.model, self.which = model, which

    def forward(self, pixel_values):
        return getattr(self.model(pixel_values), self.which)


def of_transformers(name, which="last_hidden_state", attention="sdpa", **options):
    import transformers
    family = name.replace("Model", "") + "Config"
    config = getattr(transformers, family)(hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128,
                                           image_size=64, patch_size=16, attn_implementation=attention, **options)
    return Output(getattr(transformers, name)(config), which)


def of_open_clip(kind):
    from open_clip.modified_resnet import ModifiedResNet
    from open_clip.transformer import VisionTransformer
    if kind == "resnet":
        return ModifiedResNet([1, 1, 1, 1], output_dim=32, heads=4, image_size=64, width=16)
    return VisionTransformer(64, 16, 64, 2, 4, 2, output_dim=32)


NETWORKS = {
    "resnet18": lambda: torchvision.models.resnet18(num_classes=10),
    "mobilenet_v3_small": lambda: torchvision.models.mobilenet_v3_small(num_classes=10),
    "efficientnet_b0": lambda: torchvision.models.efficientnet_b0(num_classes=10),
    "convnext": tv_convnext,
    "vit": tv_vit,
    "swin": tv_swin,
    "swin_v2": lambda: tv_swin(2),
    "densenet": lambda: torchvision.models.DenseNet(8, (2, 2), 16, num_classes=10),
    "timm vit": lambda: of_timm("vit_tiny_patch16_224", img_size=64, depth=2, num_classes=10),
    "timm vit, dynamic": lambda: of_timm("vit_tiny_patch16_224", img_size=64, depth=2, dynamic_img_size=True),
    "timm dinov2": lambda: of_timm("vit_small_patch14_dinov2", img_size=56, depth=2),
    "timm dinov2 with registers": lambda: of_timm("vit_small_patch14_reg4_dinov2", img_size=56, depth=2),
    "timm dinov3": lambda: of_timm("vit_small_patch16_dinov3", img_size=64, depth=1),
    "timm siglip": lambda: of_timm("vit_base_patch16_siglip_224", img_size=64, depth=1, embed_dim=96, num_heads=4),
    "timm efficientnet-lite0": lambda: of_timm("efficientnet_lite0", num_classes=10),
    "timm tf_efficientnet_lite0": lambda: of_timm("tf_efficientnet_lite0", num_classes=10),
    "timm convnext": lambda: of_timm("convnext_atto", num_classes=10),
    "timm convnextv2": lambda: of_timm("convnextv2_atto", num_classes=10),
    "timm resnetv2": lambda: of_timm("resnetv2_50", num_classes=10),
    "timm swin": lambda: of_timm("swin_tiny_patch4_window7_224", img_size=56, depths=(1, 2), num_heads=(2, 4), embed_dim=32),
    "timm beit": lambda: of_timm("beitv2_base_patch16_224", img_size=64, depth=1, embed_dim=64, num_heads=4, num_classes=10),
    "timm resnest": lambda: of_timm("resnest14d", num_classes=10),
    "clip": lambda: of_transformers("CLIPVisionModel"),
    "clip, eager": lambda: of_transformers("CLIPVisionModel", attention="eager"),
    "clip, pooled": lambda: of_transformers("CLIPVisionModel", "pooler_output"),
    "siglip": lambda: of_transformers("SiglipVisionModel"),
    "siglip, pooled": lambda: of_transformers("SiglipVisionModel", "pooler_output"),
    "dinov2": lambda: of_transformers("Dinov2Model"),
    "dinov2, eager": lambda: of_transformers("Dinov2Model", attention="eager"),
    "hf vit": lambda: of_transformers("ViTModel"),
    "open_clip vit": lambda: of_open_clip("vit"),
    "open_clip resnet": lambda: of_open_clip("resnet"),
}
SIDES = {"timm dinov2": 56, "timm dinov2 with registers": 56, "timm swin": 56}
# Sizes of images that an exporter may leave open.
ANY_SIZE = ["resnet18", "convnext", "timm vit, dynamic", "timm efficientnet-lite0", "dinov2"]
# Those that the newer exporter writes for any number of images; the others are for one.
ANY_NUMBER = ["resnet18", "convnext", "vit", "swin", "timm vit", "timm dinov2", "timm dinov3", "timm efficientnet-lite0", "timm swin",
              "clip", "siglip", "siglip, pooled", "dinov2", "hf vit", "open_clip vit"]
OPSETS = {"resnet18": range(11, 22), "vit": range(14, 22), "timm vit": range(14, 22), "swin": (18, 21), "siglip": (18, 21),
          "efficientnet_b0": (11, 14), "timm convnext": (11, 21)}


def export(model, path, side, form, opset, axes):
    """axes: which of the batch "n", height "h" and width "w" are left open."""
    example = torch.zeros(2 if "n" in axes else 1, 3, side, side)
    names = {i: name for i, name in enumerate(("n", "", "h", "w")) if name and name in axes}
    options = {"opset_version": opset} if opset else {}
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        if form == "dynamo":
            shapes = ({i: torch.export.Dim.DYNAMIC for i in names},) if names else None
            torch.onnx.export(model, (example,), path, dynamo=True, dynamic_shapes=shapes, verbose=False, **options)
        else:
            torch.onnx.export(model, (example,), path, dynamo=False, input_names=["image"],
                              dynamic_axes={"image": names} if names else None, **options)


def by_onnxruntime(path, images):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (source,) = session.get_inputs()
    images = normalised(images).numpy()
    if source.shape[1] != 3:
        images = images.transpose(0, 2, 3, 1)
    kind = {"tensor(float16)": np.float16}.get(source.type, np.float32)
    rows = [session.run(None, {source.name: np.ascontiguousarray(image[None]).astype(kind)}) for image in images]
    return [np.concatenate(parts) for parts in zip(*rows)]


def compare(what, path, side, tolerance=TOLERANCE):
    images = pixels(2, 16 * (side // 16 + 1))[:, :side, :side].copy()
    expected = by_onnxruntime(path, images)
    folder = os.path.dirname(path)
    done, found, _ = run(TOOL, folder, path, images, [])
    if done.returncode:
        check(what, False, "does not run")
        return
    errors = [relative_error(mine, theirs) for mine, theirs in zip(found.values(), expected)]
    check(what, len(found) == len(expected) and max(errors) < tolerance,
          f"{max(errors):.1e}, {re.search('([0-9]+) nodes', done.stderr).group(0)}")


def exported(name, form, opset=None, axes=""):
    what = f"{name}, {form}" + (f", opset {opset}" if opset else "") + (f", any {axes}" if axes else "")
    side = SIDES.get(name, 64)
    with tempfile.TemporaryDirectory() as folder:
        folder = KEPT or folder
        path = os.path.join(folder, re.sub("[^a-z0-9_]+", "-", what) + ".onnx")
        try:
            if not (KEPT and os.path.exists(path)):
                export(randomised(NETWORKS[name]()), path, side, form, opset, axes)
        except Exception as failure:  # what their exporters cannot write is no fault of ours
            print(f"not written: {what}: {type(failure).__name__}: {str(failure).splitlines()[0][:150]}")
            return
        compare(what, path, side)


def of_keras():
    """Channels last, pads that are wider at one end. As keras writes it with torch below it."""
    try:
        import keras
    except ImportError as missing:
        print(f"not written: keras: {missing}")
        return
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(KEPT or folder, "keras.onnx")
        if not os.path.exists(path):
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                model = keras.applications.MobileNetV2((64, 64, 3), 0.35, weights=None, classes=10)
                model(np.zeros((1, 64, 64, 3), np.float32))
                model.export(path, format="onnx", verbose=False)
        compare("keras mobilenet_v2", path, 64)


def main():
    for name in NETWORKS:
        if WANTED and name not in WANTED:
            continue
        exported(name, "script", axes="n")
        exported(name, "dynamo", axes="n" if name in ANY_NUMBER else "")
        if name in ANY_SIZE:
            exported(name, "script", axes="nhw")
        for opset in OPSETS.get(name, ()):
            exported(name, "script", opset)
    for opset in (18, 21):
        if not WANTED:
            exported("resnet18", "dynamo", opset)
            exported("vit", "dynamo", opset)
    if not WANTED or "keras" in WANTED:
        of_keras()
    finish()


if __name__ == "__main__":
    main()
