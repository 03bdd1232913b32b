#!/usr/bin/env python3
"""Networks of today against torchvision's: names of nodes, keys and shapes of state dicts, features.

usage: networks_parity.py RUN_BACKBONE [NETWORK]...

The largest difference of a tap is under 1e-4 of its largest value: both sum in float32, in other orders.
Every node that torchvision's create_feature_extractor names is a tap here too, but what it makes of a
LayerNorm2d (one node here, named as the module) and of parameters that modules do not hold, and what turns the pixels
of Inceptions, which is their preprocessing here. PF_LONG takes
them all; else up to 16 of them, spread over the network. All run by the engine; those of BY_LIBTORCH, at
their last size, by libtorch, too, which is given them as TorchScript.
"""
import operator
import os
import re
import sys
import tempfile

try:
    import numpy as np
    import torch
    import torchvision
    from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names
    from backbone_tool import IS_LONG, check, finish, normalised, pixels, relative_error, run, save_weights, shape_text
except ImportError as missing:
    print(f"SKIP: {missing}")
    sys.exit(77)

TOOL = sys.argv[1]
TOLERANCE, MAX_TAPS = 1e-4, 16
CALLERS = dict(os.environ)


def lively(model):
    """Norms, scales and tokens as of a network that has learned: none of them is 0 or 1."""
    for name, parameter in model.named_parameters():
        if "layer_scale" in name or name.endswith("gamma"):
            parameter.data.uniform_(0.2, 0.8)
        elif "token" in name or "pos_embed" in name or "position_bias" in name:
            parameter.data.normal_(0, 0.5)
        elif not parameter.any():
            parameter.data.normal_(0, 0.1)
    for module in model.modules():
        if hasattr(module, "inplace"):
            module.inplace = False  # else a tap before it would show its result
        if isinstance(module, (torch.nn.BatchNorm2d, torch.nn.LayerNorm)):
            module.weight.data.uniform_(0.5, 1.2)
            module.bias.data.normal_(0, 0.2)
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2.0)
    return model.eval()


def node_names(model):
    """Those of create_feature_extractor, as taps of ours."""
    of_pixels = re.compile(r"^((getitem|unsqueeze|mul|add)(_\d)?|cat)$")
    of_windows = re.compile(r"\.(_get_relative_position_bias|\w+_(relative_position_bias_table|(qkv|proj)_(weight|bias)))$")
    inside_norm = re.compile(r"\.(permute(_1)?|layer_norm|\w+_(weight|bias))$")
    norms = {name for name, module in model.named_modules() if type(module).__name__ == "LayerNorm2d"}
    names = []
    for name in get_graph_node_names(model)[1][1:]:
        outer = inside_norm.sub("", name)
        name = outer if outer in norms else name
        if name not in names and not name.endswith("_layer_scale") and not of_pixels.match(name) and not of_windows.search(name):
            names.append(name)
    return names


def spread(names):
    if IS_LONG or len(names) <= MAX_TAPS:
        return names
    return [names[round(i * (len(names) - 1) / (MAX_TAPS - 1))] for i in range(MAX_TAPS)]


def by_extractor(model, images, taps):
    extractor = create_feature_extractor(model, {tap: tap for tap in taps})
    for node in extractor.graph.nodes:
        if node.target is operator.iadd:
            node.target = operator.add  # else a tap before it would show the sum
        if "inplace" in node.kwargs:
            node.kwargs = {**node.kwargs, "inplace": False}
    extractor.recompile()
    return extractor(normalised(images))


def by_hooks(model, images, taps):
    """Of modules; "cls" is what comes out of encoder.ln first. torch 1.13 cannot trace a VisionTransformer, nor a
    ShuffleNetV2."""
    found, modules = {}, dict(model.named_modules())
    def keep(tap):
        def hook(module, inputs, output):
            found[tap] = (output[0] if isinstance(output, tuple) else output).clone()
        return hook
    wanted = [*taps, "encoder.layers.encoder_layer_5"]
    hooks = [modules[tap].register_forward_hook(keep(tap)) for tap in wanted if tap in modules]
    model(normalised(images))
    for hook in hooks:
        hook.remove()
    if "cls" not in taps:
        return {tap: found[tap] for tap in taps}
    tokens = found["encoder.ln"]
    found["cls"] = tokens[:, 0]
    side = round((tokens.shape[1] - 1) ** 0.5)
    for name, behind in ("", tokens), ("blocks.5.", model.encoder.ln(found["encoder.layers.encoder_layer_5"])):
        patches = behind[:, 1:]
        found.update({name + "tokens": behind, name + "patches": patches, name + "mean": patches.mean(1),
                      name + "cls": behind[:, 0], name + "cls+mean": torch.cat([behind[:, 0], patches.mean(1)], 1),
                      name + "map": patches.transpose(1, 2).reshape(len(tokens), -1, side, side)})
    return {tap: found[tap] for tap in taps}


def choose(executor):
    """Of the programs that follow; None: the C engine, which takes all of these networks."""
    for variable in ("PERMAFROST_PLUGIN", "PF_ENGINE"):
        os.environ.pop(variable, None)
        if executor and variable in CALLERS:
            os.environ[variable] = CALLERS[variable]
    if executor:
        os.environ["PF_ENGINE"] = executor


def compare(label, expected, folder, name, images, weights):
    """Taps in groups of what the tool takes at once."""
    taps = list(expected)
    for first in range(0, len(taps), MAX_TAPS):
        group = taps[first:first + MAX_TAPS]
        done, found, shapes = run(TOOL, folder, name, images, group, "--weights", weights, *PIXELS_OF.get(name, ()))
        check(f"{label} runs", done.returncode == 0 and list(shapes) == group)
        for tap in found:
            error = relative_error(found[tap], expected[tap].numpy())
            check(f"{label} {tap} {shape_text(expected[tap])}",
                  error < TOLERANCE and shapes[tap] == shape_text(expected[tap]), f"{error:.1e}, {shapes[tap]}")


def at_size(model, name, size):
    """The model for images of another size: of a vision transformer, with positions as torchvision resizes them."""
    if not name.startswith("vit") or size == model.image_size:
        return model
    state = torchvision.models.vision_transformer.interpolate_embeddings(size, model.patch_size, dict(model.state_dict()))
    resized = getattr(torchvision.models, name)(image_size=size)
    resized.load_state_dict(state)
    return resized.eval()


def new_model(name):
    torch.manual_seed(7)
    return lively(getattr(torchvision.models, name)(**MADE_WITH.get(name, {})))


def check_network(name, sizes, taps=None):
    model = new_model(name)
    reference = by_hooks if taps else by_extractor
    taps = taps or spread(node_names(model))
    with torch.inference_mode(), tempfile.TemporaryDirectory() as folder:
        weights = save_weights(model, folder)
        for size in sizes:
            images, resized = pixels(2, size), at_size(model, name, size)
            expected = reference(resized, images, taps)
            compare(f"{name} {size}", expected, folder, name, images, weights)
            if name in BY_LIBTORCH and size == sizes[-1]:
                choose("libtorch")
                compare(f"{name} {size} by libtorch", expected, folder, name, images, weights)
                choose(None)


def check_random(name, size):
    """Random weights neither vanish nor overflow."""
    with tempfile.TemporaryDirectory() as folder:
        for tap in RANDOM[name]:
            _, found, _ = run(TOOL, folder, name, pixels(1, size), [tap], "--weights", "random:1")
            largest = np.abs(found[tap]).max() if tap in found else 0
            check(f"{name} with random weights: {tap}", 1e-2 < largest < 1e3, f"largest {largest:.1e}")


def check_executors(name, size, tap):
    """What Debian has no peer for: ours and libtorch's, which is given TorchScript."""
    with tempfile.TemporaryDirectory() as folder:
        found = []
        for executor in (None, "libtorch"):
            choose(executor)
            found.append(run(TOOL, folder, name, pixels(2, size), [tap], "--weights", "random:3")[1].get(tap))
        choose(None)
        error = relative_error(*found) if all(f is not None for f in found) else 1
        check(f"{name} {size} {tap} by libtorch as by the engine", error < TOLERANCE, f"{error:.1e}")


VIT_TAPS = ["conv_proj", "encoder.layers.encoder_layer_0.ln_1", "encoder.layers.encoder_layer_0.self_attention",
            "encoder.layers.encoder_layer_0.mlp.0", "encoder.layers.encoder_layer_0", "encoder.layers.encoder_layer_5.ln_2",
            "encoder.layers.encoder_layer_11", "encoder.ln", "cls", "heads.head", "tokens", "mean", "map",
            "cls+mean", "blocks.5.cls+mean", "blocks.5.map"]
SHUFFLE_TAPS = ["conv1", "maxpool", "stage2.0.branch1.1", "stage2.0.branch1", "stage2.0.branch2", "stage2.0", "stage2.1.branch2.3",
                "stage2.1.branch2", "stage2.1", "stage3.7", "stage4", "conv5", "fc"]
# torchvision's models that have the published weights turn pixels that are normalised as for other networks.
MADE_WITH = {"inception_v3": {"transform_input": True, "init_weights": False},
             "googlenet": {"transform_input": True, "init_weights": False}}
PIXELS_OF = {name: ("--mean", ".5,.5,.5", "--std", ".5,.5,.5") for name in MADE_WITH}
NETWORKS = {"densenet121": [64], "mobilenet_v3_small": [64], "efficientnet_b0": [80], "convnext_tiny": [64], "vit_b_32": [160],
            "inception_v3": [96], "googlenet": [64], "resnext50_32x4d": [64], "regnet_y_400mf": [64], "mobilenet_v2": [64],
            "squeezenet1_1": [64, 20], "shufflenet_v2_x0_5": [64], "mnasnet0_5": [64], "swin_t": [88]}
if IS_LONG:
    NETWORKS.update({"mobilenet_v3_small": [64, 96], "vit_b_32": [224, 160]})
    NETWORKS.update({"mobilenet_v3_large": [80, 224], "efficientnet_v2_s": [64], "densenet161": [96], "efficientnet_b5": [96],
                     "convnext_small": [96], "vit_b_16": [224], "alexnet": [64, 96], "wide_resnet50_2": [64], "regnet_x_400mf": [64, 96]})
# Between them these have every operation of such networks as TorchScript, positions that it resizes, and names with a dash.
BY_LIBTORCH = ["densenet121", "mobilenet_v3_small", "convnext_tiny", "vit_b_32", "shufflenet_v2_x0_5", "swin_t", "regnet_y_400mf"]
BY_LIBTORCH += list(NETWORKS) if IS_LONG else []
RANDOM = {"densenet121": ["adaptive_avg_pool2d"], "mobilenet_v3_small": ["classifier.1"], "mobilenet_v3_large": ["avgpool"],
          "efficientnet_b0": ["avgpool", "classifier.1"], "efficientnet_v2_s": ["avgpool"], "convnext_tiny": ["classifier.1"],
          "vit_b_32": ["cls", "heads.head"], "inception_v3": ["avgpool"], "googlenet": ["avgpool"], "resnext50_32x4d": ["avgpool"],
          "regnet_y_400mf": ["avgpool"], "mobilenet_v2": ["adaptive_avg_pool2d"], "squeezenet1_1": ["avgpool"],
          "shufflenet_v2_x0_5": ["mean"], "mnasnet0_5": ["mean"], "tf_efficientnet_lite0": ["global_pool"],
          "alexnet": ["classifier.5"], "swin_t": ["flatten"]}
TAPS = {"vit": VIT_TAPS, "shufflenet": SHUFFLE_TAPS}



def main():
    choose(None)
    for network in sys.argv[2:] or NETWORKS:
        sizes = NETWORKS.get(network, [96])
        check_network(network, sizes, next((taps for family, taps in TAPS.items() if network.startswith(family)), None))
        if network in RANDOM:
            check_random(network, sizes[0])
    check_random("tf_efficientnet_lite0", 64)
    check_executors("tf_efficientnet_lite0", 76, "global_pool")
    finish()


if __name__ == "__main__":
    main()
