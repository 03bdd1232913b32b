# predict --info and --verify: what a model says of itself, and whether its file is whole.
. "$(dirname "$0")/harness.sh"
photographs photos 6 2
expect 0 extract_sample photos -o photos.h5
# The same command makes the same file again, where SOURCE_DATE_EPOCH says when it is.
make_model() { SOURCE_DATE_EPOCH=$1 expect 0 train photos.h5 --force --epochs 2 -o model.safetensors --seed 3; }
make_model 86400
cp model.safetensors first.safetensors
make_model 86400
cmp -s first.safetensors model.safetensors || failed 'the same command and date give another file'
make_model 86401
! cmp -s first.safetensors model.safetensors || failed 'the date is not in the file'
same_head first.safetensors model.safetensors || failed 'the date changes the head'
SOURCE_DATE_EPOCH=soon expect 2 train photos.h5 --epochs 1 -o other.safetensors
stderr_has 'SOURCE_DATE_EPOCH'
stderr_lacks 'linear head' # before anything is trained
absent other.safetensors

expect 0 env PERMAFROST_PLUGIN=/nonexistent predict --info model.safetensors
for word in 'resnet18_w16' "$(sha256sum < "$WEIGHTS" | cut -d' ' -f1)" 'tap            avgpool' '"crop":96' \
  "'class', class, 3 outputs" 'boat, cat, tree' 'train: 18 rows' 'val: 6 rows' 'made           1970-01-02T00:00:01Z' \
  'train photos.h5 --force --epochs 2 -o model.safetensors --seed 3' "$WORK/photos.h5" 'rows         24' 'extract photos -o photos.h5' 'digest'; do
  stdout_has "$word"
done
stderr_empty
expect 0 predict model.safetensors --info --json -
"$PYTHON" - << 'END' > said 2>&1 || { cat said; failed 'the JSON of --info'; }
import json, os, struct
info = json.load(open("stdout"))
data = open("photos.h5", "rb").read()
assert info["file"] == {"path": "model.safetensors", "bytes": os.path.getsize("model.safetensors"), "tensors": 2, "numbers": 3 * 129}, info["file"]
made = info["made"]
assert made["date"] == "1970-01-02T00:00:01Z" and made["command"].startswith("train photos.h5 ")
assert made["cache"]["rows"] == 24 and bytes.fromhex(made["cache"]["seal"]) in data[-64:], made["cache"]
assert made["cache"]["command"].startswith("extract photos -o photos.h5") and made["permafrost"] == made["cache"]["permafrost"]
assert set(info["metrics"]) == {"train", "val"} and info["targets"][0]["classes"] == ["boat", "cat", "tree"]
END
# A command is noted as a shell takes it.
cp photos.h5 'my photos.h5'
expect 0 train 'my photos.h5' --epochs 1 -o model.safetensors
expect 0 predict --info model.safetensors
stdout_has "train 'my photos.h5' --epochs 1"

# Whole or not: any byte of numbers, names or metadata.
expect 0 predict --verify first.safetensors
stdout_has 'whole: 2 tensors of 387 numbers'
stderr_empty
damage() {
  "$PYTHON" - first.safetensors bad.safetensors "$1" << 'END'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
what = sys.argv[3].encode()
place = data.index(what) if what != b"number" else len(data) - 2
data[place] ^= 1 if what != b"number" else 0x10
open(sys.argv[2], "wb").write(data)
END
}
for what in number boat avgpool '--seed 3'; do
  damage "$what"
  expect 1 predict --verify bad.safetensors
  stderr_has 'bad.safetensors'
  stdout_empty
done
# Whoever uses a model sees that it is not the one that was written; train makes it anew.
damage number
refused() {
  expect 1 "$@"
  stderr_has "model 'bad.safetensors' is damaged, or was changed after it was written"
}
refused predict bad.safetensors photos.h5
stdout_empty
refused predict bad.safetensors photos/val
refused predict bad.safetensors photos.h5 --evaluate
refused predict --info bad.safetensors
refused predict --info bad.safetensors --json -
for suffix in safetensors onnx; do
  refused predict bad.safetensors -o bad_export.$suffix
  absent bad_export.$suffix
done
refused inspect photos.h5 --model bad.safetensors
expect 0 train photos.h5 --epochs 2 -o again.safetensors
expect 0 train photos.h5 --epochs 2 -o again.safetensors
stderr_has 'up to date'
"$PYTHON" - << 'END'
data = bytearray(open("again.safetensors", "rb").read())
data[-2] ^= 0x10
open("again.safetensors", "wb").write(data)
END
expect 0 train photos.h5 --epochs 2 -o again.safetensors
stderr_has "model 'again.safetensors' is damaged"
stderr_has 'It is made anew'
stderr_lacks 'up to date'
expect 0 predict --verify again.safetensors
head -c 2000 first.safetensors > short.safetensors
expect 1 predict --verify short.safetensors
expect 1 predict --verify photos.h5
expect 1 predict --verify nothing.safetensors
# Models of before have neither record nor digest: they open, and that is said.
"$PYTHON" - << 'END'
import json
data = open("first.safetensors", "rb").read()
end = 8 + int.from_bytes(data[:8], "little")
header = json.loads(data[8:end])
metadata = json.loads(header["__metadata__"]["permafrost"])
del metadata["made"], metadata["digest"]
header["__metadata__"]["permafrost"] = json.dumps(metadata)
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
open("old.safetensors", "wb").write(len(text).to_bytes(8, "little") + text + data[end:])
END
expect 0 predict --verify old.safetensors
stdout_has 'no digest was noted'
expect 0 predict --info old.safetensors
stdout_has 'noted neither date nor command'
stdout_has 'photos.h5'
expect 0 predict old.safetensors photos.h5 --evaluate -q
[ "$(grep -c ',val$' stdout)" -eq 6 ] || failed 'val rows of a model of before'

# What does not go together.
expect 2 predict --info
stderr_has '--info takes a model and nothing else'
expect 2 predict --info first.safetensors photos.h5
expect 2 predict --verify first.safetensors --json -
expect 2 predict --info --verify first.safetensors
expect 2 predict --info --evaluate first.safetensors
done_with
