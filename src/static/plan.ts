import { benchmarkFor } from '../benchmarks/index.ts';
import { NATS_LOG } from '../messages/job-directory/files.ts';
import type { ProcessSpec } from '../messages/spec/process-spec.ts';
import type { JobContext, Plan, PlannedPoint } from '../model/kinds.ts';
import { natsPayload, natsPayloadOf } from '../plan/infra.ts';
import { nodesNeeded, planVariant } from '../plan/plan.ts';
import { createRuntimeContext, dryRunInput } from '../plan/runtime-context.ts';
import type { LoadedVariant } from '../recipe/load.ts';
import type { ClusterConfig } from '../recipe/schema/cluster.ts';
import { usesRegistries } from '../services/effective.ts';
import type { Markers } from './markers.ts';

export interface StaticPlanInput {
  readonly variant: LoadedVariant;
  readonly cluster: ClusterConfig;
  readonly markers: Markers;
  readonly outputs: string;
  readonly distDir: string;
  readonly containers: boolean;
  readonly mock: boolean;
  /** Path of the setup script on the nodes. */
  readonly setupScript: string | null;
  /** The nats-server of Dynamo's engines. */
  readonly natsServer: string;
}

/**
 * Plans a variant on nodes that are markers, with the planner that agents use, and adds what agents would
 * provide.
 */
export function staticPlan(input: StaticPlanInput): { plan: Plan; runtime: JobContext } {
  const { variant, markers, natsServer } = input;
  const runtime = staticRuntime(input);
  const plan = planVariant(variant, runtime);
  const points = plan.points
    .map(judgedByItself)
    .map(
      (point): PlannedPoint =>
        usesRegistries(point.recipe)
          ? { ...point, processes: [natsProcess(point, runtime, natsServer, markers), ...point.processes] }
          : point,
    );
  return { plan: { ...plan, points }, runtime };
}

/**
 * Makes the benchmark fail on invalid figures, because a script only sees exit codes. Requests may fail where a process
 * is not critical.
 */
function judgedByItself(point: PlannedPoint): PlannedPoint {
  const { benchmark, processes } = point;
  if (!benchmark.process) return point;
  const lossy = processes.some(({ critical }) => !critical);
  const argv = benchmarkFor(benchmark.type)?.judged?.(benchmark.process.argv, { lossy });
  if (!argv) return point;
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
  return createRuntimeContext({
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
}

/** With agents, Dynamo uses the job's own nats-server; without agents it needs one of its own. */
function natsProcess(
  { roles, recipe }: PlannedPoint,
  runtime: JobContext,
  program: string,
  { tmpDir }: Markers,
): ProcessSpec {
  const { infra: node } = roles;
  const { nats: port } = runtime.infraPorts;
  const config = `${runtime.logDir}/nats.conf`;
  const mb = natsPayloadOf(recipe);
  return {
    id: 'nats',
    role: 'nats',
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
    logFile: `${runtime.logDir}/${NATS_LOG}`,
    // nats-server has no option for the payload, only a setting in its file.
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
