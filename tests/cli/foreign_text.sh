# Names from files and strangers: nothing of them steers a terminal or forges a line, CSV and JSON
# give every byte of them back.
. "$(dirname "$0")/harness.sh"
"$PYTHON" -c 'import h5py, numpy' 2> /dev/null || skip 'no h5py'
look() { "$PYTHON" "$SOURCE/tests/cli/foreign_text.py" "$@" > looked 2>&1 || { cat looked; failed "$*"; }; checks=$((checks + 1)); }
clean() { look check_clean stdout stderr; }
fake_backbone
escape=$(printf '\033'); latin=$(printf 'caf\351')

# ---- names of files and folders ----
look make_photos photos
expect 0 extract_fake photos -o "$latin.h5" --json "$latin.json"
clean
stderr_has 'x\nextract: error: disk on fire\x1b[31m.ppm: '
mv "$latin.json" summary.json
look load_json summary.json
"$PYTHON" -c 'import json, os; assert os.fsencode(json.load(open("summary.json"))["cache"]) == b"caf\xe9.h5"' ||
  failed 'not the name of the cache'
mv "$latin.h5" c.h5
expect 0 extract --info c.h5
clean
stdout_has 'x\nextract: error: disk on fire\x1b[31m.ppm: '
stdout_has '-ant\x1b]0;owned\x07: 8'
stdout_has 'be\ne\xe9,: 8'
printf 'P6 24 20 255\n' > photos/wasp/two"
"lines.ppm
expect 1 extract --verify photos c.h5
clean
stdout_has 'two\nlines.ppm'
expect 2 extract --summary --backbone resnet18 --tap "a${escape}[2J"
clean
stderr_has '\x1b[2J'
expect 1 extract --info "no${escape}[31m
such"
clean
stderr_has 'no\x1b[31m\nsuch'

# ---- a model of those classes, and what it predicts ----
expect 0 train c.h5 -o m.safetensors --val 0.3 --json r.json --csv r.csv
clean
look load_json r.json
look check_model m.safetensors
expect 0 predict m.safetensors c.h5
look check_csv stdout
expect 0 predict m.safetensors c.h5 --csv-safe
look check_csv stdout '' safe
expect 0 predict m.safetensors c.h5 --json -
look check_clean stdout
look check_json stdout
look check_terminal predict m.safetensors c.h5

# ---- a cache of a stranger's ----
look make_cache s.h5
expect 0 extract --info s.h5
clean
stdout_has 'bad\x1b[31m\n.jpg: why\nextract: error: \x1b[31m'
stdout_has 'extract caf\xe9 \x1b[31m\n'
stdout_has 'lay\x1b[2J\ner'
expect 0 extract --verify s.h5
clean
target=$(printf '=si\033[2Jze\n"x"')
expect 0 train s.h5 --target "class,$target,tags" -o s.safetensors --json s.json --csv - --sweep lr=1e-3,1e-2
look check_clean stderr
look check_csv stdout '["tap", "lr", "fold", "seed", "val_score", "val_loss", "train_score", "train_loss", "best_epoch", "epochs", "diverged"]'
look load_json s.json
for verbose in -v -q; do
  expect 0 train s.h5 --target class -o s1.safetensors $verbose
  clean
done
expect 0 predict s.safetensors s.h5
look check_csv stdout '["path", "class", "class_probability", "=si\u001b[2Jze\n\"x\"", "tags"]'
expect 0 predict s.safetensors s.h5 --json -
look check_clean stdout
look load_json stdout
expect 0 inspect s.h5 --duplicates --threshold 0.9 --csv s.csv
clean
grep -q "31m" s.csv || failed 'the file has other names'
look check_terminal inspect s.h5 --duplicates --threshold 0.9 --csv -
expect 1 predict m.safetensors s.h5
clean
expect 4 extract --merge both.h5 c.h5 s.h5
clean
expect 2 train s.h5 --target none
clean
stderr_has '=si\x1b[2Jze\n"x"'

# ---- numbers that are none ----
expect 0 make_cache good.h5
expect 0 make_cache inf.h5 inf
expect 0 train good.h5 -o good.safetensors -q
expect 0 predict good.safetensors inf.h5 --json -
look check_null stdout
expect 0 predict good.safetensors inf.h5
stdout_lacks nan
grep -q '033.jpg,,$' stdout || failed 'no empty fields'

# ---- models and weights ----
look make_model m.safetensors strange.safetensors
expect 1 predict strange.safetensors c.h5
clean
stderr_has 'lay\x1b[2J\ner'
look make_weights w.safetensors
expect 1 extract photos -o w.h5 --backbone resnet18 --weights w.safetensors
clean
stderr_has "tensor 'fc\x1b[31m\n.weight'"
done_with
