# The experiments of Makefile.data, on a few drawn images in archives like the public ones.
. "$(dirname "$0")/harness.sh"
needs_torch
SAMPLE_WEIGHTS=$WEIGHTS
unset WEIGHTS BACKBONE EXAMPLES DOWNLOADS TORCH_HOME XDG_CACHE_HOME 2>/dev/null || :
mkdir bin home all few
HOME=$WORK/home; export HOME # no weights of the person who runs this
"$PYTHON" "$SOURCE/tests/tools/make_archives.py" all

# A network that fails, and later one that brings what FETCHED says; where to is after -o or -O.
cat > bin/curl <<'END'
#!/bin/sh
echo "$*" >> "$FETCHES"
while [ $# -gt 1 ]; do case $1 in -o|-O) to=$2;; esac; shift; done
[ -n "${FETCHED:-}" ] || exit 6
cp "$FETCHED" "$to"
END
chmod +x bin/curl
cp bin/curl bin/wget
PATH=$WORK/bin:$PATH; export FETCHES=$WORK/fetches
: > fetches

recipe() {
  out=$1; shift
  make -C "$SOURCE" -f Makefile.data BUILD="$BUILD" OUT="$WORK/$out" "$@"
}
result() {
  checks=$((checks + 1)); command="result of $1"
  "$PYTHON" - "$@" <<'END' || failed "$1 is not as expected"
import json, sys
result = json.load(open(sys.argv[1]))
for claim in sys.argv[2:]:
    assert eval(claim, {}, result), (claim, {k: result[k] for k in ("config", "train") if k in result})
END
}
# Nothing of the recipe `name` is made again.
again() {
  state=$(find "$1" -type f ! -name 'build*' -exec stat -c '%y %n' '{}' + | sort)
  out=$1; shift
  expect 0 recipe "$out" "$@"
  stderr_has 'up to date'
  stdout_lacks 'unpacking'
  stderr_lacks 'epoch'
  [ "$state" = "$(find "$out" -type f ! -name 'build*' -exec stat -c '%y %n' '{}' + | sort)" ] ||
    failed 'a second run made something again'
}
DRY='WEIGHTS=random:0'
SMALL="BACKBONE=resnet18_w16 WEIGHTS=$SAMPLE_WEIGHTS"

# As the seeds ran them, down to the network, on few images.
expect 0 recipe out DOWNLOADS="$WORK/all" $DRY EXAMPLES=24 cifar10
stdout_has 'unpacking'
stderr_has 'sample: 24 of 120 images'
stderr_has 'resize 224, centre crop 224'
result out/cifar10-resnet18.json 'config["optimizer"] == "adam" and config["batch"] == 64 and config["lr"] == 1e-3' \
  'len(epochs) == 5 and config["normalize"] == "none" and config["head"] == "linear"' \
  'train["rows"] == 20 and test["rows"] == 4 and 0 <= test["accuracy"] <= 1'
expect 0 extract --info out/cifar10-resnet18.h5
stdout_has 'avgpool (512)'
again out DOWNLOADS="$WORK/all" $DRY EXAMPLES=24 cifar10
# More examples: only those are computed.
expect 0 recipe out DOWNLOADS="$WORK/all" $DRY EXAMPLES=30 cifar10
stderr_has '30 images: 6 new, 24 reused'

expect 0 recipe out DOWNLOADS="$WORK/all" $DRY EXAMPLES=10 cats-dogs
stderr_has 'linear head 25088 -> 2'
result out/cats-dogs-vgg16.json 'len(epochs) == 1 and train["rows"] + val["rows"] == 10 and val["rows"] >= 1'
again out DOWNLOADS="$WORK/all" $DRY EXAMPLES=10 cats-dogs
# Kaggle's own archive: one folder in an archive in an archive. Without EXAMPLES, up to 500.
cp all/dogs-vs-cats.zip few/
expect 0 recipe kaggle DOWNLOADS="$WORK/few" $SMALL cats-dogs
result kaggle/cats-dogs-resnet18_w16.json 'train["rows"] + val["rows"] == 24'
expect 0 extract --info kaggle/cats-dogs-resnet18_w16.h5
stdout_has '0 cat: 12'

expect 0 recipe out DOWNLOADS="$WORK/all" $SMALL hymenoptera
result out/hymenoptera-resnet18_w16.json 'train["rows"] == 16 and val["rows"] == 8' \
  'config["optimizer"] == "sgd" and config["momentum"] == 0.9 and config["batch"] == 4' 'len(epochs) == 25'

# Ages and genders from the names of the files and from a table are the same.
expect 0 recipe out DOWNLOADS="$WORK/all" $SMALL age-gender
result out/age-gender-resnet18_w16.json 'train["age"]["rows"] + val["age"]["rows"] == 40' \
  'val["age"]["mae"] < 60 and 0 <= val["gender"]["accuracy"] <= 1 and train["gender"]["accuracy"] > 0.6'
again out DOWNLOADS="$WORK/all" $SMALL age-gender
sort out/data/age-gender/age-gender.csv > named
mkdir table; cp all/faces-age-gender.tar table/
expect 0 recipe table_out DOWNLOADS="$WORK/table" $SMALL EXAMPLES=20 age-gender
stderr_has 'sample: 20 of 40 images'
sed 's/images.//' table_out/data/age-gender/age-gender.csv | sort | cmp -s - named || failed 'two ages or genders'
# A sample's targets are its own.
expect 0 predict table_out/age-gender-resnet18_w16.safetensors table_out/age-gender-resnet18_w16.h5
checks=$((checks + 1))
"$PYTHON" - "$WORK/table_out" "$BUILD" <<'END' || failed 'targets of another image'
import os, subprocess, sys
try:
    os.environ["HDF5_PLUGIN_PATH"] = sys.argv[2] + "/lib/hdf5-plugins"
    import h5py
except ImportError:
    sys.exit(0)
with h5py.File(sys.argv[1] + "/age-gender-resnet18_w16.h5") as cache:
    classes = [name.decode() for name in cache["classes/gender"][:]]
    rows = list(zip(cache["samples/path"][:], cache["targets/age"][:], cache["targets/gender"][:]))
assert len(rows) == 20
for path, age, gender in rows:
    name = path.decode().split("/")[-1].split("_")
    assert int(name[0]) == int(age) and ("male", "female")[int(name[1])] == classes[gender], (path, age, gender)
END

# Points: the errors in pixels of the original images are those of what predict says.
keypoints() {
  expect 0 recipe out DOWNLOADS="$WORK/all" $SMALL EXTRACT_FLAGS='--tap layer3' "$@" keypoints
  result out/keypoints-resnet18_w16.json 'len(test["points"]) == 68' "$rows"
  expect 0 predict out/keypoints-resnet18_w16.safetensors out/data/keypoints/training out/data/keypoints/test
  checks=$((checks + 1))
  "$PYTHON" - stdout out/data/keypoints/keypoints.csv out/keypoints-resnet18_w16.json <<'END' || failed 'other errors'
import csv, json, math, os, sys
table = {os.path.basename(row[0]): row for row in list(csv.reader(open(sys.argv[2])))[1:]}
result = json.load(open(sys.argv[3]))
errors = {}
for row in list(csv.reader(open(sys.argv[1])))[1:]:
    truth = table[os.path.basename(row[0])]
    x, y = [list(map(float, side)) for side in (truth[1:137:2], truth[2:137:2])]
    found = list(map(float, row[1:137]))
    mean = sum(math.hypot(found[2 * k] - x[k], found[2 * k + 1] - y[k]) for k in range(68)) / 68
    errors.setdefault(truth[-1], []).append(mean)
for part, found in errors.items():
    mean = sum(found) / len(found)
    assert abs(mean - result[part]["mean_error_pixels"]) < 1e-3 * mean + 1e-3, (part, mean, result[part])
END
}
rows='train["rows"] == 30 and test["rows"] == 10 and train["mean_error_pixels"] < 1 and test["mean_error_pixels"] < 10'
keypoints
again out DOWNLOADS="$WORK/all" $SMALL EXTRACT_FLAGS='--tap layer3' keypoints
rows='config["head"] == "mlp:32"'
keypoints TRAIN_FLAGS='--optimizer adamw --loss l1 --weight-decay 0.1 --head mlp:32 --epochs 20'

# A network from nothing, which extract then takes.
expect 0 recipe out DOWNLOADS="$WORK/all" EXAMPLES=24 TRAIN_FLAGS='--epochs 1 --batch 10' backbone
stderr_has 'fine-tuning '
result out/backbone-cifar10.json 'train["rows"] == 20 and test["rows"] == 4 and config["optimizer"] == "sgd"' \
  'config["views"] == 8 and len(epochs) == 1'
expect 0 extract out/data/cifar10 -o own.h5 --backbone resnet18_w16 --weights out/resnet18_w16.safetensors --sample 12
again out DOWNLOADS="$WORK/all" EXAMPLES=24 TRAIN_FLAGS='--epochs 1 --batch 10' backbone

# What is not there and cannot be fetched: who has it, and where to put it.
[ ! -s fetches ] || failed "something was fetched: $(cat fetches)"
mkdir none
for case in cifar10:cifar-10-binary.tar.gz:cs.toronto.edu cats-dogs:kagglecatsanddogs_5340.zip:download.microsoft.com \
  hymenoptera:hymenoptera_data.zip:download.pytorch.org keypoints:train-test-data.zip:udacity age-gender:UTKFace.tar.gz:UTKFace; do
  name=${case%%:*} rest=${case#*:}
  expect 2 recipe missing DOWNLOADS="$WORK/none" $DRY "$name"
  stderr_has "Put ${rest%%:*}, from https://"
  stderr_has "${rest#*:}"
  stderr_has 'DOWNLOADS=FOLDER'
done
expect 2 recipe missing DOWNLOADS="$WORK/all" cats-dogs
stderr_has 'Put vgg16-397923af.pth, from https://download.pytorch.org/models/vgg16-397923af.pth'
# Something else comes; the archive comes; an archive holds something else.
export FETCHED=$WORK/all/faces-keypoints.tar
expect 2 recipe missing $DRY hymenoptera
stderr_has 'has another SHA-256 than fbc41b31'
expect 2 recipe missing $DRY cats-dogs
stderr_has 'has another SHA-256 than b7974bd0'
[ -z "$(find missing/downloads none -type f)" ] || failed "left behind: $(find missing/downloads none -type f)"
expect 0 recipe fetched $SMALL EXAMPLES=8 keypoints
exists fetched/downloads/train-test-data.zip
: > fetches
again fetched $SMALL EXAMPLES=8 keypoints
[ ! -s fetches ] || failed 'fetched twice'
mkdir wrong; cp all/hymenoptera_data.zip wrong/faces-keypoints.tar
expect 2 recipe wrong_out DOWNLOADS="$WORK/wrong" $SMALL keypoints
stderr_has 'faces-keypoints.tar: no such file or folder in it: -name training_frames_keypoints.csv'
# An archive in an archive that is cut short is no data set.
mkdir cut
"$PYTHON" - all/dogs-vs-cats.zip cut/dogs-vs-cats.zip <<'END'
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as whole, zipfile.ZipFile(sys.argv[2], "w") as cut:
    for name in whole.namelist():
        data = whole.read(name)
        cut.writestr(name, data[:len(data) * 2 // 3] if name.endswith("train.zip") else data)
END
expect 2 recipe cut_out DOWNLOADS="$WORK/cut" $SMALL cats-dogs
absent cut_out/data/cats-dogs.ready
# The weights of torch's own cache are taken, not fetched.
mkdir -p home/.cache/torch/hub/checkpoints
echo 'not weights' > home/.cache/torch/hub/checkpoints/resnet18-f37072fd.pth
expect 2 recipe cached DOWNLOADS="$WORK/all" hymenoptera
stderr_has 'resnet18-f37072fd.pth'
[ ! -s fetches ] || failed 'fetched what was there'
done_with
