# extract --backbones, and the names that people type for networks and their weights.
. "$(dirname "$0")/harness.sh"

# None of these may load libtorch.
export PERMAFROST_PLUGIN=/nonexistent/permafrost_torch.so
unset TORCH_HOME XDG_CACHE_HOME 2>/dev/null || :
export HOME=$WORK HF_HOME=$WORK/hf

# ---- the list ----

expect 0 extract --backbones
stderr_empty
stdout_has 'resnet50                  25.6 M     4.09 G   224  avgpool (2048)'
stdout_lacks IMAGENET1K # a line for each network, below its family's name
stdout_has 'Their weights: extract --backbones PATTERN'
checks=$((checks + 1))
grep -qx ResNet stdout || failed 'no line for the family'
stdout_has 'vit_b_16                  86.6 M     17.6 G   224  cls (768)'
checks=$((checks + 1))
awk 'length > 80 { exit 1 }' stdout || failed 'a line has more than 80 columns'
# Each network that there is, once.
listed=$(grep -c '^[a-z][a-z0-9_]* ' stdout)
checks=$((checks + 1))
grep -qx "$((listed - 1)) networks" stdout || failed "it does not list $((listed - 1)) networks"

expect 0 extract --backbones resnet50
stdout_has '    IMAGENET1K_V2, BSD-3-Clause, resnet50-11ad3fa6.pth,'
stdout_has 'from https://download.pytorch.org/models/, hub timm/resnet50.tv2_in1k'
checks=$((checks + 1))
# An address is in one piece, however long it is.
awk 'length > 80 && !/^ *from / { exit 1 }' stdout || failed 'a line has more than 80 columns, and not for an address'
expect 0 extract --backbones 'dinov2_*_reg'
stdout_has 'dinov2_vits14_reg '
stdout_has 'hub timm/vit_small_patch14_reg4_dinov2.lvd142m'
stdout_has 'Apache-2.0'
stdout_lacks 'dinov2_vits14 '
stdout_lacks 'resnet'
expect 0 extract --backbones VGG16_
grep -qx '1 network' stdout || failed 'it does not list one network'
expect 0 extract --backbones vit_small_patch14_dinov2.lvd142m
stdout_has 'dinov2_vits14 '
grep -qx '1 network' stdout || failed 'it does not list one network'
expect 2 extract --backbones densnet121
stderr_has 'Did you mean densenet121?'
stdout_empty
expect 2 extract --backbones 'q*'
expect 2 extract --backbones resnet --summary
stderr_has '--summary and --backbones are two different things'
expect 2 extract --backbones resnet vgg
expect 2 extract --backbones --input 32

expect 0 extract --backbones 'resnet50' --json list.json
stdout_empty
expect 0 extract --backbones --json list.json # its own may be replaced
expect 0 "$PYTHON" - list.json "$listed" <<'PY'
import json, sys
networks = {network["name"]: network for network in json.load(open(sys.argv[1]))["backbones"]}
assert len(networks) == int(sys.argv[2]) - 1, len(networks)
resnet = networks["resnet50"]
assert resnet["parameters"] == 25557032 and resnet["numbers"] == 2048 and resnet["tap_shape"] == [2048]
assert [weights["timm"] for weights in resnet["weights"]] == ["resnet50.tv_in1k", "resnet50.tv2_in1k"]
assert resnet["weights"][1]["preprocess"]["resize"] == 232
assert networks["dinov2_vits14"]["sides"] == "multiples of 14"
assert networks["vit_s_16"]["sides"] == "multiples of 16" and resnet["sides"] == "any"
assert networks["dinov2_vits14_reg"]["sides"] == "multiples of 14"
assert networks["dinov2_vits14_reg"]["side"] == 224
# torchvision's meta: parameters, and thousands of millions of multiply-adds.
for name, parameters, giga in ("vit_b_16", 86567656, 17.564), ("swin_t", 28288354, 4.491), ("swin_s", 49606258, 8.741):
    assert networks[name]["parameters"] == parameters, (name, networks[name]["parameters"])
    assert abs(networks[name]["multiply_adds"] / 1e9 - giga) < 0.005, (name, networks[name]["multiply_adds"])
assert networks["resnet18_w16"]["weights"] == []
PY
echo 'mine' > other.json
expect 1 extract --backbones --json other.json
stderr_has "'other.json' is there already"
expect 0 extract --backbones resnet18 --json -
stdout_has '"backbones"'

# ---- names ----

expect 0 extract --summary --backbone timm/vit_small_patch14_dinov2.lvd142m
stderr_has '--backbone timm/vit_small_patch14_dinov2.lvd142m is dinov2_vits14 with weights LVD142M'
stdout_has 'DinoVisionTransformer'
expect 0 extract --summary --backbone ResNet18
stderr_has '--backbone ResNet18 is resnet18'
expect 0 extract --summary --backbone resnet18
stderr_lacks 'is resnet18'

expect 0 extract --summary --backbone hf:timm/vit_small_patch14_dinov2.lvd142m # no repository is needed for that
stdout_has 'DinoVisionTransformer'

mkdir -p photos/a photos/b
for i in 1 2 3; do for class in a b; do printf 'P5 24 24 255\n%0576d' "$i" > photos/$class/$class$i.pgm; done; done

# What looks like a repository is answered as a name; what looks like a path, as a path.
for name in facebook/resnet-50 microsoft/resnet-50; do
  expect 2 extract photos -o x.h5 --backbone $name
  stderr_has 'Did you mean resnet50?'
done
expect 2 extract photos -o x.h5 --backbone ViT-B/16
stderr_has 'vit_b_16'
# Of a name that a repository has, that repository is looked for and named.
expect 1 extract photos -o x.h5 --backbone facebook/dinov2-small
stderr_has 'nor hf:facebook/dinov2-small in the cache of the Hugging Face hub'
stderr_has 'extract --fetch hf:facebook/dinov2-small'
expect 1 extract photos -o x.h5 --backbone openai/clip-vit-base-patch32
stderr_has 'as hf:openai/clip-vit-base-patch32'
expect 1 extract photos -o x.h5 --backbone hf:nobody/nothing
stderr_has 'extract --fetch hf:nobody/nothing'
expect 1 extract photos -o x.h5 --backbone ./resnet18
stderr_has "'./resnet18'"
expect 1 extract photos -o x.h5 --backbone folder/net.pt
stderr_has "'folder/net.pt'"
mkdir facebook; echo x > facebook/dinov2-small
expect 1 extract photos -o x.h5 --backbone facebook/dinov2-small # a file that is there is that file
stderr_lacks 'is dinov2_vits14'
rm -r facebook
expect 2 extract photos -o x.h5 --backbone resnet50.a1_in1k
stderr_has "resnet50 has no weights 'a1_in1k' here; it has resnet50.IMAGENET1K_V1 (timm's resnet50.tv_in1k)"

# A set that is named is the only one that is looked for, and its pixels are prepared as it asks.
mkdir -p .cache/torch/hub/checkpoints
: > .cache/torch/hub/checkpoints/resnet50-0676ba61.pth
expect 1 extract photos -o x.h5 --backbone resnet50.tv2_in1k
stderr_has 'no weights for resnet50 (IMAGENET1K_V2)'
stderr_has 'resnet50-11ad3fa6.pth'
stderr_has '  extract --fetch resnet50.IMAGENET1K_V2'
stderr_has 'nor hf:timm/resnet50.tv2_in1k in the cache of the Hugging Face hub'
rm .cache/torch/hub/checkpoints/resnet50-0676ba61.pth
expect 0 extract photos -o named.h5 --backbone ResNet50_Weights.DEFAULT --tap input
stderr_has 'is resnet50 with weights IMAGENET1K_V2'
stderr_has 'resize 232, centre crop 224, bilinear'
expect 0 extract photos -o named.h5 --backbone resnet50.tv2_in1k --tap input # the same cache
stderr_has 'up to date'
expect 4 extract photos -o named.h5 --backbone resnet50.tv_in1k --tap input
stderr_has 'preprocess.resize'

# A repository that holds a set that is known is that set, of others the JSON beside them says it, or a warning that nothing does.
commit=0123456789abcdef0123456789abcdef01234567
repository() { # repository ID [CONFIG]
  snapshot=hf/hub/models--timm--$1/snapshots/$commit
  mkdir -p "$snapshot" "$snapshot/../../refs"
  printf $commit > "$snapshot/../../refs/main"
  printf '@\0\0\0\0\0\0\0%-64s\0\0\0\0' '{"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}' > "$snapshot/model.safetensors"
  [ -z "${2-}" ] || echo "$2" > "$snapshot/config.json"
  expect 0 extract photos -o hub.h5 --force --backbone "hf:timm/$1" --tap input
}
expect 1 extract photos -o hub.h5 --backbone hf:timm/resnet50.tv2_in1k --tap input
stderr_has 'extract --fetch hf:timm/resnet50.tv2_in1k'
repository resnet50.tv2_in1k
stderr_has 'resize 232, centre crop 224, bilinear'
stderr_lacks 'no JSON'
expect 2 extract photos -o x.h5 --backbone resnet50.tv_in1k --weights hf:timm/resnet50.tv2_in1k --tap input
stderr_has 'names the weights IMAGENET1K_V1 of resnet50'
repository resnet50.tv2_in1k '{"architecture": "resnet50", "pretrained_cfg": {"input_size": [3, 64, 64]}}'
stderr_has 'resize 232, centre crop 224, bilinear' # the table knows the repository
stderr_has 'prepares images otherwise than this run. To follow it, add --resize 73 --crop 64'
repository resnet50.a1_in1k
stderr_has "no JSON beside them says how images are prepared; it is done as for the usual weights of resnet50"
stderr_has 'resize 256, centre crop 224'
repository resnet50.a1_in1k '{"architecture": "resnet50", "pretrained_cfg": {"input_size": [3, 288, 288], "crop_pct": 1.0}}'
stderr_has 'resize 288, centre crop 288'
stderr_lacks 'no JSON'

# The cache has the network's own name, which predict and train take from it.
unset PERMAFROST_PLUGIN
expect 0 extract photos -o random.h5 --backbone ResNet18_W16 --weights random:1
expect 0 extract photos -o random.h5 --backbone resnet18_w16 --weights random:1
stderr_has 'up to date'
expect 0 extract --info random.h5
stdout_has 'resnet18_w16'
checks=$((checks + 1))
! grep -v '^provenance' stdout | grep -q ResNet18 || failed 'the identity has another name than resnet18_w16'
expect 0 train random.h5 -o model.safetensors --epochs 1
expect 0 predict model.safetensors photos/a

# ---- taps ----

expect 2 extract --summary --backbone efficientnet_b0 --tap features.99
stderr_has 'Did you mean features.'
expect 2 extract --summary --backbone resnet18 --tap layr4
stderr_has 'Did you mean layer4?'
expect 2 extract --summary --backbone dinov2_vits14 --tap blocks.12
stderr_has 'Did you mean blocks.1'

# ---- --image-size ----

expect 0 extract photos -o size.h5 --backbone vit_b_16 --tap input --image-size 336
stderr_has 'resize 384, centre crop 336'
expect 0 extract photos -o size.h5 --backbone vit_b_16 --tap input --resize 384 --crop 336
stderr_has 'up to date' # no more than these two is noted
expect 0 extract photos -o tiny.h5 --backbone convnext_small --tap input --image-size 100
stderr_has 'resize 103, centre crop 100' # 230 / 224 of 100 is 102.7
expect 0 extract photos -o squash.h5 --backbone resnet18 --tap input --image-size 64 --squash
stderr_has 'squash to 64x64'
# --resize and --crop say otherwise than weights that squash.
expect 0 extract photos -o resized.h5 --backbone siglip_vit_b_16 --weights random:0 --tap input --resize 64 --crop 64 --dry-run
stderr_has 'resize 64, centre crop 64'; stderr_lacks 'squash to'
for option in '--crop 64' '--resize 64' '--resize 64 --crop 64'; do
  expect 2 extract photos -o x.h5 --backbone resnet18 --tap input --image-size 64 $option
  stderr_has '--image-size sets both --resize and --crop'
done
expect 2 extract photos -o x.h5 --backbone dinov2_vits14 --weights random:1 --image-size 225
stderr_has 'multiples of 14 pixels, its patches. The nearest are 224 and 238'
expect 2 extract photos -o x.h5 --backbone dinov2_vits14 --weights random:1 --image-size 7
stderr_has 'The nearest is 14'
expect 2 extract photos -o x.h5 --backbone vit_s_16 --weights random:1 --image-size 230
stderr_has 'multiples of 16 pixels, its patches. The nearest are 224 and 240'
expect 2 extract photos -o x.h5 --image-size 16384 --tap input
stderr_has 'would be resized to 18725 pixels'
# predict takes the model's.
expect 0 extract photos -o sized.h5 --backbone resnet18_w16 --weights "$WEIGHTS" --image-size 64
expect 0 train sized.h5 -o sized.safetensors --epochs 1
expect 0 predict sized.safetensors photos/a

# ---- what the JSON beside a file says ----

mkdir own && cp "$WEIGHTS" own/model.safetensors
own() { extract photos -o own.h5 --backbone resnet18_w16 --weights own "$@"; }
says() { # says CONFIG PIXELS [OPTION...]: with that text beside the weights they are prepared so.
  printf '%s' "$1" > "own/$name"; pixels=$2; shift 2
  expect 0 own --force "$@"
  stderr_has "'own/$name', beside the weights, says how images are prepared"
  stderr_has "$pixels"
  [ $# -gt 0 ] || stderr_lacks otherwise
}
refuses() { # refuses CONFIG WORDS OPTION...: it asks for what is not done; with the option it is.
  printf '%s' "$1" > "own/$name"; words=$2; shift 2
  expect 1 own --force
  stderr_has "$words, which is not done here"
  expect 0 own --force "$@"
}
name=config.json
says '{"architecture": "resnet18", "pretrained_cfg": {"input_size": [3, 64, 64], "crop_pct": 0.95, "interpolation": "bicubic", "crop_mode": "center"}}' 'resize 67, centre crop 64, bicubic'
says '{"input_size": [3, 64, 64], "crop_pct": 1.0, "interpolation": "bilinear"}' 'resize 64, centre crop 64, bilinear'
says '{"pretrained_cfg": {"input_size": [3, 48, 48], "test_input_size": [3, 64, 64], "crop_pct": 0.875, "test_crop_pct": 1.0, "crop_mode": "squash"}}' 'squash to 64x64'
says '{"pretrained_cfg": {"input_size": [3, 64, 64], "crop_pct": 0.5, "mean": [0.5, 0.5, 0.5]}}' 'resize 192, centre crop 96' --image-size 96
expect 0 extract --info own.h5
stdout_has '"mean":[0.5,0.5,0.5]'
refuses '{"pretrained_cfg": {"input_size": [3, 64, 64], "crop_mode": "border"}}' 'asks for borders around images (crop_mode border)' --crop 64
refuses '{"pretrained_cfg": {"input_size": [3, 64, 96]}}' 'asks for sizes or crops that are not square' --crop 64
refuses '{"pretrained_cfg": {"input_size": [3, 64, 64], "crop_pct": 0.9, "crop_mode": "squash"}}' 'asks for squashing to more than the crop' --crop 64 --squash
refuses '{"pretrained_cfg": {"input_size": [3, 64, 64], "interpolation": "lanczos"}}' 'asks for resampling lanczos' --interpolation bicubic
refuses '{"pretrained_cfg": {"input_size": [3, 64, 64], "crop_pct": 0}}' 'asks for a crop_pct that is not between 0.1 and 1' --crop 64
refuses '{"pretrained_cfg": {"input_size": [3, 64, 64], "crop_mode": "x"}}' 'asks for a crop_mode that is not known here' --crop 64
# Another program's config.json says nothing of pixels; nor does it where published weights are known.
echo '{"model_type": "resnet", "hidden_act": "relu"}' > own/config.json
expect 0 own --force
stderr_lacks 'beside the weights'
# A cache that was begun without one goes on as it began.
echo '{"pretrained_cfg": {"input_size": [3, 64, 64]}}' > own/config.json
expect 0 own
stderr_has 'up to date'
expect 0 own --tap avgpool,layer1
stderr_has 'resize 96, centre crop 96'
stderr_has 'prepares images otherwise than this run'
rm own.h5
expect 0 own
stderr_has 'resize 73, centre crop 64'
expect 0 own
stderr_has 'up to date'
expect 0 train own.h5 -o own.safetensors --epochs 1
echo '{"pretrained_cfg": {"input_size": [3, 48, 48], "interpolation": "lanczos"}}' > own/config.json
expect 0 predict own.safetensors photos/a # the model says how
rm own/config.json
name=preprocessor_config.json
says '{"size": {"shortest_edge": 80}, "do_center_crop": true, "crop_size": {"height": 64, "width": 64}, "resample": 3, "image_mean": [0.5, 0.5, 0.5]}' 'resize 80, centre crop 64, bicubic'
says '{"size": {"height": 64, "width": 64}}' 'squash to 64x64'
# A number is a square, or the shorter side: as the processor has it.
says '{"feature_extractor_type": "ViTFeatureExtractor", "size": 64, "resample": 2}' 'squash to 64x64'
for type in CLIPFeatureExtractor CLIPImageProcessor CLIPImageProcessorFast ChineseCLIPFeatureExtractor BitImageProcessor MobileNetV1FeatureExtractor VideoMAEFeatureExtractor; do
  says '{"feature_extractor_type": "'$type'", "size": 64, "crop_size": 48, "do_center_crop": true, "resample": 3}' 'resize 64, centre crop 48, bicubic'
done
says '{"image_processor_type": "CLIPImageProcessor", "size": {"height": 64, "width": 64}, "crop_size": 64, "do_center_crop": true}' 'squash to 64x64'
says '{"feature_extractor_type": "LevitFeatureExtractor", "size": 56, "crop_size": 56, "do_center_crop": true}' 'resize 64, centre crop 56'
says '{"image_processor_type": "PoolFormerImageProcessor", "size": 54, "crop_pct": 0.9, "crop_size": 54, "do_center_crop": true}' 'resize 60, centre crop 54'
# Older files have one size for both, or leave out that they crop.
says '{"feature_extractor_type": "LevitFeatureExtractor", "size": 56, "do_center_crop": true, "resample": 3}' 'resize 64, centre crop 56, bicubic'
says '{"feature_extractor_type": "PoolFormerFeatureExtractor", "size": 54, "crop_pct": 0.9, "do_resize_and_center_crop": true}' 'resize 60, centre crop 54'
says '{"feature_extractor_type": "CLIPFeatureExtractor", "size": 64}' 'resize 64, centre crop 64'
says '{"feature_extractor_type": "ViTFeatureExtractor", "size": 64}' 'squash to 64x64'
refuses '{"feature_extractor_type": "CLIPFeatureExtractor", "size": 64, "do_center_crop": false}' 'asks for sizes or crops that are not square' --crop 64
refuses '{"feature_extractor_type": "DetrFeatureExtractor", "size": 64}' 'asks for sizes or crops that are not square' --crop 64
refuses '{"size": 64, "resample": 1}' 'asks for resampling lanczos' --interpolation bilinear
refuses '{"image_std": [0.5, 0, 0.5]}' 'asks for a mean and a deviation that cannot be' --mean 0 --std 1
refuses '{"rescale_factor": 1.0}' 'asks for another scale of pixels than 1/255' --mean 0 --std 1

# ---- of weights that the table knows, it does not ----

mkdir known
"$PYTHON" - "$WEIGHTS" << 'END'
import json
import struct
import sys

data = open(sys.argv[1], "rb").read()
end = 0
header = {}
for name, tensor in json.loads(data[8:8 + struct.unpack("<Q", data[:8])[0]]).items():
    if name != "__metadata__" and tensor["dtype"] != "I64":  # four times as wide, and a thousand classes
        shape = [{10: 1000}.get(size, size if size < 10 else 4 * size) for size in tensor["shape"]]
        count = 2
        for size in shape:
            count *= size
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [end, end + count]}
        end += count
text = json.dumps(header).encode()
with open("known/model.safetensors", "wb") as file:
    file.write(struct.pack("<Q", len(text)) + text + bytes(end))
END
echo '{"size": {"height": 64, "width": 64}}' > known/preprocessor_config.json
expect 0 extract photos -o k.h5 --backbone resnet18.IMAGENET1K_V1 --weights known
stderr_has 'resize 256, centre crop 224'
stderr_has 'prepares images otherwise than this run. To follow it, add --squash --crop 64'
expect 0 extract photos -o f.h5 --backbone resnet18 --weights known
stderr_has 'squash to 64x64'
# A cache that followed it goes on as it began.
expect 0 extract photos -o f.h5 --backbone resnet18.IMAGENET1K_V1 --weights known
stderr_has 'up to date'
expect 0 extract photos -o f.h5 --backbone resnet18.IMAGENET1K_V1 --weights known --tap avgpool,layer1
stderr_has 'squash to 64x64'

done_with
