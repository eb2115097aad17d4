import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BenchmarkResult } from '../messages/job-directory/result.ts';
import type { EndpointMode, PlannedBenchmark, PlannedService, RuntimeContext } from '../model/kinds.ts';
import { wordOf } from '../recipe/schema/service-checks.ts';
import { fillNode } from '../recipe/values/fill-node.ts';
import { parseJson } from './common/parse-json.ts';
import { benchmarkProcess } from './common/process.ts';
import type { BenchmarkContext, BenchmarkProtocol } from './common/protocol.ts';

/** The file in which a command may report its own measurements. */
const RESULT_FILE = 'srtctl-result.json';

/** Environment of a custom command that describes the deployment. */
function environmentOf({
  recipe,
  runtime,
  roles,
  entry,
  processes,
  services,
  pointDir,
}: BenchmarkContext): Record<string, string> {
  const host = runtime.address(entry.node);
  const leaders = (mode: EndpointMode): string =>
    processes
      .filter((process) => process.mode === mode && process.rank === 0 && process.standby === undefined)
      .map((process) => `${runtime.address(process.node)}:${process.ports.http}`)
      .join(',');
  const frontend = {
    SRT_FRONTEND_HOST: host,
    SRT_FRONTEND_PORT: String(entry.port),
    SRT_FRONTEND_URL: `http://${host}:${entry.port}`,
  };
  return {
    ...(recipe.frontend.type === 'none' ? {} : frontend),
    SRT_PREFILL_ENDPOINTS: leaders('prefill'),
    SRT_DECODE_ENDPOINTS: leaders('decode'),
    SRT_AGG_ENDPOINTS: leaders('agg'),
    SRT_MODEL_PATH: runtime.modelPathInside,
    SRT_RESULT_DIR: pointDir,
    SRT_GPUS_PER_NODE: String(recipe.resources.gpus_per_node),
    SRT_WORKER_NODES: roles.workers.map((node) => runtime.host(node)).join(','),
    ...Object.assign({}, ...services.map((service) => serviceVariables(service, runtime))),
    ...fillNode({ ...recipe.environment, ...recipe.benchmark.env }, runtime, roles.bench),
  };
}

/** Where a service runs: `SRT_SERVICE_<NAME>_NODES`, `_IPS` and `_NODE_COUNT`, in the order of its instances. */
function serviceVariables(
  { name, nodes }: PlannedService,
  runtime: Pick<RuntimeContext, 'host' | 'address'>,
): Record<string, string> {
  const prefix = `SRT_SERVICE_${wordOf(name).toUpperCase()}`;
  return {
    [`${prefix}_NODES`]: nodes.map((node) => runtime.host(node)).join(','),
    [`${prefix}_IPS`]: nodes.map((node) => runtime.address(node)).join(','),
    [`${prefix}_NODE_COUNT`]: String(nodes.length),
  };
}

/**
 * The recipe's own command, in bash: exit code 0 is success. With pipefail, because the exit code of `bench |
 * tee log` would be tee's, and a missing benchmark would count as a success.
 */
export const custom: BenchmarkProtocol = {
  type: 'custom',
  uses: ['command', 'container_image'],
  cannotRun: ({ benchmark }) =>
    benchmark.command == null
      ? [{ path: ['benchmark', 'command'], text: 'is missing: a custom benchmark is its command' }]
      : [],

  plan(context): PlannedBenchmark {
    const { command, container_image: image } = context.recipe.benchmark;
    // Such a recipe can be planned; requireRunnable reports the missing command.
    if (!command) return { type: 'custom', process: null, resultDir: context.pointDir };
    return {
      type: 'custom',
      resultDir: context.pointDir,
      process: benchmarkProcess(context, {
        argv: ['bash', '-o', 'pipefail', '-lc', command],
        env: environmentOf(context),
        ...(image && context.runtime.containers ? { image } : {}),
      }),
    };
  },

  async readResult({ resultDir }): Promise<BenchmarkResult> {
    const names = (await readdir(resultDir)).sort();
    const artifacts = names.filter((name) => name !== 'config.yaml' && name !== 'result.json');
    if (!names.includes(RESULT_FILE)) return { type: 'custom', valid: null, serving: [], artifacts };
    // Loaded when it is needed, because a plan needs no result.
    const { benchmarkResultSchema } = await import('../messages/job-directory/result.ts');
    const parsed = parseJson(benchmarkResultSchema, await readFile(join(resultDir, RESULT_FILE), 'utf8'));
    if ('value' in parsed) return parsed.value;
    const reason = `${RESULT_FILE} is not a result: ${parsed.problem}`;
    return { type: 'custom', valid: false, reason, serving: [], artifacts };
  },
};
