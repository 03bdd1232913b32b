# Caches as small as docs/cache-format.md says that they may be: features, perhaps targets, and no /samples.
. "$(dirname "$0")/harness.sh"
"$PYTHON" -c 'import h5py' 2> /dev/null || skip 'python3-h5py is missing'

# mine.h5 is the page's own; the others have numbers, labels, another file's rows in them, no targets at all.
"$PYTHON" - "$SOURCE/docs/cache-format.md" << 'END'
import re
import sys

import h5py
import numpy as np

text = open(sys.argv[1], encoding="utf-8").read()
exec(re.search(r"all that `train` needs:\n\n```python\n(.*?)```", text, re.S).group(1))

random = np.random.default_rng(5)
for name, targets in {
        "numbers": {"weight": random.normal(size=(61, 2))},
        "labels": {"labels": (random.random((61, 3)) < .5).astype("f4")},
        "both": {"kind": np.repeat([0, 1, 2], [40, 20, 1]), "age": random.random(61)},
        "nothing": {}}.items():
    with h5py.File(name + ".h5", "w") as f:
        f.attrs["format"] = "permafrost-cache"
        f.attrs["format_version"] = 1
        f["features/a.b" if name == "both" else "features/pooled"] = random.normal(size=(61, 7))
        for target, values in targets.items():
            f["targets/" + target] = values
            if name == "labels":
                f["targets/" + target].attrs["kind"] = "multilabel"
END

# ---- they train, on sides that rows have by their number ----

expect 0 train mine.h5 --epochs 3 -o mine.safetensors --json mine.json
stderr_has '20 % of train, by row number)'
val=$(grep -o 'rows: [0-9]* train, [0-9]* val' stderr)
[ "$val" = 'rows: 80 train, 20 val' ] || failed "sides are $val"
cp mine.h5 renamed.h5
expect 0 train renamed.h5 --epochs 3 --json renamed.json
stderr_has "$val"
accuracy() { grep -m1 '"loss"' "$1"; }
[ "$(accuracy mine.json)" = "$(accuracy renamed.json)" ] || failed 'a new name has changed the rows of validation'
expect 0 train mine.h5 --epochs 3 --val 0.5
stderr_has '50 % of train, by row number)'
expect 0 train mine.h5 -q --epochs 2 --folds 4
expect 0 train mine.h5 -q --epochs 2 --sweep lr=0.1,0.01
expect 0 train numbers.h5 -q --epochs 2 -o numbers.safetensors
expect 0 train labels.h5 -q --epochs 2
expect 0 train both.h5 -q --epochs 2 --target kind -o both.safetensors
expect 1 train nothing.h5
stderr_has 'nothing.h5'

# ---- their rows are called by their number, as --merge calls them ----

mkdir sub && cp mine.h5 sub/far.h5
expect 0 predict mine.safetensors sub/far.h5
checks=$((checks + 1))
[ "$(sed -n '2p;$p' stdout | cut -d, -f1 | tr '\n' ' ')" = 'far.h5#0 far.h5#99 ' ] || failed 'rows are called otherwise'
[ "$(wc -l < stdout)" -eq 101 ] || failed 'not a line for each row'
expect 0 predict numbers.safetensors numbers.h5
stdout_has 'numbers.h5#60,'
expect 0 predict both.safetensors both.h5
expect 0 predict mine.safetensors mine.h5 -q
cp stdout bare
expect 0 extract --merge mine.h5 -o merged.h5
expect 0 predict mine.safetensors merged.h5 -q
cmp -s stdout bare || failed 'merged rows have other names or predictions'
expect 0 train merged.h5 -q --epochs 2

# ---- everything else ----

for cache in mine numbers labels both nothing; do
  expect 0 extract --info $cache.h5
  expect 0 extract --verify $cache.h5
  stdout_has 'is sound'
done
expect 1 train mine.h5 --finetune layer4
stderr_has 'does not say which network'
# Much that is said of where rows are from takes no time.
"$PYTHON" - << 'END'
import json, shutil
import h5py
for name, provenance in {
        "keys": {str(i): i for i in range(300000)},
        "runtimes": {"runtime_rows": {"x": [{"rows": 1, "runtimes": [f"r{j}" for j in range(900)] + [f"own{i}"]} for i in range(100)]}}}.items():
    shutil.copy("mine.h5", name + ".h5")
    with h5py.File(name + ".h5", "a") as f:
        tap, = f["features"]
        f.attrs["provenance"] = json.dumps(provenance).replace('"x"', json.dumps(tap))
END
cp keys.h5 others.h5
expect 1 timeout 60 extract --merge no.h5 keys.h5 others.h5; stderr_has 'its provenance has 300000 entries'
expect 0 timeout 60 extract --info runtimes.h5
mkdir -p photos/cat && printf 'P5 2 2 255\n1234' > photos/cat/a.pgm
fake_backbone
expect 4 extract_fake photos -o mine.h5
stderr_has 'mine.h5'
done_with
