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
