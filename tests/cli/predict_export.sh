# predict --export: what fits into which form, what does not and why. Without libtorch.
. "$(dirname "$0")/harness.sh"
fake_backbone
"$PYTHON" -c 'import h5py, numpy' 2> /dev/null || skip 'h5py is missing'

# cache FILE BACKBONE TAP WIDTH [PRECISION]: features of a network with random weights.
cache() {
  "$PYTHON" - "$@" <<'PY'
import hashlib, json, sys
import h5py, numpy
path, backbone, tap, width = sys.argv[1:5]
rows, generator = 60, numpy.random.default_rng(1)
sha = hashlib.sha256(f"random:0:{backbone}".encode()).hexdigest()
crop = {"resnet18_w16": 96, "dinov2_vits14": 70}.get(backbone, 64)
identity = {"backbone": {"name": backbone, "weights_sha256": sha}, "views": 1, "store": "f32",
            "precision": sys.argv[5] if len(sys.argv) > 5 else "fp32",
            "preprocess": {"resize": crop, "crop": crop, "squash": False, "interpolation": "bilinear",
                           "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}}
labels = (numpy.arange(rows) % 3).astype("i4")
features = generator.random((rows, int(width))).astype("f4")
features[numpy.arange(rows), labels] += 2
with h5py.File(path, "w") as file:
    file.attrs.update({"format": "permafrost-cache", "format_version": 1, "identity": json.dumps(identity),
                       "provenance": json.dumps({"weights_path": "random:0"})})
    file[f"features/{tap}"] = features
    for name in ("class", "image"):
        file[f"targets/{name}"] = labels
        file[f"targets/{name}"].attrs["kind"] = "class"
        file.create_dataset(f"classes/{name}", data=["ant", "bee", "cat"], dtype=h5py.string_dtype())
PY
}
head_of() { expect 0 train "$1" -q --epochs 2 --val 0 --target class -o "$2" $3; }

cache c.h5 resnet18_w16 avgpool 128
head_of c.h5 linear.safetensors ''
for file in out.safetensors out.onnx; do
  expect 0 predict linear.safetensors --export $file
  stdout_empty
  stderr_has "$file: "
  stderr_has 'resnet18_w16 with the head of linear.safetensors'
  exists $file
done
no_leftovers
# The same again, byte for byte; the exported state dict serves as weights for an extraction.
cp out.onnx first.onnx
expect 0 predict --export out.onnx linear.safetensors -q
stderr_empty
cmp -s out.onnx first.onnx || failed 'another ONNX file from the same model'
photographs photos 4 2
expect 0 extract photos -o weights.h5 --backbone resnet18_w16 --weights out.safetensors --tap input

# Usage.
expect 2 predict linear.safetensors --export out.onnx photos
stderr_has "-o out.onnx exports the model, and takes no images, found 'photos'"
expect 2 predict --export out.onnx
stderr_has 'which model?'
for name in out.pth out onnx .onnx out.h5; do
  expect 2 predict linear.safetensors --export $name
  stderr_has '-o'; stderr_has '.safetensors'; stderr_has '.onnx'; stderr_has '.pt'
  absent $name
done
expect 0 predict --help
stdout_has '-o FILE.safetensors|FILE.onnx|FILE.pt'
cp linear.safetensors kept.safetensors
expect 2 predict linear.safetensors --export ./linear.safetensors
stderr_has 'would overwrite what it is made from'
cmp -s linear.safetensors kept.safetensors || failed 'the model was overwritten'
# Another model, other weights, another program's networks: whatever is not an export stays.
cp linear.safetensors another.safetensors
printf '\002\0\0\0\0\0\0\0{}' > weights.safetensors
printf '\010\010\022\007pytorch and then a graph, which is longer' > foreign.onnx
printf 'PK\003\004 code/__torch__/Net.py, and the like' > foreign.pt
for file in another.safetensors weights.safetensors foreign.onnx foreign.pt; do
  cp $file before
  expect 1 predict linear.safetensors --export $file
  stderr_has "-o: '$file' is there already and is "
  cmp -s $file before || failed "'$file' was overwritten"
done
ln -s out.onnx link.onnx
expect 0 predict linear.safetensors --export link.onnx -q
[ -L link.onnx ] || failed 'the link is none any more'
expect 1 predict linear.safetensors --export nowhere/out.onnx
stderr_has 'nowhere'
mkdir folder.onnx
expect 1 predict linear.safetensors --export folder.onnx
expect 4 predict linear.safetensors --weights random:1 --export out.onnx
stderr_has 'sha256'
cmp -s out.onnx first.onnx || failed 'a failed export has touched the file'
expect 1 predict nowhere.safetensors --export out.onnx
for file in out.onnx out.safetensors; do
  expect 1 sh -c "trap '' XFSZ; ulimit -f 100; exec predict linear.safetensors --export $file"
  stderr_has "cannot write '$file'"
done
cmp -s out.onnx first.onnx || failed 'a failed export has touched the file'
no_leftovers

# What has no place in a state dict, but in the other forms.
no_state_dict() {
  expect 2 predict "$1" --export no.safetensors
  stderr_has "$2"
  stderr_has '.pt'
  absent no.safetensors
}
head_of c.h5 mlp.safetensors '--head mlp:8 --head-norm layer --activation gelu'
no_state_dict mlp.safetensors 'its head is an MLP'
expect 0 train c.h5 -q --epochs 2 --val 0 --target class,image -o two.safetensors
no_state_dict two.safetensors 'several targets'
head_of c.h5 l2.safetensors '--normalize l2'
no_state_dict l2.safetensors '--normalize l2'
cache map.h5 resnet18_w16 layer3 2304
head_of map.h5 map.safetensors ''
no_state_dict map.safetensors "takes 'layer3', while fc of resnet18_w16, whose place it would have, takes 'flatten'"
for model in mlp l2 map; do expect 0 predict $model.safetensors --export $model.onnx; done

# Outputs are named as targets are.
expect 2 predict two.safetensors --export two.onnx
stderr_has "a target named 'image'"

# Networks of another width, of another kind, in another precision, and none.
cache wrong.h5 resnet18_w16 avgpool 64
head_of wrong.h5 wrong.safetensors ''
expect 4 predict wrong.safetensors --export out.onnx
stderr_has "takes 64 features; tap 'avgpool' of the network gives 128"
cache half.h5 resnet18_w16 avgpool 128 bf16
head_of half.h5 half.safetensors ''
expect 0 predict half.safetensors --export half.onnx
stderr_has 'computed in bf16'
cache pixels.h5 resnet18_w16 input 27648
head_of pixels.h5 pixels.safetensors ''
for ending in safetensors onnx pt; do
  expect 2 predict pixels.safetensors --export out2.$ending
  stderr_has 'takes the pixels themselves'
done
# One TorchScript module: the plugin's work, with the head that we tell it.
expect 1 predict linear.safetensors --export linear.pt
stderr_has 'cannot write them as TorchScript'
absent linear.pt
export FAKE_EXPORT=1
expect 0 predict linear.safetensors --export linear.pt
head -n 4 linear.pt > source
printf '%s\n' 'def head(self, x: Tensor) -> Tensor:' '    y0 = torch.linear(x, self.target0.weight, self.target0.bias)' \
  '    y0 = torch.softmax(y0, 1)' '    return y0' | cmp -s - source || failed "not the source expected: $(cat source)"
for line in 'tap avgpool' 'target0.weight (3,128)' 'class ant' '"preprocess":{"resize":96'; do
  checks=$((checks + 1)); grep -qF "$line" linear.pt || failed "linear.pt lacks '$line'"
done
expect 0 predict mlp.safetensors --export mlp.pt
for line in 'x = torch.layer_norm(x, [8], self.norm0.weight, self.norm0.bias, 9.99999975e-06)' 'x = torch.gelu(x)' \
    'hidden0.weight (8,128)' 'target0.weight (3,8)'; do
  checks=$((checks + 1)); grep -qF "$line" mlp.pt || failed "mlp.pt lacks '$line'"
done
expect 0 predict two.safetensors --export two.pt
for line in '-> Dict[str, Tensor]:' 'return {"class": y0, "image": y1}'; do
  checks=$((checks + 1)); grep -qF -e "$line" two.pt || failed "two.pt lacks '$line'"
done
expect 0 extract_fake photos -o own.h5
expect 0 train own.h5 -q --epochs 2 -o own.safetensors
expect 1 predict own.safetensors --export own.pt
stderr_has "names the TorchScript file"
expect 0 predict own.safetensors --export own.pt --backbone net.pt
grep -q "^network .*net.pt$" own.pt || failed 'not the TorchScript file'
for file in own2.safetensors own2.onnx; do
  expect 2 predict own.safetensors --export $file --backbone net.pt
  stderr_has "is the TorchScript file '"
  stderr_has '-o FILE.pt'
done
expect 2 predict own.safetensors --export net.pt --backbone net.pt
stderr_has 'would overwrite'
expect 1 env PERMAFROST_PLUGIN=/nonexistent predict linear.safetensors --export other.pt
no_leftovers
# Tensors in the place of a network's are as large as these: here positions, which an export resizes.
cache positions.h5 dinov2_vits14 cls 384
head_of positions.h5 positions.safetensors ''
"$PYTHON" -c '
import json
data = open("positions.safetensors", "rb").read()
end = 8 + int.from_bytes(data[:8], "little")
header, body = json.loads(data[8:end]), data[end:]
made = json.loads(header["__metadata__"]["permafrost"])
made.pop("digest", None)
made.update(version=2, finetune={"node": "all", "cut": "input", "tensors": ["pos_embed"]})
header["__metadata__"]["permafrost"] = json.dumps(made)
header["pos_embed"] = {"dtype": "F32", "shape": [1], "data_offsets": [len(body), len(body) + 4]}
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
open("short.safetensors", "wb").write(len(text).to_bytes(8, "little") + text + body + bytes(4))'
for file in out.onnx out.safetensors; do
  rm -f $file
  expect 1 predict short.safetensors --export $file
  stderr_has "model 'short.safetensors': its tensor 'pos_embed' is (1) f32, and the network's is (1,1370,384)"
  absent $file
done
done_with
