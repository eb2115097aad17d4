import { type DeployPhase, deployPhases } from '../messages/spec/deploy-phases.ts';
import { type ProcessSpec, STOP_GROUP_MS, STOP_ORDER } from '../messages/spec/process-spec.ts';
import type { PlannedPoint } from '../model/kinds.ts';
import type { Markers } from './markers.ts';
import { type ProcessContext, processFunctions } from './process.ts';

export interface PointInput extends Omit<ProcessContext, 'ordinal' | 'before'> {
  readonly point: PlannedPoint;
  /** Number of a step's content: a step that has succeeded is not run again for another point. */
  readonly stepNumber: (step: ProcessSpec) => number;
  readonly config: string;
  /** Whether only the user may read the file. */
  readonly secret: boolean;
  readonly pointDir: string;
}

/** The functions of a point: one or two for each process, and `point_N`, which runs them. */
export function pointFunctions(input: PointInput): string {
  const { point, markers } = input;
  const { ordinal, processes } = point;
  const inImage = processes.filter(changesImage);
  const started = processes.filter((process) => !inImage.includes(process));
  const beforeOf = (spec: ProcessSpec): ProcessSpec[] =>
    spec.role === 'step' || spec.role === 'benchmark' || spec.image === null
      ? []
      : inImage.filter(({ image, node }) => image === spec.image && node === spec.node);
  const phases = deployPhases.filter(
    (phase) => phase !== 'benchmark' && started.some((spec) => spec.phase === phase),
  );
  const graceSeconds = Math.ceil(Math.max(0, ...started.map(({ graceMs }) => graceMs)) / 1_000);
  const { interval_seconds: interval } = point.recipe.health_check;
  return `
# ---- point ${ordinal}: ${oneLine(point.name)}
${started.map((spec) => processFunctions(spec, { ...input, ordinal, before: beforeOf(spec) })).join('\n')}
point_${ordinal}() {
  begin_point ${ordinal} ${markers.word(input.pointDir)} ${interval} ${graceSeconds} ${STOP_GROUP_MS / 1_000}
  ${input.secret ? '(umask 077 && ' : ''}write_file "$point_dir/config.yaml" ${markers.word(input.config)}${input.secret ? ')' : ''}
${phases.map((phase) => phaseText(phase, started, input)).join('\n')}
${benchmarkText(input)}
}
`;
}

/**
 * Such a step changes the image, so its effect is limited to its container. The copy to the node's disk is an
 * exception.
 */
const changesImage = ({ role, phase, image, id }: ProcessSpec): boolean =>
  role === 'step' &&
  image !== null &&
  (phase === 'step' || phase === 'install') &&
  !id.startsWith('stage-model');

function phaseText(
  phase: DeployPhase,
  processes: readonly ProcessSpec[],
  { markers, stepNumber }: PointInput,
): string {
  const all = processes.filter((spec) => spec.phase === phase);
  const said = `  say ${markers.word(`phase ${phase}: ${all.length} ${all.length === 1 ? 'process' : 'processes'}`)}`;
  const orders = [...new Set(all.map(({ order = 0 }) => order))].sort((a, b) => a - b);
  return [said, ...orders.map((now) => startedTogether(all.filter(({ order = 0 }) => order === now)))].join(
    '\n',
  );

  function startedTogether(together: readonly ProcessSpec[]): string {
    const lines = together.map((spec) =>
      spec.role === 'step'
        ? `  step ${stepNumber(spec)} ${launchOf(spec, markers)}`
        : `  ${launchOf(spec, markers)}`,
    );
    return `${lines.join('\n')}
  await_ready ${together.map(({ id }) => id).join(' ')} || return`;
  }
}

/**
 * launch ID NODE LOG PATIENCE KIND GROUP [mpi]. KIND: `ends` must end, `serves` must not, `may-end` may.
 * GROUP: its place in the order of stopping.
 */
function launchOf(spec: ProcessSpec, { word, indexOf }: Markers): string {
  const patienceMs = spec.terminates ? (spec.endTimeoutMs ?? 0) : spec.startTimeoutMs;
  const kind = spec.terminates ? 'ends' : spec.critical ? 'serves' : 'may-end';
  const group = STOP_ORDER.findIndex((roles) => roles.includes(spec.role));
  return `launch ${spec.id} ${indexOf(spec.node)} ${word(spec.logFile)} ${Math.ceil(patienceMs / 1_000)} ${kind} ${group}${spec.mpi ? ' mpi' : ''}`;
}

function benchmarkText({ point, markers }: PointInput): string {
  const { process } = point.benchmark;
  if (!process)
    return '  say "no benchmark: the endpoints stay up until the job is stopped"\n  point_state benchmarking\n  stay_up';
  return `  say "benchmark"\n  point_state benchmarking\n  ${launchOf(process, markers)}\n  await_end ${process.id}`;
}

export const oneLine = (text: string): string => text.replaceAll(/[^\x20-\x7e]+/g, '?');
