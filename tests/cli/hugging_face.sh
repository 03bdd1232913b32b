# Weights as Hugging Face lays them out: names of its ResNets, folders, shards; distributed checkpoints.
. "$(dirname "$0")/harness.sh"
needs_torch
mkdir -p photos/a photos/b
for i in 1 2 3; do for class in a b; do printf 'P5 24 24 255\n%0576d' "$i" > photos/$class/$class$i.pgm; done; done

# theirs/ of the sample under Hugging Face's names, outer/ with more before them, shards/ in three files; deep.safetensors: a ResNet-50 of zeros.
"$PYTHON" - "$WEIGHTS" << 'END'
import json
import math
import os
import re
import struct
import sys


def read(path):
    data = open(path, "rb").read()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    header.pop("__metadata__", None)
    return {name: (entry["dtype"], entry["shape"],
                   data[8 + size + entry["data_offsets"][0]:8 + size + entry["data_offsets"][1]])
            for name, entry in header.items()}


def write(path, tensors):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(data for _, _, data in tensors.values()))


def theirs(name, before="resnet."):
    """torchvision's name as transformers has it."""
    stem = re.fullmatch(r"(conv|bn)1\.(.*)", name)
    if stem:
        return before + "embedder.embedder." + {"conv": "convolution.", "bn": "normalization."}[stem[1]] + stem[2]
    layer = re.fullmatch(r"layer(\d)\.(\d+)\.(conv|bn)(\d)\.(.*)", name)
    if layer:
        part = {"conv": "convolution", "bn": "normalization"}[layer[3]]
        return f"{before}encoder.stages.{int(layer[1]) - 1}.layers.{layer[2]}.layer.{int(layer[4]) - 1}.{part}.{layer[5]}"
    shortcut = re.fullmatch(r"layer(\d)\.(\d+)\.downsample\.(\d)\.(.*)", name)
    if shortcut:
        part = ["convolution", "normalization"][int(shortcut[3])]
        return f"{before}encoder.stages.{int(shortcut[1]) - 1}.layers.{shortcut[2]}.shortcut.{part}.{shortcut[4]}"
    return before.replace("resnet.", "") + "classifier.1." + name.split(".")[1]


def resnet50():
    yield "conv1.weight", [64, 3, 7, 7]
    widths, depths = [64, 128, 256, 512], [3, 4, 6, 3]
    norms = [("bn1", 64)]
    for s, (width, depth) in enumerate(zip(widths, depths)):
        for b in range(depth):
            before = f"layer{s + 1}.{b}."
            into = (widths[max(s - 1, 0)] * (4 if s else 1)) if b == 0 else 4 * width
            for i, shape in enumerate(([width, into, 1, 1], [width, width, 3, 3], [4 * width, width, 1, 1])):
                yield f"{before}conv{i + 1}.weight", shape
                norms.append((f"{before}bn{i + 1}", shape[0]))
            if b == 0:
                yield before + "downsample.0.weight", [4 * width, into, 1, 1]
                norms.append((before + "downsample.1", 4 * width))
    for name, width in norms:
        for part in "weight", "bias", "running_mean", "running_var":
            yield f"{name}.{part}", [width]
        yield name + ".num_batches_tracked", []
    yield "fc.weight", [1000, 2048]
    yield "fc.bias", [1000]


own = read(sys.argv[1])
write("theirs/model.safetensors", {theirs(name): tensor for name, tensor in own.items()})
write("outer.safetensors", {theirs(name, "model.resnet."): tensor for name, tensor in own.items()})
write("bare.safetensors", {theirs(name, ""): tensor for name, tensor in own.items() if not name.startswith("fc.")})
write("own/model.safetensors", own)
# The same numbers in eight bytes each; rounded to two bytes in both ways, and those numbers in four bytes again.
unpack = lambda code, data: struct.unpack(f"<{len(data) // struct.calcsize(code)}{code}", data)
pack = lambda code, values: struct.pack(f"<{len(values)}{code}", *values)
shorten = lambda data: b"".join(data[i + 2:i + 4] for i in range(0, len(data), 4))
lengthen = lambda data: b"".join(b"\0\0" + data[i:i + 2] for i in range(0, len(data), 2))
for name, dtype, change in [("double", "F64", lambda data: pack("d", unpack("f", data))),
                            ("brain", "BF16", shorten), ("brain_long", "F32", lambda data: lengthen(shorten(data))),
                            ("half", "F16", lambda data: pack("e", unpack("f", data))),
                            ("half_long", "F32", lambda data: pack("f", unpack("e", pack("e", unpack("f", data)))))]:
    write(name + ".safetensors", {key: (dtype, tensor[1], change(tensor[2])) if tensor[0] == "F32" else tensor
                                  for key, tensor in own.items()})
# Types that are not read, beside the tensors and in the place of one of them.
eight = lambda name: ("F8_E4M3", own[name][1], bytes(math.prod(own[name][1])))
beside = {"layer1.0.conv1.input_scale": ("F8_E8M0", [3], bytes(3)), "packed": ("U32", [2, 1], bytes(8))}
write("beside/model.safetensors", {**beside, **own})
write("eight.safetensors", {theirs(name): eight(name) if name == "layer1.0.conv1.weight" else tensor
                            for name, tensor in own.items()})
write("all8.safetensors", {"net." + name: eight(name) for name in own if name.endswith("conv1.weight")})
write("pair/a.safetensors", own)
write("pair/b.safetensors", beside)
with open("pair/model.safetensors.index.json", "w") as file:
    json.dump({"weight_map": {**dict.fromkeys(own, "a.safetensors"), **dict.fromkeys(beside, "b.safetensors")}}, file)
names = list(own)
weight_map = {}
for i in range(3):
    part = f"model-0000{i + 1}-of-00003.safetensors"
    write("shards/" + part, {name: own[name] for name in names[i::3]})
    weight_map.update({name: part for name in names[i::3]})
for name, lines in ("model.safetensors", weight_map), ("wrong", {**weight_map, names[0]: part}), \
        ("outside", {**weight_map, names[0]: "../own/model.safetensors"}):
    with open(f"shards/{name}.index.json", "w") as file:
        json.dump({"metadata": {"total_size": 1}, "weight_map": lines}, file)
count = lambda shape: 2 * math.prod(shape)
write("deep.safetensors", {theirs(name): ("F16", shape, bytes(count(shape))) for name, shape in resnet50()})
END

features() { digest_cache "$1" | grep 'features/'; }
same_features() {
  checks=$((checks + 1))
  [ -n "$(features reference.h5)" ] || failed 'no features to compare'
  [ "$(features reference.h5)" = "$(features "$1")" ] || failed "'$1' has other features"
}
take() { expect 0 extract photos -o "$1" --force --backbone resnet18_w16 --weights "$2" --resize 32 --crop 32 --tap "${3:-avgpool,fc}"; }
take reference.h5 "$WEIGHTS"

# ---- names ----

for weights in theirs/model.safetensors outer.safetensors; do
  take c.h5 $weights
  stderr_has "weights '$weights': a ResNet by Hugging Face's names, which are read as torchvision's"
  stderr_lacks 'no counterpart'
  same_features c.h5
done
take c.h5 double.safetensors
same_features c.h5
cp reference.h5 whole.h5
for name in brain half; do
  take reference.h5 ${name}_long.safetensors
  take c.h5 $name.safetensors
  same_features c.h5
  checks=$((checks + 1))
  [ "$(features whole.h5)" != "$(features c.h5)" ] || failed 'rounded weights give the same features'
done
mv whole.h5 reference.h5
take c.h5 bare.safetensors avgpool
stderr_lacks 'no counterpart'
expect 1 extract photos -o d.h5 --backbone resnet18 --weights deep.safetensors
stderr_has 'Hint: these look like resnet50 weights'
expect 1 extract photos -o d.h5 --backbone resnet18 --weights theirs/model.safetensors
stderr_has 'Hint: these look like resnet18_w16 weights'

# ---- types that are not read ----

take c.h5 beside
same_features c.h5
expect 1 extract photos -o d.h5 --backbone resnet18_w16 --weights eight.safetensors
stderr_has '1 of 100 tensors do not fit resnet18_w16:'
stderr_has "'layer1.0.conv1.weight' is F8_E4M3, which is not read, expected (16,16,3,3)"
expect 1 extract photos -o d.h5 --backbone resnet18_w16 --weights all8.safetensors
stderr_has "hold no tensors of types that are read; of 9 others 'net.conv1.weight' is F8_E4M3"
expect 1 extract photos -o d.h5 --backbone resnet18_w16 --weights 'beside/model.safetensors#none'
stderr_has "'packed'"

# ---- folders ----

for folder in own/ pair shards; do
  take c.h5 $folder
  same_features c.h5
done
stderr_has 'shards/model.safetensors.index.json'
lines=$(cd shards && sha256sum model-*.safetensors | sha256sum | cut -c1-8)
stderr_has "sha256 $lines"
expect 0 extract photos -o c.h5 --backbone resnet18_w16 --weights shards/model.safetensors.index.json --resize 32 --crop 32 --tap avgpool,fc
stderr_has 'up to date'
expect 0 train c.h5 -q --tap avgpool --epochs 1 --val 0 -o m.safetensors
expect 0 predict m.safetensors photos/a/*.pgm -q

# ---- what config.json and preprocessor_config.json say ----

fake_backbone
follows() { # follows CONFIG NAME WORDS: with that text in the file NAME of own/, extract warns with these words, and no longer where it does as they say.
  rm -f own/*.json && printf '%s' "$1" > "own/$2"
  expect 0 extract photos -o d.h5 --force --backbone resnet18_w16 --weights own --resize 32 --crop 32 $OPTIONS
  if [ -z "$3" ]; then stderr_lacks otherwise; else stderr_has "'own/$2', beside the weights, prepares images otherwise than this run$3"; fi
}
# (What is given by options goes before what they say; what is not, they decide.)
OPTIONS='--mean 0.485,0.456,0.406 --std 0.229,0.224,0.225'
follows '{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.25, 0.5], "size": {"height": 48, "width": 48}, "resample": 3}' preprocessor_config.json \
  '. To follow it, add --mean 0.5,0.5,0.5 --std 0.5,0.25,0.5 --squash --crop 48'
follows '{"image_mean": [0.485, 0.456, 0.406], "size": {"shortest_edge": 28}, "crop_pct": 0.875, "feature_extractor_type": "ConvNextFeatureExtractor"}' \
  preprocessor_config.json '. To follow it, add --resize 32 --crop 28'
follows '{"size": 384, "image_processor_type": "ConvNextImageProcessor"}' preprocessor_config.json '. To follow it, add --squash --crop 384'
follows '{"size": {"shortest_edge": 40}, "do_center_crop": true, "crop_size": {"height": 32, "width": 32}, "resample": 2}' preprocessor_config.json \
  '. To follow it, add --resize 40 --crop 32'
follows '{"do_normalize": false, "do_resize": false}' preprocessor_config.json '. To follow it, add --mean 0,0,0 --std 1,1,1'
follows '{"rescale_factor": 0.00784313725}' preprocessor_config.json '; it asks for what is not done here: another scale of pixels than 1/255'
follows '{"pretrained_cfg": {"input_size": [3, 30, 30], "crop_pct": 0.95, "interpolation": "bicubic", "mean": [0.5, 0.5, 0.5], "std": [0.229, 0.224, 0.225]}}' \
  config.json '. To follow it, add --mean 0.5,0.5,0.5 --resize 31 --crop 30'
# Whoever does as they say, or whose files say nothing else, hears nothing.
follows '{"architectures": ["ResNet"], "size": "large", "image_mean": [1], "pretrained_cfg": 3}' config.json ''
OPTIONS='--mean .5,.5,.5 --std .5,.25,.5 --interpolation bicubic'
follows '{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.25, 0.5], "size": {"shortest_edge": 32}, "do_center_crop": true, "crop_size": 32, "resample": 3}' \
  preprocessor_config.json ''
follows '{"model_cfg": {"embed_dim": 8, "vision_cfg": {"image_size": 40}}, "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "interpolation": "bicubic", "resize_mode": "squash"}}' \
  open_clip_config.json '. To follow it, add --std 0.5,0.5,0.5 --squash --crop 40'
follows '{"model_cfg": {"vision_cfg": {"image_size": 40}}, "preprocess_cfg": {"resize_mode": "longest"}}' \
  open_clip_config.json '; it asks for what is not done here: borders around images (resize_mode longest)'
follows '{"model_cfg": {}}' open_clip_config.json ''
follows 'nothing' preprocessor_config.json ''
stderr_has "'own/preprocessor_config.json', beside the weights, is not read:"
for config in '{"downsample_in_bottleneck": true}' '{"downsample_in_first_stage": true}' '{"hidden_act": "gelu"}'; do
  echo "$config" > theirs/config.json
  expect 1 extract photos -o d.h5 --force --backbone resnet18_w16 --weights theirs
  stderr_has "another network than torchvision's ResNet"
done

wrong() {
  expect 1 extract photos -o d.h5 --backbone resnet18_w16 --weights "$1"
  shift; for words in "$@"; do stderr_has "$words"; done
  stderr_lacks damaged
}
wrong shards/wrong.index.json "which does not hold it" 'of one download'
wrong shards/outside.index.json 'does not name a file beside it'
mv shards/model-00002-of-00003.safetensors elsewhere.safetensors
wrong shards "model-00002-of-00003.safetensors'" 'No such file'
mkdir -p pieces other none
: > pieces/.metadata && printf 'PK\003\004 and so on' > pieces/__0_0.distcp
: > other/run.ckpt
for path in pieces pieces/__0_0.distcp; do
  wrong $path 'a distributed checkpoint' 'format_utils dcp_to_torch FOLDER w.pth'
done
wrong other 'is a folder' "in it are 'run.ckpt'"
wrong none 'is a folder' 'Hint: name a file'
done_with
