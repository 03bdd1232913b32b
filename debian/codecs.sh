# codecs.sh BUILD: the packages of libraries that programs open when they need them, as CMake has
# found them, as a line for debian/permafrost.substvars.
set -eu
packages=
for library in $(sed -n 's/^PF_[A-Z0-9]*_LIBRARY:FILEPATH=\(.*[^D]\)$/\1/p' "$1/CMakeCache.txt"); do
  case $library in *NOTFOUND) continue;; esac
  file=$(readlink -f "$library")
  package=$(dpkg-query -S "$file" "/usr${file#/usr}" "${file#/usr}" 2> /dev/null | sed 's/:.*//; 1q')
  [ -z "$package" ] || packages="$packages${packages:+, }$package"
done
echo "codecs:Depends=$packages"
