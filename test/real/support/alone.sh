#!/bin/sh
# Runs a command in a network of its own, which has the loopback only, and with SHM as its /dev/shm: so every port is
# free, and what the command leaves in shared memory can be told from what others leave.
#   SHM=DIRECTORY alone.sh COMMAND [ARG…]
# Without root it takes a user namespace, where the kernel allows one.
own=
[ "$(id -u)" = 0 ] || own='--user --map-root-user'
# shellcheck disable=SC2086 # two options, or none
exec unshare $own --net --mount sh -c '
  PATH=$PATH:/usr/sbin:/sbin ip link set lo up &&
    mount --make-rprivate / &&
    mount --bind "$SHM" /dev/shm || exit 125
  exec "$@"' alone "$@"
