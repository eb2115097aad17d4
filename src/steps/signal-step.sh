#!/bin/sh
# signal-step.sh SIGNAL NAME: signals this user's Slurm step with the name NAME, which is unique to one start
# of one process. Exits with 1 when there is no such step (yet). Retries when squeue fails. After KILL it
# waits until the step is gone from all nodes; the caller limits the time.
signal=$1 name=$2 tries=0

# find_steps: sets $found. Fails when squeue fails.
find_steps() {
  steps=$(timeout 10 squeue --steps --noheader --user="$(id -u)" --format='%i|%j') || return 1
  found=$(printf '%s\n' "$steps" | sed -n "s/^\([0-9+._]*\)|$name\$/\1/p")
}

while ! find_steps; do
  tries=$((tries + 1))
  [ "$tries" -lt 3 ] || exit 1
  sleep 1
done
[ -n "$found" ] || exit 1
for step in $found; do
  case $signal in
    KILL) timeout 10 scancel "$step" ;;
    *) timeout 10 scancel --signal="$signal" "$step" ;;
  esac
done
[ "$signal" = KILL ] || exit 0
tries=0
while [ "$tries" -lt 30 ] && { ! find_steps || [ -n "$found" ]; }; do
  tries=$((tries + 1))
  sleep 0.5
done
