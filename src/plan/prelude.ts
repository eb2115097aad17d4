import type { ProcessSpec } from '../messages/spec/process-spec.ts';
import type { RuntimeContext } from '../model/kinds.ts';
import { shellQuote } from '../os/quote.ts';

/** Commands that change what is in an image, in the order in which they run. */
export type ImageSteps = readonly (readonly string[])[];

/**
 * What steps write into a container is there for the processes that share it. A process with a container of its own, and
 * an MPI launch, has them before its command: as the reference does it for every process.
 */
export function withImageSteps(
  process: ProcessSpec,
  steps: ImageSteps,
  { image, containerPerProcess, nodeBinary }: RuntimeContext,
): ProcessSpec {
  const { role, mpi, argv } = process;
  const alone = containerPerProcess || mpi !== undefined;
  // srtctl's own load generator needs nothing of the image.
  const needs = role !== 'step' && argv[0] !== nodeBinary;
  if (steps.length === 0 || image === null || process.image !== image || !alone || !needs) return process;
  const commands = steps.map((step) => step.map(shellQuote).join(' '));
  const script = containerPerProcess ? commands.join(' &&\n') : oncePerNode(commands);
  return { ...process, argv: ['bash', '-c', `${script} || exit\nexec "$@"`, 'bash', ...argv] };
}

/** The ranks of a launch share a container on each node: the first one there does it, and the others wait. */
const oncePerNode = (
  commands: readonly string[],
): string => `done=/tmp/srtctl-\${SRTCTL_AGENT##*/}-$SLURM_STEP_ID
prepare() {
  if [ "\${SLURM_LOCALID:-0}" = 0 ]; then
    { ${commands.join(' && ')}; } && touch "$done" && return
    touch "$done.failed"
    return 1
  fi
  until [ -e "$done" ]; do
    [ ! -e "$done.failed" ] || return 1
    sleep 0.2
  done
}
prepare`;
