import { discoveryEnvironment } from '../../backends/common/discovery.ts';
import type { ProbeSpec, ProcessSpec } from '../../messages/spec/process-spec.ts';
import { wordOf } from '../../recipe/schema/service-checks.ts';
import type { Service, ServiceStart } from '../../recipe/schema/services.ts';
import { inOwnStep } from './own-step.ts';
import { filled, placeholdersOf } from './placeholders.ts';
import type { InstanceContext, ServiceContext, ServiceProtocol } from './protocol.ts';
import { directoryOf, ownBuild, sourceSteps } from './source.ts';
import { withStandIns } from './stand-in.ts';

/** A service flushes what it has. */
const GRACE_MS = 30_000;
/** Without a check it is ready when it runs, so this only limits its spawn. */
const START_TIMEOUT_S = 120;
const UNHEALTHY_AFTER_MS = 300_000;

const PHASES = {
  infra: 'infra',
  before_workers: 'before_workers',
  with_workers: 'worker',
  after_frontend: 'after_frontend',
} as const satisfies Record<ServiceStart, ProcessSpec['phase']>;

export const startOf = (service: Service, kind: ServiceProtocol): ServiceStart => service.start ?? kind.start;

export const serviceId = ({ name }: Service, index: number): string => `service-${idOf(name)}-${index}`;

const idOf = (name: string): string => (/^[A-Za-z0-9_-]+$/.test(name) ? name : wordOf(name));

/** The processes of a service. `order`: its place among the services of its phase. */
export function serviceProcesses(
  kind: ServiceProtocol,
  context: ServiceContext,
  order: number,
): ProcessSpec[] {
  return processesOf(kind, context, order).map((spec) => inOwnStep(spec, context.runtime, context.service));
}

function processesOf(kind: ServiceProtocol, context: ServiceContext, order: number): ProcessSpec[] {
  const own = kind.processes?.(context);
  if (own) return own;
  const specs = context.instances.map((instance) => serviceProcess(kind, { ...context, instance }, order));
  const { runtime } = context;
  if (!runtime.realEngines) return withStandIns(specs, runtime, kind.module);
  return context.instances.flatMap((instance, at) => {
    const spec = specs[at];
    return spec ? [...sourceSteps({ ...context, instance }, spec.id, spec.image), spec] : [];
  });
}

function serviceProcess(kind: ServiceProtocol, context: InstanceContext, order: number): ProcessSpec {
  const { runtime, service, instance } = context;
  const { node, index } = instance;
  const values = placeholdersOf(context);
  const fill = (text: string) => filled(text, values);
  const start = startOf(service, kind);
  const ports = { ...kind.ports?.(context), ...portsOfReadiness(service) };
  const files = kind.files?.(context);
  const place = order + (kind.firstLeads && index > 0 ? 1 : 0);
  const seconds = service.readiness?.timeout_seconds ?? kind.startTimeoutS ?? START_TIMEOUT_S;
  const probe = probeOf(kind, context, values);
  const image = imageOf(kind, context);
  const cwd = directoryOf(context);
  const marker = probe.kind === 'file' ? probe.path : undefined;
  return {
    id: serviceId(service, index),
    role: start === 'after_frontend' ? 'service' : 'base',
    phase: PHASES[start],
    ...(place > 0 ? { order: place } : {}),
    node,
    argv: commandOf(kind, context, image, fill),
    env: environmentOf(kind, context, fill),
    logFile: `${runtime.logDir}/${logName(context)}`,
    ...(files && files.length > 0 ? { files } : {}),
    ...(marker === undefined ? {} : { emptyDirs: [marker] }),
    gpus: [],
    ...(usesGpus(context) ? { seesGpus: true } : {}),
    ...(cwd === undefined ? {} : { cwd }),
    image,
    ports,
    probe,
    ...metricsOf(kind, context),
    ...(service.readiness?.interval_seconds == null
      ? {}
      : { probeEveryMs: service.readiness.interval_seconds * 1000 }),
    critical: service.critical ?? kind.critical,
    ...(service.readiness ? { mustStart: true } : {}),
    terminates: service.terminal,
    ...(kind.mayEnd ? { mayEnd: true } : {}),
    startTimeoutMs: seconds * 1000,
    graceMs: kind.graceMs ?? GRACE_MS,
    unhealthyAfterMs: UNHEALTHY_AFTER_MS,
  };
}

function metricsOf(kind: ServiceProtocol, context: InstanceContext): Pick<ProcessSpec, 'metrics'> {
  const { runtime, service, instance } = context;
  const host = runtime.address(instance.node);
  const own = kind.metrics?.(context);
  const asked = service.metrics
    .filter(({ nodes }) => nodes === 'all' || instance.index === 0)
    .map(({ port, path, name }) => ({ host, port, path, ...(name == null ? {} : { name }) }));
  if (asked.length > 0) return { metrics: asked };
  return service.metrics.length > 0 || own === undefined
    ? {}
    : { metrics: [{ host, port: own, path: '/metrics' }] };
}

function portsOfReadiness({ readiness }: Service): Record<string, number> {
  const port = readiness?.port ?? readiness?.tcp?.port ?? readiness?.http?.port;
  return port == null ? {} : { readiness: port };
}

function commandOf(
  kind: ServiceProtocol,
  context: InstanceContext,
  image: string | null,
  fill: (text: string) => string,
): string[] {
  const { service } = context;
  const program = service.command?.map(fill) ?? kind.command?.(context) ?? [];
  const argv = [...program, ...service.args.map(fill)];
  const own = service.command == null ? (kind.preamble?.(context) ?? null) : null;
  const recipes = service.preamble == null ? null : fill(service.preamble);
  const shell = [ownBuild(context, image), own, recipes].filter((part) => part !== null);
  // The shell becomes the service, so that signals reach it.
  return shell.length === 0 ? argv : ['bash', '-c', `${shell.join('\n')}\nexec "$@"`, 'bash', ...argv];
}

function environmentOf(
  kind: ServiceProtocol,
  context: InstanceContext,
  fill: (text: string) => string,
): Record<string, string> {
  const { recipe, runtime, roles, service, instance } = context;
  const own = Object.fromEntries(Object.entries(service.env).map(([name, value]) => [name, fill(value)]));
  return {
    ...(service.inherit_discovery_env ? discoveryEnvironment(recipe, runtime, roles, 'services') : {}),
    ...(instance.worker ? { CUDA_VISIBLE_DEVICES: instance.worker.gpus.join(',') } : {}),
    ...(runtime.hasGpus ? {} : { CUDA_VISIBLE_DEVICES: '' }),
    ...kind.environment?.(context),
    ...own,
    ...kind.ownEnvironment?.(context),
  };
}

function imageOf(kind: ServiceProtocol, context: ServiceContext): string | null {
  const { runtime, service } = context;
  if (!runtime.containers) return null;
  if (service.container != null) return service.container;
  return kind.image ? kind.image(context) : runtime.image;
}

/** On nodes of its own and beside workers; elsewhere a service has no business with GPUs. */
const usesGpus = ({ service, instance, roles }: InstanceContext): boolean =>
  instance.worker !== undefined ||
  service.nodes != null ||
  service.placement?.pool != null ||
  roles.workers.includes(instance.node);

/** `service_train.out`; with the node where there are several, and the worker where it is beside one. */
function logName({ service, instance, instances }: InstanceContext): string {
  const { node, worker } = instance;
  const beside = worker ? `_${worker.role}_${worker.index}_${node}` : instances.length > 1 ? `_${node}` : '';
  return `service_${service.name}${beside}.out`;
}

function probeOf(
  kind: ServiceProtocol,
  context: InstanceContext,
  values: Readonly<Record<string, string>>,
): ProbeSpec {
  const { runtime, service, instance } = context;
  const { readiness } = service;
  if (!readiness) return kind.probe?.(context) ?? { kind: 'running' };
  const host = runtime.address(instance.node);
  const port = readiness.port ?? readiness.tcp?.port;
  if (port != null) return { kind: 'tcp', host, port, once: true };
  if (readiness.http)
    return {
      kind: 'http',
      host,
      port: readiness.http.port,
      path: readiness.http.path,
      status: readiness.http.status,
      once: true,
    };
  if (readiness.log) return { kind: 'log', pattern: readiness.log.pattern };
  const path = filled(readiness.file?.path ?? '', values);
  return { kind: 'file', path: path.startsWith('/') ? path : `${runtime.logDir}/${path}` };
}
