# The programs and the suites of what computes, built for arm64 and run by qemu: the kernels'
# tests, and extract on the sample's pictures, whose features have to be those of this machine's
# programs, bit for bit. usage: arm64.sh BUILD_DIR ROOT JOBS
# BUILD_DIR holds this machine's programs; ROOT is what arm64_root.sh has made.
set -eu
BUILD=$1 ROOT=$(cd "$2" && pwd) JOBS=${3:-2}
cd "$(dirname "$0")/.." # where presets are looked for
ARM64=build-arm64
SUITES='convolution groups weight_gradient max_pool window_pool pixelwise rows plan engine graphs
  gemm kernels loss optimizer_steps resize'

cmake --preset arm64 -DPF_ARM64_ROOT="$ROOT" > /dev/null
# shellcheck disable=SC2046 # words
cmake --build $ARM64 -j "$JOBS" --target extract train predict permafrost digest_cache \
  $(printf 'test_%s ' $SUITES)
# Interpreted, they take some 20 times as long.
CK_TIMEOUT_MULTIPLIER=20 ctest --test-dir $ARM64 --output-on-failure -j "$JOBS" --timeout 6000 \
  -R "^unit_($(echo $SUITES | tr ' ' '|'))\$" --no-tests=error

OUT=$ARM64/sample
rm -rf $OUT && mkdir -p $OUT
"$BUILD/tests/draw_sample" $OUT > /dev/null
# extract_into CACHE PROGRAM...
extract_into() {
  cache=$1; shift
  "$@" $OUT/pictures -q -o "$cache" --backbone resnet18_w16 --store f32 --sample 16 \
    --tap layer2,layer4,avgpool --weights tests/sample/resnet18_w16.safetensors
}
extract_into $OUT/here.h5 "$BUILD/bin/extract"
for kernels in neon plain; do
  PF_KERNELS=$kernels extract_into $OUT/$kernels.h5 qemu-aarch64 -L "$ROOT" $ARM64/bin/extract
done
for cache in here neon plain; do
  qemu-aarch64 -L "$ROOT" $ARM64/tests/digest_cache $OUT/$cache.h5 | sed 1d > $OUT/$cache.digest
done
grep -q features/layer2 $OUT/here.digest
cmp $OUT/here.digest $OUT/neon.digest
cmp $OUT/here.digest $OUT/plain.digest
echo "extract: the same $(wc -l < $OUT/here.digest) datasets, bit for bit, as on $(uname -m)"
