# What --json writes is as docs/schema says, and says when, by which command and by which version.
. "$(dirname "$0")/harness.sh"
fake_backbone
photographs photos 4 2
as_said() { # SCHEMA FILE
  checks=$((checks + 1))
  "$PYTHON" "$SOURCE/tests/tools/check_schema.py" "$SOURCE/docs/schema/$1.json" "$2" > said 2>&1 || { cat said; failed "'$2' is not as $1 says"; }
}
refused() { # SCHEMA FILE
  checks=$((checks + 1))
  ! "$PYTHON" "$SOURCE/tests/tools/check_schema.py" "$SOURCE/docs/schema/$1.json" "$2" > said 2>&1 || failed "'$2' is taken for $1"
}

printf 'no picture' > photos/train/cat/bad.jpg
expect 0 extract_fake photos -o c.h5 --json run.json
as_said extract-result run.json
expect 0 extract_fake photos -o c.h5 --json again.json
as_said extract-result again.json
expect 0 extract --info c.h5 --json info.json
stdout_empty
as_said cache-info info.json
expect 0 extract --info c.h5 --json -
as_said cache-info stdout
expect 2 extract --info c.h5 --json c.h5
make_cache own.h5 multilabel
expect 0 extract --info own.h5 --json own.json
as_said cache-info own.json
"$PYTHON" -c '
import json
info = json.load(open("info.json"))
assert info["rows"] == 18 and info["splits"] == {"train": 12, "val": 6, "test": 0}, info["splits"]
assert [entry["path"] for entry in info["rejected"]] == ["train/cat/bad.jpg"], info["rejected"]
assert {entry["name"]: entry["rows"] for entry in info["targets"][0]["classes"]} == {"boat": 6, "cat": 6, "tree": 6}
' || failed 'the numbers of --info'

expect 0 train own.h5 --target class -q --epochs 3 --json one.json -o m.safetensors
as_said train-result one.json
expect 0 train own.h5 --target class -q --epochs 3 --sweep lr=1e-3,1e-2 --folds 2 --json sweep.json
as_said train-result sweep.json
expect 0 train own.h5 --target class -q --optimizer lbfgs --json lbfgs.json
as_said train-result lbfgs.json
expect 0 predict m.safetensors own.h5 --json rows.json --top 2
as_said predictions rows.json
expect 0 train own.h5 --target class -q --epochs 3 --novelty -o novelty.safetensors
expect 0 predict novelty.safetensors own.h5 --json rejected.json --top 2 --reject 1
grep -q '"label": null' rejected.json || failed 'nothing was rejected'
as_said predictions rejected.json
expect 0 predict m.safetensors own.h5 --evaluate --json evaluated.json
as_said predictions evaluated.json
sed 's/"evaluation"/"evaluations"/' evaluated.json > wrong.json; refused predictions wrong.json
sed '0,/"label": "[^"]*"/s//"label": 7/' rows.json > wrong.json; refused predictions wrong.json
make_cache two.h5 val numbers
expect 0 train two.h5 --target class,size -q --json two.json
grep -q '"weight_decay":.*{' two.json || failed 'one weight decay for two targets'
as_said train-result two.json
# The command is one that a shell takes again.
mkdir 'two words'
expect 0 train own.h5 --target class -q --epochs 3 --json "two words/it's.json"
"$PYTHON" -c '
import json, os, shlex, sys
result = json.load(open("two words/it\x27s.json"))
assert shlex.split(result["command"])[1:] == ["own.h5", "--target", "class", "-q", "--epochs", "3", "--json", "two words/it\x27s.json"], result["command"]
' || failed 'the command is not as it was typed'
# The schema would notice.
sed 's/"schema_version":	1/"schema_version":	2/' one.json > wrong.json; refused train-result wrong.json
sed 's/"created"/"date"/' one.json > wrong.json; refused train-result wrong.json
sed 's/"rows":	[0-9]*/"rows":	"many"/' one.json > wrong.json; refused train-result wrong.json
refused train-result run.json
no_leftovers
done_with
