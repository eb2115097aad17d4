#!/bin/sh
# Stands between a coordinator and its guard, and gives another coordinator time to take over.
#   patient-guard.sh EPOCH_FILE EPOCH PATIENCE_S GUARD...
# Lines on standard input are the guard's. When they end without ".", the guard is told so only after PATIENCE_S
# seconds, and not at all when EPOCH_FILE names another epoch by then. "!": nobody will take over.
file=$1 epoch=$2 patience=$3
shift 3
{
  over=
  while [ -z "$over" ] && read -r line; do
    case $line in
      !) patience=0 ;;
      .) over=yes ;;
      *) printf '%s\n' "$line" ;;
    esac
  done
  # A fifth of a second each.
  rounds=$((patience * 5))
  while [ -z "$over" ]; do
    now=$(cat "$file" 2>/dev/null)
    if [ -n "$now" ] && [ "$now" != "$epoch" ]; then over=yes; fi
    [ "$rounds" -gt 0 ] || break
    rounds=$((rounds - 1))
    [ -n "$over" ] || sleep 0.2
  done
  [ -z "$over" ] || printf '.\n'
} | "$@"
