# predict --export FILE.onnx of transformers, at sizes that their weights were not made for: what
# was written is read again as a network of its own, and must say what the model says.
. "$(dirname "$0")/harness.sh"
"$PYTHON" -c 'import h5py, numpy' 2> /dev/null || skip 'h5py is missing'
photographs all 4 0
mv all/train photos

# model NETWORK SIDE TAP: SIDE.h5, and a head.
model() {
  expect 0 extract photos -q -o "$1.h5" --backbone "$1" --weights random:0 --resize "$2" --crop "$2" --tap "$3" --store f32
  expect 0 train "$1.h5" -q --val 0 --epochs 20 -o "$1.safetensors"
  expect 0 predict "$1.safetensors" --export "$1.onnx"
  stderr_has "$1.onnx: ONNX of $1 with the head of $1.safetensors"
}

# agrees NETWORK SIDE: probabilities of the file are those of the model.
agrees() {
  expect 0 extract photos -q -o again.h5 --backbone "$1.onnx" --resize "$2" --crop "$2" --store f32 --compress none \
    --mean "$3" --std "$4" --interpolation "$5"
  expect 0 predict "$1.safetensors" "$1.h5" -q --json - --top 3
  mv stdout model.json
  checks=$((checks + 1))
  "$PYTHON" - > stdout 2> stderr <<'PY' || failed "$1: the ONNX file says something else"
import json
import h5py, numpy
rows = [{top["label"]: top["probability"] for top in row["top"]} for row in json.load(open("model.json"))]
with h5py.File("again.h5") as file:
    found = file["features/class"][:]
    names = [name.decode() for name in file["classes/class"]]
wanted = numpy.array([[row[name] for name in names] for row in rows])
print(found, wanted)
assert numpy.ptp(wanted[:, 0]) > 0.1, "all images are alike"
assert abs(found - wanted).max() < 1e-5, abs(found - wanted).max()
PY
  rm -f again.h5 model.json
}

IMAGENET_MEAN=0.485,0.456,0.406 IMAGENET_STD=0.229,0.224,0.225
# Positions made smaller and larger, with and without antialiasing; of a file with and without an axis of 1.
model dinov2_vits14 98 cls
agrees dinov2_vits14 98 $IMAGENET_MEAN $IMAGENET_STD bicubic
model dinov2_vits14_reg 70 blocks.1.cls
agrees dinov2_vits14_reg 70 $IMAGENET_MEAN $IMAGENET_STD bicubic
model vit_b_32 256 encoder.layers.encoder_layer_0.cls
agrees vit_b_32 256 $IMAGENET_MEAN $IMAGENET_STD bilinear
# Rotations.
model dinov3_vits16 112 cls
agrees dinov3_vits16 112 $IMAGENET_MEAN $IMAGENET_STD bicubic
# Windows, shifted and not, of a map that they do not divide.
model swin_t 96 features.3
# Maps of 3x3, of which adaptive pooling makes 7x7.
model vgg11 96 avgpool
agrees vgg11 96 $IMAGENET_MEAN $IMAGENET_STD bilinear
done_with
