#!/usr/bin/env bash
# A Slurm cluster for tests, on this machine alone: slurmctld and munged here, and a slurmd for each node in network,
# host name, process and mount namespaces of its own. Needs root and Debian's slurm-wlm; see README.md.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
lab=${SRTCTL_LAB_DIR:-/tmp/srtctl-slurm-lab}
gpus=${SRTCTL_LAB_GPUS:-8}
bridge=srtlab0
network=10.78.0
export SLURM_CONF=$lab/slurm.conf
export PATH=$PATH:/usr/sbin:/sbin

fail() { echo "lab: $*" >&2; exit 1; }
address() { echo "$network.$((10 + ${1#node}))"; }
names() { cat "$lab/names" 2>/dev/null || true; }
init_of() { cat "$lab/$1/init" 2>/dev/null || true; }

gone() { ! kill -0 "$1" 2>/dev/null; }

# until_true SECONDS WHAT COMMAND…
until_true() {
  local limit=$((SECONDS + $1)) what=$2
  shift 2
  while ! "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $limit ] || fail "$what did not come up; see $lab"
    sleep 0.1
  done
}

need() {
  [ "$(id -u)" = 0 ] || fail 'needs root: it makes network namespaces'
  local program
  for program in slurmctld slurmd srun munged ip unshare nsenter gcc; do
    command -v $program >/dev/null || fail "$program is missing (Debian: apt-get install slurm-wlm munge iproute2 libslurm-dev gcc)"
  done
  [ -e /usr/include/slurm/spank.h ] || fail 'slurm/spank.h is missing (Debian: apt-get install libslurm-dev)'
}

munge_up() {
  munge -n >/dev/null 2>&1 && return
  install -d -o munge -g munge -m 0755 /run/munge
  if [ ! -s /etc/munge/munge.key ]; then
    (umask 077 && head -c 1024 /dev/urandom >/etc/munge/munge.key)
    chown munge:munge /etc/munge/munge.key
  fi
  setpriv --reuid=munge --regid=munge --clear-groups munged --force 2>"$lab/munged.log"
  cp /run/munge/munged.pid "$lab/munged.pid"
  until_true 60 munged munge -n
}

configure() {
  local count=$1 index
  mkdir -p "$lab/state" "$lab/dev"
  for ((index = 0; index < gpus; index++)); do mknod "$lab/dev/gpu$index" c 1 3; done
  gcc -shared -fPIC -O1 -Wall -Werror -o "$lab/pyxis.so" "$here/pyxis.c"
  echo "required $lab/pyxis.so" >"$lab/plugstack.conf"
  echo "Name=gpu File=$lab/dev/gpu[0-$((gpus - 1))]" >"$lab/gres.conf"
  echo 'CgroupPlugin=cgroup/v1' >"$lab/cgroup.conf"
  {
    echo '127.0.0.1 localhost'
    for ((index = 1; index <= count; index++)); do echo "$(address $index) node$index"; done
  } >"$lab/hosts"
  sed -e "s|@LAB@|$lab|g" -e "s|@CONTROLLER@|$(hostname)($network.1)|" -e "s|@GPUS@|$gpus|" "$here/slurm.conf" >"$lab/slurm.conf"
  {
    for ((index = 1; index <= count; index++)); do echo "NodeName=node$index NodeAddr=$(address $index)"; done
    echo "PartitionName=batch Nodes=node[1-$count] Default=YES MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=20"
    # Its jobs preempt those of batch on the same nodes.
    echo "PartitionName=urgent Nodes=node[1-$count] MaxTime=INFINITE State=UP PriorityTier=10"
  } >>"$lab/slurm.conf"
}

plug_in() {
  local name=$1 index=${1#node}
  ip netns add "srtlab-$name"
  ip link add "srtlab-v$index" type veth peer name eth0 netns "srtlab-$name"
  ip link set "srtlab-v$index" master $bridge up
  ip -n "srtlab-$name" address add "$(address "$name")/24" dev eth0
  ip -n "srtlab-$name" link set lo up
  ip -n "srtlab-$name" link set eth0 up
}

# The first process of a node is a shell; killing it ends everything on the node, as a power cut does.
boot() {
  local name=$1
  mkdir -p "$lab/$name/spool"
  rm -f "$lab/$name/init"
  setsid ip netns exec "srtlab-$name" unshare --uts --mount --pid --fork --kill-child \
    bash "$here/node.sh" "$name" "$lab" </dev/null >"$lab/$name/console.log" 2>&1 &
  until_true 60 "$name" test -s "$lab/$name/init"
}

# Removes a lab whose owner ended without taking it down, because it blocks every other lab.
clear_abandoned() {
  local other owner
  ip link show $bridge >/dev/null 2>&1 || return 0
  other=$(ip -o link show $bridge | sed -n 's/.*alias //p')
  owner=$(cat "$other/owner" 2>/dev/null || true)
  if [ -n "$owner" ] && kill -0 "$owner" 2>/dev/null; then fail "there is a lab already, of process $owner in $other"; fi
  lab=$other SLURM_CONF=$other/slurm.conf down
}

all_idle() { [ "$(sinfo -h -N -p batch -o %T | grep -c '^idle$')" -eq "$(names | wc -l)" ]; }

up() {
  local count=${1:-4} name
  need
  down
  clear_abandoned
  mkdir -p "$lab"
  echo "$PPID" >"$lab/owner"
  seq -f 'node%g' 1 "$count" >"$lab/names"
  munge_up
  configure "$count"
  ip link add $bridge type bridge
  ip address add $network.1/24 dev $bridge
  ip link set $bridge alias "$lab" up
  for name in $(names); do plug_in "$name"; done
  slurmctld -c
  for name in $(names); do boot "$name"; done
  until_true 180 'the cluster' all_idle
}

down() {
  local name pid
  for name in $(names); do
    pid=$(init_of "$name")
    if [ -n "$pid" ]; then kill -9 "$pid" 2>/dev/null || true; fi
  done
  for name in slurmctld munged; do
    if [ -s "$lab/$name.pid" ]; then kill "$(cat "$lab/$name.pid")" 2>/dev/null || true; fi
  done
  for name in $(names); do
    ip netns delete "srtlab-$name" 2>/dev/null || true
    ip link delete "srtlab-v${name#node}" 2>/dev/null || true
  done
  # The bridge's alias names its lab: an abandoned one, another owner's, or this one, which alone is removed.
  if [ "$(ip -o link show $bridge 2>/dev/null | sed -n 's/.*alias //p')" = "$lab" ]; then
    ip link delete $bridge 2>/dev/null || true
  fi
  rm -rf "$lab"
}

case ${1:-} in
  up) up "${2:-4}" ;;
  down) down ;;
  conf) echo "$SLURM_CONF" ;;
  status) sinfo -N -o '%8N %10T %6c %8G %P %E' ;;
  exec) # exec NODE COMMAND…: on a node, outside of any job
    pid=$(init_of "$2")
    [ -n "$pid" ] || fail "$2 is not up"
    shift 2
    exec nsenter --target "$pid" --net --uts --pid --mount env SLURM_CONF="$SLURM_CONF" "$@"
    ;;
  kill) # removes its pid file, because another process may soon have the pid
    pid=$(init_of "$2")
    kill -9 "$pid"
    until_true 10 "the end of $2" gone "$pid"
    rm "$lab/$2/init"
    ;;
  start) # starts a killed node again
    if [ -n "$(init_of "$2")" ]; then fail "$2 is up"; fi
    boot "$2"
    ;;
  cut) ip link set "srtlab-v${2#node}" down ;;
  heal) ip link set "srtlab-v${2#node}" up ;;
  *) fail "usage: lab.sh up [NODES] | down | conf | status | exec NODE COMMAND… | kill NODE | start NODE | cut NODE | heal NODE" ;;
esac
