import { scanPort } from '../../recipe/values/ports.ts';
import { takesMooncake } from '../common/config.ts';
import { MOONCAKE_CONFIG, mooncakeEnvironment, mooncakeOf } from '../common/mooncake.ts';
import { profilingEnvironment } from '../common/profiling.ts';
import { recipeMode, type WorkerContext } from '../common/protocol.ts';
import { hasSidecar } from '../common/sidecar.ts';
import { commonEnvironment, fillIn, visibleDevices } from '../common/worker-environment.ts';
import { configOf, hasMoriio, layoutAt } from './context.ts';
import { failoverEnvironment } from './failover.ts';
import { besideEnvironment } from './sidecar.ts';

export function environment(context: WorkerContext): Record<string, string> {
  const { recipe, runtime, process, all } = context;
  const { mode, ports, node } = process;
  const config = configOf(recipe);
  return {
    ...commonEnvironment(context),
    ...besideEnvironment(context),
    ...mooncakeEnvironment(context),
    ...(mooncakeOf(recipe) ? { MOONCAKE_CONFIG_PATH: `${runtime.logDirInside}/${MOONCAKE_CONFIG}` } : {}),
    ...fillIn(config[`${recipeMode(mode)}_environment`], context),
    ...(ports.kvEvents === null ? {} : { DYN_VLLM_KV_EVENT_PORT: String(ports.kvEvents) }),
    ...(ports.nixl === null || hasMoriio(context)
      ? {}
      : {
          VLLM_NIXL_SIDE_CHANNEL_PORT: String(ports.nixl),
          VLLM_NIXL_SIDE_CHANNEL_HOST: runtime.address(node),
        }),
    ...(takesMooncake(recipe) && ports.bootstrap !== null
      ? { VLLM_MOONCAKE_BOOTSTRAP_PORT: String(ports.bootstrap) }
      : {}),
    ...(meetsOthers(context) || hasMoriio(context)
      ? {}
      : { VLLM_PORT: String(runtime.port(node, scanPort(all.indexOf(process)))) }),
    ...profilingEnvironment(context),
    ...(config.set_cuda_visible_devices || hasSidecar(recipe) ? visibleDevices(context) : {}),
    ...failoverEnvironment(context, config),
  };
}

/**
 * VLLM_PORT makes processes that share a node search for free ports in different ranges. The parts of one
 * engine on several nodes agree on ports of their own, and different start ports would contradict that.
 */
const meetsOthers = (context: WorkerContext): boolean => {
  const { kind } = layoutAt(context);
  return context.ranks.length > 1 && (kind === 'tensor' || kind === 'spanning');
};
