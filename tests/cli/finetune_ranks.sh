# Fine-tuning by several processes: by plain variables as torchrun sets them, Open MPI and srun.
. "$(dirname "$0")/harness.sh"
. "$SOURCE/tests/cli/slurm_cluster.sh"
[ -z "${PF_SANITIZE:-}" ] || skip 'libtorch in many processes is too slow under sanitizers'
needs_torch
for name in RANK WORLD_SIZE LOCAL_RANK LOCAL_WORLD_SIZE MASTER_ADDR MASTER_PORT SLURM_PROCID SLURM_STEP_NUM_TASKS; do
  unset $name 2> /dev/null || :
done
export OMP_NUM_THREADS=1
photographs photos 16 8   # 48 to train, 24 to validate
expect 0 extract_sample photos -o c.h5 --tap avgpool,layer3 --resize 48 --crop 48
tune() { train c.h5 --finetune layer4 --weights "$WEIGHTS" --epochs 2 --batch 16 --lr 0.001 "$@"; }

free_port() { "$PYTHON" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
# ranks N COMMAND...: N processes with the variables of torchrun; what each says is in rank.K. The
# exit code is rank 0's, the others' are in rank.K.code.
start_ranks() {
  size=$1; shift
  port=$(free_port); pids=
  for rank in $(seq 0 $((size - 1))); do
    ( code=0; RANK=$rank WORLD_SIZE=$size LOCAL_RANK=$rank MASTER_ADDR=127.0.0.1 MASTER_PORT=$port \
        "$@" > "rank.$rank" 2>&1 < /dev/null || code=$?; echo $code > "rank.$rank.code" ) & pids="$pids $!"
  done
}
wait_ranks() { for pid in $pids; do wait "$pid"; done; cat rank.0; return "$(cat rank.0.code)"; }
ranks() { start_ranks "$@"; wait_ranks; }
others_are_silent() {
  for rank in $(seq 1 $((size - 1))); do
    checks=$((checks + 1)); [ "$(cat "rank.$rank.code")" = 0 ] || { cat "rank.$rank"; failed "rank $rank: exit code"; }
    [ ! -s "rank.$rank" ] || { cat "rank.$rank"; failed "rank $rank says something"; }
  done
}

# near A B LIMIT: whether two results are the same training: every loss within LIMIT of the other's.
near() {
  checks=$((checks + 1))
  "$PYTHON" - "$@" << 'END' || failed "$2 is not the training of $1"
import json, sys
one, other = (json.load(open(path)) for path in sys.argv[1:3])
assert len(one["epochs"]) == len(other["epochs"])
distance = max(abs(a[key] - b[key]) / max(abs(a[key]), 1) for a, b in zip(one["epochs"], other["epochs"])
               for key in ("train_loss", "val_loss"))
print(f"{sys.argv[2]}: losses within {distance:.2g} of one process's")
assert distance < float(sys.argv[3]), distance
assert one["val"]["accuracy"] == other["val"]["accuracy"]
END
}

# ---- one, two and four ---- 16 images of a batch in 1, 2 or 4 parts

expect 0 tune -o one.safetensors --json one.json
tune_ranks() { ranks "$1" train c.h5 --finetune layer4 --weights "$WEIGHTS" --epochs 2 --batch 16 --lr 0.001 -o "$2.safetensors" --json "$2.json"; }
expect 0 tune_ranks 1 alone; same_head one.safetensors alone.safetensors || failed 'one rank is one process'
for size in 2 4; do
  expect 0 tune_ranks $size ranks$size
  stdout_has "$size ranks (torchrun: RANK, WORLD_SIZE), each of which computes $((16 / size)) to $((16 / size)) images of a batch of 16"
  stdout_has "weights: equal on all $size ranks, to the last bit"
  others_are_silent
  near one.json ranks$size.json 1e-4
  grep -q "\"ranks\":	$size" ranks$size.json || failed 'the result lacks the ranks'
done
expect 0 tune_ranks 4 again
same_head ranks4.safetensors again.safetensors || failed 'four ranks twice differ'
# The last batch has fewer rows than there are ranks: 48 = 9 * 5 + 3.
expect 0 tune --batch 5 -o odd.safetensors --json odd1.json
expect 0 ranks 4 train c.h5 --finetune layer4 --weights "$WEIGHTS" --epochs 2 --batch 5 --lr 0.001 -o odd4.safetensors --json odd4.json
near odd1.json odd4.json 1e-3

# ---- what does not go ----

expect 2 ranks 2 train c.h5 --finetune layer4 --batch-norm learn
stdout_has 'statistics of a batch that lies on 2 ranks'
expect 2 ranks 4 train c.h5 --finetune layer4 --batch 3
stdout_has 'there are 4 of them'
expect 2 env RANK=0 WORLD_SIZE=2 train c.h5 --finetune layer4
stderr_has 'set MASTER_ADDR'
expect 0 env RANK=1 WORLD_SIZE=2 train c.h5 --finetune layer4 --weights "$WEIGHTS" --epochs 1 --alone
different() { start_ranks 2 sh -c 'exec train c.h5 --finetune layer4 --epochs $((RANK + 1))'; wait_ranks; }
expect 2 different
stdout_has 'do not have the same command line'
# Options that make no other result, but by which ranks would wait for each other.
for options in '$([ $RANK = 0 ] || echo --force) -o d.safetensors' '-o $([ $RANK = 0 ] && echo d.safetensors || echo /dev/null)' \
               '--memory $((RANK + 1))G'; do
  different() { start_ranks 2 sh -c "exec train c.h5 --finetune layer4 $options"; wait_ranks; }
  expect 2 different
  stdout_has 'do not have the same command line'
done
# What rank 0 refuses ends the others with its code, without a word.
expect 2 ranks 2 train c.h5 --finetune layer4 -o missing/x.txt
expect 1 ranks 2 train c.h5 --finetune layer4 --weights "$WEIGHTS" -o missing/x.safetensors
[ "$(cat rank.1.code)" = 1 ] && [ ! -s rank.1 ] || { cat rank.1; failed 'rank 1 repeats it'; }

# ---- a rank is lost ----

long() { "$@" train c.h5 --finetune layer4 --weights "$WEIGHTS" --epochs 30 --batch 16 --lr 0.001 -o lost.safetensors --json lost.json; }
long start_ranks 4
for i in $(seq 1200); do [ -e lost.safetensors.checkpoint ] && break; sleep 0.05; done
victim=$(pgrep -f 'epochs 30 .*-o lost.safetensors' | while read -r pid; do
  tr '\0' '\n' < "/proc/$pid/environ" 2> /dev/null | grep -qx RANK=2 && [ "$(cat "/proc/$pid/comm")" = train ] && echo "$pid"; done | head -n 1)
kill -9 "$victim"
expect 75 wait_ranks
stdout_has 'a rank was lost'
stdout_has 'the same command goes on'
for rank in 1 3; do [ "$(cat rank.$rank.code)" = 75 ] || failed "rank $rank: $(cat rank.$rank.code)"; done
exists lost.safetensors.checkpoint; absent lost.safetensors
# It goes on with what there is.
expect 0 ranks 2 train c.h5 --finetune layer4 --weights "$WEIGHTS" --epochs 30 --batch 16 --lr 0.001 -o lost.safetensors --json lost.json --resume
stdout_has 'with 2 ranks in place of 4'
absent lost.safetensors.checkpoint
expect 0 train c.h5 --finetune layer4 --weights "$WEIGHTS" --epochs 30 --batch 16 --lr 0.001 -o whole.safetensors --json whole.json
near whole.json lost.json 1e-2
expect 0 ranks 2 train c.h5 --finetune layer4 --weights "$WEIGHTS" --epochs 30 --batch 16 --lr 0.001 -o lost.safetensors
stdout_has 'up to date'
others_are_silent

# ---- a sweep, shared out ----

# The same table and the same model as by one process, to the last bit.
sweep() { "$@" train c.h5 --finetune layer4 --weights "$WEIGHTS" --epochs 1 --batch 16 --sweep lr=1e-4,1e-3,1e-2 --seeds 2 -o sweep$size.safetensors --csv sweep$size.csv; }
size=1; expect 0 sweep env
cp stderr sweep1.log
ranks2() { size=2; sweep start_ranks 2; wait_ranks; }
expect 0 ranks2
others_are_silent
stdout_has '2 ranks (torchrun: RANK, WORLD_SIZE), which share out the heads'
cmp sweep1.csv sweep2.csv || failed 'another table'
same_head sweep1.safetensors sweep2.safetensors || failed 'another winner'
# Heads alone as well.
heads() { "$@" train c.h5 --tap avgpool --epochs 3 --optimizer adam --sweep head=linear,mlp:8,mlp:16 --seeds 2 --csv heads$size.csv; }
size=1; expect 0 heads env
ranks3() { size=3; heads start_ranks 3; wait_ranks; }
expect 0 ranks3; others_are_silent
cmp heads1.csv heads3.csv || failed 'another table of heads'

# ---- Open MPI ---- nothing is said: they meet by themselves

launched() { near one.json launched.json 1e-4; same_head ranks$1.safetensors launched.safetensors || failed 'another model'; rm launched.*; }
options="c.h5 --finetune layer4 --weights $WEIGHTS --epochs 2 --batch 16 --lr 0.001 -o launched.safetensors --json launched.json"
cp one.safetensors ranks1.safetensors
if command -v mpirun > /dev/null; then
  for size in 1 2 4; do
    # shellcheck disable=SC2086
    expect 0 mpirun --allow-run-as-root --oversubscribe --bind-to none -n $size train $options
    [ $size = 1 ] || stderr_has "$size ranks (Open MPI: OMPI_COMM_WORLD_RANK, OMPI_COMM_WORLD_SIZE)"
    launched $size
  done
else
  echo 'SKIP part: Open MPI is not installed'
fi

# ---- torchrun ---- of the newest torch, too: check-peer-torch

torchrun=${TORCHRUN:-torchrun}
if "$torchrun" --no_python --nproc_per_node 1 true > torchrun.log 2>&1; then
  for size in 2 4; do
    # shellcheck disable=SC2086
    expect 0 "$torchrun" --no_python --nproc_per_node $size --master_port "$(free_port)" "$(command -v train)" $options
    stderr_has "$size ranks (torchrun: RANK, WORLD_SIZE)"
    launched $size
  done
  expect 0 "$torchrun" --standalone --no_python --nproc_per_node 2 "$(command -v train)" $options
  launched 2
else
  echo 'SKIP part: torchrun is not installed, or does not start, as that of Debian 12'
fi

# ---- srun ----

command -v slurmctld > /dev/null && command -v munged > /dev/null && [ "$(id -u)" = 0 ] ||
  { echo 'SKIP part: Slurm is not installed, or this is not root'; done_with; exit 0; }
slurm_up
for size in 1 2; do
  # shellcheck disable=SC2086
  expect 0 srun -N 1 -n $size train $options
  launched $size
done
# On several hosts rank 0's is the first node of the step, which has no address here.
# shellcheck disable=SC2086
expect 0 env MASTER_ADDR=127.0.0.1 MASTER_PORT="$(free_port)" srun -N 4 -n 4 train $options
stderr_has '4 ranks (srun: SLURM_PROCID, SLURM_STEP_NUM_TASKS)'
launched 4
done_with
