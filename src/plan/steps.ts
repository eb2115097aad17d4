import type { RouterSteps, Step } from '../frontends/common/protocol.ts';
import type { ProcessSpec } from '../messages/spec/process-spec.ts';
import { endingProcess } from '../model/ending-process.ts';
import type { RuntimeContext } from '../model/kinds.ts';
import type { Recipe } from '../recipe/schema/schema.ts';
import { fillNode } from '../recipe/values/fill-node.ts';
import type { ImageSteps } from './prelude.ts';
import { sourceInside, stagedAt } from './runtime-context.ts';

const HOUR_MS = 3_600_000;

interface PlacedStep extends Step {
  readonly places: readonly Place[];
}

/** A node, and the container there. */
interface Place extends Pick<ProcessSpec, 'node' | 'image' | 'srunOptions'> {}

/**
 * The steps before an engine starts, each on all its nodes at once. First they fetch the model and the
 * router's sources; then they run the setup script; then they install the router and copy the model to the
 * nodes' disks. A step that changes an image runs in each image of a node's engines and routers. A step that has
 * succeeded is not repeated for the next point.
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
  const usingImage = engines.filter(({ role }) => role !== 'nginx');
  const inImages = containersOf(usingImage, runtime).flatMap(({ container, processes }) =>
    nodesOf(processes).map((node) => ({ ...container, node })),
  );
  const onWorkers = nodesOf(usingImage.filter(({ role }) => role !== 'frontend')).map((node) => ({
    ...{ node, image: runtime.image },
  }));
  const steps = [
    ...(runtime.realEngines ? fetchModel(recipe, runtime, onWorkers) : []),
    ...(runtime.realEngines ? at(router.once, onWorkers.slice(0, 1)) : []),
    ...(runtime.containerPerProcess ? [] : setUp(runtime, inImages)),
    ...(runtime.realEngines && !runtime.containerPerProcess ? at(router.inImage, inImages) : []),
    ...(runtime.realEngines ? stageModel(recipe, runtime, onWorkers) : []),
  ];
  return steps.flatMap((step) =>
    step.places
      .map((place, index) => stepProcess(step, runtime, place, `${step.name}-${index}`))
      .map((process) => ({
        ...process,
        env: {
          ...runtime.gitEnvironment,
          ...fillNode(recipe.environment, runtime, process.node),
          ...process.env,
        },
      })),
  );
}

/** The processes of each kind of container; those of the shared image first. */
function containersOf(processes: readonly ProcessSpec[], { image: shared }: RuntimeContext) {
  const found = new Map<string, { container: Omit<Place, 'node'>; processes: ProcessSpec[] }>();
  const keyOf = ({ image, srunOptions }: Omit<Place, 'node'>) => JSON.stringify([image, srunOptions ?? null]);
  found.set(keyOf({ image: shared }), { container: { image: shared }, processes: [] });
  for (const process of processes) {
    const { image, srunOptions } = process;
    const container = image !== null && srunOptions ? { image, srunOptions } : { image };
    const known = found.get(keyOf(container));
    if (known) known.processes.push(process);
    else found.set(keyOf(container), { container, processes: [process] });
  }
  return [...found.values()];
}

/** The images of engines and routers: the shared one, and those of roles and routers that have their own. */
export const imagesOf = (
  engines: readonly ProcessSpec[],
  { image: shared }: RuntimeContext,
): ReadonlySet<string> =>
  new Set(
    [shared, ...engines.filter(({ role }) => role !== 'nginx').map(({ image }) => image)].filter(isImage),
  );

const isImage = (image: string | null): image is string => image !== null;

/** The steps that change the engines' image. */
export const imageSteps = (runtime: RuntimeContext, router: RouterSteps): ImageSteps =>
  [...setUp(runtime, []), ...(runtime.realEngines ? router.inImage : [])].map(({ argv }) => argv);

const isTaskOn = ({ mpi }: ProcessSpec, node: string): boolean => mpi?.nodes.includes(node) ?? false;

/** One process where all nodes share HF_HOME, else one on each node. */
function fetchModel(
  { model, environment }: Recipe,
  runtime: RuntimeContext,
  places: readonly Place[],
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
      places: shared ? places.slice(0, 1) : places,
    },
  ];
}

const at = (steps: readonly Step[], places: readonly Place[]): PlacedStep[] =>
  steps.map((step) => ({ ...step, places }));

function setUp({ setupScript }: RuntimeContext, places: readonly Place[]): PlacedStep[] {
  if (setupScript === null) return [];
  return [{ name: 'setup', phase: 'step', argv: ['bash', setupScript], timeoutMs: HOUR_MS, places }];
}

function stageModel({ model }: Recipe, runtime: RuntimeContext, places: readonly Place[]): PlacedStep[] {
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
      places,
    },
  ];
}

function stepProcess(
  step: PlacedStep,
  runtime: RuntimeContext,
  { node, image, srunOptions }: Place,
  id: string,
): ProcessSpec {
  return endingProcess({
    id,
    role: 'step',
    phase: step.phase,
    node,
    argv: [...step.argv],
    env: { ...step.env },
    logFile: `${runtime.logDir}/${node}_${step.name}.out`,
    image,
    ...(srunOptions ? { srunOptions } : {}),
    endTimeoutMs: step.timeoutMs,
  });
}

/** Adds `default_bash_preamble` to a command of the engines' images; other images may lack bash. */
export function withPreamble(
  process: ProcessSpec,
  images: ReadonlySet<string>,
  { bashPreamble }: RuntimeContext,
): ProcessSpec {
  if (bashPreamble === null || process.image === null || !images.has(process.image)) return process;
  return { ...process, argv: ['bash', '-c', `${bashPreamble}\nexec "$@"`, 'bash', ...process.argv] };
}
