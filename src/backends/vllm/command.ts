import { onUnlessTold } from '../../engine-options/options.ts';
import type { EndpointMode } from '../../model/kinds.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';
import { type Flags, flagsToArgv, pythonJson } from '../../recipe/values/flags.ts';
import { scanPort } from '../../recipe/values/ports.ts';
import { kvEventsArguments } from '../common/kv-events.ts';
import { nsysPrefix, profiledSteps } from '../common/profiling.ts';
import type { WorkerContext } from '../common/protocol.ts';
import { hasSidecar } from '../common/sidecar.ts';
import { kvTransferConfig } from './connector.ts';
import { configOf, isDirect, isServer, layoutAt, optionsOf, servedName, servingPort } from './context.ts';
import { distribution, multiNode } from './distribution.ts';
import { failoverArguments, withoutFailover } from './failover.ts';
import { moriioConfig, usesMoriio } from './moriio.ts';
import { withoutApiServer, withoutLaunch } from './options.ts';
import { besideCommand } from './sidecar.ts';

/** Options that are on by default, or whose default vLLM chooses. */
const ON_UNLESS_TOLD = { vllm: onUnlessTold('vllm'), dynamo: onUnlessTold('vllm', 'dynamo.vllm') };

export function command(context: WorkerContext): string[] {
  const { recipe, runtime, process } = context;
  const options = withProfiler(recipe, process.mode, optionsOf(recipe, process.mode));
  const own = configOf(recipe).failover ? withoutFailover(options) : options;
  if (hasSidecar(recipe))
    return besideCommand(context, {
      options: own,
      layout: layoutAt(context),
      name: servedName(recipe),
      distribution: distribution(context),
      transfer: givenTransfer(context, options),
      masterPort: runtime.port(
        (context.ranks[0] ?? process).node,
        scanPort(context.all.indexOf(context.ranks[0] ?? process)),
      ),
    });
  return isServer(recipe)
    ? server(context, options)
    : [
        ...nsysPrefix(context, { forks: true }),
        ...['python3', '-m', 'dynamo.vllm', '--model', runtime.modelPathInside],
        ...['--served-model-name', servedName(recipe)],
        ...(process.mode === 'agg' ? [] : ['--disaggregation-mode', process.mode]),
        ...transfer(context, options),
        ...devices(context),
        ...distribution(context),
        ...(configOf(recipe).failover ? failoverArguments(context, options) : []),
        ...['--request-plane', recipe.dynamo.request_plane],
        ...(recipe.enable_config_dump ? ['--dump-config-to', configDump(context)] : []),
        ...kvEventsArguments(context),
        ...flagsToArgv(withoutLaunch(own, layoutAt(context)), ON_UNLESS_TOLD.dynamo),
      ];
}

/** `vllm serve`: the first node's process serves, the others compute for it. */
function server(context: WorkerContext, options: Flags): string[] {
  const { recipe, runtime, process, ranks } = context;
  const headless = process.rank > 0;
  const named = { 'served-model-name': servedName(recipe), ...withoutLaunch(options, 'server') };
  return [
    ...nsysPrefix(context, { forks: false }),
    // Behind a router the server is always vLLM's own.
    ...[isDirect(recipe) ? configOf(recipe).vllm_serve_binary : 'vllm', 'serve', runtime.modelPathInside],
    ...(headless
      ? []
      : ['--host', runtime.listenAddress(process.node), '--port', String(servingPort(context))]),
    ...(ranks.length > 1 ? multiNode(context) : []),
    ...(options.connector == null && process.mode === 'agg' ? [] : transfer(context, options)),
    ...devices(context),
    ...flagsToArgv(headless ? withoutApiServer(named) : named, ON_UNLESS_TOLD.vllm),
  ];
}

function transfer(context: WorkerContext, options: Flags): string[] {
  const { recipe, process } = context;
  if (options['kv-transfer-config'] != null) return [];
  if (usesMoriio(recipe, process.mode))
    return ['--kv-transfer-config', pythonJson(moriioConfig(context, servingPort(context)))];
  const connector = options.connector ?? configOf(recipe).connector;
  const config = kvTransferConfig(connector);
  return config === null ? [] : ['--kv-transfer-config', config];
}

/** `--kv-transfer-config`, also where the recipe gives it whole. */
const givenTransfer = (context: WorkerContext, options: Flags): string[] => {
  const given = options['kv-transfer-config'];
  if (given == null) return transfer(context, options);
  return ['--kv-transfer-config', typeof given === 'object' ? pythonJson(given) : String(given)];
};

function devices({ recipe, process }: WorkerContext): string[] {
  const { failover, set_cuda_visible_devices: isMasked } = configOf(recipe);
  if (isMasked || failover) return [];
  return ['--device-ids', process.gpus.join(',')];
}

/** Between steps, vLLM starts and stops Nsight itself. */
function withProfiler(recipe: Recipe, mode: EndpointMode, options: Flags): Flags {
  const steps = recipe.profiling.type === 'nsys' ? profiledSteps(recipe, mode) : null;
  if (!steps) return options;
  const config = {
    profiler: 'cuda',
    delay_iterations: steps.start,
    max_iterations: Math.max(0, steps.stop - steps.start),
  };
  return { ...options, 'profiler-config': pythonJson(config) };
}

const configDump = ({ runtime, process: { node, mode, index, rank } }: WorkerContext): string =>
  `${runtime.logDirInside}/${node}_${mode}_w${index}_r${rank}_config.json`;
