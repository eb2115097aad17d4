#!/bin/sh
# signal-step.sh SIGNAL NAME: signals the Slurm step of this user that is called NAME (unique: it was made up for one
# start of one process). Ends with 1 when there is none (yet). What squeue fails to say is asked again.
signal=$1 name=$2 tries=0
while [ "$tries" -lt 3 ]; do
  if steps=$(timeout 10 squeue --steps --noheader --user="$(id -u)" --format='%i|%j'); then
    found=$(printf '%s\n' "$steps" | sed -n "s/^\([0-9+._]*\)|$name\$/\1/p")
    [ -n "$found" ] || exit 1
    for step in $found; do
      case $signal in
        KILL) timeout 10 scancel "$step" ;;
        *) timeout 10 scancel --signal="$signal" "$step" ;;
      esac
    done
    exit 0
  fi
  tries=$((tries + 1))
  sleep 1
done
exit 1
