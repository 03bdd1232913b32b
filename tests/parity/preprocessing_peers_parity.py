#!/usr/bin/env python3
"""The same against current torchvision, and timm's pretrained_cfg of every set of weights that has a timm name: file,
repository, licence and how images are prepared, as timm validates (test_input_size where there is one).

    preprocessing_peers_parity.py RUN_BACKBONE

extract is taken from the same build.

Where timm prepares images otherwise than the authors of the weights, DIFFERENT says so; ours follow the authors. One
that is named there and does not differ fails.
"""
import math
import os
import sys
from pathlib import Path

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from preprocessing_parity import check_torchvision, differences, listed, understood

DIFFERENT = {
    # torchvision's weights, which it evaluates with bilinear resizing.
    "densenet121.tv_in1k": {"interpolation", "licence"}, "densenet161.tv_in1k": {"interpolation", "licence"},
    "densenet169.tv_in1k": {"interpolation", "licence"}, "densenet201.tv_in1k": {"interpolation", "licence"},
    "resnext101_64x4d.tv_in1k": {"resize"},
    "inception_v3.tv_in1k": {"resize", "interpolation", "url"},  # an older file of the same numbers
    # Meta evaluates at 224 pixels of 256, OpenAI and Google at 224 of the whole; the licence of OpenAI's is that of their code,
    # and of LAION's none is known here.
    **{f"vit_{size}_patch14_{kind}.lvd142m": {"resize", "crop"} for size in ("small", "base", "large", "giant")
       for kind in ("dinov2", "reg4_dinov2")},
    **{f"vit_{size}_patch16_dinov3.lvd1689m": {"crop"} for size in ("small", "base", "large")},  # at 256 of 256
    **{f"convnext_{size}.dinov3_lvd1689m": {"resize"} for size in ("tiny", "small", "base", "large")},
    "vit_base_patch32_clip_224.openai": {"resize", "licence"}, "vit_base_patch16_clip_224.openai": {"resize", "licence"},
    "vit_large_patch14_clip_224.openai": {"licence"},
    "vit_base_patch32_clip_224.laion2b": {"resize", "licence"}, "vit_base_patch16_clip_224.laion2b": {"licence"},
    "vit_large_patch14_clip_224.laion2b": {"licence"},
    "vit_base_patch16_siglip_224.webli": {"resize", "hub"},  # open_clip's repository, with the tower of texts
}


def prepared(cfg):
    from timm.data import resolve_data_config
    data = resolve_data_config(pretrained_cfg=cfg.to_dict(), use_test_size=True)
    _, height, width = data["input_size"]
    assert height == width and data["crop_mode"] in ("center", "squash"), data
    resize = math.floor(height / data["crop_pct"])
    if data["crop_mode"] == "squash" and resize == height:
        resize = 0
    return {"resize": resize, "crop": height, "interpolation": data["interpolation"], "mean": data["mean"],
            "std": data["std"]}


def spdx(licence):
    return licence.lower().replace(" ", "-")


def check_entry(ours, cfg):
    yield from differences(ours["preprocess"], prepared(cfg))
    if cfg.url and ours["url"] and cfg.url != ours["url"] + ours["file"]:
        yield f"url {ours['url']}{ours['file']}, theirs {cfg.url}"
    if ours["hub"] and ours["hub"].startswith("timm/") and ours["hub"] != "timm/" + ours["timm"]:
        yield f"hub {ours['hub']}"
    if cfg.license and spdx(ours["licence"] or "") != spdx(cfg.license):
        yield f"licence {ours['licence']}, theirs {cfg.license}"


def check_timm(extract):
    import timm
    problems, compared = [], 0
    for name, network in listed(extract).items():
        for ours in network["weights"]:
            if not ours["timm"]:
                continue
            cfg = timm.models.get_pretrained_cfg(ours["timm"], allow_unregistered=False)
            compared += 1
            found = list(check_entry(ours, cfg))
            kinds = {text.split()[0] for text in found}
            expected = DIFFERENT.get(ours["timm"], set())
            problems += [f"{ours['timm']}: {text}" for text in found if text.split()[0] not in expected]
            problems += [f"{ours['timm']}: {kind} does not differ" for kind in expected - kinds]
            if understood(extract, ours["timm"]) != (name, ours["name"]):
                problems.append(f"{ours['timm']} is read as {understood(extract, ours['timm'])}")
    return problems, compared


def main():
    try:
        import timm
        import torchvision
    except ImportError as reason:
        print(f"SKIP: {reason}")
        return 77
    extract = Path(sys.argv[1]).resolve().parent.parent / "bin/extract"
    problems, sets = check_torchvision(extract)
    more, entries = check_timm(extract)
    print("\n".join(problems + more))
    print(f"torchvision {torchvision.__version__}: {sets} sets of weights; timm {timm.__version__}: {entries}; "
          f"{len(problems + more)} problems")
    return bool(problems + more) or sets < 40 or entries < 20


if __name__ == "__main__":
    sys.exit(main())
