#!/bin/sh
# Kills an agent's processes when the agent is gone, however it went: it holds the other end of our standard input.
#   guard.sh MARK [DIRECTORY [STOPDIR [PATIENCE_S EPOCH_FILE EPOCH]]]
# Lines on standard input: "+PGID" a process group began, "-PGID" it is over, "." all is in order, end without a word.
# MARK is an environment entry (NAME=value) that every process of the agent carries; DIRECTORY is removed at the end.
# STOPDIR holds a script for each process of which a part is in no group and may be on another node (a container under a
# daemon, the tasks of an srun): they are run, all at once, and the directory is removed. Directories that are not ours
# are let alone: they are in /tmp, where anybody may have made them.
# PATIENCE_S: another one may take over meanwhile, which EPOCH_FILE shows by naming another epoch; then nothing is done.
# The line "!", or a file EPOCH_FILE-over: nobody will take over.
mark=$1
directory=${2-}
stops=${3-}
patience=${4:-0}
file=${5-}
epoch=${6-}
groups=
# Whoever ends a step or a session by signal is not to take us first: the end of our input is what counts.
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
# A fifth of a second each.
rounds=$((patience * 5))
while [ -n "$file" ]; do
  now=$(cat "$file" 2>/dev/null)
  if [ -n "$now" ] && [ "$now" != "$epoch" ]; then exit 0; fi
  if [ "$rounds" -le 0 ] || [ -e "$file-over" ]; then break; fi
  rounds=$((rounds - 1))
  sleep 0.2 2>/dev/null || sleep 1
done
# What made its own session is in none of the groups, but still has the mark (a whole entry; entries end with NUL).
kill_marked() {
  round=0
  while [ "$round" -lt 20 ]; do
    found=
    for file in $(grep -lsazxF -- "$mark" /proc/[0-9]*/environ); do
      pid=${file#/proc/}
      kill -s KILL "${pid%/environ}" 2>/dev/null && found=yes
    done
    [ -n "$found" ] || return 0
    round=$((round + 1))
  done
}

is_own() { [ -d "$1" ] && [ ! -L "$1" ] && [ -O "$1" ]; }

for group in $groups; do kill -s KILL -- "-$group" 2>/dev/null; done
for script in "$stops"/*.sh; do
  if [ -n "$stops" ] && is_own "$stops" && [ -f "$script" ]; then sh "$script" >/dev/null 2>&1 & fi
done
kill_marked
# A second look for what was between fork and exec, when it did not have the mark yet.
sleep 0.2 2>/dev/null || sleep 1
kill_marked
wait
for each in "$directory" "$stops"; do
  case $each in
    /*/*) if is_own "$each"; then rm -rf -- "$each"; fi ;;
  esac
done
