import type { DeployPhase, ProcessSpec } from '../messages/spec/process-spec.ts';
import type { RuntimeContext } from '../model/kinds.ts';
import { fillNode } from '../recipe/resolve.ts';
import type { Recipe } from '../recipe/schema/schema.ts';
import type { ImageSteps } from './prelude.ts';
import { sourceInside, stagedAt } from './runtime-context.ts';

const HOUR_MS = 3_600_000;
const START_TIMEOUT_MS = 60_000;
const GRACE_MS = 5_000;
const UNHEALTHY_AFTER_MS = 60_000;

interface Step {
  /** `fetch-model`, `setup`; with the number of its node it is the process's id. */
  readonly name: string;
  readonly phase: DeployPhase;
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly nodes: readonly string[];
}

/**
 * What has to be done before an engine can start, each on all its nodes at once: the model and Dynamo's sources are
 * fetched, then the setup script runs, then Dynamo is installed and the model is copied to the nodes' disks. Steps that
 * have ended well are not done again for the next point.
 */
export function stepProcesses(
  recipe: Recipe,
  runtime: RuntimeContext,
  engines: readonly ProcessSpec[],
): ProcessSpec[] {
  const nodesOf = (wanted: readonly ProcessSpec[]): string[] =>
    runtime.nodes.filter((node) =>
      wanted.some((process) => process.node === node || isTaskOn(process, node)),
    );
  const inImage = nodesOf(engines.filter(({ role }) => role !== 'nginx'));
  const workers = nodesOf(engines.filter(({ role }) => role !== 'nginx' && role !== 'frontend'));
  const steps = [
    ...(runtime.realEngines ? fetchModel(recipe, runtime, workers) : []),
    ...(runtime.realEngines ? buildDynamo(recipe, runtime, workers) : []),
    ...(runtime.containerPerProcess ? [] : setUp(runtime, inImage)),
    ...(runtime.realEngines && !runtime.containerPerProcess ? installDynamo(recipe, runtime, inImage) : []),
    ...(runtime.realEngines ? stageModel(recipe, runtime, workers) : []),
  ];
  return steps.flatMap((step) =>
    step.nodes
      .map((node, index) => ({ ...stepProcess(step, runtime, node), id: `${step.name}-${index}` }))
      .map((process) => ({
        ...process,
        env: { ...fillNode(recipe.environment, runtime, process.node), ...process.env },
      })),
  );
}

/** Those of them that change what is in the engines' image. */
export const imageSteps = (recipe: Recipe, runtime: RuntimeContext): ImageSteps =>
  [...setUp(runtime, []), ...(runtime.realEngines ? installDynamo(recipe, runtime, []) : [])].map(
    ({ argv }) => argv,
  );

const isTaskOn = ({ mpi }: ProcessSpec, node: string): boolean => mpi?.nodes.includes(node) ?? false;

/** Once where all nodes see the same HF_HOME, else on each. */
function fetchModel(
  { model, environment }: Recipe,
  runtime: RuntimeContext,
  nodes: readonly string[],
): Step[] {
  if (!model.path.startsWith('hf:')) return [];
  const shared = runtime.hfHome !== null || environment.HF_HOME !== undefined;
  return [
    {
      name: 'fetch-model',
      phase: 'fetch',
      argv: ['python3', `${runtime.distDir}/steps/fetch-model.py`, runtime.modelPathInside],
      env: environment.HF_HOME === undefined && runtime.hfHome !== null ? { HF_HOME: runtime.hfHome } : {},
      timeoutMs: 12 * HOUR_MS,
      nodes: shared ? nodes.slice(0, 1) : nodes,
    },
  ];
}

function buildDynamo(
  { dynamo, frontend }: Recipe,
  runtime: RuntimeContext,
  nodes: readonly string[],
): Step[] {
  const commit = dynamo.hash ?? (dynamo.top_of_tree ? 'HEAD' : null);
  if (!installs(dynamo, frontend, runtime) || commit === null) return [];
  const script = `${runtime.distDir}/steps/build-dynamo.sh`;
  return [
    {
      name: 'build-dynamo',
      phase: 'fetch',
      argv: ['bash', script, commit, wheelsOf(runtime), ...(dynamo.cargo_patches ?? [])],
      timeoutMs: 2 * HOUR_MS,
      nodes: nodes.slice(0, 1),
    },
  ];
}

function installDynamo(
  { dynamo, frontend }: Recipe,
  runtime: RuntimeContext,
  nodes: readonly string[],
): Step[] {
  if (!installs(dynamo, frontend, runtime)) return [];
  const built = dynamo.hash != null || dynamo.top_of_tree;
  const source = built ? ['--built', wheelsOf(runtime)] : [dynamo.wheel ?? dynamo.version];
  return [
    {
      name: 'install-dynamo',
      phase: 'install',
      argv: ['bash', `${runtime.distDir}/steps/install-dynamo.sh`, ...source.map(String)],
      timeoutMs: HOUR_MS,
      nodes,
    },
  ];
}

/** Only into a container, which is gone after the job; and only when the recipe says which Dynamo. */
const installs = (
  { install, version, wheel, hash, top_of_tree: newest }: Recipe['dynamo'],
  { type }: Recipe['frontend'],
  { containers }: RuntimeContext,
): boolean =>
  containers && install && type === 'dynamo' && (newest || version != null || wheel != null || hash != null);

const wheelsOf = ({ jobDir }: RuntimeContext): string => `${jobDir}/dynamo-wheels`;

function setUp({ setupScript }: RuntimeContext, nodes: readonly string[]): Step[] {
  if (setupScript === null) return [];
  return [{ name: 'setup', phase: 'step', argv: ['bash', setupScript], timeoutMs: HOUR_MS, nodes }];
}

function stageModel({ model }: Recipe, runtime: RuntimeContext, nodes: readonly string[]): Step[] {
  const { path, stage_dir: disk } = model;
  if (disk == null || path.startsWith('hf:')) return [];
  const program = `${runtime.distDir}/stage-model.js`;
  return [
    {
      name: 'stage-model',
      phase: 'install',
      argv: [runtime.nodeBinary, program, sourceInside(path, runtime.containers), stagedAt(path, disk)],
      // Files are read and written by libuv's threads, of which there are four otherwise.
      env: { UV_THREADPOOL_SIZE: '16' },
      timeoutMs: 4 * HOUR_MS,
      nodes,
    },
  ];
}

function stepProcess(step: Step, runtime: RuntimeContext, node: string): Omit<ProcessSpec, 'id'> {
  return {
    role: 'step',
    phase: step.phase,
    node,
    argv: [...step.argv],
    env: { ...step.env },
    logFile: `${runtime.logDir}/${node}_${step.name}.out`,
    gpus: [],
    image: runtime.image,
    ports: {},
    probe: { kind: 'running' },
    critical: true,
    terminates: true,
    startTimeoutMs: START_TIMEOUT_MS,
    endTimeoutMs: step.timeoutMs,
    graceMs: GRACE_MS,
    unhealthyAfterMs: UNHEALTHY_AFTER_MS,
  };
}

/** `default_bash_preamble` before a command of the engines' image; others may have no bash. */
export function withPreamble(process: ProcessSpec, { image, bashPreamble }: RuntimeContext): ProcessSpec {
  if (bashPreamble === null || image === null || process.image !== image) return process;
  return { ...process, argv: ['bash', '-c', `${bashPreamble}\nexec "$@"`, 'bash', ...process.argv] };
}
