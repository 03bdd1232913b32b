# Shards by what starts processes in numbers: a real Slurm of four nodes, Open MPI, GNU parallel.
# Whatever is killed, requeued or resubmitted, the merged cache is that of a single run.
. "$(dirname "$0")/harness.sh"
. "$SOURCE/tests/cli/slurm_cluster.sh"
[ -z "${PF_SANITIZE:-}" ] || skip 'what runs here is tested under sanitizers by cli_extract_shards'
fake_backbone
photographs photos 20 10   # 90 images
unset SLURM_ARRAY_TASK_ID SLURM_PROCID SLURM_STEP_NUM_TASKS RANK WORLD_SIZE 2> /dev/null || :
expect 0 extract_fake photos -o single.h5
expect 0 extract --list photos -o photos.list
options='--backbone ./net.pt --resize 20 --crop 16 --batch 1 --sync-seconds 0.01 --threads 1'

merged_is_single() {
  expect 0 extract --missing "$1.parts"; stdout_empty
  expect 0 extract --merge "$1" "$1.parts"; same_cache single.h5 "$1"
}

# ---- GNU parallel: the shards typed ----

if command -v parallel > /dev/null; then
  # shellcheck disable=SC2086
  mkdir -p byhand
  expect 0 parallel -j 4 "extract photos.list -o byhand/{}.h5 --shard {}/5 $options" ::: 1 2 3 4 5
  expect 0 extract --merge byhand.h5 byhand; same_cache single.h5 byhand.h5
else
  echo 'SKIP part: GNU parallel is not installed'
fi

# ---- Open MPI: ranks ----

if command -v mpirun > /dev/null; then
  # shellcheck disable=SC2086
  expect 0 mpirun --allow-run-as-root --oversubscribe -n 4 extract photos.list -o mpi.h5 --shard auto/4 $options
  stderr_has 'Open MPI: OMPI_COMM_WORLD_RANK is 3, counted from 0: shard 4 of 4'
  merged_is_single mpi.h5
  # shellcheck disable=SC2086
  expect 0 mpirun --allow-run-as-root --oversubscribe -n 3 extract photos.list -o any.h5 --shard any/7 $options
  merged_is_single any.h5
else
  echo 'SKIP part: Open MPI is not installed'
fi

# ---- Slurm ----

command -v slurmctld > /dev/null && command -v munged > /dev/null && [ "$(id -u)" = 0 ] ||
  { echo 'SKIP part: Slurm is not installed, or this is not root'; done_with; exit 0; }
slurm_up
cat > shard.sh <<JOB
#!/bin/sh
#SBATCH --requeue --open-mode=append --output=$WORK/slurm-%a.log
cd "$WORK"
export FAKE_BACKBONE_MS=\${SLOW:-10}
exec extract photos.list -o \$OUT --shard auto/\$SHARDS $options
JOB
submit() { sbatch --parsable --export=ALL,OUT="$1",SHARDS="$2",SLOW="$3" "$4" shard.sh; }

# An array, of which one task is killed by hand and one is requeued.
job=$(submit slurm.h5 6 40 --array=0-5)
for i in $(seq 100); do [ -e slurm.h5.parts/1-of-6.h5.journal ] && [ -e slurm.h5.parts/2-of-6.h5.journal ] && break; sleep 0.1; done
pkill -9 -f "slurm.h5 --shard auto/6" -n || :
scontrol requeue "${job}_1" 2> /dev/null || :
slurm_done "$job"
# What the killed one has not finished is run again, in Slurm's own words.
expect 0 extract --missing slurm.h5.parts
if [ -s stdout ]; then
  job=$(submit slurm.h5 6 1 "$(cat stdout)"); slurm_done "$job"
fi
merged_is_single slurm.h5

# Preemption: jobs of `high` take all nodes while the array runs; its tasks are requeued and go on.
job=$(submit preempted.h5 4 60 --array=0-3)
for i in $(seq 100); do [ -e preempted.h5.parts/4-of-4.h5.journal ] && break; sleep 0.1; done
urgent=$(sbatch --parsable -p high --exclusive -N 4 --output=/dev/null --wrap 'sleep 1')
slurm_done "$urgent"; slurm_done "$job"
merged_is_single preempted.h5
grep -q 'keeps the work that is done\|interrupted' slurm-*.log || failed 'nothing was preempted'

# A partial resubmission of a larger array, whose counts and minima say something else.
rm preempted.h5 preempted.h5.parts/2-of-4.h5 preempted.h5.parts/4-of-4.h5
job=$(submit preempted.h5 4 1 --array=1,3); slurm_done "$job"
merged_is_single preempted.h5

# Dependent merging, and srun's ranks.
job=$(submit chain.h5 3 1 --array=0-2)
merge=$(sbatch --parsable --dependency="afterok:$job" --output=/dev/null --wrap "cd '$WORK' && extract --merge chain.h5 chain.h5.parts")
slurm_done "$merge"; same_cache single.h5 chain.h5
# shellcheck disable=SC2086
expect 0 srun -n 4 -N 4 extract photos.list -o ranks.h5 --shard auto/4 $options
merged_is_single ranks.h5
done_with
