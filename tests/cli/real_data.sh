# Real photographs through real backbones: PERMAFROST_DATA names a folder that
# holds hymenoptera_data/, mobilenet_v1_imagenet.pt, resnet20_cifar10.pt.
. "$(dirname "$0")/harness.sh"
needs_torch
DATA=${PERMAFROST_DATA:-}
for name in hymenoptera_data mobilenet_v1_imagenet.pt resnet20_cifar10.pt; do
  [ -n "$DATA" ] && [ -e "$DATA/$name" ] || skip "PERMAFROST_DATA names no folder that holds $name"
done

# MobileNetV1's pooled features tell ants from bees; several taps in one pass. One of the images is a
# GIF, which torchvision leaves out by its name.
expect 0 extract "$DATA/hymenoptera_data" -o h.h5 --backbone "$DATA/mobilenet_v1_imagenet.pt" \
  --tap pool --mean .5,.5,.5 --std .5,.5,.5
stderr_has 'imageNotFound.gif'
stderr_has '398 rows'
expect 0 train h.h5 -o h.safetensors --assert 'val.accuracy>=0.915'
expect 1 predict h.safetensors "$DATA/hymenoptera_data/val/bees"
stderr_has "  --backbone $(realpath "$DATA/mobilenet_v1_imagenet.pt")"
expect 0 predict h.safetensors "$DATA/hymenoptera_data/val/bees" --top 2 --backbone "$DATA/mobilenet_v1_imagenet.pt"
[ "$(grep -c ',bees,' stdout)" -ge 70 ] || failed 'most bees should be bees'
expect 0 extract "$DATA/hymenoptera_data/val" -o maps.h5 --backbone "$DATA/mobilenet_v1_imagenet.pt" \
  --mean .5 --std .5
stderr_has 'tap conv_pw_11 (512,14,14) f16'
stderr_has 'tap pool (1024) f16'
expect 2 extract "$DATA/hymenoptera_data/val" -o x.h5 --backbone "$DATA/mobilenet_v1_imagenet.pt" --tap fc
stderr_has 'it returns: conv_pw_11, pool'
expect 4 extract "$DATA/hymenoptera_data" -o h.h5 --backbone "$DATA/resnet20_cifar10.pt" --resize 32 --crop 32
stderr_has 'backbone.torchscript_sha256'

# VGG-16 with random weights: 25,088 values a row, and a head on them.
mkdir -p few/ants few/bees
for class in ants bees; do
  find "$DATA/hymenoptera_data/train/$class" -name '*.jpg' | sort | head -n 8 |
    while read -r file; do cp "$file" "few/$class/"; done
done
expect 0 extract few -o vgg.h5 --backbone vgg16 --weights random:0 --split val=0.25
stderr_has 'tap avgpool (512,7,7) f16'
expect 0 train vgg.h5 --epochs 3 --json vgg.json
stderr_has "linear head 25088 -> 2"
done_with
