#!/usr/bin/env bash
# The first process of a node: node.sh NAME LAB. It reports its pid outside of the PID namespace, before it
# mounts its own /proc.
read -r pid _ </proc/self/stat
mount -t proc proc /proc
mount --bind "$2/hosts" /etc/hosts
mountpoint -q /sys/fs/cgroup || mount -t tmpfs tmpfs /sys/fs/cgroup
hostname "$1"
echo "$pid" >"$2/$1/init"
slurmd -D &
# Reaps orphaned processes.
while :; do
  wait
  sleep 1000 &
done
