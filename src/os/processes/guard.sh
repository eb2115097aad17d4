#!/bin/sh
# Kills an agent's processes when the agent is gone, for whatever reason: the agent holds the other end of standard input.
#   guard.sh MARK [DIRECTORY [STOPDIR [PATIENCE_S EPOCH_FILE EPOCH [LIMITS [PGID...]]]]]
# Lines on standard input: "+PGID" a process group started, "-PGID" it is over, "." a clean end, the guard exits silently.
# MARK is an environment entry (NAME=value) of the agent's processes, as long as they do not erase it. LIMITS is the mark
# that they cannot lose: an expression of grep -E for their soft and hard limit of file locks in /proc/PID/limits
# (src/os/processes/owner-mark.ts). PGID are groups that exist already. DIRECTORY is removed at the end.
# STOPDIR holds a script for each process with a part that is in no group and may be on another node (a container under a
# daemon, the tasks of an srun): the guard runs them all at once, and removes the directory. It leaves directories of other
# users alone, because they are in /tmp, where any user may have created them.
# PATIENCE_S: another coordinator may take over in this time; when EPOCH_FILE then has another epoch, the guard does nothing.
# The line "!", or a file EPOCH_FILE-over: no process will take over.
mark=$1
directory=${2-}
stops=${3-}
patience=${4:-0}
file=${5-}
epoch=${6-}
limits=${7-}
groups=
if [ $# -gt 7 ]; then
  shift 7
  groups=$*
fi
# Removes the number from this guard's own mark: an agent's guard has the coordinator's mark, and without a number it is not
# killed as one of the coordinator's processes.
{ ulimit -S -x "$(ulimit -H -x)" || ulimit -S -w "$(ulimit -H -w)"; } 2>/dev/null
# Ignores signals to a whole step or session, because only the end of the input shows that the agent is gone.
trap '' HUP INT TERM
while read -r line; do
  case $line in
    +*) groups="$groups ${line#+}" ;;
    -*)
      rest=
      for group in $groups; do [ "$group" = "${line#-}" ] || rest="$rest $group"; done
      groups=$rest
      ;;
    !) patience=0 ;;
    .) exit 0 ;;
  esac
done
# A round takes a fifth of a second.
rounds=$((patience * 5))
while [ -n "$file" ]; do
  now=$(cat "$file" 2>/dev/null)
  if [ -n "$now" ] && [ "$now" != "$epoch" ]; then exit 0; fi
  if [ "$rounds" -le 0 ] || [ -e "$file-over" ]; then break; fi
  rounds=$((rounds - 1))
  sleep 0.2 2>/dev/null || sleep 1
done
# A zombie still has its mark, and cannot be killed.
is_zombie() {
  IFS= read -r stat 2>/dev/null <"/proc/$1/stat" || return 1
  case $stat in *') Z '* | *') X '*) return 0 ;; esac
  return 1
}

# kill_found FILE...: kills processes with one of the marks. It spares the process that holds a rootless
# podman's namespace, because the user's other containers share it.
kill_found() {
  found=
  for file; do
    pid=${file#/proc/}
    pid=${pid%/*}
    is_zombie "$pid" && continue
    comm=
    IFS= read -r comm 2>/dev/null <"/proc/$pid/comm"
    case $comm in 'podman pause' | catatonit) continue ;; esac
    kill -s KILL "$pid" 2>/dev/null && found=yes
  done
}

by_limits() { [ -z "$limits" ] || grep -lsE -- "^Max file locks +$limits " "$@"; }

# A process that forks repeatedly is gone from its last place. It is among the newest pids, which are few
# enough to be searched faster than it forks.
kill_newest() {
  round=0
  while [ "$round" -lt 40 ]; do
    read -r _ _ _ _ last </proc/loadavg
    files=
    for back in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19; do
      files="$files /proc/$((last - back))/limits"
    done
    # shellcheck disable=SC2086
    kill_found $(by_limits $files)
    round=$((round + 1))
  done
}

# A process in its own session is in none of the groups, but has the marks (of the environment: a whole entry;
# entries end with NUL).
kill_marked() {
  rounds=0
  while [ "$rounds" -lt 20 ]; do
    # shellcheck disable=SC2046
    kill_found $(grep -lsazxF -- "$mark" /proc/[0-9]*/environ) $(by_limits /proc/[0-9]*/limits)
    [ -n "$found" ] || return 0
    [ "$rounds" -lt 2 ] || [ -z "$limits" ] || kill_newest
    rounds=$((rounds + 1))
  done
}

is_own() { [ -d "$1" ] && [ ! -L "$1" ] && [ -O "$1" ]; }

# A keeper that gets the signal ends its agent and the agent's whole tree, and can prove that nothing is left;
# after a kill the agent's guard must do that.
end_keepers() {
  files=
  for group in $groups; do files="$files /proc/$group/cmdline"; done
  # shellcheck disable=SC2086
  keepers=$(grep -lsaE -- 'keeper\.p[ly]' $files /dev/null)
  for file in $keepers; do
    pid=${file#/proc/}
    kill -s USR1 "${pid%/*}" 2>/dev/null
  done
  round=0
  while [ "$round" -lt 10 ]; do
    there=
    for file in $keepers; do
      pid=${file#/proc/}
      if kill -0 "${pid%/*}" 2>/dev/null && ! is_zombie "${pid%/*}"; then there=yes; fi
    done
    [ -n "$there" ] || return 0
    round=$((round + 1))
    sleep 0.1 2>/dev/null || sleep 1
  done
}

case $mark in SRTCTL_COORDINATOR=*) end_keepers ;; esac
for group in $groups; do kill -s KILL -- "-$group" 2>/dev/null; done
for script in "$stops"/*.sh; do
  if [ -n "$stops" ] && is_own "$stops" && [ -f "$script" ]; then sh "$script" >/dev/null 2>&1 & fi
done
kill_marked
# A second search, for a process that was between fork and exec and had no mark yet.
sleep 0.2 2>/dev/null || sleep 1
kill_marked
wait
for each in "$directory" "$stops"; do
  case $each in
    /*/*) if is_own "$each"; then rm -rf -- "$each"; fi ;;
  esac
done
