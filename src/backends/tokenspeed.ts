import * as z from 'zod';
import type { ProbeSpec } from '../messages/spec/process-spec.ts';
import type { EndpointMode } from '../model/kinds.ts';
import type { Recipe } from '../recipe/schema/schema.ts';
import { type Flags, flagsSchema, flagsToArgv } from '../recipe/values/flags.ts';
import { baseName } from '../recipe/values/model-name.ts';
import { ncclPort, rendezvousPort } from '../recipe/values/ports.ts';
import { environmentsShape } from '../recipe/values/values.ts';
import { allocate, toProcesses, workerNodesNeeded } from './common/allocation.ts';
import { configReader, optionsOf as optionsOfMode } from './common/config.ts';
import { nsysPrefix, profilingEnvironment } from './common/profiling.ts';
import { noStepsToProfile } from './common/profiling-checks.ts';
import { type BackendProtocol, recipeMode, type WorkerContext } from './common/protocol.ts';
import { dynamoProgress } from './common/rest.ts';
import { commonEnvironment, fillIn, visibleDevices } from './common/worker-environment.ts';

const tokenspeedBackendSchema = z.strictObject({
  type: z.literal('tokenspeed'),
  ...environmentsShape,
  tokenspeed_config: z
    .strictObject({
      prefill: flagsSchema.nullish().describe('of prefill workers'),
      decode: flagsSchema.nullish().describe('of decode workers'),
      aggregated: flagsSchema.nullish().describe('of aggregated workers'),
    })
    .nullish()
    .describe('options of TokenSpeed by mode, without the leading dashes'),
});
type TokenspeedConfig = z.infer<typeof tokenspeedBackendSchema>;

const configOf = configReader<TokenspeedConfig>('tokenspeed');

const optionsOf = (recipe: Recipe, mode: EndpointMode): Flags =>
  optionsOfMode(configOf(recipe).tokenspeed_config, mode);

const underDynamo = (recipe: Recipe): boolean => recipe.frontend.type === 'dynamo';

/**
 * TokenSpeed, wrapped by Dynamo, or as a gRPC server behind smg. As the reference starts it (srt-slurm 2.x at 70eb76d,
 * backends/tokenspeed.py); its leader opens the port of --dist-init-addr, the five above it, and one for each of its
 * ranks.
 */
export const tokenspeed = {
  type: 'tokenspeed',
  name: 'TokenSpeed',
  schema: tokenspeedBackendSchema,
  routers: { dynamo: 'all', smg: 'all' },
  registers: (recipe) => ({
    each: 1,
    ranks: false,
    ...(underDynamo(recipe) ? {} : { scheme: 'grpc' as const }),
  }),
  cannotRun: (recipe, { mock }) =>
    mock && !underDynamo(recipe)
      ? [
          {
            path: ['frontend', 'type'],
            text: 'makes TokenSpeed a gRPC server, which has no stand-in',
            hint: 'omit --mock, or use a dynamo frontend',
          },
        ]
      : [],
  notDone: noStepsToProfile,
  workerNodesNeeded,
  allocateEndpoints: (recipe, nodes) => allocate(recipe, nodes),
  endpointsToProcesses: (_, endpoints, ports) => toProcesses(endpoints, ports),
  command,
  servedModel: (recipe) => ({ name: servedName(recipe), isGiven: givenName(recipe) !== undefined }),
  environment: (context) => ({
    ...commonEnvironment(context),
    // Its first request has no KV cache to transfer, for which prefill and decode workers would wait.
    ...(context.process.mode === 'agg' ? {} : { TOKENSPEED_SKIP_GRPC_WARMUP: '1' }),
    ...fillIn(configOf(context.recipe)[`${recipeMode(context.process.mode)}_environment`], context),
    ...profilingEnvironment(context),
    ...visibleDevices(context),
  }),
  ports: (context) => {
    const { recipe, process } = context;
    const dynamo = underDynamo(recipe);
    return {
      ...{ kvEvents: null, nixl: null },
      http: dynamo ? 0 : process.ports.http,
      bootstrap: process.rank === 0 ? process.ports.bootstrap : null,
      system: dynamo ? process.ports.system : 0,
      ...(dynamo || process.rank > 0 ? { own: ownPort(context) } : {}),
      ...(process.rank === 0 ? { distInit: meetingPort(context) } : {}),
    };
  },
  healthProbe,
  progress: (context) => (underDynamo(context.recipe) ? dynamoProgress(context) : undefined),
} satisfies BackendProtocol;

function givenName(recipe: Recipe): string | undefined {
  for (const mode of ['prefill', 'agg', 'decode'] as const) {
    const name = optionsOf(recipe, mode)['served-model-name'];
    if (name) return String(name);
  }
  return undefined;
}

/** Clients use one name for all modes. */
const servedName = (recipe: Recipe): string => givenName(recipe) ?? baseName(recipe.model.path);

/** Under Dynamo, and as a follower, a process needs a port although it serves no requests there. */
function ownPort({ recipe, runtime, process, all }: WorkerContext): number {
  return !underDynamo(recipe) && process.rank === 0
    ? process.ports.http
    : runtime.port(process.node, ncclPort(all.indexOf(process)));
}

function meetingPort({ runtime, process, ranks, all }: WorkerContext): number {
  const leader = ranks[0] ?? process;
  const led = all.filter(({ rank, node }) => rank === 0 && node === leader.node);
  return runtime.port(leader.node, rendezvousPort(led.indexOf(leader)));
}

function command(context: WorkerContext): string[] {
  const { recipe, runtime, process, ranks } = context;
  const { model: _, 'model-path': __, 'served-model-name': ___, ...given } = optionsOf(recipe, process.mode);
  const { mode, ports } = process;
  const leader = ranks[0] ?? process;
  return [
    ...nsysPrefix(context, { forks: underDynamo(recipe) }),
    ...['python3', '-m', underDynamo(recipe) ? 'dynamo.tokenspeed' : 'smg_grpc_servicer.tokenspeed'],
    ...['--model', runtime.modelPathInside, '--served-model-name', servedName(recipe)],
    // A prefill worker also tells this address to its peers.
    ...['--host', runtime.address(process.node), '--port', String(ownPort(context))],
    ...['--dist-init-addr', `${runtime.address(leader.node)}:${meetingPort(context)}`],
    ...['--nnodes', String(ranks.length), '--node-rank', String(process.rank)],
    ...(mode === 'agg' ? [] : ['--disaggregation-mode', mode]),
    ...(mode === 'prefill' && ports.bootstrap !== null
      ? ['--disaggregation-bootstrap-port', String(ports.bootstrap)]
      : []),
    ...flagsToArgv(given),
  ];
}

/** A gRPC server has no HTTP health; a follower is ready when its leader is. */
function healthProbe({ recipe, runtime, ranks, process }: WorkerContext): ProbeSpec {
  const leader = ranks[0] ?? process;
  const host = runtime.address(leader.node);
  return underDynamo(recipe)
    ? { kind: 'http', host, port: leader.ports.system, path: '/health' }
    : { kind: 'tcp', host, port: leader.ports.http };
}
