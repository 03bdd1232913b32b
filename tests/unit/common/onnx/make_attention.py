#!/usr/bin/env python3
"""Makes the files of attention/: one block of each vision transformer as the exporters of current torch write it, for
test_attention.c. Run in the environment of `make -f Makefile.data check-peer-torch`.

usage: make_attention.py FOLDER
"""
import contextlib
import io
import os
import sys
import tempfile

import onnx
import open_clip.transformer
import timm
import torch
import torchvision
import transformers

SIDE, WIDTH, HEADS = 8, 4, 2


class Hidden(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, pixel_values):
        return self.model(pixel_values).last_hidden_state


def of_transformers(name, attention):
    config = getattr(transformers, name.replace("Model", "Config"))(
        hidden_size=WIDTH, num_hidden_layers=1, num_attention_heads=HEADS, intermediate_size=4, image_size=SIDE, patch_size=4,
        attn_implementation=attention)
    return Hidden(getattr(transformers, name)(config))


def of_timm(fused):
    model = timm.create_model("vit_tiny_patch16_224", img_size=SIDE, patch_size=4, depth=1, embed_dim=WIDTH, num_heads=HEADS,
                              mlp_ratio=1, num_classes=0)
    for block in model.blocks:
        block.attn.fused_attn = fused
    return model


NETWORKS = {
    "torchvision": lambda: torchvision.models.VisionTransformer(SIDE, 4, 1, HEADS, WIDTH, 4, num_classes=2),
    "timm": lambda: of_timm(True),
    "timm_plain": lambda: of_timm(False),
    "clip": lambda: of_transformers("CLIPVisionModel", "sdpa"),
    "clip_plain": lambda: of_transformers("CLIPVisionModel", "eager"),
    "siglip": lambda: of_transformers("SiglipVisionModel", "sdpa"),
    "dinov2": lambda: of_transformers("Dinov2Model", "sdpa"),
    "open_clip": lambda: open_clip.transformer.VisionTransformer(SIDE, 4, WIDTH, 1, HEADS, 1, output_dim=2),
}


def export(model, path, form):
    torch.manual_seed(1)
    for parameter in model.parameters():
        parameter.data.normal_(0, 0.3)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        if form == "dynamo":
            torch.onnx.export(model.eval(), (torch.zeros(2, 3, SIDE, SIDE),), path, dynamo=True, external_data=False, verbose=False,
                              dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
        else:
            torch.onnx.export(model.eval(), (torch.zeros(2, 3, SIDE, SIDE),), path, dynamo=False, input_names=["image"],
                              dynamic_axes={"image": {0: "n"}})


def strip(path, to):
    """What is no part of the network is left out."""
    model = onnx.load(path)
    for node in model.graph.node:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    for parts in (model, model.graph):
        parts.ClearField("metadata_props")
        parts.ClearField("doc_string")
    model.graph.ClearField("value_info")
    for value in list(model.graph.input) + list(model.graph.output) + list(model.graph.initializer):
        value.ClearField("metadata_props")
    with open(to, "wb") as file:
        file.write(model.SerializeToString())


def main():
    for name, make in NETWORKS.items():
        for form in ("script", "dynamo"):
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "made.onnx")
                export(make(), path, form)
                strip(path, os.path.join(sys.argv[1], f"{name}_{form}.onnx"))


main()
