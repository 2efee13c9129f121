#!/usr/bin/env bash
# A SLURM of two nodes with two cores each on this machine, for tests: daemons of this user, all
# files below FOLDER. Then: export PATH=FOLDER/bin:$PATH. It ends with FOLDER/stop.sh.
# Needs the programs of Debian's slurm-wlm and munge.
#
# usage: start_slurm.sh FOLDER
set -euo pipefail

folder=$(realpath -m "${1:?usage: start_slurm.sh FOLDER}")
host=$(hostname -s)
user=$(id -un)
# three free ports: the controller and the two nodes
read -r controller_port port1 port2 < <(python3 - <<'PY'
import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
print(*(s.getsockname()[1] for s in sockets))
PY
)
mkdir -p "$folder"/{state,node1,node2,log}
mkdir -p -m 700 "$folder/munge"
head -c 1024 /dev/urandom > "$folder/munge/key"
chmod 600 "$folder/munge/key"

cat > "$folder/slurm.conf" <<CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$controller_port
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$folder/munge/socket
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/%n
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/%n.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/%n.log
# a container may lack cgroups, PMI and accounting
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
# the nodes are made up: the machine may have fewer cores or less memory than they say
SlurmdParameters=config_overrides
ReturnToService=2
MinJobAge=600
KillWait=5
SchedulerParameters=sched_interval=1,bf_interval=1
NodeName=node1 NodeHostName=$host NodeAddr=127.0.0.1 Port=$port1 CPUs=2 RealMemory=6000
NodeName=node2 NodeHostName=$host NodeAddr=127.0.0.1 Port=$port2 CPUs=2 RealMemory=6000
PartitionName=main Nodes=node1,node2 Default=YES MaxTime=INFINITE State=UP
CONF

cat > "$folder/stop.sh" <<'STOP'
#!/usr/bin/env bash
# End the jobs, then the daemons by their pid files.
cd "$(dirname "$0")"
SLURM_CONF=$PWD/slurm.conf timeout 10 scancel --user="$(id -un)" || true
sleep 1
for file in node1.pid node2.pid slurmctld.pid munge/pid; do
    if [ -s "$file" ]; then kill "$(cat "$file")" 2> /dev/null || true; fi
done
STOP
chmod +x "$folder/stop.sh"

# Snakemake takes SLURM_CONF out of the environment of its jobs, so the commands bring it along
mkdir -p "$folder/bin"
for name in sbatch srun squeue scancel sinfo scontrol; do
    printf '#!/bin/sh\nSLURM_CONF=%q exec %q "$@"\n' "$folder/slurm.conf" "$(command -v $name)" \
        > "$folder/bin/$name"
    chmod +x "$folder/bin/$name"
done

export SLURM_CONF="$folder/slurm.conf"
munged=$(PATH=$PATH:/usr/sbin command -v munged)
controller=$(PATH=$PATH:/usr/sbin command -v slurmctld)
node=$(PATH=$PATH:/usr/sbin command -v slurmd)
"$munged" --force --key-file="$folder/munge/key" --socket="$folder/munge/socket" \
    --pid-file="$folder/munge/pid" --log-file="$folder/log/munged.log" \
    --seed-file="$folder/munge/seed"
"$controller" -f "$SLURM_CONF"
for name in node1 node2; do
    "$node" -f "$SLURM_CONF" -N "$name"
done
for _ in $(seq 60); do
    if [ "$(timeout 5 sinfo --noheader --Node --states=idle | wc -l)" -eq 2 ]; then exit 0; fi
    sleep 0.5
done
"$folder/stop.sh"
echo "the nodes did not come up; see $folder/log" >&2
exit 1
