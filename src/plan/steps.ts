import type { RouterSteps, Step } from '../frontends/common/protocol.ts';
import type { ProcessSpec } from '../messages/spec/process-spec.ts';
import type { RuntimeContext } from '../model/kinds.ts';
import type { Recipe } from '../recipe/schema/schema.ts';
import { fillNode } from '../recipe/values/fill-node.ts';
import type { ImageSteps } from './prelude.ts';
import { sourceInside, stagedAt } from './runtime-context.ts';

const HOUR_MS = 3_600_000;
const START_TIMEOUT_MS = 60_000;
const GRACE_MS = 5_000;
const UNHEALTHY_AFTER_MS = 60_000;

interface PlacedStep extends Step {
  readonly nodes: readonly string[];
}

/**
 * The steps before an engine starts, each on all its nodes at once. First they fetch the model and the
 * router's sources; then they run the setup script; then they install the router and copy the model to the
 * nodes' disks. A step that has succeeded is not repeated for the next point.
 */
export function stepProcesses(
  recipe: Recipe,
  runtime: RuntimeContext,
  engines: readonly ProcessSpec[],
  router: RouterSteps,
): ProcessSpec[] {
  const nodesOf = (wanted: readonly ProcessSpec[]): string[] =>
    runtime.nodes.filter((node) =>
      wanted.some((process) => process.node === node || isTaskOn(process, node)),
    );
  const inImage = nodesOf(engines.filter(({ role }) => role !== 'nginx'));
  const workers = nodesOf(engines.filter(({ role }) => role !== 'nginx' && role !== 'frontend'));
  const steps = [
    ...(runtime.realEngines ? fetchModel(recipe, runtime, workers) : []),
    ...(runtime.realEngines ? on(router.once, workers.slice(0, 1)) : []),
    ...(runtime.containerPerProcess ? [] : setUp(runtime, inImage)),
    ...(runtime.realEngines && !runtime.containerPerProcess ? on(router.inImage, inImage) : []),
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

/** The steps that change the engines' image. */
export const imageSteps = (runtime: RuntimeContext, router: RouterSteps): ImageSteps =>
  [...setUp(runtime, []), ...(runtime.realEngines ? router.inImage : [])].map(({ argv }) => argv);

const isTaskOn = ({ mpi }: ProcessSpec, node: string): boolean => mpi?.nodes.includes(node) ?? false;

/** One process where all nodes share HF_HOME, else one on each node. */
function fetchModel(
  { model, environment }: Recipe,
  runtime: RuntimeContext,
  nodes: readonly string[],
): PlacedStep[] {
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

const on = (steps: readonly Step[], nodes: readonly string[]): PlacedStep[] =>
  steps.map((step) => ({ ...step, nodes }));

function setUp({ setupScript }: RuntimeContext, nodes: readonly string[]): PlacedStep[] {
  if (setupScript === null) return [];
  return [{ name: 'setup', phase: 'step', argv: ['bash', setupScript], timeoutMs: HOUR_MS, nodes }];
}

function stageModel({ model }: Recipe, runtime: RuntimeContext, nodes: readonly string[]): PlacedStep[] {
  const { path, stage_dir: disk } = model;
  if (disk == null || path.startsWith('hf:')) return [];
  const program = `${runtime.distDir}/stage-model.js`;
  return [
    {
      name: 'stage-model',
      phase: 'install',
      argv: [runtime.nodeBinary, program, sourceInside(path, runtime.containers), stagedAt(path, disk)],
      // libuv's threads read and write the files; its default is four.
      env: { UV_THREADPOOL_SIZE: '16' },
      timeoutMs: 4 * HOUR_MS,
      nodes,
    },
  ];
}

function stepProcess(step: PlacedStep, runtime: RuntimeContext, node: string): Omit<ProcessSpec, 'id'> {
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

/** Adds `default_bash_preamble` to a command of the engines' image; other images may lack bash. */
export function withPreamble(process: ProcessSpec, { image, bashPreamble }: RuntimeContext): ProcessSpec {
  if (bashPreamble === null || image === null || process.image !== image) return process;
  return { ...process, argv: ['bash', '-c', `${bashPreamble}\nexec "$@"`, 'bash', ...process.argv] };
}
