import { requireUnset } from '../../backends/common/requirements.ts';
import type { JsonCount } from '../../messages/spec/process-spec.ts';
import type { EndpointProcess } from '../../model/kinds.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';
import { flagsToArgv } from '../../recipe/values/flags.ts';
import { nginxProcesses } from './nginx.ts';
import { entryOf, placeFrontends } from './placement.ts';
import {
  anyVaries,
  endpointCounts,
  frontendProcess,
  nobodyElse,
  routerEnvironment,
  routerImage,
  startTimeoutMs,
} from './process.ts';
import type { FrontendContext, FrontendProtocol } from './protocol.ts';

/** A router of SGLang's family: its workers are on its command line, and it waits for them itself. */
export interface ToldRouter extends Pick<FrontendProtocol, 'type' | 'summary' | 'engines'> {
  /** The words that start it: `python3 -m MODULE`. */
  readonly program: readonly string[];
  /** Further options, which the recipe must not set. */
  readonly fixed?: Readonly<Record<string, string>>;
  /** `frontend`: it starts when its workers are ready. Default: together with them. */
  readonly phase?: 'frontend';
  readonly takesTokenIds: boolean;
  /** Option for prefill and decode workers. */
  readonly disaggregated: string;
  /** Whether a prefill worker's bootstrap port follows its URL. */
  readonly tellsBootstrap: (recipe: Recipe) => boolean;
  /**
   * The port at which workers report to it, where its command line has none. It lists no workers then; its /health is 503
   * until a worker of each mode has reported (vllm-project/router at 43140bc).
   */
  readonly discovery?: (recipe: Recipe) => number | null;
  /** Time from SIGTERM to SIGKILL. */
  readonly graceMs: number;
  /** A line of its log which shows that it no longer waits for a worker. */
  readonly givesUp?: string;
}

/** The family's default port for metrics. */
const METRICS_PORT = 29_000;

/**
 * Options that the recipe may override: how long the router waits for workers, and how often it checks them,
 * in seconds.
 */
const TIMEOUT = 'worker-startup-timeout-secs';
const INTERVAL = 'worker-startup-check-interval';

export function toldRouter(router: ToldRouter): FrontendProtocol {
  return {
    type: router.type,
    summary: router.summary,
    ...(router.engines ? { engines: router.engines } : {}),
    needsEtcd: false,
    takesTokenIds: router.takesTokenIds,
    entry: entryOf,
    processes(context) {
      const placement = placeFrontends(context);
      const fixed = router.fixed ?? {};
      requireUnset('frontend.args', context.recipe.frontend.args, Object.keys(fixed));
      const reports = router.discovery?.(context.recipe) ?? null;
      const routers = placement.routers.map(({ node, port }, index) =>
        frontendProcess(context, {
          id: `frontend-${index}`,
          role: 'frontend',
          phase: router.phase ?? 'worker',
          node,
          port,
          otherPorts: {
            metrics: metricsPort(context, node),
            ...(reports === null ? {} : { discovery: context.runtime.port(node, reports) }),
          },
          argv: [
            ...router.program,
            ...(reports === null
              ? workerArguments(router, context)
              : discoveryArguments(router, context, node, reports)),
            ...['--host', context.runtime.listenAddress(node), '--port', String(port)],
            ...flagsToArgv(fixed),
            ...metricsPlace(context, node),
            ...patience(context.recipe),
            ...flagsToArgv(context.recipe.frontend.args),
          ],
          env: routerEnvironment(context, node),
          image: routerImage(context),
          ...(reports === null
            ? {
                path: '/workers',
                expect: healthy(context),
                older: { path: '/list_workers', expect: listed(context) },
              }
            : { path: '/health' }),
          metrics: metricsPort(context, node),
          graceMs: router.graceMs,
          ...(router.givesUp === undefined ? {} : { givesUp: router.givesUp }),
        }),
      );
      return [...routers, ...nginxProcesses(context, placement)];
    },
  };
}

const option = ({ frontend: { args } }: Recipe, name: string) =>
  args[name] ?? args[name.replaceAll('-', '_')];

const metricsPort = ({ recipe, runtime }: FrontendContext, node: string): number =>
  Number(option(recipe, 'prometheus-port') ?? runtime.port(node, METRICS_PORT));

/** Where nodes and jobs share a machine, metrics also need their own address and port. */
function metricsPlace(context: FrontendContext, node: string): string[] {
  const address = context.runtime.listenAddress(node);
  const port = context.runtime.port(node, METRICS_PORT);
  return [
    ...(address === '0.0.0.0' ? [] : ['--prometheus-host', address]),
    ...(port === METRICS_PORT ? [] : ['--prometheus-port', String(port)]),
  ];
}

/**
 * By default a router gives up after 10 or 30 minutes, and checks its workers every 30 seconds. srtctl makes
 * it wait as long as the workers may take, and check each second, unless the recipe overrides that.
 */
function patience(recipe: Recipe): string[] {
  const given = (name: string) => option(recipe, name) != null;
  return [
    ...(given(TIMEOUT) ? [] : [`--${TIMEOUT}`, String(Math.ceil(startTimeoutMs(recipe) / 1000))]),
    ...(given(INTERVAL) ? [] : [`--${INTERVAL}`, '1']),
  ];
}

const discoveryArguments = (
  router: ToldRouter,
  { runtime }: FrontendContext,
  node: string,
  port: number,
): string[] => [
  ...[router.disaggregated, '--kv-connector', 'moriio'],
  ...['--vllm-discovery-address', `${runtime.listenAddress(node)}:${runtime.port(node, port)}`],
];

const leadersOf = ({ processes }: FrontendContext): readonly EndpointProcess[] =>
  processes.filter((process) => process.rank === 0);

function workerArguments(router: ToldRouter, context: FrontendContext): string[] {
  const { recipe, runtime } = context;
  const leaders = leadersOf(context);
  const url = ({ mode, node, ports }: EndpointProcess) =>
    `${context.registers(mode).scheme ?? 'http'}://${runtime.address(node)}:${ports.http}`;
  const aggregated = leaders.filter((leader) => leader.mode === 'agg');
  if (aggregated.length > 0) return ['--worker-urls', ...aggregated.map(url)];
  const bootstrap = ({ ports }: EndpointProcess) =>
    ports.bootstrap !== null && router.tellsBootstrap(recipe) ? [String(ports.bootstrap)] : [];
  return [
    router.disaggregated,
    ...leaders.flatMap((leader) =>
      leader.mode === 'prefill' ? ['--prefill', url(leader), ...bootstrap(leader)] : [],
    ),
    ...leaders.flatMap((leader) => (leader.mode === 'decode' ? ['--decode', url(leader)] : [])),
  ];
}

const addressOf = ({ runtime }: FrontendContext, { node, ports }: EndpointProcess): string =>
  `${runtime.address(node)}:${ports.http}`;

/**
 * Each planned worker, by its URL. The router calls aggregated workers "regular". A router that is aware of
 * data parallelism lists a worker once for each rank, as `http://HOST:PORT@RANK`.
 */
function healthy(context: FrontendContext): JsonCount[] {
  const leaders = leadersOf(context);
  const all = leaders.map((leader) => addressOf(context, leader));
  const counts = endpointCounts(context);
  const planned = counts.map(({ mode, count, least, varies }) => ({
    at: ['workers'],
    where: { worker_type: mode === 'agg' ? 'regular' : mode, is_healthy: true },
    count,
    ...(least < count ? { least } : {}),
    ...varies,
    address: {
      field: ['url'],
      among: leaders.filter((leader) => leader.mode === mode).map((leader) => addressOf(context, leader)),
    },
    label: `${mode} workers`,
  }));
  const known = { field: ['url'], addresses: all, most: leaders.length, varies: anyVaries(counts) };
  return [...planned, nobodyElse({ at: ['workers'], where: {} }, known)];
}

/**
 * The same from the bare URLs that sglang-router 0.1.9 and older list, without mode and health. These routers
 * listen only when all their workers are healthy.
 */
function listed(context: FrontendContext): JsonCount[] {
  const all = leadersOf(context).map((leader) => addressOf(context, leader));
  return healthy(context).map((count) => ({
    ...count,
    ...{ at: ['urls'], where: {} },
    address: { field: [], among: count.address?.among ?? [], others: all },
  }));
}
