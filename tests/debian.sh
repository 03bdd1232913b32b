#!/bin/sh
# debian.sh RELEASE FOLDER [JOBS]: README's commands and the package in an empty Debian, bookworm (12)
# or trixie (13), in a chroot that debootstrap makes. Needs root, the network, and about an hour.
#
# In one root the tree is copied in, as it is committed, built without libtorch, then with it, and
# runs the demo both times; then the package is made there, and the tests run that ask most of the
# release (units, pixels and formats beside its Pillow). In another, empty one the package is
# installed without what it recommends, runs the demo's commands, and is purged: the lists of files
# before and after must be the same.
# PF_CHECK: other tests, as ctest's -R takes them. CCACHE_DIR: objects that are there are used again.
set -eu
release=$1 folder=$2 jobs=${3:-2}
source=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
log=$folder/$release.log
: > "$log"
export DEBIAN_FRONTEND=noninteractive LC_ALL=C

mounted=
leave() { for place in $mounted; do umount "$place" 2> /dev/null || :; done; }
trap leave EXIT
trap 'exit 1' INT TERM

# root NAME: an empty system, kept for the next time in NAME.empty.
root() {
  place=$folder/$release-$1
  [ -e "$folder/$release-base/etc/debian_version" ] ||
    debootstrap --variant=minbase "$release" "$folder/$release-base" http://deb.debian.org/debian >> "$log" 2>&1
  if [ ! -d "$place" ]; then
    cp -a "$folder/$release-base" "$place"
    echo force-unsafe-io > "$place/etc/dpkg/dpkg.cfg.d/unsafe-io" # it is thrown away
  fi
  mount -t proc proc "$place/proc" && mounted="$mounted $place/proc"
  mount --bind /dev "$place/dev" && mounted="$place/dev $mounted"
}
within() { # within NAME COMMAND: in that root, logged
  printf '\n== %s: %s\n' "$1" "$2" >> "$log"
  chroot "$folder/$release-$1" sh -c "$2" >> "$log" 2>&1 || {
    tail -n 40 "$log" >&2
    echo "debian.sh: failed in $release: $2" >&2
    exit 1
  }
}
say() { echo "$release: $*"; }

root build
within build 'apt-get update -q && apt-get install -y -q --no-install-recommends make ca-certificates'
mkdir -p "$folder/$release-build/src"
(cd "$source" && git archive HEAD) | tar -x -C "$folder/$release-build/src"
unset CMAKE_C_COMPILER_LAUNCHER CMAKE_CXX_COMPILER_LAUNCHER
if [ -n "${CCACHE_DIR:-}" ]; then
  within build 'apt-get install -y -q --no-install-recommends ccache && mkdir -p /ccache'
  mount --bind "$CCACHE_DIR" "$folder/$release-build/ccache" && mounted="$folder/$release-build/ccache $mounted"
  export CCACHE_DIR=/ccache CCACHE_BASEDIR=/src CCACHE_NOHASHDIR=1
  export CMAKE_C_COMPILER_LAUNCHER=ccache CMAKE_CXX_COMPILER_LAUNCHER=ccache
fi
within build "cd /src && rm -rf build && make -f Makefile.data JOBS=$jobs TORCH=none demo && test ! -e build/lib/permafrost/permafrost_torch.so"
say "README's demo without the plugin: $(grep 'validation accuracy' "$log" | tail -n 1)"
within build "cd /src && make -f Makefile.data JOBS=$jobs TORCH=debian demo && test -e build/lib/permafrost/permafrost_torch.so"
say "README's demo: $(grep 'validation accuracy' "$log" | tail -n 1)"
within build "cd /src && rm -rf out/deb && make -f Makefile.data JOBS=$jobs deb && apt-get install -y -q --no-install-recommends lintian &&
  lintian --fail-on error,warning out/deb/permafrost_*.deb"
say 'the package: made, lintian has nothing to say'
within build "cd /src && make -f Makefile.data test-deps && cmake -S . -B build -DPF_TESTS=ON > /dev/null &&
  cmake --build build -j $jobs > /dev/null &&
  ctest --test-dir build --output-on-failure -j $jobs -R '${PF_CHECK:-^unit_|^parity_(pixels|formats|views|tiff)$|^cli_installed}'"
say "tests: $(grep 'tests passed' "$log" | tail -n 1)"

root empty
within empty 'apt-get update -q'
files() { find "$folder/$release-empty" -xdev \( -path '*/var/lib/apt' -o -path '*/var/cache' -o -path '*/var/log' \
  -o -path '*/var/lib/dpkg' -o -path '*/tmp' \) -prune -o -print | sort; }
cp "$folder/$release-build"/src/out/deb/permafrost_*.deb "$folder/$release-empty/tmp/permafrost.deb"
rm -rf "$folder/$release-empty/tmp/demo" && mkdir "$folder/$release-empty/tmp/demo"
cp -r "$folder/$release-build/src/out/demo/pictures" "$folder/$release-build/src/out/demo/new" \
  "$source/tests/sample/resnet18_w16.safetensors" "$folder/$release-empty/tmp/demo"
# What it depends on is no part of it, and stays.
within empty 'apt-get install -y -q --no-install-recommends $(dpkg-deb -f /tmp/permafrost.deb Depends |
  sed "s/([^)]*)//g; s/|[^,]*//g; s/,/ /g") make man-db bash-completion'
files > "$folder/$release-before"
within empty 'apt-get install -y -q --no-install-recommends /tmp/permafrost.deb && test ! -e /usr/bin/extract'
within empty 'cd /tmp/demo && permafrost extract pictures -o sample.h5 --backbone resnet18_w16 --weights resnet18_w16.safetensors &&
  permafrost train sample.h5 -o sample.safetensors && permafrost predict sample.safetensors new/*.jpg &&
  permafrost inspect sample.h5 && permafrost predict --verify sample.safetensors &&
  make -f "$(permafrost --makefile)" DATA=pictures BACKBONE=resnet18_w16 WEIGHTS=resnet18_w16.safetensors head &&
  PATH=/usr/lib/permafrost/bin:$PATH && train --version'
say 'the package: installed, the demo run'
within empty 'for page in permafrost permafrost-extract permafrost-train permafrost-predict permafrost-inspect; do
  man "$page" | grep -q SYNOPSIS || exit 1; done
  test "$(readlink -f "$(command -v permafrost)")" = /usr/lib/permafrost/bin/permafrost'
within empty 'cd /tmp/demo && bash -c '\''. /usr/share/bash-completion/completions/permafrost
  COMP_WORDS=(permafrost train sample.h5 --tap "") COMP_CWORD=4; _permafrost; test "${COMPREPLY[*]}" = "all avgpool"
  COMP_WORDS=(permafrost train --weight-d) COMP_CWORD=2; _permafrost; test "${COMPREPLY[*]}" = --weight-decay'\'''
say 'the package: pages and completions'
within empty 'apt-get purge -y -q permafrost'
files > "$folder/$release-after"
diff "$folder/$release-before" "$folder/$release-after" || { echo "debian.sh: the package left something" >&2; exit 1; }
say 'the package: gone without a trace'

# What the second stage of Containerfile does, then the package with libtorch.
root container
mkdir -p "$folder/$release-container/tmp/demo"
cp "$folder/$release-build"/src/out/deb/permafrost_*.deb "$folder/$release-container/tmp"
cp -r "$folder/$release-empty/tmp/demo/pictures" "$source/tests/sample/resnet18_w16.safetensors" "$folder/$release-container/tmp/demo"
torch=$(dpkg-deb -f "$folder/$release-build"/src/out/deb/permafrost_*.deb Recommends | tr ',' '\n' | sed -n 's/^ *\(libtorch[^ ]*\).*/\1/p')
[ -n "$torch" ] || { echo 'debian.sh: the package does not recommend libtorch' >&2; exit 1; }
within container "WITH=; $(awk '/^FROM/ { stage++ } stage == 2 && /^RUN/, !/\\$/ { sub(/^RUN /, ""); sub(/\\$/, ""); print }' "$source/Containerfile")"
within container 'cd /tmp/demo && permafrost extract pictures -o maps.h5 --tap layer2,avgpool --backbone resnet18_w16 --weights resnet18_w16.safetensors &&
  permafrost train maps.h5 --tap avgpool -o head.safetensors && { ! permafrost train maps.h5 --finetune layer3 --epochs 1 -o tuned.safetensors; }'
say "the container: networks and heads without libtorch"
within container "apt-get update -q && apt-get install -y -q --no-install-recommends $torch && cd /tmp/demo &&
  permafrost train maps.h5 --finetune layer3 --epochs 1 -o tuned.safetensors"
say "with $torch: fine-tuned"
