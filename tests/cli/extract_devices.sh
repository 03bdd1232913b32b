# --device, one and several, the overlapped path, and what is done where memory is short.
. "$(dirname "$0")/harness.sh"
photographs photos 10 4
export HDF5_PLUGIN_PATH=$BUILD/lib/hdf5-plugins

# ---- without libtorch: a network that takes several batches at a time ----
fake_backbone
fake() { expect 0 extract photos --weights random:0 --batch 5 "$@"; }
fake -o one.h5
stderr_has 'runs on fake'
for devices in cpu,cpu cuda:0,cuda:1,cpu; do
  for depth in 1 3; do
    export FAKE_BACKBONE_DEPTH=$depth
    fake -o several.h5 --device $devices --force
    stderr_has "runs on fake; devices $devices"
    same_cache one.h5 several.h5
    fake -o several.h5 --device $devices --force --tap input,avgpool
    fake -o several_plain.h5 --force --tap input,avgpool
    same_cache several_plain.h5 several.h5
  done
done
unset FAKE_BACKBONE_DEPTH

# The batch is the device's, where it is not asked for, and whole images of several views.
rm -f images
expect 0 extract photos --weights random:0 -o chosen.h5
stderr_has '(batch 32, '
[ "$(head -n 1 images)" = 32 ] || failed "the first batch was not 32 images"
expect 0 extract photos --weights random:0 -o views.h5 --views 50
stderr_has '(batch 50, '
stderr_lacks 'memory of device'

# Memory that does not suffice is said once, and no row is lost.
export FAKE_BACKBONE_MEMORY=3
fake -o small.h5 --device cpu,cpu
stderr_has "memory of device 1 sufficed for 2 images at once, not for 5, which went through in slices. Hint: --batch 2"
same_cache one.h5 small.h5
[ "$(grep -c 'memory of device 1' stderr)" = 1 ] || failed 'it was said more than once'
unset FAKE_BACKBONE_MEMORY

# One device that fails ends the run, and what is done is kept.
export FAKE_BACKBONE_FAIL_AT=2
expect 1 extract photos --weights random:0 --batch 5 -o failing.h5 --device cpu,cpu,cpu
stderr_has 'the fake backbone was told to fail'
unset FAKE_BACKBONE_FAIL_AT
fake -o failing.h5
same_cache one.h5 failing.h5

# ---- the C engine, which needs no libtorch: here there is none beside the program ----
unset PERMAFROST_PLUGIN
mkdir bin
cp "$BUILD/bin/extract" bin/
photos() { "$WORK/bin/extract" photos --backbone resnet18_w16 --weights "$WEIGHTS" "$@"; }
expect 0 photos -o engine.h5 --device cpu --tap avgpool,layer2 --store f32 -v
stderr_has 'runs on C engine, '
stderr_has 'packed weights 10 MB, maps and scratch'
for flags in '--device cpu,cpu' '--device cpu,cpu --batch 7' '--batch 1'; do
  expect 0 photos -o other.h5 $flags --tap avgpool,layer2 --store f32 --force
  stderr_has 'runs on C engine, '
  same_cache engine.h5 other.h5
done
expect 0 extract --info engine.h5
stdout_has 'C engine, '
# bf16 as well, where the processor has it, and its numbers anywhere: the same from any batch.
expect 0 photos -o rounded.h5 --device cpu --precision bf16 --emulate
stderr_has 'bf16 by rounding float32'
expect 0 photos -o other.h5 --device cpu,cpu --batch 7 --precision bf16 --emulate --force
same_cache rounded.h5 other.h5
expect 0 extract --verify photos rounded.h5
expect 0 extract --info rounded.h5
stdout_has 'bf16 by rounding float32'
if ! grep -q avx512_bf16 /proc/cpuinfo; then
  expect 1 photos -o refused.h5 --device cpu --precision bf16
  stderr_has 'this processor has no bf16 instructions'
  absent refused.h5
fi

needs_torch
# A cache that libtorch began goes on by the engine, and says so.
photographs few 5 2
export PF_ENGINE=libtorch
expect 0 extract_sample few -o grown.h5
unset PF_ENGINE
stderr_has 'runs on libtorch'
photographs few 10 4
expect 0 extract_sample few -o grown.h5
stderr_has 'runs on C engine, '
stderr_has '21 reused'
expect 0 extract --info grown.h5
stdout_has 'libtorch'

# ---- with libtorch ----
export PF_ENGINE=libtorch
expect 0 extract_sample photos -o cpu.h5 --device cpu --tap avgpool,layer2 --store f32
stderr_has ', cpu, '
for devices in cpu:overlap cpu,cpu cpu:overlap,cpu; do
  expect 0 extract_sample photos -o other.h5 --device $devices --tap avgpool,layer2 --store f32 --force --batch 16
  same_cache cpu.h5 other.h5
done
expect 0 extract --info other.h5
stdout_has 'devices cpu:overlap,cpu'
expect 0 extract_sample photos -o auto.h5
stderr_has 'runs on libtorch'
if ! command -v nvidia-smi > /dev/null; then
  expect 1 extract_sample photos -o gpu.h5 --device cuda:0,cuda:1
  stderr_has "device 'cuda:0' was asked for"
  absent gpu.h5
fi
unset PF_ENGINE
expect 2 extract_sample photos -o tf32.h5 --device cpu --precision tf32
stderr_has '--precision tf32 needs a CUDA device'
expect 2 extract_sample photos -o fp32.h5 --emulate
stderr_has '--emulate goes with --precision bf16'
expect 0 extract_sample photos -o bf16.h5 --device cpu --precision bf16 --emulate
stderr_has ', bf16;'
done_with
