# predict with a network's own classifier, and names of classes from a file, in predictions and in exports.
. "$(dirname "$0")/harness.sh"
export HOME="$WORK/home" && unset TORCH_HOME XDG_CACHE_HOME HF_HOME HF_HUB_CACHE
photographs photos 2 1
network="resnet18_w16 --weights $WEIGHTS"
for i in 0 1 2 3 4 5 6 7 8 9; do echo "the $i."; done > names

# ---- the classifier that the weights hold ----

expect 0 predict $network photos/val --top 10
stderr_has "resnet18_w16: the network's own classifier"
stdout_has 'path,label,probability,label2'
cp stdout plain
expect 0 extract photos/val -o c.h5 --backbone resnet18_w16 --weights "$WEIGHTS" --tap avgpool,fc --store f32 --compress none
"$PYTHON" - << 'END' || failed 'other probabilities than the softmax of the last node'
import csv
import h5py
import numpy

with h5py.File("c.h5") as cache:
    logits = cache["features/fc"][:].astype(numpy.float64)
parts = numpy.exp(logits - logits.max(1, keepdims=True))
parts /= parts.sum(1, keepdims=True)
theirs = sorted(tuple(row.round(4)) for row in parts)
ours = []
for row in csv.DictReader(open("plain")):
    ranked = [float(row["probability" + end]) for end in ["", *map(str, range(2, 11))]]
    assert ranked == sorted(ranked, reverse=True), ranked
    found = {row["label" + end]: float(row["probability" + end]) for end in ["", *map(str, range(2, 11))]}
    ours.append(tuple(found[str(i)] for i in range(10)))
assert len(ours) == len(theirs) > 2
assert numpy.abs(numpy.array(sorted(ours)) - numpy.array(theirs)).max() < 2e-3, (ours, theirs)
END
checks=$((checks + 1))
expect 0 predict $network c.h5 --top 10
stdout_has ',probability'
# The first few are those of all.
for k in 1 2 3 7; do
  expect 0 predict $network photos/val --top $k
  cut -d , -f "-$((2 * k + 1))" plain | cmp -s - stdout || failed "--top $k: others than the first $k of all"
done
expect 0 predict $network photos/val --top 10 --class-map names
sed 's/,\([0-9]\),/,the \1.,/g' plain | cmp -s - stdout || failed 'other predictions'
printf '\357\273\277' > marked && sed 's/$/\r/' names >> marked && echo >> marked
expect 0 predict $network photos/val --top 10 --class-map marked
sed 's/,\([0-9]\),/,the \1.,/g' plain | cmp -s - stdout || failed 'other predictions'
# By any of its names, and with pixels as the JSON beside the weights says.
expect 0 predict ResNet18_W16 --weights "$WEIGHTS" photos/val --top 10
stderr_has '--backbone ResNet18_W16 is resnet18_w16'
cmp -s plain stdout || failed 'other predictions'
mkdir beside && cp "$WEIGHTS" beside/model.safetensors
echo '{"pretrained_cfg": {"input_size": [3, 48, 48], "crop_pct": 1.0}}' > beside/config.json
expect 0 predict resnet18_w16 --weights beside --export beside.safetensors
grep -q '\\"crop\\":48' beside.safetensors || failed 'config.json is not followed'
# Names out of config.json; two that are alike are told by their numbers.
labels() { "$PYTHON" -c 'import json, sys; print(json.dumps({"id2label": {str(i): name for i, name in enumerate(sys.argv[1:])}}))' "$@" > beside/config.json; }
labels crane 'the 1.' 'the 2.' crane 'the 4.' 'the 5.' 'the 6.' 'the 7.' 'the 8.' 'the 9.'
expect 0 predict resnet18_w16 --weights beside photos/val --top 10
stderr_has "'beside/config.json', beside the weights, names the classes"
sed 's/,\([0-9]\),/,the \1.,/g; s/,the 0\.,/,crane,/g; s/,the 3\.,/,crane (3),/g' plain | cmp -s - stdout || failed 'other names'
expect 0 predict resnet18_w16 --weights beside photos/val --top 10 --class-map names
sed 's/,\([0-9]\),/,the \1.,/g' plain | cmp -s - stdout || failed 'a class map does not come first'
labels LABEL_0 LABEL_1 LABEL_2 LABEL_3 LABEL_4 LABEL_5 LABEL_6 LABEL_7 LABEL_8 LABEL_9
expect 0 predict resnet18_w16 --weights beside photos/val --top 10
cmp -s plain stdout || failed 'placeholders are taken for names'
sed -i 's/"7"/"07"/; s/LABEL_3/crane/' beside/config.json
expect 0 predict resnet18_w16 --weights beside photos/val --top 10
cmp -s plain stdout || failed 'a name is taken for a number that it does not have'
labels one two
expect 0 predict resnet18_w16 --weights beside photos/val --top 10
stderr_has 'names 2 classes, and they have 10: not used'
cmp -s plain stdout || failed 'other predictions'
expect 1 predict resnet18 photos/val
stderr_has 'extract --fetch resnet18'
expect 2 predict dinov2_vits14 --weights random:0 photos/val
stderr_has 'no classifier of its own'
expect 1 predict resnet999 photos/val

# ---- in exports, and over the classes of a head ----

expect 0 predict $network --export own.onnx --class-map names
grep -q 'the 7\.' own.onnx || failed 'the names are not in own.onnx'
expect 0 predict $network --export own.safetensors --class-map names
grep -q 'the 7\.' own.safetensors || failed 'the names are not in own.safetensors'
if [ -e "${PERMAFROST_PLUGIN:-$BUILD/lib/permafrost/permafrost_torch.so}" ]; then
  expect 0 predict $network --export own.pt --class-map names
  grep -q "the 7\." own.pt || failed 'the names are not in own.pt'
fi
expect 0 extract photos -o p.h5 --backbone resnet18_w16 --weights "$WEIGHTS"
expect 0 train p.h5 -q --epochs 2 -o m.safetensors
printf 'Boot\nKatze\nBaum\n' > german
expect 0 predict m.safetensors photos/val --class-map german
stdout_has ',Boot,'
stdout_lacks ',boat,'
expect 0 predict m.safetensors --export m.onnx --class-map german
grep -q Katze m.onnx || failed 'the names are not in m.onnx'

# ---- what does not fit ----

wrong() { # wrong CODE WORDS FILE
  expect "$1" predict m.safetensors photos/val --class-map "$3"
  stderr_has "$2"
  stdout_empty
}
wrong 1 "class map 'names' has 10 names, and the model 3 classes" names
printf 'a\nb\na\n' > twice
wrong 1 "lines 1 and 3 are both 'a'" twice
printf 'a\n\nb\n' > gap
wrong 1 'line 2 is empty' gap
printf 'a\n\377\nb\n' > bytes
wrong 1 'no text in UTF-8' bytes
wrong 1 'cannot open' nowhere
done_with
