import * as z from 'zod';
import { nearest } from '../source/problems.ts';
import { type PlacementNode, type Service, type ServiceFacts, serviceSchemaOf } from './services.ts';

const ONE_NODE: readonly PlacementNode[] = ['head', 'infra', 'dedicated'];
const WITH_WORKERS: readonly PlacementNode[] = ['prefill', 'decode', 'agg', 'workers'];

/** `services` of a recipe, for the known kinds. */
export function servicesSchemaOf(kinds: readonly ServiceFacts[]) {
  const factsOf = (type: string) => kinds.find((kind) => kind.type === type);
  const service = serviceSchemaOf(kinds).superRefine((service, context) => {
    const facts = factsOf(service.type);
    if (facts)
      for (const issue of problemsOfService(service, facts)) context.addIssue({ code: 'custom', ...issue });
  });
  return z
    .array(service)
    .superRefine((services, context) => {
      for (const issue of problemsOfServices(services)) context.addIssue({ code: 'custom', ...issue });
    })
    .nullish();
}

interface ServiceIssue {
  readonly path: (string | number)[];
  readonly message: string;
}

/** Problems of one service that follow from its kind. */
function problemsOfService(service: Service, facts: ServiceFacts): ServiceIssue[] {
  const { type, placement, nodes, readiness, metrics, command, source, external } = service;
  const issues: ServiceIssue[] = [];
  const refuse = (path: (string | number)[], message: string) => issues.push({ path, message });
  if (command == null && !facts.hasCommand)
    refuse(['command'], `is missing: a ${type} service has no command of its own`);
  if (command?.length === 0) refuse(['command'], 'is empty; leave it out for the command of its kind');
  if (service.build_command?.length === 0) refuse(['build_command'], 'is empty; leave it out');
  if (service.build_command != null && source == null)
    refuse(['build_command'], 'has nothing to build: it runs in the directory of source');
  if (external != null && !facts.isInfra)
    refuse(['external'], 'is for etcd, nats and mooncake-master; leave out a service that runs elsewhere');
  const where =
    placement?.pool == null ? (placement?.node ?? (nodes == null ? facts.placement : 'workers')) : 'workers';
  if (where === 'dedicated' && !facts.isInfra)
    refuse(['placement', 'node'], 'dedicated is for etcd, nats and mooncake-master');
  else if (facts.placements && nodes == null && placement?.pool == null && !facts.placements.includes(where))
    refuse(['placement', 'node'], `must be ${orList(facts.placements)} for a ${type} service`);
  if (nodes != null) {
    if (placement?.pool != null)
      refuse(['placement', 'pool'], 'is given beside nodes, which make it a pool of its own');
    else if (placement?.node != null && placement.node !== 'workers')
      refuse(['placement', 'node'], 'is given beside nodes, which say where it runs: its own pool');
    if (facts.isInfra) refuse(['nodes'], `a ${type} service is on the infra node, and has no pool`);
  }
  const isPerWorker =
    placement?.per == null ? facts.perWorker === true && placement == null : placement.per === 'worker';
  if (facts.perWorker && !isPerWorker) refuse(['placement', 'per'], `must be worker for a ${type} service`);
  if (isPerWorker) {
    if (nodes != null) refuse(['nodes'], 'a pool has no workers, and placement.per is worker');
    else if (placement?.pool == null && !WITH_WORKERS.includes(where))
      refuse(['placement', 'node'], `must be ${orList(WITH_WORKERS)} with per: worker`);
    if (readiness && readiness.log == null && readiness.file == null)
      refuse(['readiness'], 'must be log with per: worker, because instances on a node share its ports');
  }
  if (source != null && (nodes != null ? nodes > 1 : placement?.pool != null || !ONE_NODE.includes(where)))
    refuse(['source'], 'is built on one node, and the service runs on several');
  if (metrics.length > 1) {
    const names = metrics.map(({ name }) => name);
    if (names.includes(null) || names.includes(undefined) || new Set(names).size < names.length)
      refuse(['metrics'], 'has several endpoints: give each a name of its own');
  }
  return [...issues, ...problemsOfOptions(service, facts)];
}

const orList = (names: readonly string[]): string =>
  names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`;

function problemsOfOptions({ type, options }: Service, facts: ServiceFacts): ServiceIssue[] {
  const known = Object.keys(facts.options.shape);
  const parsed = facts.options.safeParse(options, { reportInput: true });
  if (parsed.success) return [];
  return parsed.error.issues.flatMap((issue): ServiceIssue[] => {
    const path = issue.path.filter((key) => typeof key !== 'symbol');
    if (issue.code !== 'unrecognized_keys')
      return [
        {
          path: ['options', ...path],
          message: issue.input === undefined ? `is missing for a ${type} service` : issue.message,
        },
      ];
    return issue.keys.map((key) => {
      const meant = path.length === 0 ? nearest(key, known) : undefined;
      const all = known.length === 0 ? 'it has none' : `it has ${known.join(', ')}`;
      return {
        path: ['options', ...path, key],
        message: `is no option of a ${type} service: ${meant === undefined ? all : `did you mean "${meant}"?`}`,
      };
    });
  });
}

/** Process ids and variables have letters, digits and `_` alone. */
export const wordOf = (name: string): string => name.replaceAll(/[^A-Za-z0-9]/g, '_');

/** Problems of services beside one another; a service that is not enabled has none but its name. */
function problemsOfServices(services: readonly Service[]): ServiceIssue[] {
  const issues: ServiceIssue[] = [];
  const refuse = (at: number, keys: readonly (string | number)[], message: string) =>
    issues.push({ path: [at, ...keys], message });
  const names = new Map<string, string>();
  for (const [at, { name }] of services.entries()) {
    const word = wordOf(name).toUpperCase();
    const other = names.get(word);
    if (other === undefined) names.set(word, name);
    else
      refuse(
        at,
        ['name'],
        other === name
          ? `"${name}" is the name of another service, too`
          : `"${name}" and "${other}" would share the variables SRT_SERVICE_${word}_…`,
      );
  }
  const enabled = [...services.entries()].filter(([, service]) => service.enabled);
  const byName = new Map(services.map((service) => [service.name, service]));
  for (const [at, { name, placement }] of enabled) {
    const problem = placement?.pool == null ? undefined : problemOfPool(name, placement.pool, byName);
    if (problem !== undefined) refuse(at, ['placement', 'pool'], problem);
  }
  const only = (type: string) => enabled.filter(([, service]) => service.type === type);
  for (const type of ['etcd', 'nats', 'mooncake-master'])
    for (const [at] of only(type).slice(1))
      refuse(at, ['type'], `is a second ${type} service, and a job has one`);
  const [[etcd], [nats]] = [only('etcd'), only('nats')];
  const isDedicated = (service: Service) => service.placement?.node === 'dedicated';
  if (etcd && nats && isDedicated(etcd[1]) !== isDedicated(nats[1]))
    refuse(
      nats[0],
      ['placement'],
      'differs from that of etcd: the two share a node, so both are dedicated or none is',
    );
  return issues;
}

function problemOfPool(name: string, pool: string, byName: ReadonlyMap<string, Service>): string | undefined {
  const owner = byName.get(pool);
  if (pool === name) return 'is the service itself: give it nodes in place of a pool';
  if (!owner) {
    const meant = nearest(
      pool,
      [...byName.keys()].filter((other) => other !== name),
    );
    return `there is no service "${pool}"${meant === undefined ? '' : `: did you mean "${meant}"?`}`;
  }
  if (!owner.enabled) return `service "${pool}" is not enabled`;
  if (owner.nodes != null) return undefined;
  return owner.placement?.pool == null
    ? `service "${pool}" has no nodes of its own: give it nodes`
    : `service "${pool}" is itself on the nodes of "${owner.placement.pool}"`;
}

/** The parts of a recipe that services depend on. */
interface Around {
  readonly services?: readonly Service[] | null | undefined;
  readonly frontend: { readonly type: string };
  readonly backend: {
    readonly type: string;
    readonly mooncake_kv_store?: unknown;
    readonly failover?: unknown;
  };
  readonly benchmark: { readonly type: string };
  readonly resources: {
    readonly [mode in 'prefill' | 'decode' | 'agg' as `${mode}_workers`]?: number | null | undefined;
  } & { readonly het_jobs?: boolean | null | undefined };
}

const isImplied = (type: string, { backend }: Around): boolean =>
  type === 'mooncake-master' && backend.mooncake_kv_store != null;

/** Whether a recipe has engine workers at all; a job of services alone has none. */
export const hasWorkers = ({ resources }: Pick<Around, 'resources'>): boolean =>
  [resources.prefill_workers, resources.decode_workers, resources.agg_workers].some(
    (count) => (count ?? 0) > 0,
  );

/** Benchmarks that need no server with a model. */
const WITHOUT_FRONTEND: readonly string[] = ['manual', 'custom'];

/** Problems of services with other sections of a recipe. */
export function problemsAround(recipe: Around, kinds: readonly ServiceFacts[]): ServiceIssue[] {
  const { frontend, backend, benchmark, resources } = recipe;
  const issues: ServiceIssue[] = [];
  const services = [...(recipe.services ?? []).entries()].filter(([, { enabled }]) => enabled);
  const pools = services.filter(([, { nodes }]) => nodes != null);
  for (const [at, { terminal }] of services)
    if (terminal && benchmark.type !== 'manual')
      issues.push({
        path: ['services', at, 'terminal'],
        message: `the job would have two ends: this service, and a benchmark of type ${benchmark.type}`,
      });
  for (const [at, { type }] of services) {
    const { needs = [], engines, needsSetting } = kinds.find((kind) => kind.type === type) ?? {};
    if (engines && !engines.includes(backend.type))
      issues.push({
        path: ['services', at, 'type'],
        message: `${type} is for ${orList(engines)} workers, and these are of ${backend.type}`,
      });
    if (needsSetting && backend[needsSetting] == null)
      issues.push({
        path: ['services', at, 'type'],
        message: `${type} serves workers with ${needsSetting}, which the engine's section does not have`,
      });
    for (const other of needs)
      if (!services.some(([, service]) => service.type === other) && !isImplied(other, recipe))
        issues.push({ path: ['services', at, 'type'], message: `${type} needs a ${other} service` });
  }
  if (resources.het_jobs)
    for (const [at] of pools)
      issues.push({
        path: ['services', at, 'nodes'],
        message: 'a heterogeneous job (resources.het_jobs) has nodes for prefill and decode workers alone',
      });
  if (frontend.type !== 'none') return issues;
  if (hasWorkers(recipe))
    issues.push({
      path: ['frontend', 'type'],
      message:
        'none is for jobs of services alone: workers need a router, or nothing would check that they serve',
    });
  else if (pools.length === 0)
    issues.push({
      path: ['frontend', 'type'],
      message: 'none is for jobs of services alone, and no service has nodes',
    });
  if (!WITHOUT_FRONTEND.includes(benchmark.type))
    issues.push({
      path: ['benchmark', 'type'],
      message: `${benchmark.type} sends requests to a router, and frontend.type is none: ${WITHOUT_FRONTEND.join(' or ')} need none`,
    });
  return issues;
}
