import { jobPaths } from '../../messages/job-directory/files.ts';
import { shellQuote } from '../../os/quote.ts';
import { RESTART_PAUSES_S, RESTARTS, SHELL_IS_RESTARTABLE } from '../launch/restart-policy.ts';
import { directiveValue } from './sbatch.ts';
import { type StagedJob, stagedDirectives, stagedStart } from './staged-job.ts';

export interface BatchScriptInput {
  readonly name: string;
  /** The `#SBATCH` lines of the recipe and the cluster. */
  readonly directives: readonly string[];
  /** Directory in which the job's directory is created. */
  readonly outputs: string;
  readonly distDir: string;
  /** Path of the node binary by architecture (uname -m). */
  readonly runtimes: Readonly<Record<string, string>>;
  /** How long before the time limit Slurm signals the job. */
  readonly warningS: number;
  /** Set when somebody else submits the script. */
  readonly staged?: StagedJob | undefined;
}

/** The file for the output of the batch script and the coordinator; `%j` is the job id. */
export const batchLog = (outputs: string): string =>
  jobPaths(`${outputs.replaceAll('%', '%%')}/%j`, '%j').sweepLog;

/**
 * The batch script of a job. It finds the Node runtime and runs the coordinator on the head node; the coordinator does
 * the rest. The job's directory and its spec exist before the script starts, or a rendered script makes them.
 */
export function batchScript(input: BatchScriptInput): string {
  const { name, directives, outputs, distDir, runtimes, warningS, staged } = input;
  return `#!/bin/bash
# Made by srtctl: ${name.replaceAll(/[^\x20-\x7e]/g, '?')}
${(staged ? stagedDirectives(staged) : [`#SBATCH --output=${directiveValue(batchLog(outputs))}`]).join('\n')}
# SIGTERM to this script alone, ${warningS} s before the time limit: what runs is stopped in good order.
#SBATCH --signal=B:TERM@${warningS}
# The loss of a node is the coordinator's to deal with.
#SBATCH --no-kill
# A job that is preempted ends: what it has is kept, and not run over by a second life of the same id.
#SBATCH --no-requeue
#SBATCH --open-mode=append
${directives.join('\n')}

# Nobody else writes what this job leaves; a stricter umask of the user stays.
umask go-w

job_dir=${shellQuote(outputs)}/$SLURM_JOB_ID
srtctl=${shellQuote(distDir)}
${staged ? stagedStart(staged) : ''}
# The Node runtime for this node's architecture (runtime in srtslurm.yaml).
case $(uname -m) in
${Object.entries(runtimes)
  .map(([arch, node]) => `  ${shellQuote(arch)}) node=${shellQuote(node)} ;;`)
  .join('\n')}
  *)
    echo "srtctl: there is no Node runtime for $(uname -m) (add runtime.$(uname -m) to srtslurm.yaml)"
    exit 2
    ;;
esac
if [ ! -x "$node" ]; then
  echo "srtctl: $(hostname): the Node runtime $node is not there (it must be on a file system that every node has; see runtime in srtslurm.yaml)"
  exit 2
fi
if [ ! -r "$srtctl/coordinator.js" ]; then
  echo "srtctl: $(hostname): srtctl is not there: no $srtctl/coordinator.js (it must be on a file system that every node has)"
  exit 2
fi

# Requeued all the same (scontrol requeue, --requeue): what the first life has left is not touched.
if [ "\${SLURM_RESTART_COUNT:-0}" -gt 0 ] && [ -e "$job_dir/state.json" ]; then
  echo "srtctl: job $SLURM_JOB_ID was requeued after it had begun; its results so far are in $job_dir: apply the recipe again for the rest"
  exit 2
fi

# The coordinator answers a signal to this script; between two coordinators the script itself does.
coordinator=
told=
trap 'told=yes; [ -z "$coordinator" ] || kill -s TERM "$coordinator"' TERM INT

# One coordinator, on this node; it starts the agents with one srun. It is started again when it was killed or broke,
# as after srtctl apply --local, and goes on with what runs; agents wait for it as long as their lease.
left=\${SRTCTL_COORDINATOR_RESTARTS:-${RESTARTS}}
pauses=(${RESTART_PAUSES_S.join(' ')})
while :; do
  "$node" "$srtctl/coordinator.js" "$job_dir/$SLURM_JOB_ID.json" &
  coordinator=$!
  # The signal may have come after the start and before the line above.
  [ -z "$told" ] || kill -s TERM "$coordinator"
  # wait returns when a trap has run, too.
  while
    wait "$coordinator"
    code=$?
    kill -0 "$coordinator" 2>/dev/null
  do :; done
  coordinator=
  [ -z "$told" ] || break
  ${SHELL_IS_RESTARTABLE} && [ "$left" -gt 0 ] || break
  left=$((left - 1))
  echo "srtctl: the coordinator ended with exit code $code and is started again"
  # In the background, because bash runs a trap only after a command in the foreground has ended.
  sleep "\${pauses[0]}" &
  wait "$!"
  if [ -n "$told" ]; then
    code=143
    break
  fi
  [ \${#pauses[@]} -eq 1 ] || pauses=("\${pauses[@]:1}")
done
exit "$code"
`;
}
