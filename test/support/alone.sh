#!/bin/sh
# Runs a command in a network of its own, which has the loopback only, so that every port is free.
#   [SHM=DIRECTORY] alone.sh COMMAND [ARG…]
# With SHM, that directory is the command's /dev/shm: what it leaves in shared memory can be told from the rest.
# Without root it takes a user namespace, where the kernel allows one.
own=
[ "$(id -u)" = 0 ] || own='--user --map-root-user'
# shellcheck disable=SC2086 # two options, or none
exec unshare $own --net --mount sh -c '
  PATH=$PATH:/usr/sbin:/sbin ip link set lo up && mount --make-rprivate / || exit 125
  [ -z "${SHM:-}" ] || mount --bind "$SHM" /dev/shm || exit 125
  exec "$@"' alone "$@"
