# What a run of extract says of itself: where the time went, what held it back, what would help.
. "$(dirname "$0")/harness.sh"
fake_backbone
photographs photos 10 4

# A network that takes longer than all else together.
expect 0 env FAKE_BACKBONE_MS=60 extract photos -o slow.h5 --backbone ./net.pt --resize 20 --crop 16 --batch 4
stderr_has 'bound by the network: '
stderr_has ' of 4 batches waited for it'
stderr_lacks 'GFLOP/s' # nobody knows how much a TorchScript file computes
# One that takes nothing: on one thread, pictures cannot be decoded fast enough.
expect 0 extract_fake "$SAMPLE/pictures" -o fast.h5
expect 0 extract_fake "$SAMPLE/pictures" -o fast.h5 --force --workers 1
stderr_has 'bound by decoding images: the network waited '
stderr_has ' % (1 thread), '
# Features that are hard to compress.
expect 0 extract photos -o hard.h5 --backbone ./net.pt --tap pixels --resize 200 --crop 200 --batch 4 --compress gzip:9 --store f32
stderr_has 'bound by writing features: '
stderr_has '; --compress zstd:1 is faster'

# Of a built-in network the rate is known, and on a terminal with -v what this machine could reach.
export FAKE_BACKBONE_MS=1
expect 0 extract photos -o rate.h5 --backbone resnet18_w16 --weights "$WEIGHTS"
grep -q '^time: load [0-9.]* s\( ([0-9]* images* decoded meanwhile)\)*, images [0-9.]* s, cache [0-9.]* s; read [0-9]* %, decode [0-9]* % ([0-9]* threads*), network [0-9]* % ([0-9]* GFLOP/s), write [0-9]* %$' stderr ||
  failed 'the line of times looks otherwise'
expect 0 extract photos -o rate.h5 --backbone resnet18_w16 --weights "$WEIGHTS" --force -v
! grep -q ' of [1-9][0-9]* GFLOP/s' stderr || failed 'it was measured off a terminal'
export PF_FAKE_TERMINAL=1
expect 0 extract photos -o rate.h5 --backbone resnet18_w16 --weights "$WEIGHTS" --force -v
grep -q 'network [0-9]* % ([0-9]* of [1-9][0-9]* GFLOP/s)' stderr || failed 'no ceiling is said'
unset PF_FAKE_TERMINAL
checks=$((checks + 2))

# The same for programs.
member() { "$PYTHON" -c 'import json, sys; print(eval(sys.argv[2], json.load(open(sys.argv[1]))))' "$1" "$2"; }
# is FILE EXPRESSION VALUE
is() { checks=$((checks + 1)); found=$(member "$1" "$2"); [ "$found" = "$3" ] || failed "$1: $2 is $found, not $3"; }
expect 0 extract_fake photos -o rows.h5 --json rows.json --workers 1
is rows.json '[rows, computed, rejected, workers]' '[42, 42, 0, 1]'
is rows.json 'file_bytes' "$(stat -c %s rows.h5)"
is rows.json 'sum(seconds[part] for part in ("load", "images", "cache")) <= seconds["total"]' True
is rows.json '0 <= queues["before_network"] <= queues["batches"]' True
is rows.json 'verdict' "$(grep '^bound by' stderr)"
is rows.json '"gflops" in globals()' False
expect 0 env PF_FAKE_TERMINAL=1 extract photos -o rate.h5 --backbone resnet18_w16 --weights "$WEIGHTS" --force -v \
  --json rate.json
is rate.json 'gflops > 0 and bare_convolution_gflops > 0' True
# Peak memory is the program's own, however large the one is that started it.
expect 0 "$PYTHON" -c '
import subprocess, sys
ballast = b"x" * 700000000
sys.exit(subprocess.run(sys.argv[1:]).returncode)' extract photos -o rows.h5 --backbone ./net.pt --resize 20 --crop 16 \
  --json rows.json --force
is rows.json '0 < peak_memory_bytes < 600e6' True
# A network of 47 MB, in groups of 16 images a thread. Sanitizers have memory of their own.
if [ -z "${PF_SANITIZE:-}" ]; then
  expect 0 extract photos -o whole.h5 --backbone resnet18 --weights random:0 --threads 2 --json whole.json
  is whole.json 'computed, 47e6 < peak_memory_bytes < 350e6' '(42, True)'
fi
# A second run has computed nothing, and a failing one leaves the file as it was.
expect 0 extract_fake photos -o rows.h5 --json - -q
cp stdout again.json
is again.json '[rows, computed, "bound_by" in globals()]' '[42, 0, False]'
cp rows.json before.json
expect 1 env FAKE_BACKBONE_FAIL_AT=1 extract photos -o rows.h5 --json rows.json --backbone ./net.pt --resize 20 --crop 16 --force
expect 0 cmp rows.json before.json
expect 2 extract_fake photos -o rows.h5 --json rows.h5
stderr_has 'is the cache itself'
expect 1 extract_fake photos -o rows.h5 --json nowhere/rows.json --force
stderr_has 'nowhere'
expect 2 extract_fake photos -o rows.h5 --json x.json --dry-run
stderr_has '--json tells of a run that extracts'
no_leftovers

# Nothing computed, nothing said.
expect 0 extract photos -o rate.h5 --backbone resnet18_w16 --weights "$WEIGHTS" --compress none
stderr_has '0 computed'
stderr_lacks 'bound by'
done_with
