import type { ProcessSpec } from '../messages/process-spec.ts';
import { environmentOf } from './environment.ts';
import type { Markers } from './markers.ts';
import { probeCommand } from './probe.ts';

export interface ProcessContext {
  readonly markers: Markers;
  /** Number of the point: its functions are told apart by it. */
  readonly ordinal: number;
  readonly mounts: readonly string[];
  readonly srunOptions: Readonly<Record<string, string>>;
  /**
   * Steps that change the image, to be taken before the command: with a container for each srun there is no other way
   * to the container of the engine.
   */
  readonly before: readonly ProcessSpec[];
}

/** Runs commands that are given as their length and their words, until a length of 0; then becomes what follows. */
const WITH_STEPS = `while [ "$1" -gt 0 ]; do
  "\${@:2:$1}" || exit
  shift $(($1 + 1))
done
shift
exec "$@"`;

/** The functions of a process: `p0.id` becomes its srun, `p0.id.ready` succeeds when it is ready. */
export function processFunctions(spec: ProcessSpec, context: ProcessContext): string {
  const { markers, ordinal } = context;
  const { word, words } = markers;
  const { exports, prefix, names } = environmentOf(spec.env, markers);
  const { before } = context;
  const first = [
    ...(spec.emptyDirs ?? []).map((dir) => ['rm', '-rf', '--', dir]),
    ...before.map(({ argv }) => argv),
  ];
  const command = first.length > 0 ? withSteps(first, spec) : spec.argv;
  const options = spec.image === null ? [] : containerOptions(spec.image, names, context);
  const tmpDir = spec.image === null ? markers.tmpDir : '';
  const place = spec.mpi
    ? ['run_mpi', String(spec.mpi.tasks), spec.mpi.nodes.map((node) => markers.indexOf(node)).join(' ')]
    : ['run_on', String(markers.indexOf(spec.node))];
  const name = `p${ordinal}.${spec.id}`;
  const body = [
    ...(spec.files ?? []).map(({ path, content }) => `write_file ${word(path)} ${word(content)}`),
    ...exports,
    `${words(place)} ${word(spec.cwd ?? '')} ${word(tmpDir)}${options.length > 0 ? ` ${words(options)}` : ''} -- \\\n    ${words([...prefix, ...command])}`,
  ];
  return `${name}() {
${body.map((line) => `  ${line}`).join('\n')}
}
${name}.ready() { ${probeCommand(spec.probe, markers)}; }
`;
}

const withSteps = (first: readonly (readonly string[])[], { argv }: ProcessSpec): string[] => [
  ...['bash', '-c', WITH_STEPS, 'srtctl-steps'],
  ...first.flatMap((step) => [String(step.length), ...step]),
  ...['0', ...argv],
];

/** For pyxis. What an image sets in its environment would go over ours without --container-env. */
function containerOptions(
  image: string,
  names: readonly string[],
  { mounts, srunOptions }: ProcessContext,
): string[] {
  const options: Record<string, string> = {
    'container-image': image,
    ...(mounts.length > 0 ? { 'container-mounts': mounts.join(',') } : {}),
    ...(names.length > 0 ? { 'container-env': names.join(',') } : {}),
    'no-container-entrypoint': '',
    'no-container-mount-home': '',
    ...srunOptions,
  };
  return Object.entries(options).flatMap(([name, value]) => {
    if (value === 'false') return [];
    return [value === '' || value === 'true' ? `--${name}` : `--${name}=${value}`];
  });
}
