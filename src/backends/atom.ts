import * as z from 'zod';
import type { EndpointProcess } from '../model/kinds.ts';
import { type Flags, flagValueSchema, optionName, verbatimArgv } from '../recipe/values/flags.ts';
import { ncclPort } from '../recipe/values/ports.ts';
import { environmentsShape } from '../recipe/values/values.ts';
import { allocate, processPerNode, workerNodesNeeded } from './common/allocation.ts';
import { configReader } from './common/config.ts';
import { nsysPrefix, profilingEnvironment } from './common/profiling.ts';
import { noStepsToProfile } from './common/profiling-checks.ts';
import { type BackendProtocol, recipeMode, type WorkerContext } from './common/protocol.ts';
import { requireOneNode, requireUnset } from './common/requirements.ts';
import { commonEnvironment, fillIn, visibleDevices } from './common/worker-environment.ts';

const EXTRA_CONNECTORS = 'extra-kv-connectors';

const connectorSchema = z.looseObject({
  kv_connector: z.string(),
  kv_connector_extra_config: z.record(z.string(), z.unknown()).optional(),
});
type Connector = z.infer<typeof connectorSchema>;

/** Options of ATOM are spelled as ATOM has them: `kv_cache_dtype` beside `max-model-len`. */
const optionsSchema = z
  .object({
    [EXTRA_CONNECTORS]: z
      .array(connectorSchema)
      .nullish()
      .describe('further connectors; with that of srtctl they are the parts of a connector multi'),
  })
  .catchall(flagValueSchema)
  .nullish();

const atomBackendSchema = z.strictObject({
  type: z.literal('atom'),
  ...environmentsShape,
  atom_config: z
    .strictObject({
      prefill: optionsSchema.describe('of prefill workers'),
      decode: optionsSchema.describe('of decode workers'),
      aggregated: optionsSchema.describe('of aggregated workers'),
    })
    .nullish()
    .describe('options of the ATOM server by mode, without the leading dashes and in its own spelling'),
  connector: z
    .enum(['mooncake'])
    .default('mooncake')
    .describe('how the KV cache moves from prefill to decode workers'),
  mooncake_protocol: z
    .enum(['rdma', 'tcp'])
    .nullish()
    .describe("Mooncake's transport; by default ATOM's own choice"),
});
type AtomConfig = z.infer<typeof atomBackendSchema>;

const configOf = configReader<AtomConfig>('atom');

/** Options that follow from the plan. */
const OWN = ['model', 'host', 'server-port', 'tp', 'tensor-parallel-size', 'kv-transfer-config'];

/** The name in ATOM's connector of LMCache's server, and the port of that server (services[].type: lmcache-server). */
const LMCACHE = { kind: 'lmcache_mp', portKey: 'lmcache.mp.port', port: 8750 } as const;

/**
 * ATOM, AMD's engine for ROCm: `atom.entrypoints.openai_server` (ROCm/ATOM at 003e556, atom/entrypoints/openai/api_server.py
 * and atom/model_engine/arg_utils.py). It listens when its engine is loaded.
 */
export const atom = {
  type: 'atom',
  name: 'ATOM',
  schema: atomBackendSchema,
  routers: { atomesh: 'all' },
  notDone: noStepsToProfile,
  workerNodesNeeded,
  allocateEndpoints: (recipe, nodes) => allocate(recipe, nodes),
  endpointsToProcesses: (_, endpoints, ports) =>
    endpoints.flatMap((endpoint) => {
      requireOneNode('an ATOM worker', endpoint);
      // Each rank adds its number to the port at which it meets its peer.
      const { nixl } = ports.block(endpoint.gpus.length);
      return processPerNode(endpoint, ports).map(
        (process): EndpointProcess => ({ ...process, ports: { ...process.ports, bootstrap: null, nixl } }),
      );
    }),
  command,
  servedModel: (recipe, runtime) => {
    const given = (['agg', 'decode', 'prefill'] as const)
      .map((mode) => optionOf(configOf(recipe).atom_config?.[recipeMode(mode)] ?? {}, 'served-model-name'))
      .find((name) => name != null);
    return { name: String(given ?? runtime.modelPathInside), isGiven: given != null };
  },
  environment: (context) => ({
    ...commonEnvironment(context),
    // Where its peers reach it.
    ATOM_HOST_IP: context.runtime.address(context.process.node),
    ...fillIn(configOf(context.recipe)[`${recipeMode(context.process.mode)}_environment`], context),
    ...profilingEnvironment(context),
    ...visibleDevices(context),
  }),
  ports: (context) => ({
    ...{ bootstrap: null, kvEvents: null, system: null },
    nixl: context.process.mode === 'agg' ? null : context.process.ports.nixl,
    engine: enginePort(context),
  }),
  healthProbe: ({ runtime, process: { node, ports } }) => ({
    ...{ kind: 'http', host: runtime.address(node), port: ports.http, path: '/health' },
  }),
} satisfies BackendProtocol;

function optionsOf({ recipe, process: { mode } }: WorkerContext): { flags: Flags; extra: Connector[] } {
  const { [EXTRA_CONNECTORS]: extra, ...flags } = configOf(recipe).atom_config?.[recipeMode(mode)] ?? {};
  return { flags, extra: extra ?? [] };
}

const optionOf = (options: Readonly<Record<string, unknown>>, name: string) =>
  Object.entries(options).find(([key]) => optionName(key) === name)?.[1];

/** Its parts talk to each other on this port, whose default is the same for all workers of a node. */
const enginePort = (context: WorkerContext): number => {
  const { runtime, process, all } = context;
  const given = optionOf(optionsOf(context).flags, 'port');
  return given == null ? runtime.port(process.node, ncclPort(all.indexOf(process))) : Number(given);
};

function command(context: WorkerContext): string[] {
  const { runtime, process } = context;
  const { flags, extra } = optionsOf(context);
  requireUnset(`backend.atom_config.${recipeMode(process.mode)}`, flags, OWN);
  const transfer = transferConfig(context, extra);
  return [
    ...nsysPrefix(context, { forks: false }),
    ...['python3', '-m', 'atom.entrypoints.openai_server', '--model', runtime.modelPathInside],
    ...['--host', runtime.listenAddress(process.node), '--server-port', String(process.ports.http)],
    ...['-tp', String(process.gpus.length)],
    ...(optionOf(flags, 'port') == null ? ['--port', String(enginePort(context))] : []),
    ...(transfer === null ? [] : ['--kv-transfer-config', JSON.stringify(transfer)]),
    ...verbatimArgv(flags),
  ];
}

/** Several connectors are the parts of ATOM's connector `multi`. */
function transferConfig(
  { recipe, runtime, process }: WorkerContext,
  extra: readonly Connector[],
): object | null {
  const { connector, mooncake_protocol: protocol } = configOf(recipe);
  const own =
    process.mode === 'agg'
      ? []
      : [
          {
            kv_role: process.mode === 'prefill' ? 'kv_producer' : 'kv_consumer',
            kv_connector: connector,
            proxy_ip: runtime.address(process.node),
            handshake_port: process.ports.nixl,
            ...(protocol ? { protocol } : {}),
          },
        ];
  const others = extra.map((each) =>
    each.kv_connector === LMCACHE.kind
      ? {
          ...each,
          kv_connector_extra_config: { [LMCACHE.portKey]: LMCACHE.port, ...each.kv_connector_extra_config },
        }
      : each,
  );
  const [only, ...more] = [...own, ...others];
  if (only === undefined) return null;
  return more.length === 0 ? only : { kv_connector: 'multi', connectors: [only, ...more] };
}
