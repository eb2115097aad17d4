import { OWNER_VARIABLE, SHELL_MARK } from '../../os/processes/owner-mark.ts';
import { SHELL_START } from '../../os/processes/proc-stat.ts';
import { NOT_POSSIBLE, UNSHARE } from '../launch/pid-namespace.ts';

/**
 * The script that srun starts on each node. It finds the Node runtime for the node's architecture and runs the agent
 * with its keeper, and is a second guard of that keeper. It is a shell script, because it has to work where Node or
 * srtctl's directory is missing. It then writes the reason into a file beside the agents' configs, which the
 * coordinator looks for; and there, too, that the agent was killed.
 *
 * Arguments: directory of the configs, suffix of the agent group, node-agent.js, `namespace` or nothing, tmpDir and
 * stopDirs, then pairs of architecture (uname -m) and path of the node binary. Of several binaries for an architecture,
 * the first that runs is used.
 */
const LAUNCHER = `dir=$1 group=$2 agent=$3 namespace=$4 tmp=$5
stops=$6-$SLURMD_NODENAME\${group:+%2f\${group#/}}
shift 6
name=$SLURMD_NODENAME$group
fail() {
  echo "srtctl: $SLURMD_NODENAME: $1" >&2
  echo "$1" >"$dir/$SLURMD_NODENAME.failed"
  exit 2
}
arch=$(uname -m)
node= why="there is no Node runtime for $arch (add runtime.$arch to srtslurm.yaml)" tried=
while [ $# -gt 1 ]; do
  if [ "$1" = "$arch" ]; then
    if [ ! -x "$2" ]; then
      told="the Node runtime $2 is not there (it must be on a file system that every node has; see runtime in srtslurm.yaml)"
    elif said=$("$2" --version 2>&1); then
      node=$2
      break
    else
      told="the Node runtime $2 does not run here: $said (make runtimes brings one that needs glibc 2.28 alone; see runtime in srtslurm.yaml)"
      for libc in /lib/ld-musl-*; do
        [ ! -e "$libc" ] || told="the Node runtime $2 does not run here: this image or system has musl in the place of glibc (name a Node for it under runtime in srtslurm.yaml)"
      done
    fi
    [ -n "$tried" ] || why=$told
    tried=1
  fi
  shift 2
done
[ -n "$node" ] || fail "$why"
[ -r "$agent" ] || fail "srtctl is not there: no $agent (it must be on a file system that every node has)"
job=\${dir%/*}
incarnation=$(cat /proc/sys/kernel/random/uuid)
owner=\${job##*/}/$name
set -- "$node" --max-semi-space-size=1 "$agent" "$dir" "$name" "$incarnation"
dist=\${agent%/*} kept=$(printf '%s\\037' "$@")
# What keeps the agent, and is around it from here on; without perl and python the agent's guard does what it can.
if [ -r "$dist/keeper.pl" ] && perl -MConfig -e 1 2>/dev/null; then
  set -- perl "$dist/keeper.pl" "$owner"
elif [ -r "$dist/keeper.py" ] && python3 -I -S -c 'import ctypes' 2>/dev/null; then
  set -- python3 -I -S "$dist/keeper.py" "$owner"
elif [ -n "$namespace" ]; then
  set -- /bin/sh -c '"$@" & wait $!' srtctl-init "$@"
fi
if [ -n "$namespace" ]; then
  said=$(${UNSHARE.join(' ')} true 2>&1) || fail "${NOT_POSSIBLE} ($said)"
  # An earlier agent of this name that is frozen ends nothing, and its successor's namespace does not show what it runs.
  round=0
  while [ $round -lt 50 ]; do
    # It fails also when there is one that it may not read.
    earlier=$(grep -lsazE -- "^SRTCTL_(AGENT=$owner/[^/]*|OWNER=$owner)$" /proc/[0-9]*/environ)
    [ -n "$earlier" ] || break
    for file in $earlier; do
      pid=\${file#/proc/}
      kill -s KILL "\${pid%/environ}" 2>/dev/null
    done
    round=$((round + 1))
    sleep 0.1 2>/dev/null || sleep 1
  done
  set -- ${UNSHARE.join(' ')} "$@"
fi
# What signals the step signals the agent, too, and this shell has still something to do then.
trap : HUP INT TERM
SRTCTL_KEPT=$kept ${OWNER_VARIABLE}=$owner "$@" &
pid=$!
${SHELL_START}
# wait returns when a trap has run, too.
while
  wait "$pid"
  code=$?
  kill -0 "$pid" 2>/dev/null
do :; done
# Of an agent that ended in good order nothing is left. Else its guard is at work; but it may have been killed as well, as
# with the namespace.
case $code in
  0 | 2 | 75) ;;
  *)
    limits=
    [ -n "$namespace" ] || [ -z "$start" ] || limits="[0-9]+ +${SHELL_MARK}"
    /bin/sh "$dist/guard.sh" "SRTCTL_AGENT=$owner/$incarnation" "$tmp" "$stops" "" "" "" "$limits" </dev/null
    echo "$code" >"$dir/$SLURMD_NODENAME\${group:+%2f\${group#/}}.ended"
    ;;
esac
exit "$code"`;

/** Suffix of the file in which a node writes why its agent could not be started. */
export const FAILED_SUFFIX = '.failed';
/** Suffix of the file in which a node writes the exit code of an agent that was killed; a `/` in its name is `%2f`. */
export const ENDED_SUFFIX = '.ended';

export function agentLauncher(input: {
  readonly configDir: string;
  readonly suffix: string;
  readonly agentScript: string;
  readonly pidNamespace: boolean;
  /** The job's directory on each node, and the prefix of the path of each agent's own directory. */
  readonly tmpDir: string;
  readonly stopDirs: string;
  /** Path of the node binary by architecture (uname -m). */
  readonly runtimes: Readonly<Record<string, string>>;
  /** The fallback where the binary of `runtimes` does not run. */
  readonly spareRuntimes?: Readonly<Record<string, string>>;
}): string[] {
  return [
    ...['/bin/sh', '-c', LAUNCHER, 'srtctl-agent'],
    ...[input.configDir, input.suffix, input.agentScript, input.pidNamespace ? 'namespace' : ''],
    ...[input.tmpDir, input.stopDirs],
    ...[...Object.entries(input.runtimes), ...Object.entries(input.spareRuntimes ?? {})].flat(),
  ];
}
