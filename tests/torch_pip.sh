#!/bin/sh
# torch_pip.sh BUILD TORCH: the plugin in BUILD was built against the torch in the folder TORCH, such as
# PyPI's with CUDA. It takes all libraries from there; its features are those of the engine, and it
# fine-tunes. Where Debian's libtorch is installed, too, one of each is refused in a sentence, when
# configuring and before they are loaded.
set -eu
BUILD=$(cd "$1" && pwd) TORCH=$(cd "$2" && pwd)
SOURCE=$(cd "$(dirname "$0")/.." && pwd)
PLUGIN=$BUILD/lib/permafrost/permafrost_torch.so
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
trap 'exit 1' INT TERM
PATH=$BUILD/bin:$PATH
fail() {
  echo "torch_pip.sh: $1" >&2
  [ ! -e "$WORK/said" ] || tail -n 20 "$WORK/said" >&2
  exit 1
}
# runs CODE COMMAND...
runs() {
  wanted=$1 code=0; shift
  "$@" > "$WORK/said" 2>&1 || code=$?
  [ "$code" -eq "$wanted" ] || fail "exit code $code: $*"
}

lib=$(dirname "$(find "$TORCH" -path '*/lib/libtorch_cpu.so' | head -n 1)")
[ -e "$lib/libc10.so" ] || fail "no libtorch in '$TORCH'"
ldd "$PLUGIN" | sed -n 's/^[[:space:]]*lib\(torch\|c10\)[^ ]* => \(.*\) (.*/\2/p' > "$WORK/libraries"
[ "$(wc -l < "$WORK/libraries")" -ge 3 ] || fail 'the plugin needs too few libraries of libtorch'
while read -r library; do
  [ "$(dirname "$(readlink -f "$library")")" = "$(readlink -f "$lib")" ] || fail "the plugin takes $library"
done < "$WORK/libraries"
echo "one libtorch: $lib"

"$BUILD/tests/draw_sample" "$WORK" > /dev/null
network="--backbone resnet18_w16 --weights $SOURCE/tests/sample/resnet18_w16.safetensors"
# shellcheck disable=SC2086
runs 0 extract "$WORK/pictures" -o "$WORK/maps.h5" --tap layer2,avgpool $network
runs 0 env PF_ENGINE=libtorch extract --verify "$WORK/pictures" "$WORK/maps.h5"
tail -n 1 "$WORK/said"
runs 0 train "$WORK/maps.h5" --finetune layer3 --epochs 1 -o "$WORK/tuned.safetensors"
tail -n 1 "$WORK/said"

debian=$(ldconfig -p | sed -n 's/.*libc10\.so\.[0-9.]* .*=> //p' | head -n 1)
if [ -n "$debian" ]; then
  runs 1 env PF_ENGINE=libtorch LD_PRELOAD="$debian" extract "$WORK/pictures" -o "$WORK/two.h5" --backbone resnet18_w16 --weights random:0
  grep -q 'two libtorch at once' "$WORK/said" || fail 'two libtorch, and no sentence'
  runs 1 cmake -S "$SOURCE" -B "$WORK/two" -DPF_TESTS=OFF -DTorch_DIR="${lib%/lib}/share/cmake/Torch"
  grep -q 'two libtorch at once' "$WORK/said" || fail 'two libtorch were configured'
  echo 'two libtorch: refused'
fi
