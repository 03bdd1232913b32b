#!/bin/sh
# arm64_root.sh ROOT PACKAGE...: Debian's packages for arm64, and all that they depend on, unpacked
# into the folder ROOT, for compilers to take headers and libraries from, and for qemu to run what
# was built. Nothing of the system is changed: apt has folders and lists of its own in ROOT.apt.
# ROOT is left alone where it was made of the same packages.
set -eu
root=$1; shift
apt=$root.apt
[ "$(cat "$root/packages" 2>/dev/null)" != "$*" ] || exit 0
rm -rf "$root" "$apt"
mkdir -p "$root" "$apt/state/lists/partial" "$apt/cache/archives/partial"
apt=$(cd "$apt" && pwd)
: > "$apt/status"
ours="-q -o Dir::State=$apt/state -o Dir::State::status=$apt/status -o Dir::Cache=$apt/cache
  -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o APT::Sandbox::User=root
  -o Debug::NoLocking=1 -o APT::Get::List-Cleanup=0 -o APT::Install-Recommends=0"
# Of other sources than Debian's own there may be none for arm64: apt then warns.
# shellcheck disable=SC2086 # words of options
apt-get $ours update > "$apt/log" 2>&1 || :
# shellcheck disable=SC2086
apt-get $ours install -y --download-only "$@" >> "$apt/log" 2>&1 || {
  tail -n 20 "$apt/log" >&2
  echo "arm64_root.sh: apt cannot fetch these packages for arm64" >&2
  exit 1
}
for package in "$apt"/cache/archives/*.deb; do dpkg-deb -x "$package" "$root"; done
# Links from the root of a file system lead into ROOT.
find "$root" -type l -lname '/*' | while read -r link; do
  ln -sfnr "$root$(readlink "$link")" "$link"
done
rm -rf "$apt"
echo "$*" > "$root/packages"
