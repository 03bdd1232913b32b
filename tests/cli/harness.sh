# Sourced by the command-line tests: runs commands in a folder of their own and
# checks exit code, stdout and stderr. Usage of a test: sh name.sh BUILD_DIR
set -eu
BUILD=$(cd "$1" && pwd)
SOURCE=$(cd "$(dirname "$0")/../.." && pwd)
PATH=$BUILD/bin:$BUILD/tests:$PATH
PYTHON=${PYTHON:-/usr/bin/python3}
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
trap 'exit 1' INT TERM
cd "$WORK"
export XDG_STATE_HOME=$WORK/state
unset NO_COLOR PF_FAKE_TERMINAL MAKEFLAGS MFLAGS MAKELEVEL 2>/dev/null || :
checks=0

# Everything the last command said, then the reason.
failed() {
  printf 'FAILED: %s\n--- command: %s\n--- exit code: %s\n--- stdout:\n' "$1" "$command" "$code"
  head -c 3000 stdout; printf '%s\n' '--- stderr:'; head -c 3000 stderr
  exit 1
}

# expect CODE COMMAND...: runs it; it must exit with CODE.
expect() {
  wanted=$1; shift
  command=$*; code=0
  "$@" > stdout 2> stderr < "${INPUT:-/dev/null}" || code=$?
  checks=$((checks + 1))
  [ "$code" -eq "$wanted" ] || failed "expected exit code $wanted"
}

# Fixed strings in what the last command wrote.
stdout_has() { checks=$((checks + 1)); grep -qF -- "$1" stdout || failed "stdout lacks '$1'"; }
stderr_has() { checks=$((checks + 1)); grep -qF -- "$1" stderr || failed "stderr lacks '$1'"; }
stdout_lacks() { checks=$((checks + 1)); ! grep -qF -- "$1" stdout || failed "stdout has '$1'"; }
stderr_lacks() { checks=$((checks + 1)); ! grep -qF -- "$1" stderr || failed "stderr has '$1'"; }
stdout_empty() { checks=$((checks + 1)); [ ! -s stdout ] || failed "stdout is not empty"; }
stderr_empty() { checks=$((checks + 1)); [ ! -s stderr ] || failed "stderr is not empty"; }
exists() { checks=$((checks + 1)); [ -e "$1" ] || failed "'$1' is not there"; }
absent() { checks=$((checks + 1)); [ ! -e "$1" ] || failed "'$1' is there"; }
# Nothing half-written: no temporary files beside the output.
no_leftovers() {
  checks=$((checks + 1))
  [ -z "$(find . -name '.*.part-*')" ] || failed "left behind: $(find . -name '.*.part-*')"
}

# Leaves the test as skipped (ctest's SKIP_RETURN_CODE).
skip() { echo "SKIP: $1"; exit 77; }
done_with() { echo "$(basename "$0"): $checks checks passed"; }

# ---- what tests of whole runs need ----

WEIGHTS=$SOURCE/tests/sample/resnet18_w16.safetensors
SAMPLE=$BUILD/tests/sample

needs_torch() {
  # LeakSanitizer's tracer does not survive libtorch's threads; the other tests look for leaks.
  export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0"
  [ -e "${PERMAFROST_PLUGIN:-$BUILD/lib/permafrost/permafrost_torch.so}" ] || skip 'built without libtorch'
}

# A network without libtorch, net.pt, for extract_fake; saw says how many images it has seen.
fake_backbone() {
  export PERMAFROST_PLUGIN=$BUILD/tests/fake_backbone_plugin.so FAKE_BACKBONE_LOG=$WORK/images
  echo 'a network' > net.pt
  : > images
}
extract_fake() { : > images; extract "$@" --backbone ./net.pt --resize 20 --crop 16; }
# The last extract_fake pushed so many images through the network.
saw() {
  checks=$((checks + 1)); sum=$(awk '{ n += $1 } END { print n + 0 }' images)
  [ "$sum" -eq "$1" ] || failed "the network saw $sum images, expected $1"
}
# first_days CACHE KEY...: takes out of a cache what extract did not say of its caches when they began.
first_days() {
  "$PYTHON" - "$@" << 'END' || skip 'h5py is not there'
import h5py, json, sys
with h5py.File(sys.argv[1], "r+") as file:
    provenance = json.loads(file.attrs["provenance"])
    for key in sys.argv[2:]: provenance.pop(key)
    file.attrs["provenance"] = json.dumps(provenance)
    file.attrs["sealed"] = 0
END
}
# same_cache A B: all that they hold is equal.
same_cache() {
  checks=$((checks + 1))
  for file in "$1" "$2"; do digest_cache "$file" | sed '1s/.*: //' | sort > "$file.digests"; done
  cmp -s "$1.digests" "$2.digests" || { diff "$1.digests" "$2.digests"; failed "'$1' and '$2' hold other things"; }
}

# same_head A B: whether two models have the same tensors, to the last bit. The files hold the date
# and the command, too.
same_head() {
  checks=$((checks + 1))
  "$PYTHON" - "$1" "$2" << 'END'
import json, sys
def tensors(path):
    data = open(path, "rb").read()
    end = 8 + int.from_bytes(data[:8], "little")
    return {key: value for key, value in json.loads(data[8:end]).items() if key != "__metadata__"}, data[end:]
sys.exit(tensors(sys.argv[1]) != tensors(sys.argv[2]))
END
}

# photographs FOLDER TRAIN VAL: class folders with so many drawn pictures of three kinds.
photographs() {
  for class in boat cat tree; do
    for part in train val; do
      mkdir -p "$1/$part/$class"
      count=$2; [ "$part" = train ] || count=$3
      find "$SAMPLE/pictures/$part/$class" -type f | sort | head -n "$count" |
        while read -r file; do cp "$file" "$1/$part/$class/"; done
    done
  done
}

# serve SERVER FOLDER NAME [CERTIFICATE]: a server of tests/cli, until the test ends, which logs to the
# file log; its address goes to the file NAME.
serve() {
  server=$1 served=$2; shift 2
  "$PYTHON" "$SOURCE/tests/cli/$server" "$served" log "$@" > server.out 2>&1 &
  servers="$servers $!"
  trap 'kill $servers 2>/dev/null; rm -rf "$WORK"' EXIT
  tries=0
  while [ ! -e "$1" ]; do
    tries=$((tries + 1)); [ $tries -lt 600 ] || { cat server.out; exit 1; }
    sleep 0.05
  done
}
servers=

extract_sample() { extract "$@" --backbone resnet18_w16 --weights "$WEIGHTS"; }
