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

# ---- what docs/scale.md shows, as it stands there but for the numbers ----

# block LINE: the indented block of docs/scale.md that has the line.
block() {
  "$PYTHON" - "$SOURCE/docs/scale.md" "$1" <<'PYTHON'
import re, sys, textwrap
for found in re.findall(r"(?:^    .*\n|^\n(?=    ))+", open(sys.argv[1]).read(), re.M):
    if any(line.strip() == sys.argv[2] for line in found.splitlines()):
        print(textwrap.dedent(found).strip("\n"))
        sys.exit()
sys.exit(f"docs/scale.md has no block with {sys.argv[2]!r}")
PYTHON
}
# Runs `extract` with the options of this test, which the page has no need to name.
mkdir -p wrapped
cat > wrapped/extract <<WRAPPER
#!/bin/sh
case \$1 in --*) exec "$BUILD/bin/extract" "\$@" ;; esac
cd "$WORK" && exec "$BUILD/bin/extract" "\$@" $options
WRAPPER
chmod +x wrapped/extract

# Kubernetes: the command of each pod, by its index; and exit codes as the page's table has them.
if "$PYTHON" -c 'import yaml' 2> /dev/null; then
  block 'apiVersion: batch/v1' > job.yaml
  "$PYTHON" - <<'PYTHON' > pods.sh || failed 'the manifest is not what it should be'
import shlex, yaml
job = yaml.safe_load(open("job.yaml"))
spec = job["spec"]
pod = spec["template"]["spec"]
command = pod["containers"][0]["command"]
assert (job["kind"], spec["completionMode"], pod["restartPolicy"]) == ("Job", "Indexed", "Never")
assert command[-1] == f"auto/{spec['completions']}" and 0 < spec["parallelism"] <= spec["completions"]
rules = {rule["action"]: rule["onExitCodes"] for rule in spec["podFailurePolicy"]["rules"]}
assert all(rule["operator"] == "In" for rule in rules.values())
assert rules["FailIndex"]["values"] == [2, 3, 4, 5] and rules["Ignore"]["values"] == [75, 130, 143], rules
mounts = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
assert set(mounts) == {volume["name"] for volume in pod["volumes"]} and mounts == {"data": "/data"}
words = " ".join(shlex.quote(word.replace("/data/photos.h5", "pods.h5").replace("/data/", "").replace("auto/100", "auto/5"))
                 for word in command)
for index in range(5):
    print(f"JOB_COMPLETION_INDEX={index} {words}")
PYTHON
  expect 0 env PATH="$WORK/wrapped:$PATH" sh -e pods.sh
  stderr_has 'JOB_COMPLETION_INDEX is 4, counted from 0: shard 5 of 5'
  merged_is_single pods.h5
else
  echo 'SKIP part: Python has no yaml'
fi

# Snakemake: the whole, and one shard once more.
snakemake=${SNAKEMAKE:-$(command -v snakemake || :)}
if [ -n "$snakemake" ]; then
  block 'rule all:' | sed 's/^N = 100$/N = 5/' > Snakefile
  mkdir parts
  expect 0 env PATH="$WORK/wrapped:$PATH" "$snakemake" --cores 2
  same_cache single.h5 photos.h5
  rm -f parts/3.h5
  expect 0 env PATH="$WORK/wrapped:$PATH" "$snakemake" --cores 2
  same_cache single.h5 photos.h5
  rm -rf parts photos.h5
else
  echo 'SKIP part: Snakemake is not installed'
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

# Dependent merging, by the lines of docs/scale.md; and srun's ranks.
block '#!/bin/sh' | sed 's|auto/100|auto/20|; s|cpus-per-task=8|cpus-per-task=1|' > documented.sh
mv shard.sh own.sh; mv documented.sh shard.sh
expect 0 env PATH="$WORK/wrapped:$PATH" sh -ec "$(block 'sbatch --parsable --array=0-99 --requeue shard.sh        # prints the job'"'"'s number' |
  sed -e 's|^sbatch --parsable --array=0-99|number=$(&|; s|shard.sh *#.*number$|shard.sh)|; s|0-99|0-19|; s|NUMBER|$number|; s|--wrap|--parsable &|' -e '/--missing/d')"
slurm_done "$(cat stdout)"; same_cache single.h5 photos.h5
rm photos.h5.parts/4-of-20.h5 photos.h5.parts/9-of-20.h5
job=$(env PATH="$WORK/wrapped:$PATH" sh -ec "$(block '#!/bin/sh' > /dev/null; echo 'sbatch --parsable $(extract --missing photos.h5.parts) shard.sh')")
slurm_done "$job"; merged_is_single photos.h5
mv own.sh shard.sh
# shellcheck disable=SC2086
expect 0 srun -n 4 -N 4 extract photos.list -o ranks.h5 --shard auto/4 $options
merged_is_single ranks.h5

# A time limit: Slurm looks every half a minute, and has let the task go by then.
job=$(submit limit.h5 2 2000 --array=0-1)
for i in $(seq 100); do [ -e limit.h5.parts/2-of-2.h5.journal ] && break; sleep 0.1; done
for task in 0 1; do scontrol update "JobId=${job}_$task" EndTime=now 2> /dev/null || :; done
slurm_done "$job"
grep -q 'DUE TO TIME LIMIT' slurm-*.log || failed 'there was no time limit'
grep -q 'interrupted' slurm-*.log || failed 'nothing was interrupted'
job=$(submit limit.h5 2 1 --array=0-1); slurm_done "$job"
merged_is_single limit.h5

# One node lost with what ran there: its task begins again on another.
job=$(submit lost.h5 4 500 --array=0-3)
for i in $(seq 100); do [ -e lost.h5.parts/4-of-4.h5.journal ] && break; sleep 0.1; done
slurm_lose "$(squeue -h -r -j "$job" -t RUNNING -o %N | tail -n 1)"
slurm_done "$job"
scontrol show job "$job" | grep -q 'Restarts=1' || { scontrol show job "$job"; failed 'no task began again'; }
merged_is_single lost.h5
done_with
