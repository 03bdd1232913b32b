#!/usr/bin/env python3
"""How images are prepared for published weights, against torchvision's own transforms: of every set of weights
of every network that has a torchvision name, file, resize, crop, interpolation, mean and deviation.

    preprocessing_parity.py EXTRACT

Sets that torchvision has and we do not are named in MISSING; one that is named there and is not missing fails.
Skipped (77) without torchvision's enums of weights (0.13 and later).
"""
import json
import subprocess
import sys

# Trained at other sizes of images, with as many positions.
MISSING = {("vit_b_16", "IMAGENET1K_SWAG_E2E_V1"), ("vit_l_16", "IMAGENET1K_SWAG_E2E_V1"),
           ("vit_h_14", "IMAGENET1K_SWAG_E2E_V1")}
# torchvision gave these files new names in 0.15: the digits of the old ones are not those of their SHA-256.
RENAMED = "rwightman", "lukemelas"
# The numbers of these files are Google's, whose licence torchvision does not say; others' it does not know either.
UNLICENSED = *RENAMED, "v2_l", "amdegroot", "googlenet"
# Normalised as for other networks and turned by transform_input, which comes to this.
TURNED = {name: {"mean": [0.5] * 3, "std": [0.5] * 3} for name in ("inception_v3", "googlenet")}


def listed(extract):
    text = subprocess.run([extract, "--backbones", "--json", "-"], check=True, capture_output=True, text=True).stdout
    return {network["name"]: network for network in json.loads(text)["backbones"]}


def understood(extract, spelling):
    """The network and the set that a spelling means, or the answer to it."""
    done = subprocess.run([extract, "--summary", "--backbone", spelling], capture_output=True, text=True)
    words = done.stderr.split()
    if done.returncode == 2 and "has no weights" in done.stderr:
        return None
    assert done.returncode == 0 and words[:2] == ["--backbone", spelling], done.stderr
    return words[3], words[6] if len(words) > 6 else None


def differences(ours, theirs):
    """Of two dicts of resize, crop, interpolation, mean and std."""
    for key in ("resize", "crop", "interpolation"):
        if ours[key] != theirs[key]:
            yield f"{key} {ours[key]}, theirs {theirs[key]}"
    for key in ("mean", "std"):
        if max(abs(a - b) for a, b in zip(ours[key], theirs[key])) > 1e-6:
            yield f"{key} {ours[key]}, theirs {theirs[key]}"


def preset(weights):
    """Of torchvision.transforms._presets.ImageClassification."""
    transform = weights.transforms()
    (resize,), (crop,) = transform.resize_size, transform.crop_size
    return {"resize": resize, "crop": crop, "interpolation": transform.interpolation.value,
            "mean": transform.mean, "std": transform.std}


def check_set(name, ours, weights, is_current):
    if ours["preprocess"]["squash"]:
        yield "squash"
    yield from differences(ours["preprocess"], {**preset(weights), **TURNED.get(name, {})})
    folder, _, file = weights.url.rpartition("/")
    if folder + "/" != ours["url"]:
        yield f"url {ours['url']}, theirs {folder}/"
    if file != ours["file"] and (is_current or not any(part in file for part in RENAMED)):
        yield f"file {ours['file']}, theirs {file}"
    if not ours["licence"] and not any(part in file for part in UNLICENSED):
        yield "no licence"


def check_torchvision(extract):
    """What differs, and how many sets were compared."""
    import torchvision
    is_current = tuple(map(int, torchvision.__version__.split("+")[0].split(".")[:2])) >= (0, 15)
    enums = {name.lower(): value for name, value in vars(torchvision.models).items() if name.endswith("_Weights")}
    problems, compared, missing = [], 0, set()
    for name, network in listed(extract).items():
        enum = enums.get(name.lower() + "_weights")
        if not enum:
            continue
        sets = {weights["name"]: weights for weights in network["weights"]}
        for weights in enum:
            if weights.name not in sets:
                missing.add((name, weights.name))
                continue
            compared += 1
            problems += [f"{name}.{weights.name}: {text}" for text in check_set(name, sets[weights.name], weights, is_current)]
        default = (name, enum.DEFAULT.name)
        found = understood(extract, f"{enum.__name__}.DEFAULT")
        if found != (None if default in MISSING else default):
            problems.append(f"{enum.__name__}.DEFAULT is read as {found}, theirs is {default}")
        # What a network without known weights gets is what its first set wants.
        if network["weights"]:
            problems += [f"{name}: {text}" for text in differences(network["preprocess"], network["weights"][0]["preprocess"])]
    problems += [f"{name}.{label} is missing" for name, label in sorted(missing - MISSING)]
    problems += [f"{name}.{label} is not missing" for name, label in sorted(MISSING - missing)]
    return problems, compared


def main():
    try:
        import torchvision
        torchvision.models.ResNet18_Weights
    except (ImportError, AttributeError) as reason:
        print(f"SKIP: no torchvision with enums of weights: {reason}")
        return 77
    problems, compared = check_torchvision(sys.argv[1])
    print("\n".join(problems))
    print(f"torchvision {torchvision.__version__}: {compared} sets of weights, {len(problems)} problems")
    return bool(problems) or compared < 40


if __name__ == "__main__":
    sys.exit(main())
