import { frontendFor } from '../frontends/index.ts';
import type { ProcessSpec } from '../messages/spec/process-spec.ts';
import type { JobContext, Plan, PlannedPoint } from '../model/kinds.ts';
import { natsPayload } from '../plan/infra.ts';
import { nodesNeeded, planVariant } from '../plan/plan.ts';
import { createRuntimeContext, dryRunInput } from '../plan/runtime-context.ts';
import type { LoadedVariant } from '../recipe/load.ts';
import type { ClusterConfig } from '../recipe/schema/cluster.ts';
import type { Markers } from './markers.ts';

export interface StaticPlanInput {
  readonly variant: LoadedVariant;
  readonly cluster: ClusterConfig;
  readonly markers: Markers;
  readonly outputs: string;
  readonly distDir: string;
  readonly containers: boolean;
  readonly mock: boolean;
  /** Path, as the nodes see it, of the setup script. */
  readonly setupScript: string | null;
  /** The nats-server that Dynamo's engines talk over. */
  readonly natsServer: string;
}

/** The plan of a variant on nodes that are markers: the same planner as for agents, and what they would have besides. */
export function staticPlan(input: StaticPlanInput): { plan: Plan; runtime: JobContext } {
  const { variant, markers, natsServer } = input;
  const runtime = staticRuntime(input);
  const plan = planVariant(variant, runtime);
  const points = plan.points
    .map(judgedByItself)
    .map(
      (point): PlannedPoint =>
        frontendFor(point.recipe.frontend.type)?.needsEtcd
          ? { ...point, processes: [natsProcess(point, runtime, natsServer, markers), ...point.processes] }
          : point,
    );
  return { plan: { ...plan, points }, runtime };
}

/**
 * The load generator fails when its figures are not valid, because a script knows exit codes only. Where something may be
 * lost that is not critical, requests may fail.
 */
function judgedByItself(point: PlannedPoint): PlannedPoint {
  const { benchmark, processes } = point;
  if (benchmark.type !== 'sa-bench' || !benchmark.process) return point;
  const mayLose = processes.some(({ critical }) => !critical);
  const argv = [...benchmark.process.argv, '--judge', ...(mayLose ? ['--lossy'] : [])];
  const process = { ...benchmark.process, argv };
  return {
    ...point,
    processes: processes.map((spec) => (spec.id === process.id ? process : spec)),
    benchmark: { ...benchmark, process },
  };
}

function staticRuntime({
  variant,
  cluster,
  markers,
  outputs,
  distDir,
  containers,
  mock,
  setupScript,
}: StaticPlanInput): JobContext {
  const indices = Array.from({ length: nodesNeeded(variant) }, (_, index) => index);
  const nodes = indices.map(markers.node);
  const runtime = createRuntimeContext({
    ...dryRunInput(nodes, cluster),
    jobId: markers.jobId,
    addresses: Object.fromEntries(indices.map((index) => [markers.node(index), markers.address(index)])),
    jobDir: `${outputs}/${markers.jobId}`,
    tmpDir: markers.tmpDir,
    containers,
    distDir,
    nodeBinary: markers.nodeBinary,
    setupScript,
    realEngines: !mock,
  });
  if (!mock) return runtime;
  // Simulated engines are the node's own programs: its paths are theirs.
  const logDirInside = runtime.logDir;
  return {
    ...runtime,
    logDirInside,
    forRecipe: (recipe) => ({ ...runtime.forRecipe(recipe), logDirInside }),
  };
}

/** With agents it is the job's own bus that Dynamo uses; without them it is there for Dynamo alone. */
function natsProcess(
  { roles, recipe }: PlannedPoint,
  runtime: JobContext,
  program: string,
  { tmpDir }: Markers,
): ProcessSpec {
  const { infra: node } = roles;
  const { nats: port } = runtime.infraPorts;
  const config = `${runtime.logDir}/nats.conf`;
  const mb = recipe.infra.nats_max_payload_mb;
  return {
    id: 'nats',
    role: 'etcd',
    phase: 'infra',
    node,
    argv: [
      program,
      '-a',
      '0.0.0.0',
      '-p',
      String(port),
      '-js',
      '-sd',
      `${tmpDir}/nats`,
      ...(mb ? ['-c', config] : []),
    ],
    env: {},
    logFile: `${runtime.logDir}/nats.log`,
    // There is no option for it.
    ...(mb ? { files: [{ path: config, content: `${natsPayload(mb)}\n` }] } : {}),
    gpus: [],
    image: null,
    ports: { client: port },
    probe: { kind: 'tcp', host: runtime.address(node), port },
    critical: true,
    terminates: false,
    startTimeoutMs: 60_000,
    graceMs: 5_000,
    unhealthyAfterMs: 60_000,
  };
}
