# What predict says before it opens anything, and where its predictions go.
. "$(dirname "$0")/harness.sh"

expect 0 predict --help
stdout_has 'usage: predict'
stdout_has '-o, --output FILE'
stdout_has 'also --export'
expect 0 predict -V
stdout_has 'predict (permafrost)'
expect 2 predict
stderr_has 'which model? Usage: predict MODEL'
expect 2 predict m.safetensors
stderr_has 'which images? Usage: predict MODEL'
for pair in gpu:device classes:class-map num-workers:workers top-k:top outfile:output; do
  expect 2 predict m.safetensors a.jpg --${pair%:*}
  stderr_has "Did you mean --${pair#*:}?"
done

# --json was a flag: what stood behind it is not written over, and the new spelling is said.
make_cache c.h5
expect 0 train c.h5 -q -o m.safetensors
echo "a picture" > a.jpg
mkdir folder
for value in a.jpg m.safetensors c.h5 folder; do
  cp -r $value before
  expect 2 predict m.safetensors c.h5 --json $value
  stderr_has "'$value' is there and is no JSON"
  stderr_has '--json - writes to standard output'
  diff -r $value before || failed "'$value' was written over"
  rm -r before
done
expect 2 predict m.safetensors c.h5 --json -q
stderr_has "found '-q'"
absent ./-q
# With nothing behind it, it means what it meant.
expect 0 predict m.safetensors c.h5 --json -
cp stdout said
expect 0 predict m.safetensors c.h5 --json
cmp -s stdout said || failed '--json alone is not --json -'
expect 2 predict m.safetensors --json - --quiet
stderr_has 'which images?'

# CSV by itself, to a file, as JSON; two at once.
expect 0 predict m.safetensors c.h5
cp stdout rows.expected
expect 0 predict m.safetensors c.h5 -o rows.csv
stdout_empty
cmp -s rows.csv rows.expected || failed '-o FILE.csv and standard output differ'
expect 0 predict m.safetensors c.h5 -o -
cmp -s stdout rows.expected || failed '-o - is not standard output'
expect 0 predict m.safetensors c.h5 --json -
cp stdout json.expected
expect 0 predict m.safetensors c.h5 -o rows.json
stdout_empty
cmp -s rows.json json.expected || failed '-o FILE.json and --json - differ'
expect 0 predict m.safetensors c.h5 --json other.json
stdout_empty
cmp -s other.json json.expected || failed '--json FILE and --json - differ'
expect 0 predict m.safetensors c.h5 -o rows.csv --json other.json
cmp -s rows.csv rows.expected && cmp -s other.json json.expected || failed 'two at once'
expect 0 predict m.safetensors c.h5 -o - --json other.json
cmp -s stdout rows.expected || failed 'CSV on standard output beside JSON in a file'
expect 0 predict m.safetensors c.h5 -o /dev/stdout
cmp -s stdout rows.expected || failed '/dev/stdout'
expect 2 predict m.safetensors c.h5 -o - --json -
stderr_has '-o - and --json -: standard output takes one of them'
expect 2 predict m.safetensors c.h5 -o same.json --json same.json
stderr_has 'are the same file'
for file in rows.h5 rows.txt rows rows.v2; do
  expect 2 predict m.safetensors c.h5 -o $file
  stderr_has "-o '$file'"
  absent $file
done
expect 2 predict m.safetensors c.h5 -o rows.json --csv-safe
stderr_has '--csv-safe is for CSV, and -o FILE.json writes JSON'
# What is there and is something else stays; what fails leaves what was there.
printf 'id,name\n1,me\n' > mine.csv
expect 1 predict m.safetensors c.h5 -o mine.csv
stderr_has "'mine.csv' is there already"
# Tables of labels, which people make by hand, begin with the path as predictions do.
stays() {
  cp "$1" before
  expect 1 predict m.safetensors c.h5 "$2" "$1"
  stderr_has "'$1' is there already and is $3 of another kind, not predictions that predict wrote"
  cmp -s "$1" before || failed "'$1' was written over"
}
for header in path,label path,age,gender path,split,true path,label,probability,note \
  path,tags,true path,novelty path; do
  printf '%s\nIMG_1.jpg,12.5,7\nIMG_2.jpg,13,200\n' $header > mine.csv
  stays mine.csv -o text
done
for row in '"boxes": [1, 2]' '"label": "cat"' '"age": 23.5' '"labels": ["a"]'; do
  printf '[{"path": "IMG_1.jpg", %s}]\n' "$row" > mine.json
  stays mine.json -o JSON
  printf '[\n {"path": "IMG_1.jpg", %s},\n {"path": "IMG_2.jpg", %s}\n]\n' "$row" "$row" > mine.json
  stays mine.json --json JSON
done
# A table without rows, as of a run without images, has nothing to lose.
printf 'path,label\n' > mine.csv
expect 0 predict m.safetensors c.h5 -q -o mine.csv
# What predict wrote is made again, whatever the model was and the options were.
again() {
  expect 0 predict "$@" -q -o again.csv --json again.json
  expect 0 predict m.safetensors c.h5 -q -o again.csv --json again.json
  cmp -s again.csv rows.expected && cmp -s again.json json.expected || failed "not made again: $*"
}
again m.safetensors c.h5
again m.safetensors c.h5 --top 2
again m.safetensors c.h5 --evaluate
again m.safetensors c.h5 --evaluate --top 2
for kinds in 'numbers notarget' numbers 'numbers labels'; do
  make_cache other.h5 $kinds
  expect 0 train other.h5 -q -o other.safetensors --force
  again other.safetensors other.h5
  again other.safetensors other.h5 --evaluate
done
# Labels of several alone are written as a manifest has them, which is not taken for predictions.
make_cache tags.h5 notarget labels
expect 0 train tags.h5 -q -o tags.safetensors
again tags.safetensors tags.h5 --evaluate
expect 0 predict tags.safetensors tags.h5 -o tags.csv
[ "$(head -n 1 tags.csv)" = path,tags ] || failed 'not the columns of labels'
stays tags.csv -o text
# Options of other kinds of targets would do nothing.
expect 2 predict m.safetensors c.h5 --threshold 0.5
stderr_has "--threshold is for targets of several labels, and model 'm.safetensors' predicts none: 'class' is of kind class"
expect 2 predict tags.safetensors tags.h5 --top 2
stderr_has "--top is for targets of classes, and model 'tags.safetensors' predicts none"
expect 0 predict tags.safetensors tags.h5 --threshold 0.99 -q
cp stdout few
expect 0 predict tags.safetensors tags.h5 -q
! cmp -s stdout few || failed '--threshold does nothing'
# The numbers beside the rows, and the page, are of the same threshold.
expect 0 predict tags.safetensors tags.h5 --threshold 0.9 --evaluate --json judged.json --report judged.html
stderr_has 'labels count as predicted above a probability of 0.9'
grep -q 'of each label, above a probability of 0.9' judged.html || failed 'the page has another threshold'
"$PYTHON" - << 'END' || failed 'the numbers are not those of the rows'
import json
result = json.load(open("judged.json"))
seen = 0
for split, scores in result["evaluation"].items():
    rows = [row for row in result["predictions"] if row["split"] == split]
    exact = sum(row["tags"]["labels"] == row["true"] for row in rows)
    assert abs(scores["subset_accuracy"] - exact / len(rows)) < 1e-9, (split, scores["subset_accuracy"])
    for label in scores["labels"]:
        named = [row for row in rows if label["name"] in row["tags"]["labels"]]
        right = sum(label["name"] in row["true"] for row in named)
        assert abs(label["precision"] - (right / len(named) if named else 0)) < 1e-9, (split, label)
        assert abs(label["recall"] - (right / label["support"] if label["support"] else 0)) < 1e-9, (split, label)
        half = [row for row in rows if row["tags"]["probabilities"][label["name"]] > 0.5]
        seen += len(half) != len(named)
assert seen, "0.9 and 0.5 tell the same labels"
END
# Options that only say something of predictions do nothing beside what looks at the model alone.
for option in '--assert val.accuracy>=0' '--report p.html' --novelty '--reject 99' '--threshold 0.5' '--top 2' \
  '--class-map names.txt' --anonymous --no-thumbnails; do
  for mode in --info --verify; do
    # shellcheck disable=SC2086
    expect 2 predict m.safetensors $mode $option
    stderr_has "$mode looks at the model alone, and does not go with ${option%% *}"
    stdout_empty
  done
done
for option in '--report p.html' '--top 2' --anonymous; do
  # shellcheck disable=SC2086
  expect 2 predict m.safetensors -o m.onnx $option
  stderr_has "${option%% *} goes with predictions, and -o m.onnx exports the model"
  absent m.onnx
done
for option in --anonymous --no-thumbnails; do
  expect 2 predict m.safetensors c.h5 $option
  stderr_has "$option belongs to --report FILE.html"
done

# Rows whose features are not finite have no answer: no label, no part in the numbers or the page.
make_cache all.h5 numbers labels
expect 0 train all.h5 -q --target class,size,tags -o all.safetensors
for value in nan inf; do
  make_cache broken.h5 $value
  expect 0 predict m.safetensors broken.h5 --evaluate --top 2 --report broken.html
  stderr_has '1 of 400 rows have features that are NaN or infinite: they get no label, and count in no number'
  stderr_has "all of 'class': 399 rows"
  stdout_has 'class 1/033.jpg,,,,,bees,'
  grep -q '399 images of .* with a known class' broken.html || failed "the page judges the row of $value"
  make_cache broken.h5 $value numbers labels
  expect 0 predict all.safetensors broken.h5 --evaluate -o broken.csv --json broken.json
  grep -q '^class 1/033.jpg,,,,,bees,' broken.csv || failed "a row of $value has an answer"
  "$PYTHON" - << 'END' || failed "a row of $value has an answer in JSON"
import json
result = json.load(open("broken.json"))
row, = [row for row in result["predictions"] if row["path"].endswith("033.jpg")]
assert row["class"]["label"] is row["class"]["probability"] is row["size"] is None, row
assert row["tags"]["labels"] == [], row
assert result["evaluation"]["all"]["class"]["rows"] == result["evaluation"]["all"]["tags"]["rows"] == 399
END
done

# A page of a cache compares: a model that predicts none of its targets is refused before the rows.
make_cache bare.h5 notarget
expect 4 predict m.safetensors bare.h5 --report bare.html -o bare.csv
stderr_has "model 'm.safetensors' predicts none of the targets of 'bare.h5'"
absent bare.csv
absent bare.html
expect 0 predict m.safetensors bare.h5
make_cache size.h5 notarget numbers
expect 0 train size.h5 -q -o size.safetensors
expect 4 inspect c.h5 --model size.safetensors --features -o bare.html --json bare.json
stderr_has "model 'size.safetensors' predicts none of the targets of 'c.h5'"
absent bare.json
# The only target of numbers is of one number there, of two here.
"$PYTHON" - << 'END'
import shutil
import h5py
shutil.copy("size.h5", "box.h5")
with h5py.File("box.h5", "r+") as cache:
    values, attributes = cache["targets/size"][:], dict(cache["targets/size"].attrs)
    del cache["targets/size"]
    if "sealed" in cache.attrs:
        del cache.attrs["sealed"]
    cache["targets/box"] = values.reshape(len(values), -1)[:, :1].repeat(2, axis=1)
    cache["targets/box"].attrs.update(attributes)
END
expect 4 predict size.safetensors box.h5 --report bare.html -o bare.csv
stderr_has "model 'size.safetensors' predicts none of the targets of 'box.h5'"
absent bare.csv

# A cache that was made anew, so that train could not take it: its own splits, and why.
make_cache anew.h5
expect 0 train anew.h5 -q -o anew.safetensors
make_cache anew.h5 oneclass val
expect 0 predict anew.safetensors anew.h5 --evaluate
stderr_has 'which of its rows the model has seen cannot be told: '
stderr_has "val of 'class': 100 rows"

# A disk that is full ends a long run early, and so does Ctrl-C.
expect 1 predict m.safetensors c.h5 -o /dev/full --report full.html
stderr_has "cannot write the predictions to '/dev/full': No space left on device"
absent full.html
make_cache many.h5 many
expect 0 train many.h5 -q --no-search --epochs 1 -o many.safetensors
checks=$((checks + 1))
"$PYTHON" - << 'END' || failed 'Ctrl-C does not end the rows of a cache'
import fcntl, json, signal, subprocess
run = subprocess.Popen(["predict", "many.safetensors", "many.h5", "--json", "-", "--top", "5"], bufsize=0,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
fcntl.fcntl(run.stdout, 1031, 4096)  # F_SETPIPE_SZ: the first block of rows does not fit
assert run.stdout.read(1) == b"["
run.send_signal(signal.SIGINT)
out, said = run.communicate()
assert run.returncode == 130, (run.returncode, said)
# A write that the signal breaks off would say so too, after all rows.
assert b"error: interrupted\n" in said and out.count(b'"path"') < 400, (out.count(b'"path"'), said)
END
expect 2 predict tags.safetensors -o tags.onnx --threshold 0.5
stderr_has '--threshold goes with predictions'
# What goes wrong says with which file.
expect 1 predict m.safetensors c.h5 -o /dev/full
stderr_has "cannot write the predictions to '/dev/full': No space left on device"
expect 1 predict m.safetensors a.jpg
stderr_has "model 'm.safetensors': the \"preprocess\" entry lacks a usable resize"
stderr_has 'it predicts rows of such caches, and no images'
expect 1 predict m.safetensors c.h5 -o nowhere/rows.csv
stderr_has 'nowhere'
expect 1 predict m.safetensors nowhere.jpg -o rows.csv
cmp -s rows.csv rows.expected || failed 'a failed run has touched the file'
no_leftovers
done_with
