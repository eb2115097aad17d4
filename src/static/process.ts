import type { ProcessSpec } from '../messages/spec/process-spec.ts';
import { devicesInTask, maskOf } from '../platform/containers/devices.ts';
import { endingWithServer, tasksEach } from '../platform/containers/mpi.ts';
import { optionWords, pyxisOptions } from '../platform/containers/srun-options.ts';
import { environmentOf } from './environment.ts';
import type { Markers } from './markers.ts';
import { probeCommand } from './probe.ts';

export interface ProcessContext {
  readonly markers: Markers;
  /** Number of the point; part of its functions' names. */
  readonly ordinal: number;
  readonly mounts: readonly string[];
  readonly srunOptions: Readonly<Record<string, string>>;
  /** Directory of srtctl's bundled programs. */
  readonly distDir: string;
  /**
   * Steps that change the image, to run before the command: each srun has its own container, so a step in
   * another srun could not change the engine's container.
   */
  readonly before: readonly ProcessSpec[];
}

/**
 * Runs commands, each given as its length and its words, until a length of 0; then becomes the command that
 * follows.
 */
const WITH_STEPS = `while [ "$1" -gt 0 ]; do
  "\${@:2:$1}" || exit
  shift $(($1 + 1))
done
shift
exec "$@"`;

/** The tasks of an MPI launch, and those of a node. */
const taskWords = ({ tasks, nodes }: NonNullable<ProcessSpec['mpi']>, gpus: readonly number[]): string[] => [
  String(tasks),
  String(tasksEach(tasks, nodes, gpus)),
];

/** The functions of a process: `p0.id` becomes its srun, `p0.id.ready` succeeds when it is ready. */
export function processFunctions(spec: ProcessSpec, context: ProcessContext): string {
  const { markers, ordinal } = context;
  const { word, words } = markers;
  const devices = devicesInTask(spec.env, spec.gpus);
  const { exports, prefix, names } = environmentOf(withoutMask(spec), markers);
  const { before, distDir } = context;
  const argv = spec.mpi ? endingWithServer(spec.argv, distDir) : spec.argv;
  const first = [
    ...(spec.emptyDirs ?? []).map((dir) => ['rm', '-rf', '--', dir]),
    ...before.map((step) => step.argv),
  ];
  const command = [...devices, ...(first.length > 0 ? withSteps(first, argv) : argv)];
  const options = spec.image === null ? [] : containerOptions(spec, spec.image, names, context);
  const tmpDir = spec.image === null ? markers.tmpDir : '';
  const place = spec.mpi
    ? [
        'run_mpi',
        ...taskWords(spec.mpi, spec.gpus),
        spec.mpi.nodes.map((node) => markers.indexOf(node)).join(' '),
      ]
    : ['run_on', String(markers.indexOf(spec.node))];
  const kind = spec.role === 'step' || spec.role === 'benchmark' ? 'command' : 'engine';
  const name = `p${ordinal}.${spec.id}`;
  const body = [
    ...(spec.files ?? []).map(({ path, content }) => `write_file ${word(path)} ${word(content)}`),
    ...exports,
    `${words(place)} ${word(spec.cwd ?? '')} ${word(tmpDir)}${spec.mpi ? '' : ` ${kind}`}${options.length > 0 ? ` ${words(options)}` : ''} -- \\\n    ${words([...prefix, ...command])}`,
  ];
  return `${name}() {
${body.map((line) => `  ${line}`).join('\n')}
}
${name}.ready() { ${probeCommand(spec.probe, markers, spec.logFile)}; }
`;
}

/** The task chooses its devices, so the plan's variables must not set them. */
function withoutMask({ env, gpus }: ProcessSpec): ProcessSpec['env'] {
  const mask = maskOf(env, gpus);
  return mask === undefined ? env : Object.fromEntries(Object.entries(env).filter(([name]) => name !== mask));
}

const withSteps = (first: readonly (readonly string[])[], argv: readonly string[]): string[] => [
  ...['bash', '-c', WITH_STEPS, 'srtctl-steps'],
  ...first.flatMap((step) => [String(step.length), ...step]),
  ...['0', ...argv],
];

function containerOptions(
  { srunOptions: own }: ProcessSpec,
  image: string,
  names: readonly string[],
  { mounts, srunOptions }: ProcessContext,
): string[] {
  return optionWords({ ...pyxisOptions(image, mounts, names), ...srunOptions, ...own });
}
