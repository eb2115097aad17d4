# Runs a server for a launcher that does not notice its end. When the server ends, this script ends the
# process group: the launcher and this node's ranks; srun then ends the ranks of the other nodes.

# stat_of PID: the fields after the name, because the name may contain blanks and brackets.
stat_of() {
  read -r line 2>/dev/null <"/proc/$1/stat" || return
  # shellcheck disable=SC2086 # words of the line
  set -- ${line##*) }
  state=$1 parent=$2 group=$3
}

# The ancestors of this script wait for it, so they cannot end before it.
ancestors=' '
stat_of $$
own=$group
while [ "$parent" -gt 1 ]; do
  ancestors="$ancestors$parent "
  stat_of "$parent" || break
done

# find_others: sets $others, the other processes of the group.
find_others() {
  others=
  for dir in /proc/[0-9]*; do
    pid=${dir#/proc/}
    case "$ancestors$$ " in *" $pid "*) continue ;; esac
    stat_of "$pid" || continue
    [ "$group" != "$own" ] || [ "$state" = Z ] || others="$others $pid"
  done
}

"$@"
code=$?
echo "srtctl: $1 ended with exit code $code; its ranks are being stopped" >&2
trap '' TERM
kill -s TERM 0
round=0
find_others
while [ $round -lt 50 ] && [ -n "$others" ]; do
  sleep 0.1 2>/dev/null || sleep 1
  round=$((round + 1))
  find_others
done
for pid in $others; do kill -s KILL "$pid" 2>/dev/null; done
exit "$code"
