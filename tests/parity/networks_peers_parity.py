#!/usr/bin/env python3
"""Convolutional networks and Swin Transformers against current torchvision's and timm's: features at three taps, two
sizes.

usage: networks_peers_parity.py RUN_BACKBONE [NETWORK]...

Weights are random, norms have lived. Where a network has more than 400 million parameters, its first four blocks are
compared. EfficientNet-Lite is compared by libtorch, too: its padding follows from the size of each map.
"""
import sys
import tempfile

try:
    import timm
    import torch
    import torchvision
    from networks_parity import (TAPS, by_extractor, by_hooks, choose, compare, lively, new_model, node_names)
    from backbone_tool import attempt, check, finish, leave_out, pixels, save_weights
except ImportError as missing:
    print(f"SKIP: {missing}")
    sys.exit(77)

TORCHVISION = (["inception_v3", "googlenet", "resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d", "wide_resnet50_2",
                "wide_resnet101_2", "mobilenet_v2", "squeezenet1_0", "squeezenet1_1", "alexnet"]
               + [f"shufflenet_v2_x{width}" for width in ("0_5", "1_0", "1_5", "2_0")]
               + [f"mnasnet{width}" for width in ("0_5", "0_75", "1_0", "1_3")]
               + [f"regnet_{kind}_{size}" for kind in "xy" for size in ("400mf", "800mf", "1_6gf", "3_2gf", "8gf", "16gf", "32gf")]
               + ["regnet_y_128gf"]
               + [f"densenet{layers}" for layers in (121, 161, 169, 201)] + ["mobilenet_v3_small", "mobilenet_v3_large"]
               + [f"efficientnet_b{scale}" for scale in range(8)] + [f"efficientnet_v2_{size}" for size in "sml"]
               + [f"convnext_{size}" for size in ("tiny", "small", "base", "large")]
               + [f"swin_{size}" for size in "tsb"])
TIMM = [f"{prefix}efficientnet_lite{scale}" for prefix in ("", "tf_") for scale in range(5)]
LITE_TAPS = ["bn1", "blocks.1.0.conv_dw", "blocks.1.0.bn2", "blocks.3.1", "bn2", "global_pool", "classifier"]
SWIN_TAPS = ["features.1", "features.3.1", "features.5.1", "flatten", "head"]
LARGE_TAPS = ["stem", "trunk_output.block1.block1-1", "trunk_output.block2.block2-0.f.c", "trunk_output.block2.block2-1"]


def three(names):
    return [names[len(names) // 3], names[2 * len(names) // 3], names[-1]]


def first_blocks():
    """Of regnet_y_128gf."""
    from torchvision.models.regnet import BlockParams, RegNet
    torch.manual_seed(7)
    return lively(RegNet(BlockParams([2, 2], [528, 1056], [264, 264], [1, 1], [2, 2], 0.25)))


def check_by(reference, model, name, sizes, taps, executors=(None,)):
    with torch.inference_mode(), tempfile.TemporaryDirectory() as folder:
        weights = save_weights(model, folder)
        for size in sizes:
            images = pixels(2, size)
            expected = reference(model, images, taps)
            for executor in executors:
                choose(executor)
                compare(f"{name} {size} {executor or ''}", expected, folder, name, images, weights)
            choose(None)


def check_torchvision(name):
    sizes = [96, 128] if name == "inception_v3" else [64, 96]
    if name == "regnet_y_128gf":
        check_by(by_extractor, first_blocks(), name, sizes, LARGE_TAPS)
        leave_out(name, "645 million parameters; its first four blocks are compared")
        return
    if name.startswith("swin"):
        check_by(by_hooks, new_model(name), name, [88, 128], SWIN_TAPS)
        return
    model = new_model(name)
    hooked = next((taps for family, taps in TAPS.items() if name.startswith(family)), None)
    check_by(by_hooks if hooked else by_extractor, model, name, sizes, hooked or three(node_names(model)))


def check_timm(name):
    torch.manual_seed(7)
    check_by(by_hooks, lively(timm.create_model(name)), name, [64, 76], LITE_TAPS, (None, "libtorch"))


print(f"torch {torch.__version__}, torchvision {torchvision.__version__}, timm {timm.__version__}")
choose(None)
networks = sys.argv[2:] or TORCHVISION + TIMM
for other in TORCHVISION + TIMM:
    if other not in networks:
        leave_out(other, "not asked for")
for network in networks:
    check(f"{network} is known", network in TORCHVISION + TIMM)
    attempt(network, lambda: (check_timm if network in TIMM else check_torchvision)(network))
finish()
