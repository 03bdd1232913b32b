# Features that are larger than --memory: the same results, in that much of it.
. "$(dirname "$0")/harness.sh"

# peak COMMAND...: its largest resident memory, in MB, into the variable peak.
peak() {
  command=$*; code=0
  "$PYTHON" -c 'import resource, subprocess, sys
code = subprocess.call(sys.argv[1:], stdout=open("stdout", "w"), stderr=open("stderr", "w"))
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1000)
sys.exit(code)' "$@" > peak || code=$?
  checks=$((checks + 1)); peak=$(cat peak)
  [ "$code" -eq 0 ] || failed 'expected exit code 0'
}

# at_most MB: the last peak. Sanitizers need memory of their own.
at_most() {
  checks=$((checks + 1))
  [ -n "${PF_SANITIZE:-}" ] || [ "$peak" -le "$1" ] || failed "took $peak MB, expected at most $1"
}

# near A B PATH: the number at PATH (as --assert takes it) of two result files differs by no more than 0.02.
near() {
  checks=$((checks + 1))
  "$PYTHON" -c 'import json, sys
values = []
for name in sys.argv[1:3]:
    value = json.load(open(name))
    for key in sys.argv[3].split("."): value = value[int(key) if key.isdigit() else key]
    values.append(value)
sys.exit(abs(values[0] - values[1]) > 0.02)' "$1" "$2" "$3" || failed "$3 of $1 and $2 differ"
}

# 200 MB as float32, in the order of the classes: without mixing nothing would be learned.
make_large_cache large.h5 100000 512 zstd
settings='--epochs 2 --batch 64'
expect 0 train large.h5 --no-search $settings --json held.json --memory 300M
stderr_has 'features: 205 MB, in memory'
peak train large.h5 $settings --json streamed.json --memory 40M -o streamed.safetensors
stderr_has 'streamed: reading '
"$PYTHON" -c 'import json, sys
seconds = json.load(open("streamed.json"))["seconds"]
sys.exit(not 0 < seconds["stream_read"] or not 0 < seconds["stream_decompress"] < 60)' || failed 'no time of reading ahead'
stderr_has 'features: 205 MB, streamed in blocks through 40.0 MB'
at_most 75 # 40 and what any training takes
near held.json streamed.json val.accuracy
near held.json streamed.json val.loss
near held.json streamed.json train.accuracy
expect 0 train large.h5 --no-search $settings --json again.json --memory 40M -o again.safetensors --threads 1
same_head streamed.safetensors again.safetensors || failed 'one thread gives another head'
expect 0 train large.h5 --no-search $settings --memory 40M -o other.safetensors --seed 1
! same_head streamed.safetensors other.safetensors || failed 'the seed does not matter'

make_large_cache small.h5 24000 512 zstd
# What looks at rows in their order, or all at once, does not see a difference.
for normalize in none standardize l2; do
  for memory in 60M 30M; do
    expect 0 train small.h5 --optimizer lbfgs --epochs 3 --normalize $normalize --memory $memory --threads 2 \
      -o lbfgs.$memory.safetensors --json lbfgs.$memory.json --predictions lbfgs.$memory.csv
  done
  grep -v '"created"\|"command"\|"run"\|"stream_\|"total"\|"load"\|"train":.*[0-9],\?$' lbfgs.60M.json > held
  grep -v '"created"\|"command"\|"run"\|"stream_\|"total"\|"load"\|"train":.*[0-9],\?$' lbfgs.30M.json > streamed
  cmp held streamed || failed "L-BFGS, normalize $normalize: another result"
  [ "$(wc -l < lbfgs.60M.csv)" -gt 1000 ] && cmp lbfgs.60M.csv lbfgs.30M.csv || failed 'streamed features give other predictions'
  same_head lbfgs.60M.safetensors lbfgs.30M.safetensors || failed "L-BFGS, normalize $normalize: another head"
done

# Sweeps, folds, balanced draws, few rows of each class, several kinds of heads.
peak train small.h5 --epochs 1 --sweep lr=1e-3,1e-2 --sweep head=linear,mlp:32 --sweep normalize=standardize,l2 \
  --csv sweep.csv --memory 30M
at_most 75
[ "$(wc -l < sweep.csv)" -eq 9 ] || failed 'a line a head'
expect 0 train small.h5 --epochs 1 --sweep normalize=standardize --lr 1e-2 --csv alone.csv --memory 30M
[ "$(tail -1 alone.csv | cut -d, -f6-)" = "$(grep '1e-2,linear,standardize' sweep.csv | cut -d, -f8-)" ] ||
  failed 'a head of a sweep is another than alone'
expect 0 train small.h5 --no-search --epochs 1 --folds 3 --memory 30M
stderr_has '3 heads: 3 folds'
expect 0 train small.h5 --no-search --epochs 2 --sampling balanced --memory 30M --assert 'val.accuracy>=0.4'
expect 0 train small.h5 --no-search --epochs 20 --per-class 200 --memory 30M --assert 'val.accuracy>=0.2'

# Heads out of fold have the memory of the kept one: 49 MB of features are never there twice.
peak train small.h5 --no-search --epochs 1 --folds 2 --memory 60M -o plain.safetensors
alone=$peak
peak train small.h5 --no-search --epochs 1 --folds 2 --memory 60M --calibrate
at_most $((alone + 25))
peak train small.h5 --no-search --epochs 1 --folds 2 --memory 60M --predictions folds.csv -o folds.safetensors
at_most $((alone + 25))
same_head plain.safetensors folds.safetensors || failed 'another model beside the predictions'
[ "$(wc -l < folds.csv)" -eq 24001 ] || failed 'a line for every row'

# Why nothing is searched is said of the taps that are streamed.
if "$PYTHON" -c 'import h5py' 2> /dev/null; then
  "$PYTHON" -c '
import h5py, numpy
random = numpy.random.default_rng(1)
with h5py.File("two_taps.h5", "w") as file:
    file.attrs["format"], file.attrs["format_version"] = "permafrost-cache", 1
    file["targets/kind"] = random.integers(0, 2, 12000).astype("i4")
    file["features/few"] = random.normal(size=(12000, 4)).astype("f4")
    file.create_dataset("features/many", data=random.normal(size=(12000, 1000)).astype("f4"), chunks=(50, 1000))'
  expect 0 train two_taps.h5 --tap all --epochs 1 --memory 30M
  stderr_has "features of 'few': "
  stderr_has "weight decay and rate of 'many' are the defaults, not searched: streaming features"
  stderr_lacks "rate of 'few'"
fi

# Taps: each as its own size demands.
make_cache taps.h5 val taps
expect 0 train taps.h5 --no-search --tap all --epochs 2
stderr_has "features of 'avgpool': 25.6 KB, in memory"
expect 2 train taps.h5 --no-search --tap all --epochs 2 --memory 26K
stderr_has "tap 'layer3'"

# What cannot be.
expect 2 train large.h5 --no-search --memory 1M
stderr_has 'the least that works is --memory '
least=$(sed -n 's/.*the least that works is --memory //p' stderr)
expect 0 train large.h5 --no-search --epochs 1 --memory "$least"
for size in x 0 -1 1X 5Mi 0x10 inf 1e99 ''; do
  expect 2 train large.h5 --no-search --memory "$size"
  stderr_has "--memory: expected a size as in 512M or 2G, found '$size'"
done
expect 2 train large.h5 --sweep memory=1G,2G
stderr_has '--memory is the same for all heads'
expect 2 train cache.h5 --sweep predictions=a.csv,b.csv
stderr_has '--predictions is the same for all heads'

# Damage in the middle of it, and an interruption.
cp large.h5 damaged.h5
middle=$(($(wc -c < large.h5) / 2))
printf 'damage' | dd of=damaged.h5 bs=1 seek=$middle conv=notrunc 2> /dev/null
expect 1 train damaged.h5 --no-search --memory 300M
cp stderr held
expect 1 train damaged.h5 --no-search --memory 40M -o none.safetensors
stderr_has "'damaged.h5': rows "
stderr_has 'cannot be read'
absent none.safetensors
grep -o 'rows [0-9]* to [0-9]* of .*' held > held.rows
grep -qF "$(cat held.rows)" stderr || failed 'other rows than in memory'

code=0; command='train, interrupted'
train large.h5 --epochs 1000 --memory 40M -o none.safetensors > stdout 2> stderr & train=$!
sleep 2
kill -TERM $train
( sleep 10; kill -KILL $train ) > /dev/null 2>&1 & watch=$!
wait $train || code=$?
kill $watch 2> /dev/null || :
[ "$code" -eq 143 ] || failed 'expected exit code 143'
stderr_has 'interrupted'
absent none.safetensors
no_leftovers
done_with
