# From a cache to a head to predictions: CSV, JSON, refusals.
. "$(dirname "$0")/harness.sh"
needs_torch
photographs photos 20 5
expect 0 extract_sample photos -o photos.h5
# train and predictions from a cache never load libtorch.
expect 0 env PERMAFROST_PLUGIN=/nonexistent train photos.h5 -o head.safetensors --json head.json
stderr_has 'val accuracy'
expect 0 env PERMAFROST_PLUGIN=/nonexistent predict head.safetensors photos.h5
[ "$(wc -l < stdout)" -eq 76 ] || failed 'expected 75 rows and a header'

expect 0 predict head.safetensors photos/val/cat
cp stdout first
[ "$(head -n 1 stdout)" = 'path,label,probability' ] || failed 'not the header expected'
[ "$(wc -l < stdout)" -eq 6 ] || failed 'expected five rows and a header'
stdout_has 'photos/val/cat/'
[ "$(grep -c ',cat,' stdout)" -ge 3 ] || failed 'most cats should be cats'
expect 0 predict head.safetensors $(ls photos/val/cat/*) -q
cmp -s stdout first || failed 'files and their folder give different predictions'
ls photos/val/cat/* > list
INPUT=list expect 0 predict head.safetensors -
cmp -s stdout first || failed 'paths on stdin and a folder give different predictions'

expect 0 predict head.safetensors photos/val/cat --top 9
[ "$(head -n 1 stdout)" = 'path,label,probability,label2,probability2,label3,probability3' ] || failed 'header of --top'
expect 0 predict head.safetensors photos/val/cat --json - --top 2
"$PYTHON" -c '
import json
rows = json.load(open("stdout"))
assert len(rows) == 5, rows
for row in rows:
    assert row["label"] == row["top"][0]["label"] and len(row["top"]) == 2, row
    assert 0 < row["top"][1]["probability"] <= row["probability"] <= 1, row
' || failed 'the JSON is not what the manual says'

# It says on what it runs, how fast, and runs wherever extract does: the same bits.
expect 0 predict head.safetensors photos
cp stdout all
stderr_has 'runs on C engine, '
stderr_has '75 predictions by head.safetensors in '
stderr_has ' images/s'
for flags in '--device cpu,cpu' '--batch 16' '--readers 0' '--readers 1 --workers 3'; do
  expect 0 predict head.safetensors photos $flags
  cmp -s stdout all || failed "other predictions with $flags"
done
expect 2 predict head.safetensors photos --device cuda:0,cuda:0
stderr_has 'cuda:0'
expect 2 predict head.safetensors photos --emulate
stderr_has 'bf16 features'
stdout_empty
expect 2 predict head.safetensors photos.h5 --emulate
stderr_has '--emulate goes with images'
stdout_empty
expect 2 predict head.safetensors photos --sources-from .
stderr_has '--sources-from goes with virtual caches'
stdout_empty
expect 2 predict head.safetensors photos.h5 --json - --csv-safe
stderr_has '--csv-safe is for CSV'
stdout_empty
for option in '--json -' --csv-safe '--sources-from .'; do
  expect 2 predict head.safetensors --export out.onnx $option
  stderr_has "${option%% *} goes with predictions"
done
expect 0 extract_sample photos -o bf16.h5 --precision bf16 --emulate
expect 0 train bf16.h5 -o bf16.safetensors -q
expect 0 predict bf16.safetensors photos --emulate
[ "$(wc -l < stdout)" -eq 76 ] || failed 'expected 75 predictions of a model of bf16 features'

# The cache's own features and a run through the network agree.
expect 0 predict head.safetensors photos.h5
grep val/cat stdout | cut -d, -f2 > cached
cut -d, -f2 first | tail -n +2 > computed
cmp -s cached computed || failed 'cache and images give different labels'

# Odd names are quoted; a bad image is named, the others come through, exit 3.
mkdir new; one=$(ls photos/val/cat/* | head -n 1)
cp "$one" 'new/a,b.jpg'; cp "$one" 'new/so "so".jpg'; echo text > new/bad.jpg
expect 3 predict head.safetensors new
stdout_has '"new/a,b.jpg",'
stdout_has '"new/so ""so"".jpg",'
stderr_has 'new/bad.jpg: '
stderr_has '1 of 3 images'

# Another network is refused, before any output.
expect 4 predict head.safetensors "$one" --weights random:3
stderr_has 'sha256'
stdout_empty
expect 0 extract photos -o other.h5 --backbone resnet18_w16 --weights random:3
expect 4 predict head.safetensors other.h5
stdout_empty
expect 1 predict photos.h5 "$one"
stderr_has 'photos.h5'
expect 1 predict nowhere.safetensors "$one"
expect 3 predict head.safetensors nowhere.jpg
stderr_has 'nowhere.jpg'
expect 2 predict head.safetensors
stderr_has 'which images?'
expect 2 predict
expect 2 predict head.safetensors photos.h5 "$one"
expect 1 predict "$WEIGHTS" "$one"
stderr_has 'resnet18_w16.safetensors'
expect 1 sh -c "predict head.safetensors '$one' > /dev/full"
done_with
