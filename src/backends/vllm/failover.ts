import type { Finding } from '../../model/checks.ts';
import type { Endpoint, EndpointProcess } from '../../model/kinds.ts';
import { modesOf, recipeOf } from '../../model/recipe-of.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';
import type { Flags } from '../../recipe/values/flags.ts';
import type { PortAllocator } from '../../recipe/values/ports.ts';
import { configReader, optionsOf } from '../common/config.ts';
import { gmsDirectory } from '../common/gms.ts';
import { recipeMode, type WorkerContext } from '../common/protocol.ts';
import type { VllmConfig } from './schema.ts';

/** Each engine of a worker on several nodes is a torch.distributed job of its own. */
const MASTER_PORT = 29_500;
const MASTER_STEP = 100;
/** Options that srtctl sets for each engine. */
const OWN = ['load-format', 'gms-shadow-mode', 'master-port'];

const configOf = configReader<VllmConfig>('vllm');

/** The standby engines of each worker: the same processes on the same GPUs, with ports of their own. */
export const withStandbys = (
  { failover }: VllmConfig,
  endpoints: readonly Endpoint[],
  processes: readonly EndpointProcess[],
  ports: PortAllocator,
): EndpointProcess[] =>
  endpoints.flatMap(({ mode, index }) => {
    const own = processes.filter((process) => process.mode === mode && process.index === index);
    const standbys = Array.from({ length: failover?.shadow_engines ?? 0 }, (_, each) =>
      own.map(
        (process): EndpointProcess => ({
          ...process,
          standby: each + 1,
          ports: { http: 0, bootstrap: null, ...ports.ofProcess() },
        }),
      ),
    );
    return [...own, ...standbys.flat()];
  });

/** Options of an engine that shares its worker's weights. */
export function failoverArguments({ process, ranks }: WorkerContext, options: Flags): string[] {
  const meets = ranks.length > 1;
  const master = Number(options['master-port'] ?? MASTER_PORT) + MASTER_STEP * (process.standby ?? 0);
  return [
    ...['--load-format', 'gms', '--gms-shadow-mode'],
    ...(meets ? ['--master-port', String(master)] : []),
  ];
}

export const withoutFailover = (options: Flags): Flags =>
  Object.fromEntries(Object.entries(options).filter(([name]) => !OWN.includes(name)));

/**
 * What an engine must know of its worker's others (Dynamo 1.4.2, srt-slurm 2.x docs/shadow-engine-recovery.md). They elect the
 * serving one by a lock of the file; the others wait, and report that they are well. All see the worker's GPUs alone, as
 * the server of the weights does, because its sockets are named by the numbers of devices.
 */
export function failoverEnvironment(
  { recipe, runtime, process }: WorkerContext,
  { failover }: VllmConfig,
): Record<string, string> {
  if (!failover) return {};
  const worker = { role: process.mode, index: process.index };
  const directory = gmsDirectory(recipe, runtime, worker);
  return {
    ENGINE_ID: String(process.standby ?? 0),
    GMS_SOCKET_DIR: directory,
    FAILOVER_LOCK_PATH: `${directory}/failover.lock`,
    DYN_VLLM_GMS_SHADOW_MODE: 'true',
    DYN_SYSTEM_STARTING_HEALTH_STATUS: 'notready',
    [runtime.visibleDevices]: process.gpus.join(','),
  };
}

/** Reasons why a recipe cannot have standby engines. */
export function cannotFailOver(recipe: Recipe): Finding[] {
  const { failover, vllm_config: config } = configOf(recipe);
  if (!failover) return [];
  const path = ['backend', 'failover'];
  const modes = modesOf(recipe).filter((mode) => recipeOf(recipe, mode).backend === recipe.backend);
  return [
    ...(recipe.frontend.type === 'dynamo'
      ? []
      : [{ path, text: 'asks for standby engines, which elect the serving one in dynamo.vllm alone' }]),
    ...modes.flatMap((mode) => {
      const options = optionsOf(config, mode);
      const at = (name: string) => ['backend', 'vllm_config', recipeMode(mode), name];
      const format = options['load-format'];
      return [
        ...(Number(options['data-parallel-size'] ?? 1) > 1
          ? [
              {
                path: at('data-parallel-size'),
                text: 'cannot be above 1 with failover, because its ranks would share one lock',
              },
            ]
          : []),
        ...(format == null || format === 'gms'
          ? []
          : [{ path: at('load-format'), text: 'must be gms with failover, or be left out' }]),
      ];
    }),
  ];
}
