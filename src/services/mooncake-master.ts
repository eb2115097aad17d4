import * as z from 'zod';
import { mooncakeOf, mooncakePorts } from '../backends/common/mooncake.ts';
import { usesStore } from '../backends/trtllm/mooncake-store.ts';
import type { ProcessSpec } from '../messages/spec/process-spec.ts';
import { VAIN } from '../model/checks.ts';
import { modesOf } from '../model/recipe-of.ts';
import type { Recipe } from '../recipe/schema/schema.ts';
import { startOf } from './common/process.ts';
import type { ServiceContext, ServiceFinding, ServiceProtocol } from './common/protocol.ts';

const START_TIMEOUT_MS = 120_000;
const GRACE_MS = 5_000;
const UNHEALTHY_AFTER_MS = 60_000;

/** The file below the logs in which TensorRT-LLM's connector and donors find the master. */
export const MASTER_ADDRESS_FILE = 'mooncake_master.addr';

/** Options for TensorRT-LLM, whose own master takes them. */
const OF_TRTLLM = ['eviction_ratio', 'master_timeout_s', 'store_role'] as const;

const optionsSchema = z.strictObject({
  store_config: z
    .record(z.string(), z.unknown())
    .nullish()
    .describe("vllm: the connector's file, except the master's address"),
  device_names_by_gpu: z.array(z.string()).nullish().describe('vllm: network devices by GPU'),
  eviction_ratio: z
    .number()
    .gt(0)
    .lt(1)
    .nullish()
    .describe('trtllm: share of objects that are evicted at once'),
  master_timeout_s: z.number().int().positive().nullish().describe('trtllm: seconds to wait for the master'),
  store_role: z
    .enum(['both', 'producer', 'consumer'])
    .nullish()
    .describe('trtllm: what workers do with the store'),
});

/** The master of Mooncake's store. It starts before the workers, which register with it. */
export const mooncakeMaster: ServiceProtocol = {
  type: 'mooncake-master',
  summary: "master of Mooncake's store, whose address workers get",
  options: optionsSchema,
  hasCommand: true,
  placement: 'infra',
  placements: ['head', 'infra', 'dedicated'],
  start: 'before_workers',
  critical: true,
  isInfra: true,
  processes: (context) => (context.service.external == null ? [masterProcess(context)] : []),
  notDone: ({ options }, recipe) => optionsInVain(options, recipe),
};

function optionsInVain(options: Readonly<Record<string, unknown>>, { backend }: Recipe): ServiceFinding[] {
  const isTrtllm = backend.type === 'trtllm';
  return Object.keys(options).flatMap((key) => {
    const ofTrtllm = OF_TRTLLM.some((name) => name === key);
    const uses = key === 'store_config' ? ['vllm', 'trtllm'] : ofTrtllm ? ['trtllm'] : ['vllm'];
    if (key === 'device_names_by_gpu')
      return [
        { path: ['options', key], text: 'not done by srtctl yet: every worker gets the same store_config' },
      ];
    if (ofTrtllm && isTrtllm && key !== 'eviction_ratio' && key !== 'master_timeout_s')
      return [
        {
          path: ['options', key],
          text: 'not done by srtctl yet: the connector of a worker decides what it does',
        },
      ];
    return uses.includes(backend.type)
      ? []
      : [{ path: ['options', key], text: `${VAIN}${backend.type} workers do not use it` }];
  });
}

function masterProcess(context: ServiceContext): ProcessSpec {
  const { recipe, runtime, roles, service } = context;
  const node = roles.infra;
  const ports = mooncakePorts(runtime, roles);
  const start = startOf(service, mooncakeMaster);
  const seconds = service.readiness?.timeout_seconds;
  const isTrtllm =
    recipe.backend.type === 'trtllm' && !modesOf(recipe).some((mode) => usesStore(recipe, mode));
  const { eviction_ratio: ratio } = optionsSchema.parse(service.options);
  const own = isTrtllm
    ? trtllmMaster(ports, ratio ?? 0.05, `${runtime.logDirInside}/${MASTER_ADDRESS_FILE}`)
    : [
        ...['mooncake_master', `--rpc_port=${ports.rpc}`],
        ...['--enable_http_metadata_server=true', `--http_metadata_server_port=${ports.metadata}`],
        ...['--eviction_high_watermark_ratio=0.9', '--default_kv_lease_ttl=10000', '--rpc_thread_num=16'],
        ...['--enable_metric_reporting=true', `--metrics_port=${ports.metrics}`],
      ];
  const argv = [...(service.command ?? own), ...service.args];
  const container = service.container ?? mooncakeOf(recipe)?.container ?? runtime.image;
  return {
    id: 'mooncake-master',
    role: 'mooncake',
    phase: start === 'with_workers' ? 'worker' : start === 'after_frontend' ? 'after_frontend' : 'infra',
    node,
    argv: service.preamble == null ? argv : ['bash', '-c', `${service.preamble}\nexec "$@"`, 'bash', ...argv],
    env: service.env,
    logFile: `${runtime.logDir}/${node}_mooncake_master.out`,
    ...(isTrtllm ? { emptyDirs: [`${runtime.logDir}/${MASTER_ADDRESS_FILE}`] } : {}),
    gpus: [],
    image: runtime.containers ? container : null,
    ports: isTrtllm ? { rpc: ports.rpc, metrics: ports.metrics } : { ...ports },
    probe: { kind: 'tcp', host: runtime.address(node), port: ports.rpc },
    metrics: [{ host: runtime.address(node), port: ports.metrics, path: '/metrics' }],
    critical: service.critical ?? true,
    terminates: false,
    startTimeoutMs: seconds === undefined ? START_TIMEOUT_MS : seconds * 1000,
    graceMs: GRACE_MS,
    unhealthyAfterMs: UNHEALTHY_AFTER_MS,
  };
}

/**
 * TensorRT-LLM has a master of its own (srt-slurm 2.x, src/srtctl/services/mooncake_master.py), which writes its address
 * into a file for its connector and its donors. Never run here: no release of TensorRT-LLM on PyPI has the command.
 */
const trtllmMaster = (
  ports: { readonly rpc: number; readonly metrics: number },
  ratio: number,
  addressFile: string,
): string[] => [
  ...['trtllm-serve', 'mooncake_master', '--rpc_port', String(ports.rpc)],
  ...[
    '--metrics_port',
    String(ports.metrics),
    '--eviction_ratio',
    String(ratio),
    '--address_file',
    addressFile,
  ],
];
