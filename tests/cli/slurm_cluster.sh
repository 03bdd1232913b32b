# A Slurm of four nodes on this one machine, for tests: sourced, then slurm_up and slurm_down. Needs
# root, Debian's slurm-wlm and munge. Jobs of partition `low` are requeued for those of `high`.

slurm_up() {
  cluster=$WORK/cluster
  mkdir -p "$cluster/run" "$cluster/state" "$cluster/spool"
  head -c 1024 /dev/urandom > "$cluster/key"; chmod 600 "$cluster/key"
  export SLURM_CONF=$cluster/slurm.conf
  cat > "$SLURM_CONF" <<CONF
ClusterName=test
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=26817
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$cluster/run/munge.socket
CryptoType=crypto/munge
StateSaveLocation=$cluster/state
SlurmdSpoolDir=$cluster/spool/%n
SlurmctldPidFile=$cluster/run/slurmctld.pid
SlurmdPidFile=$cluster/run/slurmd.%n.pid
SlurmctldLogFile=$cluster/slurmctld.log
SlurmdLogFile=$cluster/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SwitchType=switch/none
ReturnToService=2
KillWait=5
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,requeue_delay=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
NodeName=n[1-4] NodeAddr=127.0.0.1 NodeHostname=$(hostname -s) Port=[26818-26821] CPUs=2 RealMemory=100 State=UNKNOWN
PartitionName=low Nodes=n[1-4] Default=YES MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=0
PartitionName=high Nodes=n[1-4] MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
CONF
  munged --foreground --force --socket="$cluster/run/munge.socket" --key-file="$cluster/key" \
    --pid-file="$cluster/run/munged.pid" --log-file="$cluster/munged.log" \
    --seed-file="$cluster/run/seed" > "$cluster/munged.out" 2>&1 < /dev/null & cluster_pids=$!
  for i in $(seq 100); do [ -S "$cluster/run/munge.socket" ] && break; sleep 0.1; done
  slurmctld -D -c > "$cluster/ctld.out" 2>&1 < /dev/null & cluster_pids="$cluster_pids $!"
  for node in n1 n2 n3 n4; do
    slurmd -D -N $node > "$cluster/$node.out" 2>&1 < /dev/null & cluster_pids="$cluster_pids $!"
  done
  trap 'slurm_down; rm -rf "$WORK"' EXIT
  for i in $(seq 300); do
    [ "$(sinfo -h -N -o %T 2> /dev/null | grep -c idle)" = 8 ] && return
    sleep 0.1
  done
  cat "$cluster"/*.log; skip 'Slurm does not start here'
}

slurm_down() {
  for pid in $cluster_pids; do kill "$pid" 2> /dev/null || :; done
  wait 2> /dev/null || :
}

# slurm_lose NODE: its daemon, and then everything that it started, ends at once.
slurm_lose() {
  kill -9 "$(cat "$cluster/run/slurmd.$1.pid")"
  scontrol update "NodeName=$1" State=DOWN Reason=lost
  for process in /proc/[0-9]*; do
    if grep -qzx "SLURMD_NODENAME=$1" "$process/environ" 2> /dev/null; then
      kill -9 "${process#/proc/}" 2> /dev/null || :
    fi
  done
}

# slurm_done JOB: waits until none of its tasks is left. Slurm lets two minutes pass before what was
# requeued begins; here it begins at once.
slurm_done() {
  for i in $(seq 600); do
    [ -z "$(squeue -h -j "$1" 2> /dev/null)" ] && return
    squeue -h -r -j "$1" -t PENDING -o '%A %r' 2> /dev/null | while read -r task reason; do
      [ "$reason" != BeginTime ] || scontrol update "JobId=$task" StartTime=now 2> /dev/null || :
    done
    sleep 0.2
  done
  squeue; failed "job $1 does not end"
}
