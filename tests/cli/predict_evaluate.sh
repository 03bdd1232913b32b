# predict --evaluate on folders, manifests, archives, CIFAR and caches; train --predictions and
# --evaluate-all. Every number is computed again from the rows, and is train's own on the same rows.
. "$(dirname "$0")/harness.sh"
photographs photos 20 5
expect 0 extract_sample photos -o photos.h5
cat > recompute.py << 'END'
"""Metrics again, by their definitions, from the rows that were written."""
import csv, json, math, sys

def wilson(right, count, z=1.959963984540054):
    share = right / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return middle - half, middle + half

def near(found, wanted, what, tolerance=2e-5):
    assert abs(found - wanted) <= tolerance * max(1, abs(wanted)), (what, found, wanted)

def check_classes(rows, scores, true="true", predicted="label", probability="probability"):
    rows = [row for row in rows if row[true] and row[true] in {entry["name"] for entry in scores["classes"]}]
    names = [entry["name"] for entry in scores["classes"]]
    right = sum(row[true] == row[predicted] for row in rows)
    assert scores["rows"] == len(rows) > 0, (scores["rows"], len(rows))
    near(scores["accuracy"], right / len(rows), "accuracy", 1e-12)
    for found, wanted in zip(scores["intervals"]["accuracy"], wilson(right, len(rows))):
        near(found, wanted, "interval", 1e-9)
    confusion = [[sum(row[true] == a and row[predicted] == b for row in rows) for b in names] for a in names]
    assert scores["confusion"] == confusion, (scores["confusion"], confusion)
    pairs = sorted((-confusion[a][b], a, b) for a in range(len(names)) for b in range(len(names)) if a != b and confusion[a][b])
    found = [(pair["true"], pair["predicted"], pair["rows"]) for pair in scores.get("confused", [])]
    assert found == [(names[a], names[b], -count) for count, a, b in pairs[:10]], found

def check_numbers(rows, scores, true, predicted):
    pairs = [(float(row[true]), float(row[predicted])) for row in rows if row[true]]
    errors = [b - a for a, b in pairs]
    mean = sum(a for a, b in pairs) / len(pairs)
    assert scores["rows"] == len(pairs), (scores["rows"], len(pairs))
    near(scores["mae"], sum(map(abs, errors)) / len(errors), "mae")
    near(scores["rmse"], math.sqrt(sum(e * e for e in errors) / len(errors)), "rmse")
    near(scores["r2"], 1 - sum(e * e for e in errors) / sum((a - mean) ** 2 for a, b in pairs), "r2")

def check_points(rows, scores, true, predicted, count):
    distances = [math.hypot(*(float(row[f"{predicted}_{c}{p}"]) - float(row[f"{true}_{c}{p}"]) for c in "xy"))
                 for row in rows for p in range(count) if row[f"{true}_x{p}"]]
    near(scores["mean_error_pixels"], sum(distances) / len(distances), "point error")

def same(found, wanted, where="", tolerance=2e-5):
    """As train's result has it, but for rounding."""
    if isinstance(wanted, dict):
        for key in wanted:
            same(found[key], wanted[key], f"{where}.{key}", tolerance)
    elif isinstance(wanted, list):
        assert len(found) == len(wanted), where
        for number, (a, b) in enumerate(zip(found, wanted)):
            same(a, b, f"{where}.{number}", tolerance)
    elif isinstance(wanted, float):
        near(found, wanted, where, tolerance)
    else:
        assert found == wanted, (where, found, wanted)

def read(path):
    return list(csv.DictReader(open(path)))
END
recompute() { checks=$((checks + 1)); "$PYTHON" -c "from recompute import *
$1" > stdout 2> stderr || failed "$2"; }

# A cache with a val part: train's own numbers, and the same rows as train --predictions.
expect 0 train photos.h5 -o head.safetensors --json train.json --predictions rows.csv --epochs 3
[ "$(head -n 1 rows.csv)" = 'path,split,true,predicted,probability' ] || failed 'not the columns of --predictions'
[ "$(wc -l < rows.csv)" -eq 16 ] || failed '--predictions: fifteen val rows and a header'
expect 0 env PERMAFROST_PLUGIN=/nonexistent predict head.safetensors photos.h5 --evaluate
cp stdout rows_predict.csv
[ "$(head -n 1 stdout)" = 'path,label,probability,true,split' ] || failed 'not the columns of --evaluate'
stderr_has "val of 'class': 15 rows  [95 % interval]"
stderr_has 'val, true \ predicted'
expect 0 predict head.safetensors photos.h5 --evaluate --json - -q
stderr_empty
cp stdout evaluation.json
recompute '
result = json.load(open("evaluation.json")); train = json.load(open("train.json"))
scores, rows = result["evaluation"], read("rows_predict.csv")
assert set(scores) == {"train", "val"}
for split in scores:
    check_classes([row for row in rows if row["split"] == split], scores[split])
    same(scores[split], train[split], split)
assert [(row["path"], row["label"], row["true"], row["split"]) for row in result["predictions"]] == [
    (row["path"], row["label"], row["true"], row["split"]) for row in rows]
mine = {row["path"]: row for row in rows if row["split"] == "val"}
theirs = read("rows.csv")
assert len(theirs) == len(mine)
for row in theirs:
    own = mine[row["path"]]
    assert (row["true"], row["predicted"], row["split"]) == (own["true"], own["label"], own["split"]), row
    near(float(row["probability"]), float(own["probability"]), row["path"], 2e-6)
' 'the evaluation of the cache is not what its rows and train say'

# Folders, with the same numbers; what train drew itself is known of the cache that it was trained on.
expect 0 predict head.safetensors photos --evaluate --json - -q
cp stdout folder.json
recompute '
a, b = json.load(open("folder.json")), json.load(open("evaluation.json"))
same(a["evaluation"], b["evaluation"], "", 2e-3) # the cache holds half precision
assert [row["path"] for row in a["predictions"]] == ["photos/" + row["path"] for row in b["predictions"]]
' 'folders are evaluated otherwise than their cache'
expect 0 extract_sample photos/train -o train.h5
expect 0 train train.h5 -o own.safetensors --json own.json --predictions own.csv --val 0.3 --epochs 4
mkdir moved
cp train.h5 moved/elsewhere.h5
for cache in train.h5 moved/elsewhere.h5; do
  expect 0 predict own.safetensors $cache --evaluate --json - -q
  cp stdout drawn.json
  recompute '
result = json.load(open("drawn.json")); train = json.load(open("own.json"))
same(result["evaluation"]["val"], train["val"]); same(result["evaluation"]["train"], train["train"])
assert {row["path"] for row in result["predictions"] if row["split"] == "val"} == {row["path"] for row in read("own.csv")}
' "val rows of $cache are not those that train drew"
done
# A page of the cache has the same val rows, with --evaluate and without, from both programs.
expect 0 predict own.safetensors train.h5 --report drawn.html -q
expect 0 predict own.safetensors train.h5 --evaluate --report judged.html -q
expect 0 inspect train.h5 --model own.safetensors --features -o inspected.html
recompute '
for page in ("drawn.html", "judged.html", "inspected.html"):
    wanted = "%d images of val with a known class" % len(read("own.csv"))
    assert wanted in open(page).read(), (page, wanted)
' 'a page judges other rows than those that train drew'
# After --folds the head has seen the val rows of the cache, too.
expect 0 train photos.h5 --folds 2 --epochs 2 -o seen.safetensors -q
for command in 'predict seen.safetensors photos.h5 --report seen.html -q' \
  'inspect photos.h5 --model seen.safetensors --features -o seen.html'; do
  # shellcheck disable=SC2086
  expect 0 $command
  grep -q '75 images of all splits' seen.html || failed 'a page judges val rows that were learned from'
done
# A test part that was drawn by the same hash leaves train rows enough for validation.
for class in boat cat tree; do
  mkdir -p every/$class; cp "$SAMPLE/pictures/train/$class"/* every/$class
done
expect 0 extract_sample every -o rest.h5 --split test=0.3
expect 0 train rest.h5 -o rest.safetensors --json rest.json --predictions rest.csv --epochs 3
stderr_has 'val (20 % of train, by a second hash of the bytes)'
expect 0 predict rest.safetensors rest.h5 --evaluate --json - -q
cp stdout rest_evaluation.json
recompute '
result = json.load(open("rest_evaluation.json")); train = json.load(open("rest.json"))
rows = {split: train[split]["rows"] for split in ("train", "val", "test")}
assert 0.1 < rows["val"] / (rows["train"] + rows["val"]) < 0.3, rows
assert train["config"]["val_keys"] == "second"
for split in rows:
    same(result["evaluation"][split], train[split], split)
assert {row["path"] for row in result["predictions"] if row["split"] == "val"} == {
    row["path"] for row in read("rest.csv") if row["split"] == "val"}' 'val beside a test part that was drawn'
expect 0 train train.h5 --epochs 1
stderr_has 'val (20 % of train, by hash of the bytes)'
expect 0 predict own.safetensors photos/train --evaluate
stderr_has "the model was trained on images of 'photos/train'"
expect 0 predict own.safetensors photos/val --evaluate
stderr_lacks 'was trained on images'
stderr_has "all of 'class': 15 rows"
[ "$(grep -c ',$' stdout)" -eq 15 ] || failed 'data without splits: the column is empty'

# What is unsure is settled as extract's hint says.
mkdir unsure; cp -r photos/train unsure/TRAIN; cp -r photos/val unsure/Validation_Set
mkdir -p unsure/spare/cat; cp photos/val/cat/* unsure/spare/cat
expect 2 predict head.safetensors unsure --evaluate
stderr_has '--split-folders train=TRAIN,val=Validation_Set'
expect 0 predict head.safetensors unsure --evaluate --split-folders train=TRAIN,val=Validation_Set
stderr_has "val of 'class': 15 rows"
{ echo path,kind,other; ls photos/val/cat | sed 's/$/,cat,1/'; ls photos/val/boat | sed 's/$/,boat,2/'; } > rooted.csv
ls photos/val/boat | while read -r file; do mkdir -p flat; cp "photos/val/boat/$file" flat/; done
cp photos/val/cat/* flat/
expect 0 predict head.safetensors rooted.csv --evaluate --root flat --target kind:class
stderr_has "compared with 'kind'"
expect 2 predict head.safetensors photos.h5 --evaluate --split-folders none
stderr_has "'photos.h5' is a cache"
expect 2 predict head.safetensors photos --root flat
stderr_has '--root goes with --evaluate'

# Conditions: as train has them.
expect 0 predict head.safetensors photos.h5 --evaluate --assert 'val.accuracy>=0' --assert 'train.rows==60'
expect 5 predict head.safetensors photos.h5 --evaluate --assert 'val.accuracy>1'
stderr_has 'not met: val.accuracy>1'
[ "$(wc -l < stdout)" -eq 76 ] || failed 'rows are written all the same'
for file in asserted.csv asserted.json; do
  expect 5 predict head.safetensors photos.h5 --evaluate --assert 'val.accuracy>1' -o $file
  exists $file
done
[ "$(wc -l < asserted.csv)" -eq 76 ] || failed 'rows are written into a file all the same'
"$PYTHON" -c 'import json; json.load(open("asserted.json"))["evaluation"]["val"]' || failed 'no evaluation'
# The rows that are left out are numbers, also where there are none.
expect 0 predict head.safetensors photos.h5 --evaluate --assert 'val.unlabelled==0' --assert 'val.unknown_class==0'
# What the evaluation will not have is told before anything is computed, with what it will.
expect 2 predict head.safetensors photos.h5 --evaluate --assert 'test.accuracy>0'
stdout_empty
stderr_has "there is no 'test' among train, val. Hint: 'val.accuracy' will be there"
expect 2 predict head.safetensors photos/val --evaluate --assert 'val.accuracy>=0.1' -o early.csv
stderr_has "there is no 'val' among all. Hint: 'all.accuracy' will be there"
absent early.csv
expect 2 predict head.safetensors photos.h5 --evaluate --assert 'val.mae<1'
stderr_has "there is no 'mae' among rows, "
expect 0 predict head.safetensors photos.h5 --evaluate --assert 'val.classes.0.recall>=0' \
  --assert 'val.intervals.accuracy.0>=0'
expect 2 predict head.safetensors photos.h5 --assert 'val.accuracy>0'
stderr_has '--assert goes with --evaluate'

# Classes that the model does not know, and rows without a label, are counted and said.
cp -r photos/val more
mv more/boat more/barge
expect 0 predict head.safetensors more --evaluate
stderr_has "1 of 3 classes in the data are not known to the model: 'barge'"
stderr_has "all of 'class': 10 rows, 5 of classes that the model does not know"
[ "$(grep -c ',barge,$' stdout)" -eq 5 ] || failed 'a class that the model does not know is told all the same'
{ echo path,class; ls photos/val/cat/* | sed 's/$/,cat/'; ls photos/val/tree/* | sed 's/$/,/'; ls photos/val/boat/* | sed 's/$/,boat/'; } > some.csv
expect 0 predict head.safetensors some.csv --evaluate
stderr_has "all of 'class': 10 rows, 5 without a label"
expect 0 predict head.safetensors some.csv --evaluate --assert 'all.unlabelled==5'
# Classes are found by name, whatever their place; labels too.
mkdir fewer
cp -r photos/val/cat photos/val/tree fewer
expect 0 predict head.safetensors fewer --evaluate --json - -q
cp stdout fewer.json
recompute '
result, whole = json.load(open("fewer.json")), json.load(open("folder.json"))
matrix, all_ = result["evaluation"]["all"]["confusion"], whole["evaluation"]["val"]["confusion"]
assert matrix == [[0, 0, 0]] + all_[1:], (matrix, all_)
assert {row["true"] for row in result["predictions"]} == {"cat", "tree"}' 'classes are not found by name'
mkdir -p others/dog others/fox
cp photos/val/cat/* others/dog; cp photos/val/boat/* others/fox
expect 1 predict head.safetensors others --evaluate
stderr_has 'no row has a label that the model knows'
expect 2 predict head.safetensors photos/val/cat --evaluate
stderr_has 'no labels'
stdout_empty
INPUT=some.csv expect 2 predict head.safetensors - --evaluate
stderr_has 'a list of paths has none'
expect 2 predict head.safetensors photos more --evaluate
stderr_has 'takes one labelled set'
# An image that cannot be used is named, and the others are evaluated.
echo no picture > more/cat/bad.png
expect 3 predict head.safetensors more --evaluate
stderr_has "all of 'class': 10 rows"
stderr_has 'bad.png'

# An archive is evaluated as its folder is.
tar cf val.tar -C photos/val boat cat tree
expect 0 predict head.safetensors val.tar --evaluate --json - -q
cp stdout archive.json
recompute '
a, b = json.load(open("archive.json"))["evaluation"]["all"], json.load(open("folder.json"))["evaluation"]["val"]
same(a, b)' 'an archive is evaluated otherwise than its folder'

# CIFAR's files, whose images are no files of their own.
mkdir cifar
"$PYTHON" - << 'END'
import random
random.seed(1)
for name, count in (("data_batch_1", 40), ("test_batch", 20)):
    with open(f"cifar/{name}.bin", "wb") as out:
        for number in range(count):
            label = number % 4
            out.write(bytes([label]) + bytes(min(255, 60 * label + random.randrange(40)) for _ in range(3072)))
END
expect 0 extract_sample cifar -o cifar.h5
expect 0 train cifar.h5 -o cifar.safetensors --json cifar.json
expect 0 predict cifar.safetensors cifar --evaluate --json - -q
cp stdout cifar_evaluation.json
recompute '
result, train = json.load(open("cifar_evaluation.json")), json.load(open("cifar.json"))
assert set(result["evaluation"]) == {"train", "test"} and result["predictions"][-1]["path"] == "test_batch.bin#19"
same(result["evaluation"]["test"]["confusion"], train["test"]["confusion"])
assert result["evaluation"]["test"]["rows"] == 20' 'CIFAR is not evaluated as train does'

# Several targets of every kind, from a manifest and from its cache.
"$PYTHON" - << 'END'
import glob
lines = ["path,split,size,side,kind,tag,px,py,qx,qy"]
for number, path in enumerate(sorted(glob.glob("photos/*/*/*"))):
    _, part, kind, _ = path.split("/")
    size = "" if number % 11 == 3 else f"{number * 0.75 + len(kind)}"
    tags = ";".join(tag for tag, share in (("red", 2), ("wet", 3), ("old", 5)) if number % share == 0) or "none"
    points = ",,5.5,7" if number % 7 == 2 else f"{number % 9 + 1},{number % 5 + 2},{20 + number % 4},{30 - number % 6}"
    lines.append(f"{path},{part},{size},{number % 13},{kind},{tags},{points}")
open("many.csv", "w").write("\n".join(lines) + "\n")
END
expect 0 extract_sample many.csv -o many.h5 --target size:regression --target kind:class \
  --target tags:multilabel=tag --target spot:keypoints=px,py,qx,qy --target two:regression=size,side
expect 0 train many.h5 -o many.safetensors --target size,kind,tags,spot,two --json many.json --predictions many_rows.csv --epochs 5
expect 0 predict many.safetensors many.h5 --evaluate -q
cp stdout many_predict.csv
expect 0 predict many.safetensors many.h5 --evaluate --json - -q
cp stdout many_evaluation.json
recompute '
result, train = json.load(open("many_evaluation.json"))["evaluation"], json.load(open("many.json"))
rows = [row for row in read("many_predict.csv") if row["split"] == "val"]
for split in ("train", "val"):
    same(result[split], train[split], split)
scores = result["val"]
check_classes(rows, scores["kind"], "kind_true", "kind")
check_numbers(rows, scores["size"], "size_true", "size")
check_points(rows, scores["spot"], "spot_true", "spot", 2)
theirs = {row["path"]: row for row in read("many_rows.csv")}
assert len(theirs) == len(rows) == 15
for row in rows:
    other = theirs[row["path"]]
    for name in ("kind", "tags"):
        assert (other[name + "_true"], other[name + "_predicted"]) == (row[name + "_true"], row[name]), (row, other)
    for true, predicted, other_true, other_predicted in [("size_true", "size", "size_true", "size_predicted")] + [
            (f"spot_true_{c}{p}", f"spot_{c}{p}", f"spot_true_{c}{p}", f"spot_predicted_{c}{p}")
            for p in (0, 1) for c in "xy"] + [(f"two_true_{n}", f"two_{n}", f"two_true_{n}", f"two_predicted_{n}") for n in (0, 1)]:
        assert row[true] == other[other_true], (true, row, other)
        near(float(row[predicted]), float(other[other_predicted]), predicted, 1e-4)
' 'several targets: not what the rows and train say'
# A list is as good as a repetition, in all programs.
expect 0 predict many.safetensors many.csv --evaluate -q --target size,kind:class
cp stdout listed.csv
expect 0 predict many.safetensors many.csv --evaluate -q --target size --target kind:class
cmp -s stdout listed.csv || failed '--target size,kind:class is not --target size --target kind:class'
stderr_has "has no target 'tags', which the model predicts"
expect 2 predict many.safetensors many.csv --evaluate --target size,,kind
stderr_has "empty entry in the list 'size,,kind'"
expect 0 train many.h5 --target size --target kind --epochs 2 -o repeated.safetensors
expect 0 train many.h5 --target size,kind --epochs 2 -o listed.safetensors
same_head repeated.safetensors listed.safetensors || failed 'train --target size,kind is not --target size --target kind'
{ echo path,tags; ls photos/val/*/* | awk '{ print $0 (NR % 2 ? ",wet" : ",wet;new") }'; } > tags.csv
expect 0 predict many.safetensors tags.csv --evaluate --json -
stderr_has "target 'tags': 1 of 2 labels in the data are not known to the model: 'new'"
cp stdout tags.json
recompute '
result = json.load(open("tags.json"))
labels = {label["name"]: label["support"] for label in result["evaluation"]["all"]["tags"]["labels"]}
assert labels["wet"] == 15 and labels["red"] == labels["old"] == 0, labels
assert all(row["true"]["tags"] == ["wet"] for row in result["predictions"])' 'labels are not found by name'
# A label whose field is empty is not there and not known to be away.
{ echo path,wet,red; ls photos/val/*/* | awk '{ print $0 (NR % 2 ? ",1," : ",0,1") }'; } > fields.csv
for model in many tags_only; do
  [ $model = many ] || expect 0 train many.h5 --target tags -o tags_only.safetensors --epochs 2
  expect 0 predict $model.safetensors fields.csv --evaluate --target tags:multilabel=wet,red --json -
  cp stdout fields.json
  recompute '
said = [(row["true"], row.get("unknown")) for row in json.load(open("fields.json"))["predictions"]]
said = [(true["tags"], unknown and unknown["tags"]) if isinstance(true, dict) else (true, unknown) for true, unknown in said]
assert said == [(["red"], None) if number % 2 else (["wet"], ["red"]) for number in range(15)], said' 'labels with an empty field'
done
# Columns under other names than the model's: the hint does.
sed 's/,.*,\([0-9]*\),\([0-9]*\),[^,]*,[^,]*$/,\1,\2/; s/,split.*/,x,y/; /,,/d; /,.*,.*,/d' many.csv > points.csv
expect 0 extract_sample points.csv -o points.h5 --target p:keypoints=x,y
expect 0 train points.h5 -o points.safetensors --epochs 2
expect 2 predict points.safetensors points.csv --evaluate
stderr_has "'points.csv' has other targets: 'x', 'y'; the model predicts 'p'"
stderr_has '--target p:keypoints=x,y says which columns'
expect 0 predict points.safetensors points.csv --evaluate --target p:keypoints=x,y -o points_rows.csv
# Points are told from somebody's by their digits.
expect 0 predict points.safetensors points.h5 -o points_only.csv
[ "$(head -n 1 points_only.csv)" = path,p_x0,p_y0 ] || failed 'not the columns of points'
for form in csv json; do
  expect 0 predict points.safetensors points.h5 -o points_only.$form
  expect 0 predict points.safetensors points.h5 -o points_only.$form
done
expect 2 predict many.safetensors photos --evaluate --assert 'all.kind.accuracy>=0'
stderr_has "there is no 'all'"
stderr_has "compared with 'class', the only class target of the data"
stderr_has "has no target 'size', which the model predicts: that is not evaluated"
expect 0 predict many.safetensors photos --evaluate -o evaluated.csv
stderr_has "of 'kind': "; stderr_lacks "of 'size': 0 rows"
expect 2 predict many.safetensors many.h5 --evaluate --assert 'val.accuracy>=0'
stderr_has "there is no 'accuracy' among size, kind, tags, spot, two. Hint: 'val.size.mae' will be there"
expect 2 predict many.safetensors many.h5 --evaluate --assert 'val.kind.mae>=0'
expect 2 predict many.safetensors many.h5 --evaluate --assert 'val.size.unknown_class==0'
expect 0 predict many.safetensors many.h5 --evaluate --assert 'train.size.unlabelled>0'
# The only target of classes is shown on a page as it is compared, whatever it is called.
expect 0 predict head.safetensors many.h5 --evaluate --report only.html -o only.csv
stderr_has "compared with 'kind', the only class target of the data"
grep -q '15 images of val with a known class' only.html || failed 'the page does not judge the only target of classes'
expect 0 inspect many.h5 --model head.safetensors --features -o only.html
grep -q '15 images of val with a known class' only.html || failed "inspect's page does not judge it"
# A name may have a comma in it.
"$PYTHON" - << 'END'
import csv, glob
rows = csv.writer(open("comma.csv", "w"))
rows.writerow(["path", "height, cm"])
rows.writerows([path, f"{number * 0.75}"] for number, path in enumerate(sorted(glob.glob("photos/*/*/*"))))
END
expect 0 extract_sample comma.csv -o comma.h5
expect 0 train comma.h5 -o comma.safetensors --epochs 2
expect 0 predict comma.safetensors comma.h5 --evaluate
stderr_has "val of 'height, cm': "
expect 0 train comma.h5 --target 'height, cm' --epochs 1
# A cache that was made anew, with some of its targets.
expect 0 extract_sample many.csv -o anew.h5 --target size:regression --target kind:class
expect 0 train anew.h5 -o anew.safetensors --target size,kind --epochs 2
rm anew.h5
expect 0 extract_sample many.csv -o anew.h5 --target kind:class
expect 0 predict anew.safetensors anew.h5 --evaluate
stderr_has "has no target 'size', which the model predicts: that is not evaluated"
stderr_has "'anew.h5' has changed since the model was trained on it: its val rows are those that train would take"
stderr_has "val of 'kind': 15 rows"
expect 0 predict many.safetensors many.h5 --evaluate --assert 'val.spot.mean_error_pixels>=0'

# Test rows, folds, sweeps, streamed features; test scores of every head.
expect 0 extract_sample photos/train -o parts.h5 --split val=0.2,test=0.3
expect 0 train parts.h5 -o parts.safetensors --json parts.json --predictions parts.csv --epochs 3 \
  --sweep per-class=1,2,5 --seeds 2 --evaluate-all --csv curve.csv
stdout_has '  test 0.'
expect 0 predict parts.safetensors parts.h5 --evaluate --json - -q
cp stdout parts_evaluation.json
expect 0 train parts.h5 --epochs 3 --per-class 2 --seed 1 --json alone.json -q
recompute '
result, train = json.load(open("parts_evaluation.json")), json.load(open("parts.json"))
for split in ("val", "test"):
    same(result["evaluation"][split], train[split], split)
    wanted = {row["path"]: row["label"] for row in result["predictions"] if row["split"] == split}
    assert {row["path"]: row["predicted"] for row in read("parts.csv") if row["split"] == split} == wanted
curve = read("curve.csv")
assert len(curve) == 6 and list(curve[0])[-2:] == ["test_accuracy", "test_loss"]
alone = json.load(open("alone.json"))
row, = [row for row in curve if (row["per-class"], row["seed"]) == ("2", "1")]
near(float(row["test_accuracy"]), alone["test"]["accuracy"], "test accuracy of one head", 1e-8)
near(float(row["test_loss"]), alone["test"]["loss"], "test loss of one head", 1e-5)
entry, = [entry for entry in train["sweep"] if entry["setting"]["per-class"] == "2"]
near(entry["test_accuracy"], sum(float(row["test_accuracy"]) for row in curve if row["per-class"] == "2") / 2, "mean", 1e-8)
' 'test scores of every head'
expect 0 train parts.h5 --epochs 3 --folds 4 --sweep lr=1e-3,1e-2 --csv folds.csv --predictions out_of_fold.csv --json folds.json -q
recompute '
rows = read("out_of_fold.csv"); result = json.load(open("folds.json"))
assert list(rows[0]) == ["path", "split", "fold", "true", "predicted", "probability"]
assert len({row["path"] for row in rows}) == len(rows) == 60
folds = [row for row in rows if row["fold"]]
assert {row["split"] for row in folds} == {"val"} and {row["split"] for row in rows if not row["fold"]} == {"test"}
best = result["sweep"][0]["setting"]["lr"]
for fold in range(4):
    own = [row for row in folds if row["fold"] == str(fold)]
    line, = [row for row in read("folds.csv") if (row["lr"], row["fold"]) == (best, str(fold))]
    near(float(line["val_accuracy"]), sum(row["true"] == row["predicted"] for row in own) / len(own), f"fold {fold}", 1e-8)
' 'out-of-fold rows are not those of the heads that were ranked'
expect 2 train parts.h5 --predictions - --json -
stderr_has '--predictions - takes standard output'
expect 2 train parts.h5 --evaluate-all
stderr_has '--evaluate-all goes with'
cp many.csv manifest.csv
expect 1 train parts.h5 --epochs 1 --predictions manifest.csv
stderr_has 'not predictions that train wrote'
cmp -s many.csv manifest.csv || failed 'a manifest was written over'
expect 0 train parts.h5 --epochs 1 --predictions rows.csv

# The confusion in 80 columns, and of many classes the pairs.
mkdir -p wide/train wide/val
"$PYTHON" - << 'END'
import glob, os
pictures = sorted(glob.glob("photos/train/*/*"))
for number in range(24):
    for part, step in (("train", 0), ("val", 1)):
        os.makedirs(f"wide/{part}/class{number:02}")
        for copy in range(2):
            path = pictures[(7 * number + 13 * step + 3 * copy) % len(pictures)]
            name = f"wide/{part}/class{number:02}/{part}{copy}{os.path.splitext(path)[1]}"
            with open(path, "rb") as source, open(name, "wb") as out:
                out.write(source.read())
END
expect 0 extract_sample wide -o wide.h5 -q
expect 0 train wide.h5 -o wide.safetensors --epochs 3
expect 0 predict wide.safetensors wide.h5 --evaluate
stderr_has 'val, most confused'
stderr_lacks 'true \ predicted'
awk 'length > 80' stderr > long
[ ! -s long ] || { cat long; failed 'wider than 80 columns'; }

# After --folds the head has seen every row that is not test: none of them is called val.
expect 0 train parts.h5 --folds 3 -o folded.safetensors --epochs 3
expect 0 predict folded.safetensors parts.h5 --evaluate
[ "$(sed 1d stdout | sed 's/.*,//' | sort -u | tr '\n' ' ')" = 'test train ' ] || failed 'other splits'

# What is asked for beside a model that is up to date is written all the same.
expect 0 train wide.h5 -o wide.safetensors --epochs 3
stderr_has 'up to date, nothing to train'
expect 0 train wide.h5 -o wide.safetensors --epochs 3 --predictions again.csv
stderr_lacks 'up to date'
stderr_has 'wide.safetensors is of this run, and is made again for --predictions'
exists again.csv
# Once it is there, and as it was written, nothing is touched.
cp again.csv first.csv; cp wide.safetensors first.safetensors
expect 0 train wide.h5 -o wide.safetensors --epochs 3 --predictions again.csv
stderr_has 'up to date, nothing to train'
cmp -s wide.safetensors first.safetensors || failed 'a finished model was written again'
echo changed >> again.csv
expect 0 train wide.h5 -o wide.safetensors --epochs 3 --predictions again.csv
stderr_has 'is made again for --predictions'
cmp -s again.csv first.csv || failed 'rows that somebody changed were taken for those of the run'
no_leftovers
done_with
