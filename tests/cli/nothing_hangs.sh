# How many threads there are and what decides it; signals in the middle of what never ends; threads
# and memory that cannot be had. Whatever hangs is killed, with exit code 137.
. "$(dirname "$0")/harness.sh"
photographs photos 4 2

# ---- how many threads ----

(
  fake_backbone
  unset OMP_NUM_THREADS SLURM_CPUS_PER_TASK 2> /dev/null || :
  # decides N WHO [COMMAND...]: the first lines say so, and so many threads decode.
  decides() {
    wanted="$1 thread$([ "$1" = 1 ] || echo s) ($2)"; threads=$1; shift 2
    expect 0 "$@" extract photos -o threads.h5 --force --backbone ./net.pt --resize 20 --crop 16
    stderr_has "$wanted"
    stderr_has "$threads decoding threads)"
  }
  decides 1 OMP_NUM_THREADS env OMP_NUM_THREADS=1,2
  decides 1 SLURM_CPUS_PER_TASK env SLURM_CPUS_PER_TASK=1
  expect 0 env OMP_NUM_THREADS=1 extract photos -o threads.h5 --force --backbone ./net.pt --resize 20 --crop 16 --threads 5
  stderr_has '5 threads (--threads)'
  stderr_has '5 decoding threads)'
  expect 0 extract_fake photos -o threads.h5 --force -j 5 --workers 2
  stderr_has '5 threads (--threads)'
  stderr_has '2 decoding threads)'
  expect 0 env OMP_NUM_THREADS=1 train threads.h5 --tap mean --epochs 1
  stderr_has '1 thread (OMP_NUM_THREADS)'
  expect 0 train threads.h5 --tap mean --epochs 1 -j 3
  stderr_has '3 threads (--threads)'
  if [ "$(nproc)" -gt 1 ] && command -v taskset > /dev/null; then
    first=$(taskset -cp $$ | sed 's/.*: //; s/[-,].*//')
    decides 1 'processor affinity' taskset -c "$first"
  fi
  for program in extract train predict; do
    expect 2 $program --threads 0
    stderr_has --threads
  done
) || exit 1

# ---- signals ----

(
  fake_backbone
  # stuck COMMAND...: starts it, and waits until its forward pass, which takes an hour, began.
  stuck() {
    command=$*; : > images
    "$@" > stdout 2> stderr & pid=$!
    while [ ! -s images ] && kill -0 $pid 2> /dev/null; do sleep 0.05; done
    ( sleep 60; kill -KILL $pid ) > /dev/null 2>&1 & watch=$!
  }
  ended_with() {
    code=0; checks=$((checks + 1))
    wait $pid || code=$?
    kill $watch 2> /dev/null || :
    [ "$code" -eq "$1" ] || failed "expected exit code $1"
  }
  expect 0 extract_fake photos -o whole.h5
  for signal in INT TERM; do
    [ $signal = INT ] && code=130 || code=143
    rm -f stuck.h5*
    export FAKE_BACKBONE_MS=3600000
    stuck extract photos -o stuck.h5 --backbone ./net.pt --resize 20 --crop 16 --batch 2
    wanted=$code
    kill -$signal $pid
    ended_with $wanted
    stderr_has 'interrupted, and ended at once: the same command goes on where this run was'
    unset FAKE_BACKBONE_MS
    exists stuck.h5.journal
    expect 0 extract_fake photos -o stuck.h5
    same_cache stuck.h5 whole.h5
  done
) || exit 1

# What convolutions alone reach is measured when the journal is gone, and a signal ends that.
(
  fake_backbone
  export FAKE_BACKBONE_MS=700 PF_FAKE_TERMINAL=1
  command='extract, measuring'; code=0; checks=$((checks + 1))
  extract photos -o peak.h5 -v --backbone resnet18_w16 --weights "$WEIGHTS" > stdout 2> stderr & pid=$!
  while [ ! -e peak.h5 ] || [ -e peak.h5.journal ]; do
    kill -0 $pid 2> /dev/null || failed 'it ended before'
    sleep 0.05
  done
  kill -TERM $pid || failed 'the journal was there to the end'
  wait $pid || code=$?
  [ "$code" -eq 0 ] || [ "$code" -eq 143 ] || failed 'expected exit code 0 or 143'
  ! grep -q ' of [0-9]* GFLOP/s' stderr || failed 'it measured to the end'
) || exit 1

# ---- threads and memory that cannot be had ----

needs_torch
[ -z "${PF_SANITIZE:-}" ] || { done_with; exit 0; }
NET="--backbone resnet18_w16 --weights $WEIGHTS --resize 40 --crop 32 --tap layer3,avgpool -q"
expect 0 extract photos -o features.h5 $NET
expect 0 train features.h5 --tap avgpool -o head.safetensors --epochs 2 -q
# survives COMMAND...: it ends by itself, as it should or with exit code 1 and a reason.
survives() {
  command=$*; code=0; checks=$((checks + 1))
  timeout -s KILL 120 "$@" > stdout 2> stderr < /dev/null || code=$?
  [ "$code" -eq 0 ] || [ "$code" -eq 1 ] || failed 'expected exit code 0 or 1'
  [ "$code" -eq 0 ] || stderr_has 'error: '
  stderr_lacks libtorch-dev
}
starve() { rm -f x.h5 x.h5.journal; survives env LD_PRELOAD="$BUILD/tests/fault_injector.so" PF_FAULT="$@"; }
for executor in engine libtorch; do
  export PF_ENGINE=$executor
  for number in 1 2 3 4 5 6 1+ 3+; do
    starve thread:$number:EAGAIN extract photos -o x.h5 --threads 2 --readers 1 $NET
  done
  starve thread:4+:EAGAIN predict head.safetensors photos --threads 2 -q
  [ $executor = engine ] || stderr_has 'cannot start'
  for kilobytes in 60000 100000 200000 500000 900000 1100000; do
    rm -f x.h5 x.h5.journal
    survives sh -c 'ulimit -v "$0"; exec "$@"' $kilobytes extract photos -o x.h5 --threads 2 $NET
  done
  survives sh -c 'ulimit -v 600000; exec "$@"' - extract photos -o z.h5 --force --threads 2 $NET
  [ $executor = engine ] || stderr_has 'out of memory'
  survives sh -c 'ulimit -v 600000; exec "$@"' - predict head.safetensors photos --threads 2 -q
  [ $executor = engine ] || stderr_has 'out of memory'
done
unset PF_ENGINE
# Whether malloc takes address space for its threads, too, is chance: less than this is not always enough.
expect 0 sh -c 'ulimit -v 1200000; exec "$@"' - extract photos -o z.h5 --force --threads 2 $NET
starve thread:1+:EAGAIN train features.h5 --finetune layer4 --epochs 1 --threads 2 -o y.safetensors -q
stderr_has 'cannot start'
survives sh -c 'ulimit -v 600000; exec "$@"' - train features.h5 --finetune layer4 --threads 2 -q
stderr_has 'out of memory'
expect 0 extract photos -o x.h5 $NET
done_with
