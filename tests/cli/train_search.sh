# The plain command searches the weight decay by folds of the train rows; temperatures; novelty.
. "$(dirname "$0")/harness.sh"

"$PYTHON" -c 'import h5py' 2> /dev/null || skip 'python3-h5py is missing'
"$PYTHON" - << 'END'
import h5py
import numpy as np

random = np.random.default_rng(3)
def cache(name, x, split=None, groups=None, **targets):
    with h5py.File(name, "w") as f:
        f.attrs["format"], f.attrs["format_version"] = "permafrost-cache", 1
        f["features/pooled"] = x.astype("f4")
        for target, values in targets.items():
            f["targets/" + target] = values
        if split is not None:
            f["samples/split"] = split.astype("u1")
        if groups is not None:
            f["samples/group"] = groups.astype("u8")

def rows(n, d, noise):
    x = random.normal(size=(n, d))
    score = x[:, 0] - x[:, 1] + noise * random.normal(size=n)
    return x, (score > 0).astype("i4"), (10 * score + 50).astype("f4")

split = np.repeat([0, 1, 2], [200, 60, 60])
x, kind, size = rows(320, 30, 1.5)
cache("plain.h5", x, split, kind=kind, size=size)
changed = kind.copy(); changed[200:] = 1 - changed[200:]
cache("others.h5", x, split, kind=changed)
wide, kind2, size2 = rows(120, 400, 1.5)
cache("wide.h5", wide, np.repeat([0, 1], [90, 30]), kind=kind2, size=size2)
cache("noise.h5", random.normal(size=(150, 80)), np.repeat([0, 1], [110, 40]),
      kind=random.integers(0, 2, 150).astype("i4"), size=random.normal(size=150).astype("f4"))
big, labels = rows(5000, 400, 2)[0], random.integers(0, 40, 5000).astype("i4")
cache("many.h5", big, kind=labels)
cache("twelve.h5", big, groups=1 + np.arange(5000) % 12, kind=labels)
rare = np.full(5000, np.nan, "f4"); rare[[4, 11]] = 1, 2
cache("rare.h5", big, kind=labels, rare=rare)
cache("four.h5", x, split, groups=1 + np.arange(320) % 4, kind=kind)
cache("three.h5", x, groups=1 + np.arange(320) % 3, kind=kind)
far = x.copy(); far[7] = 1e30 # a row that no head of plain features survives
cache("spike.h5", far, split, kind=kind)
cache("few.h5", x[:9], kind=np.arange(9).astype("i4") % 2)
cache("huge.h5", random.normal(size=(40, 13108)), kind=np.arange(40).astype("i4") % 2)
cache("coin.h5", random.normal(size=(150, 80)), kind=random.integers(0, 2, 150).astype("i4"))
cache("eleven.h5", x[:11], kind=np.arange(11).astype("i4") % 2)
cache("lone.h5", x[:100], kind=(np.arange(100) % 25 == 0).astype("i4"))
easy = np.arange(120) % 2
cache("easy.h5", 20 * easy[:, None] + random.normal(size=(120, 5)), np.repeat([0, 1], [90, 30]), kind=easy.astype("i4"))
for name, value in (("still", 0), ("alive", 5)): # a feature that only val rows have
    one = x.copy(); one[:, 4] = 0; one[200:260, 4] = value
    cache(name + ".h5", one, split, kind=kind)
# Rows in three directions only, and others in all thirty.
flat = random.normal(size=(320, 3)) @ random.normal(size=(3, 30)) + 0.1 * random.normal(size=(320, 30))
cache("flat.h5", flat, split, kind=kind)
cache("far.h5", 3 * x[:20], kind=kind[:20])
END

# ---- a line says which rows chose, what was chosen and how flat the optimum is ----

expect 0 train plain.h5 --target kind --json kind.json -o kind.safetensors
stderr_has 'linear head 30 -> 2: lbfgs to the optimum, weight decay to be searched'
checks=$((checks + 1))
grep -q 'weight decay [0-9.e-]* chosen by 5 folds of the 200 train rows: .* are within one standard error' stderr ||
  failed 'no line about the search'
"$PYTHON" - kind.json << 'END'
import json, sys
result = json.load(open(sys.argv[1]))
search = result["search"]
path = search["targets"]["kind"]
assert search["rows"] == 200 and search["folds"] == 5 and search["rows_of"] == "train"
assert result["config"]["optimizer"] == "lbfgs" and result["config"]["weight_decay"] == path["weight_decay"]
assert path["lowest"] <= path["weight_decay"] <= path["highest"]
lowest = min(step["loss"] for step in path["steps"])
chosen = next(step for step in path["steps"] if step["weight_decay"] == path["weight_decay"])
assert chosen["loss"] <= lowest + 1e-3 * path["steps"][0]["loss"]
END

# The head is the optimum for that decay.
decay=$("$PYTHON" -c 'import json; print(json.load(open("kind.json"))["config"]["weight_decay"])')
expect 0 train plain.h5 --target kind --optimizer lbfgs --weight-decay "$decay" --json given.json
"$PYTHON" -c '
import json
a, b = (json.load(open(name)) for name in ("kind.json", "given.json"))
assert abs(a["lbfgs"]["objective"] - b["lbfgs"]["objective"]) < 1e-6, (a["lbfgs"], b["lbfgs"])
assert "search" not in b' || failed 'the searched head is not the optimum'

# Validation and test rows chose nothing: with other labels there the model's tensors are the same.
expect 0 train others.h5 --target kind --json others.json
checks=$((checks + 1))
"$PYTHON" -c '
import json
a, b = (json.load(open(name))["search"] for name in ("kind.json", "others.json"))
a.pop("seconds"), b.pop("seconds")
assert a == b' || failed 'rows beyond train chose'

# The same for any number of threads, of more rows than features and of fewer.
for cache in plain wide; do
  for threads in 1 3; do
    expect 0 train $cache.h5 --target kind,size --threads $threads -o $cache$threads.safetensors
    stderr_has "of 'kind' chosen by 5 folds"
    stderr_has "of 'size' chosen by 5 folds"
  done
  same_head ${cache}1.safetensors ${cache}3.safetensors || failed "threads matter with $cache"
done

# ---- whoever says something of it gets that, and others are told ----

for said in '--no-search' '--lr 1e-3' '--weight-decay 0.1' '--optimizer adamw' '--sweep lr=1e-3,1e-2'; do
  expect 0 train plain.h5 --target kind --epochs 3 $said --json said.json
  stderr_lacks 'chosen by'
  checks=$((checks + 1))
  ! grep -q '"search"' said.json || failed "$said searches"
done
expect 0 train plain.h5 --target kind --seed 3 --epochs 200
stderr_has 'chosen by 5 folds'
for said in '--head mlp:4' '--patience 3' '--loss focal' '--batch 32'; do
  expect 0 train plain.h5 --target kind --epochs 3 $said
  stderr_has 'weight decay and rate are the defaults, not searched'
done
for said in '--head mlp:4 --folds 3' '--patience 3 --seeds 2' '--loss focal --folds 2'; do
  # shellcheck disable=SC2086
  expect 0 train plain.h5 --target kind --epochs 3 $said
  stderr_has 'weight decay and rate are the defaults, not searched'
done
expect 0 train plain.h5 --target kind --folds 3
stderr_lacks 'not searched'
expect 0 train few.h5 --val 0
stderr_has '9 train rows are too few to choose'
expect 0 train many.h5 --val 0 --json many.json
stderr_has 'chosen by 1000 of the 5000 train rows, held out from the others'
# Of rows that go together fewer parts are held out; where they are of too few groups, that is said.
expect 0 train twelve.h5 --val 0
stderr_has ' of the 5000 train rows, held out from the others'
stderr_has 'are within one standard error'
expect 0 train four.h5 --epochs 5
stderr_has 'the 200 train rows are of fewer than 5 groups or images that differ, too few to choose'
# A target of which nothing was held out has the default.
expect 0 train rare.h5 --val 0 --target kind,rare --json rare.json
stderr_has "weight decay 0.001 of 'rare' is the default: no row that was held out has a value of it"
stderr_has "of 'kind' chosen by 1000 of the 5000 train rows"
"$PYTHON" - << 'END' || failed 'a target that chose nothing'
import json
result = json.load(open("rare.json"))
targets = result["search"]["targets"]
assert targets["rare"] == {"weight_decay": 1e-3, "steps": []}, targets["rare"]
assert result["config"]["weight_decay"]["rare"] == 1e-3 and 3 < len(targets["kind"]["steps"]) < 20
END

# ---- after --folds the last head learns from every row that is not test ----

expect 0 train plain.h5 --target size --folds 4 --json folds.json
stderr_has '260 train and val in 4 folds, all of which the last head learns from, 60 test'
stderr_has 'over 4 folds, then trained on all 260 rows'
checks=$((checks + 1))
"$PYTHON" -c '
import json
result = json.load(open("folds.json"))
assert result["train"]["rows"] == 260 and result["config"]["folds"] == 4 and "val" not in result' ||
  failed 'folds leave rows out'

# Rows of a group are in one fold: there are no more folds than groups.
expect 0 train three.h5 --folds 3 --json three.json --assert 'sweep.0.heads==3' --assert 'sweep.0.val_loss>=0'
expect 1 train three.h5 --folds 5 -o no.safetensors
stderr_has '--folds 5 needs 5 rows to train and validate on that are not alike, and there are 3'
expect 1 train three.h5 --val 0 --calibrate --no-search -o no.safetensors
stderr_has '--calibrate without val rows needs 5 rows'
stderr_lacks 'epoch'
absent no.safetensors

# A seed whose head diverges costs that head, and no other.
spike() { train spike.h5 --target kind --normalize none --optimizer sgd --per-class 70 --epochs 3 "$@"; }
expect 0 spike --seeds 6 --csv spike.csv --json spike.json -o spike.safetensors
stderr_has ' of the 6 heads of the best setting diverged, and are left out of its mean'
stdout_has ' of 6 diverged)'
"$PYTHON" - << 'END' || failed 'the mean is not of the heads that did not diverge'
import csv, json
heads = list(csv.DictReader(open("spike.csv")))
sound = [float(head["val_accuracy"]) for head in heads if head["diverged"] == "0"]
ranked, = json.load(open("spike.json"))["sweep"]
assert 0 < len(sound) < 6 and ranked["diverged"] == 6 - len(sound), (len(sound), ranked)
assert abs(ranked["val_accuracy"] - sum(sound) / len(sound)) < 1e-8, ranked
END
bad=$(awk -F, 'NR > 1 && $NF == 1 { print NR - 2; exit }' spike.csv)
expect 1 spike --seed "$bad" -o no.safetensors
stderr_has 'the training diverged'
absent no.safetensors

# ---- no better than the mean or the largest class ----

expect 0 train noise.h5 --target size --no-search --epochs 50
stderr_has "no better on val than the mean of 'size'"
expect 0 train noise.h5 --target kind --optimizer lbfgs --weight-decay 100
stderr_has "no better on val than the largest class of 'kind'"
expect 0 train plain.h5 --target size
stderr_lacks 'no better'

# ---- temperatures ----

expect 0 train wide.h5 --target kind --no-search --calibrate --json calibrated.json -o calibrated.safetensors
stderr_has "'kind' calibrated by 30 val rows: temperature"
expect 0 train wide.h5 --target kind --no-search -o loud.safetensors
expect 0 predict loud.safetensors wide.h5
cp stdout loud.csv
expect 0 predict calibrated.safetensors wide.h5
checks=$((checks + 2))
"$PYTHON" - stdout loud.csv calibrated.json << 'END' || failed 'the model is not divided by its temperature'
import csv, json, math, sys
told, loud = (list(csv.DictReader(open(name))) for name in sys.argv[1:3])
kind = json.load(open(sys.argv[3]))["calibration"]["targets"]["kind"]
assert kind["loss"] <= kind["loss_before"]
logit = lambda row: math.log(float(row["probability"]) / (1 - float(row["probability"])))
usual = [(a, b) for a, b in zip(told, loud) if 0.55 < float(b["probability"]) < 0.99]
assert len(usual) > 5
for a, b in usual:
    assert a["label"] == b["label"] and abs(logit(a) * kind["temperature"] - logit(b)) < 0.02
END
expect 0 train few.h5 --val 0 --calibrate --no-search
expect 0 train plain.h5 --target kind --folds 3 --calibrate
stderr_has "'kind' calibrated by 260 out-of-fold rows"
expect 2 train plain.h5 --target size --calibrate
stderr_has '--calibrate is for classes and labels'
stderr_lacks 'search'

# Of rows that were too few to choose a decay without a fold, it is the one that all of them chose.
expect 0 train eleven.h5 --val 0 --calibrate --json searched.json
decay=$("$PYTHON" -c 'import json; print(json.load(open("searched.json"))["config"]["weight_decay"])')
expect 0 train eleven.h5 --val 0 --calibrate --optimizer lbfgs --weight-decay "$decay" --json given.json
"$PYTHON" - searched.json given.json << 'END' || failed 'heads out of fold are of another kind'
import json, sys
one, other = (json.load(open(name))["calibration"]["targets"]["kind"]["loss_before"] for name in sys.argv[1:])
assert abs(one / other - 1) < 1e-6, (one, other)
END
# A fold chooses no epoch of the head that it judges, as no rows chose the kept one's.
expect 0 train coin.h5 --target kind --val 0 --head mlp:64 --epochs 60 --lr 1e-2 --calibrate --json last.json
expect 0 train coin.h5 --target kind --folds 5 --head mlp:64 --epochs 60 --lr 1e-2 --csv best.csv
"$PYTHON" - last.json best.csv << 'END' || failed 'the fold chose the epoch'
import csv, json, sys
last = json.load(open(sys.argv[1]))["calibration"]["targets"]["kind"]["loss_before"]
best = [float(row["val_loss"]) for row in csv.DictReader(open(sys.argv[2]))]
assert len(best) == 5 and last > 1.3 * sum(best) / 5, (last, best)
END
# Rows out of fold are as sure as the model says that it is.
expect 0 train plain.h5 --target kind --folds 4 --calibrate --json sure.json --predictions sure.csv
"$PYTHON" - sure.json sure.csv << 'END' || failed 'rows out of fold are not calibrated'
import csv, json, math, sys
temperature = json.load(open(sys.argv[1]))["calibration"]["targets"]["kind"]["temperature"]
assert abs(temperature - 1) > 0.01, temperature
rows = [row for row in csv.DictReader(open(sys.argv[2])) if row["fold"]]
json.dump([math.log(float(row["probability"]) / (1 - float(row["probability"]))) for row in rows], open("sure.logits", "w"))
END
expect 0 train plain.h5 --target kind --folds 4 --predictions raw.csv
"$PYTHON" - sure.json sure.logits raw.csv << 'END' || failed 'rows out of fold are not divided by the temperature'
import csv, json, math, sys
temperature = json.load(open(sys.argv[1]))["calibration"]["targets"]["kind"]["temperature"]
sure = json.load(open(sys.argv[2]))
raw = [float(row["probability"]) for row in csv.DictReader(open(sys.argv[3])) if row["fold"]]
assert len(raw) == len(sure) == 260
for told, p in zip(sure, raw):
    if 0.55 < p < 0.99: assert abs(told * temperature - math.log(p / (1 - p))) < 0.02
END
checks=$((checks + 4))
# Rows that are all right say nothing of how sure to be.
expect 0 train easy.h5 --target kind --calibrate --json easy.json
stderr_has "'kind' is not calibrated: all of the 30 val rows are right"
"$PYTHON" -c '
import json
assert json.load(open("easy.json"))["calibration"]["targets"]["kind"]["temperature"] == 1'
# What is the same in all train rows has no part in what is said of others.
expect 0 train still.h5 --target kind --head mlp:8 --epochs 20 --seed 4 --json still.json
expect 0 train alive.h5 --target kind --head mlp:8 --epochs 20 --seed 4 --json alive.json
"$PYTHON" - << 'END' || failed 'a feature that was constant in train decides val rows'
import json
still, alive = (json.load(open(name + ".json"))["val"] for name in ("still", "alive"))
assert still["loss"] == alive["loss"], (still["loss"], alive["loss"])
END
# The run's checkpoint, which lies there while heads out of fold are trained, is not theirs.
if [ -z "${PF_SANITIZE:-}" ]; then
  settings='--target kind --val 0 --head mlp:8 --epochs 30 --calibrate'
  # shellcheck disable=SC2086
  expect 0 train coin.h5 $settings -o alone.safetensors
  # shellcheck disable=SC2086
  expect 0 env LD_PRELOAD="$BUILD/tests/fast_clock.so" train coin.h5 $settings -o kept.safetensors --keep-checkpoint
  [ -s kept.safetensors.checkpoint ] || failed 'there was no checkpoint'
  same_head alone.safetensors kept.safetensors || failed 'heads out of fold took the checkpoint'
  # Numbers of a damaged one are no indices.
  cp kept.safetensors.checkpoint sound.checkpoint
  for damage in head.0.best_epoch=1073741824 'head.0.best_epoch=0 head.0.epoch_count=0' \
    'epochs_done=0 steps_done=0 head.0.best_epoch=0 head.0.epoch_count=0 head.0.waiting=-1' steps_done=100000; do
    # shellcheck disable=SC2086
    "$PYTHON" - sound.checkpoint kept.safetensors.checkpoint $damage << 'END'
import json, sys
data = bytearray(open(sys.argv[1], "rb").read())
end = 8 + int.from_bytes(data[:8], "little")
for damage in sys.argv[3:]:
    name, value = damage.split("=")
    first, last = (end + place for place in json.loads(data[8:end])[name]["data_offsets"])
    data[first:last] = int(value).to_bytes(last - first, "little", signed=True)
open(sys.argv[2], "wb").write(data)
END
    for epochs in 30 40; do
      rm -f kept.safetensors
      expect 1 train coin.h5 --target kind --val 0 --head mlp:8 --epochs $epochs --calibrate -o kept.safetensors
      stderr_has "'kept.safetensors.checkpoint' counts other epochs than it can have: it is damaged"
    done
  done
fi
# The weights of classes are those of the rows that are trained on.
for weights in none balanced; do
  expect 0 train lone.h5 --val 0 --per-class 4 --optimizer lbfgs --weight-decay 0.1 --class-weights $weights -o $weights.safetensors
done
same_head none.safetensors balanced.safetensors || failed 'equally many rows of each class are weighted'
# The epochs that are said are those that are trained.
expect 0 train lone.h5 --per-class 2 --lr 1e-3 --json few.json
stderr_has ' 200 epochs'
"$PYTHON" - few.json << 'END' || failed 'other epochs than the result says'
import json, sys
result = json.load(open(sys.argv[1]))
assert result["config"]["epochs"] == len(result["epochs"]) == 200, result["config"]
END
expect 5 train wide.h5 --target kind --calibrate --assert 'calibration.targets.kind.temperature<=0.001'
expect 0 train wide.h5 --target kind --assert 'search.targets.kind.weight_decay>=0'

# ---- what was left out is made ----

make_cache sealed.h5 val test
settings='--sweep lr=1e-3,1e-2 --epochs 3 --csv heads.csv --json heads.json -o heads.safetensors'
# shellcheck disable=SC2086
expect 0 train sealed.h5 $settings
# shellcheck disable=SC2086
expect 0 train sealed.h5 $settings; stderr_has 'up to date'
# shellcheck disable=SC2086
expect 0 train sealed.h5 $settings --evaluate-all; stderr_lacks 'up to date'
head -1 heads.csv | grep -q ',test_accuracy,test_loss$' || failed 'no test scores'
# shellcheck disable=SC2086
expect 0 train sealed.h5 $settings --evaluate-all --csv-safe; stderr_lacks 'up to date'

# ---- novelty ----

expect 0 train flat.h5 --novelty -o novel.safetensors
expect 0 predict novel.safetensors far.h5 --novelty --reject 99
checks=$((checks + 1))
[ "$(head -1 stdout)" = 'path,label,probability,novelty' ] || failed 'no column'
[ "$(grep -c ',,0\.[0-9]*,100\.0$' stdout)" -ge 18 ] || failed 'what is far away has a label'
stderr_has 'have no label: their novelty is beyond 99'
expect 0 predict novel.safetensors flat.h5 --novelty --json -
stdout_has '"novelty": '
expect 0 predict novel.safetensors flat.h5
stdout_lacks novelty
expect 2 predict kind.safetensors plain.h5 --novelty
stderr_has 'train it again with --novelty'
expect 2 predict novel.safetensors --export x.onnx --reject 99
# What it needs is looked for before anything is trained.
expect 1 train few.h5 --val 0 --novelty --no-search --epochs 2 -o never.safetensors
stderr_has '--novelty needs 20 rows to train on, of at most 13107 features; found 9 of 30'
stderr_lacks 'epoch'
expect 1 train huge.h5 --val 0 --novelty --no-search --epochs 2 -o never.safetensors
stderr_has 'found 40 of 13108'
stderr_lacks 'epoch'
expect 1 train plain.h5 --target kind --novelty --sweep per-class=1,50 --epochs 2 -o never.safetensors
stderr_has 'found 2 of 30'
absent never.safetensors

# ---- TensorBoard ----

expect 0 train plain.h5 --target kind,size --epochs 2 --sweep lr=1e-4,1e-3,1e-2,1e-1 --tensorboard events
exists events/head-0004/events.out.tfevents.0.permafrost
"$PYTHON" - << 'END' || failed 'the metadata of the projector have other numbers than the cache'
import csv
import h5py
rows = list(csv.DictReader(open("events/best/metadata.tsv"), delimiter="\t"))
wanted = h5py.File("plain.h5")["targets/size"][:]
assert len(rows) == len(wanted)
for row, value in zip(rows, wanted):
    assert abs(float(row["size"]) - value) <= 2e-5 * abs(value) + 1e-4, (row, value)
assert [row["path"] for row in rows[:2]] == ["plain.h5#0", "plain.h5#1"], rows[:2]
END
# The projector names images by their paths.
expect 0 train sealed.h5 --epochs 2 --lr 1e-3 --tensorboard named
"$PYTHON" - << 'END' || failed 'the metadata of the projector have no paths'
import csv
import h5py
rows = list(csv.DictReader(open("named/best/metadata.tsv"), delimiter="\t"))
paths = h5py.File("sealed.h5")["samples/path"].asstr()[:]
assert [row["path"] for row in rows] == list(paths), rows[:3]
END
# The heads of a larger sweep before are removed; what is not of this program stays.
echo mine > events/head-0003/notes
echo mine > events/head-0004/events.out.tfevents.0.permafrost
expect 0 train plain.h5 --target kind --epochs 2 --sweep lr=1e-3,1e-2 --tensorboard events
exists events/head-0002/events.out.tfevents.0.permafrost
absent events/head-0003/events.out.tfevents.0.permafrost
exists events/head-0003/notes
[ "$(cat events/head-0004/events.out.tfevents.0.permafrost)" = mine ] || failed 'a file of another was removed'
rm events/head-000[34]/*
expect 0 train plain.h5 --target kind --epochs 2 --tensorboard events
absent events/head-0001
done_with
