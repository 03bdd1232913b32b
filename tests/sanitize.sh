# The tests once more: units, command lines and seeds of the fuzzers under ASan and UBSan, whatever
# starts threads under TSan. usage: sanitize.sh JOBS
# Under ASan and UBSan these are left out, as the other command-line tests run the same code on less:
# cli_recipes (make's recipes), cli_readme (the demo). With PF_LONG=1 they run, too.
set -eu
JOBS=${1:-2}
SOURCE=$(cd "$(dirname "$0")/.." && pwd)
cd "$SOURCE" # where presets are looked for

# Suites that start threads. One that does not exist is an error: it cannot be built.
THREADED='ground thread_pool gemm pipeline dataset_scan feature_cache cache_chunk cache_chunker cache_virtual cache_build journal
  engine devices dataset manifest feature_table stream_loader head_trainer metrics'

# build PRESET TARGETS...: in the preset's folder, build-PRESET; all of it without targets.
build() {
  preset=$1; shift
  cmake --preset "$preset" -DPF_WERROR=OFF > /dev/null
  cmake --build "build-$preset" -j "$JOBS" ${1:+--target "$@"} > "build-$preset/build.log" 2>&1 || {
    tail -50 "build-$preset/build.log"; exit 1; }
}

echo '== ASan + UBSan: units, command lines, fuzz targets'
build asan
# libtorch keeps its registries until the end, which is no leak of ours.
export LSAN_OPTIONS="suppressions=$SOURCE/tests/lsan.supp:print_suppressions=0"
# Without use-after-return: the frames that it moves to the heap are aligned less than AVX-512's 64
# bytes in gcc before 13.2, and aligned moves to them crash (its bug 110027).
export ASAN_OPTIONS=strict_string_checks=1:detect_stack_use_after_return=0
export UBSAN_OPTIONS=print_stacktrace=1
left_out=
[ -n "${PF_LONG:-}" ] || left_out='^cli_(recipes|readme)$'
ctest --test-dir build-asan --output-on-failure -j "$JOBS" -L 'unit|cli|fuzz' ${left_out:+-E "$left_out"}

echo '== TSan: whatever starts threads'
# shellcheck disable=SC2086
build tsan $(printf 'test_%s ' $THREADED)
export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1
ctest --test-dir build-tsan --output-on-failure -j "$JOBS" \
  -R "^unit_($(echo $THREADED | tr ' ' '|'))\$" --no-tests=error
