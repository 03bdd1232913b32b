# The tests once more: units, command lines and seeds of the fuzzers under ASan and UBSan, whatever
# starts threads under TSan. usage: sanitize.sh JOBS
set -eu
JOBS=${1:-2}
SOURCE=$(cd "$(dirname "$0")/.." && pwd)

# build NAME SANITIZERS FLAGS...
build() {
  folder=$SOURCE/build-$1 sanitizers=$2; shift 2
  cmake -S "$SOURCE" -B "$folder" -DPF_SANITIZE="$sanitizers" -DPF_WERROR=OFF "$@" > /dev/null
  cmake --build "$folder" -j "$JOBS" > "$folder/build.log" 2>&1 || { tail -50 "$folder/build.log"; exit 1; }
}

echo '== ASan + UBSan: units, command lines, fuzz targets'
build asan address,undefined
# libtorch keeps its registries until the end, which is no leak of ours.
export LSAN_OPTIONS="suppressions=$SOURCE/tests/lsan.supp:print_suppressions=0"
# Without use-after-return: the frames that it moves to the heap are aligned less than AVX-512's 64
# bytes in gcc before 13.2, and aligned moves to them crash (its bug 110027).
export ASAN_OPTIONS=strict_string_checks=1:detect_stack_use_after_return=0
export UBSAN_OPTIONS=print_stacktrace=1
ctest --test-dir "$SOURCE/build-asan" --output-on-failure -j "$JOBS" -L 'unit|cli|fuzz'

echo '== TSan: whatever starts threads'
build tsan thread -DPF_TORCH=OFF
export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1
ctest --test-dir "$SOURCE/build-tsan" --output-on-failure -j "$JOBS" \
  -R 'unit_(ground|thread_pool|gemm|pipeline|survey|feature_cache|cache_chunk|head|head_trainer|feature_table|stream_feeder|metrics)$'
