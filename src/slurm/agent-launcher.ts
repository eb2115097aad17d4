import { NOT_POSSIBLE, UNSHARE } from './pid-namespace.ts';

/**
 * What srun starts on each node: it finds the Node runtime for the node's architecture and runs the agent, of which it is
 * a second guard. A shell text, since it has to work where Node or srtctl's directory is missing, and says so: in a file that the coordinator
 * looks for, beside the agents' configs. Arguments: directory of the configs, the agent group's suffix, node-agent.js,
 * `namespace` or nothing, tmpDir and stopDirs, then pairs of architecture (uname -m) and path of the node binary.
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
while [ $# -gt 1 ] && [ "$1" != "$arch" ]; do shift 2; done
[ $# -gt 1 ] || fail "there is no Node runtime for $arch (add runtime.$arch to srtslurm.yaml)"
[ -x "$2" ] || fail "the Node runtime $2 is not there (it must be on a file system that every node has; see runtime in srtslurm.yaml)"
[ -r "$agent" ] || fail "srtctl is not there: no $agent (it must be on a file system that every node has)"
job=\${dir%/*}
incarnation=$(cat /proc/sys/kernel/random/uuid)
set -- "$2" --max-semi-space-size=1 "$agent" "$dir" "$name" "$incarnation"
if [ -n "$namespace" ]; then
  said=$(${UNSHARE.join(' ')} true 2>&1) || fail "${NOT_POSSIBLE} ($said)"
  # An earlier agent of this name that is frozen ends nothing, and its successor's namespace does not show what it runs.
  round=0
  while [ $round -lt 50 ]; do
    # It fails also when there is one that it may not read.
    earlier=$(grep -lsaz -- "^SRTCTL_AGENT=\${job##*/}/$name/[^/]*$" /proc/[0-9]*/environ)
    [ -n "$earlier" ] || break
    for file in $earlier; do
      pid=\${file#/proc/}
      kill -s KILL "\${pid%/environ}" 2>/dev/null
    done
    round=$((round + 1))
    sleep 0.1 2>/dev/null || sleep 1
  done
  set -- ${UNSHARE.join(' ')} /bin/sh -c '"$@" & wait $!' srtctl-init "$@"
fi
# What signals the step signals the agent, too, and this shell has still something to do then.
trap : HUP INT TERM
"$@"
code=$?
# Of an agent that ended in good order nothing is left. Else its guard is at work; but it may have been killed as well, as
# with the namespace.
case $code in
  0 | 2 | 75) ;;
  *) /bin/sh "\${agent%/*}/guard.sh" "SRTCTL_AGENT=\${job##*/}/$name/$incarnation" "$tmp" "$stops" </dev/null ;;
esac
exit "$code"`;

/** Suffix of the file by which a node says why its agent could not be started. */
export const FAILED_SUFFIX = '.failed';

export function agentLauncher(input: {
  readonly configDir: string;
  readonly suffix: string;
  readonly agentScript: string;
  readonly pidNamespace: boolean;
  /** Directory of the job on each node, and the beginning of the path of each agent's own. */
  readonly tmpDir: string;
  readonly stopDirs: string;
  /** Path of the node binary by architecture, as uname -m has it. */
  readonly runtimes: Readonly<Record<string, string>>;
}): string[] {
  return [
    ...['/bin/sh', '-c', LAUNCHER, 'srtctl-agent'],
    ...[input.configDir, input.suffix, input.agentScript, input.pidNamespace ? 'namespace' : ''],
    ...[input.tmpDir, input.stopDirs],
    ...Object.entries(input.runtimes).flat(),
  ];
}
