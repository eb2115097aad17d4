import type { EndpointMode } from '../../model/kinds.ts';
import { PlanError } from '../../os/errors.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';
import { allocate, shapesOf, workerNodesNeeded } from '../common/allocation.ts';
import { takesMooncake } from '../common/config.ts';
import { kvEventsArguments } from '../common/kv-events.ts';
import {
  MOONCAKE_CONFIG,
  mooncakeMasterAddress,
  mooncakeOf,
  requireMooncakeUser,
} from '../common/mooncake.ts';
import { stepsToProfile } from '../common/profiling-checks.ts';
import type { BackendProtocol, WorkerContext } from '../common/protocol.ts';
import { grpcPort, hasSidecar } from '../common/sidecar.ts';
import { command } from './command.ts';
import {
  configOf,
  givenName,
  hasMoriio,
  isServer,
  layoutAt,
  layoutFor,
  optionsOf,
  servedName,
  serves,
  servingPort,
} from './context.ts';
import { meetingPorts } from './distribution.ts';
import { environment } from './environment.ts';
import { cannotFailOver, withStandbys } from './failover.ts';
import { processesOf } from './layout.ts';
import { moriioPorts } from './moriio.ts';
import { vllmBackendSchema } from './schema.ts';
import { cannotRunBeside, httpPort } from './sidecar.ts';
import { healthProbe, progress, rest } from './status.ts';

/**
 * A server whose engine core has died logs this line, fails every request, and exits with code 0 some seconds
 * later: after 3 s on a free machine, later on a busy one, where the first failed request ended the point
 * before its cause was known. The line is the same from 0.10.2 to 0.32 (v1/engine/async_llm.py).
 */
const FATAL_LINES = [
  '^(?:\\([A-Za-z0-9_]{1,40} pid=[0-9]{1,10}\\) )?ERROR [-0-9:. ]{1,30}\\[[^\\]]{1,80}\\] AsyncLLM output_handler failed',
];

/** vLLM, wrapped by Dynamo, or as its own server for clients. */
export const vllm = {
  type: 'vllm',
  name: 'vLLM',
  schema: vllmBackendSchema,
  routers: { dynamo: 'all', vllm: 'all', 'vllm-router': 'all', 'tilert-router': 'all', smg: 'aggregated' },
  // Newer releases register each data-parallel rank, older ones register all of them once.
  registers: () => ({ each: 1, ranks: true }),
  cannotRun: (recipe) => [...cannotFailOver(recipe), ...cannotRunBeside(recipe)],
  sidecar: 'all',
  notDone: stepsToProfile,
  workerNodesNeeded: (recipe) => (colocates(recipe) ? fewestNodes(recipe) : workerNodesNeeded(recipe)),
  allocateEndpoints: (recipe, nodes) => allocate(recipe, nodes, { colocate: colocates(recipe) }),
  endpointsToProcesses: (recipe, endpoints, ports) => {
    const mooncake = (mode: EndpointMode) =>
      /mooncake/i.test(String(optionsOf(recipe, mode)['kv-transfer-config'] ?? ''));
    requireMooncakeUser(recipe, mooncake, 'a kv-transfer-config with a Mooncake connector');
    const engines = processesOf(endpoints, ports, (endpoint) => layoutFor(recipe, endpoint.mode, endpoint));
    return withStandbys(configOf(recipe), endpoints, engines, ports);
  },
  command,
  servedModel: (recipe) => ({ name: servedName(recipe), isGiven: givenName(recipe) !== undefined }),
  environment,
  files: ({ recipe, runtime, roles }) => {
    const mooncake = mooncakeOf(recipe);
    if (!mooncake) return [];
    const master = mooncakeMasterAddress(recipe, runtime, roles);
    const content = { ...mooncake.store_config, master_server_address: master };
    return [
      { path: `${runtime.logDir}/${MOONCAKE_CONFIG}`, content: `${JSON.stringify(content, null, 2)}\n` },
    ];
  },
  ports: (context) => ({
    // Dynamo's workers have no server of their own.
    http: serves(context) ? servingPort(context) : hasSidecar(context.recipe) ? httpPort(context) : 0,
    ...(hasSidecar(context.recipe) ? { grpc: grpcPort(context) } : {}),
    bootstrap: takesMooncake(context.recipe) && serves(context) ? context.process.ports.bootstrap : null,
    kvEvents: kvEventsArguments(context).length > 0 ? context.process.ports.kvEvents : null,
    nixl: context.process.mode === 'agg' || hasMoriio(context) ? null : nixlPort(context),
    ...(hasMoriio(context) ? moriioPorts(context) : {}),
    system: isServer(context.recipe) ? 0 : context.process.ports.system,
    ...meetingPorts(context),
  }),
  healthProbe,
  progress,
  rest,
  fatalLines: FATAL_LINES,
} satisfies BackendProtocol;

/** The ranks of an endpoint get its first port; each listens on that port plus its rank. */
function nixlPort(context: WorkerContext): number | null {
  const { ports, rank } = context.process;
  return ports.nixl !== null && 'local' in layoutAt(context) ? ports.nixl + rank : ports.nixl;
}

/** Whether prefill and decode workers share nodes from the start. */
function colocates(recipe: Recipe): boolean {
  const config = configOf(recipe);
  const shapes = shapesOf(recipe);
  if (!config.allow_prefill_decode_colocation || shapes.length < 2) return false;
  const wanted = shapes.reduce((sum, { workers, gpus }) => sum + workers * gpus, 0);
  return wanted <= recipe.resources.gpus_per_node || config.allow_prefill_decode_colocation_across_nodes;
}

/** The fewest nodes on which the workers of a recipe fit together. */
function fewestNodes(recipe: Recipe): number {
  const most = shapesOf(recipe).reduce((sum, { workers, nodesEach }) => sum + workers * nodesEach, 0);
  for (let count = 1; count < most; count++) {
    try {
      allocate(
        recipe,
        Array.from({ length: count }, (_, index) => String(index)),
        { colocate: true },
      );
      return count;
    } catch (error) {
      if (!(error instanceof PlanError)) throw error;
    }
  }
  return most;
}
