import { BENCHMARK_CHECK } from '../benchmarks/common/process.ts';
import type { ProcessSpec } from '../messages/spec/process-spec.ts';
import type { RuntimeContext } from '../model/kinds.ts';
import { shellQuote } from '../os/quote.ts';
import { isOptionCheck } from './options/check-step.ts';

/** Commands that change the file system of an image, in running order. */
export type ImageSteps = readonly (readonly string[])[];

/**
 * Changes of a step in a container are visible to the processes that share the container. A process with its
 * own container, and an MPI launch, runs the steps before its command, as the reference does for every
 * process.
 */
export function withImageSteps(
  process: ProcessSpec,
  steps: ImageSteps,
  images: ReadonlySet<string>,
  { containerPerProcess, nodeBinary, distDir }: RuntimeContext,
): ProcessSpec {
  const { id, role, mpi, argv } = process;
  const alone = containerPerProcess || mpi !== undefined;
  // srtctl's own programs do not use the image's content, but for the one that runs a tool of the image.
  const isOwn = argv[0] === nodeBinary && argv[1] !== `${distDir}/accuracy.js`;
  const needs = (role !== 'step' || id === BENCHMARK_CHECK || isOptionCheck(process)) && !isOwn;
  if (steps.length === 0 || process.image === null || !images.has(process.image) || !alone || !needs)
    return process;
  const commands = steps.map((step) => step.map(shellQuote).join(' '));
  const script = containerPerProcess ? commands.join(' &&\n') : oncePerNode(commands);
  return { ...process, argv: ['bash', '-c', `${script} || exit\nexec "$@"`, 'bash', ...argv] };
}

/**
 * The ranks of a launch share a container on each node: the first one runs the steps, and the others wait.
 */
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
