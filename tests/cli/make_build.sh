# make -f Makefile.data build and deb: how they configure, by a cmake of the test's own.
. "$(dirname "$0")/harness.sh"
unset BUILD_FOLDER TORCH OUT CMAKE_FLAGS MAKEFLAGS MAKEOVERRIDES 2> /dev/null || :
mkdir bin
cat > bin/cmake <<'END'
#!/bin/sh
echo "$*" >> "$CALLS"
[ "$1" = -S ] || exit 0
mkdir -p "$4"
for setting in "$@"; do
  case $setting in
    -DPF_TORCH=*) echo "PF_TORCH:BOOL=${setting#*=}";;
    -DPF_TORCH_FOLDER=*) echo "PF_TORCH_FOLDER:PATH=${setting#*=}";;
  esac
done > "$4/CMakeCache.txt"
[ ! -e "$CALLS.fail" ]
END
chmod +x bin/cmake
PATH=$WORK/bin:$PATH; export PATH CALLS=$WORK/calls
front() { make -C "$SOURCE" -f Makefile.data -o deps BUILD="$WORK/b" OUT="$WORK/out" "$@"; }
configured() {
  checks=$((checks + 1))
  [ "$(grep -c '^-S' calls)" -eq "$1" ] || failed "configured another number of times than $1: $(cat calls)"
  : > calls
}

# What fails is tried again, and the settings of before stay.
: > calls.fail
expect 2 front build TORCH=none; absent b/CMakeCache.txt; configured 1
expect 2 front build TORCH=none; configured 1
rm calls.fail
expect 0 front build TORCH=none; exists b/CMakeCache.txt; configured 1
expect 0 front build TORCH=none; configured 0
: > calls.fail
expect 2 front build TORCH=debian; configured 1
grep -q 'PF_TORCH:BOOL=OFF' b/CMakeCache.txt || failed 'the settings of before are gone'
rm calls.fail
expect 0 front build TORCH=debian; configured 1
grep -q 'PF_TORCH:BOOL=ON' b/CMakeCache.txt || failed 'not configured'
absent b.settings; absent b.log

# torch of PyPI in a folder with its whole name, and in another one.
expect 0 front -n build TORCH=pip; stdout_has "PF_TORCH_FOLDER='$WORK/out/torch'"
expect 0 make -n -C "$SOURCE" -f Makefile.data -o deps BUILD="$WORK/b" OUT=elsewhere TORCH=pip build
stdout_has "PF_TORCH_FOLDER='$SOURCE/elsewhere/torch'"

# A package has all settings, whatever was made before.
expect 0 front -n deb; stdout_has '-DPF_TORCH=ON -DPF_TORCH_FOLDER='
stdout_has "rm -f $WORK/out/deb/permafrost_*.deb"
expect 0 front -n deb TORCH=none; stdout_has '-DPF_TORCH=OFF'
done_with
