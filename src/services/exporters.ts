import * as z from 'zod';
import type { InstanceContext, ServiceProtocol } from './common/protocol.ts';

const port = z.number().int().min(1).max(65_535);
const dcgmOptions = z.strictObject({
  port: port.default(9401).describe('TCP port'),
  collect_interval_ms: z
    .number()
    .int()
    .positive()
    .default(1000)
    .describe('milliseconds from one reading to the next'),
});
const nodeOptions = z.strictObject({
  port: port.default(9101).describe('TCP port'),
  collect_interval_ms: z.number().int().positive().nullish().describe('it reads when it is asked'),
});
const processOptions = z.strictObject({
  port: port.default(9256).describe('TCP port'),
  binary: z.string().min(1).default('process-exporter').describe('program on the node'),
});

/** Metrics are of use, and no run depends on them. */
const exporter = {
  hasCommand: true,
  placement: 'workers',
  start: 'after_frontend',
  critical: false,
  standsAlone: true,
  graceMs: 5_000,
} as const;

const listening = ({ runtime, instance }: InstanceContext, planned: number) => {
  const address = runtime.listenAddress(instance.node);
  const at = runtime.port(instance.node, planned);
  return { at, place: `${address === '0.0.0.0' ? '' : address}:${at}` };
};

/** NVIDIA's exporter of GPU metrics. Its image has no shell. */
export const dcgmExporter: ServiceProtocol = {
  ...exporter,
  type: 'dcgm-exporter',
  summary: 'metrics of the GPUs',
  options: dcgmOptions,
  image: () => 'nvcr.io#nvidia/k8s/dcgm-exporter:3.3.9-3.6.1-ubuntu22.04',
  command: (context) => {
    const { port, collect_interval_ms: interval } = dcgmOptions.parse(context.service.options);
    return ['dcgm-exporter', `--collect-interval=${interval}`, '--address', listening(context, port).place];
  },
  ports: (context) => ({ http: listening(context, dcgmOptions.parse(context.service.options).port).at }),
  metrics: (context) => listening(context, dcgmOptions.parse(context.service.options).port).at,
};

/** Collectors of node_exporter 1.8 for load, memory and network, and no others. */
const COLLECTORS = [
  ...['cpu', 'infiniband', 'meminfo', 'processes', 'stat', 'vmstat', 'pressure', 'meminfo_numa'],
] as const;

/** Prometheus' exporter of a node's metrics: of its image in a container, else the program of Debian's package. */
export const nodeExporter: ServiceProtocol = {
  ...exporter,
  type: 'node-exporter',
  summary: 'metrics of the node',
  options: nodeOptions,
  image: () => 'quay.io#prometheus/node-exporter:v1.8.2',
  command: (context) => [
    context.runtime.containers ? '/bin/node_exporter' : 'prometheus-node-exporter',
    `--web.listen-address=${listening(context, nodeOptions.parse(context.service.options).port).place}`,
    '--collector.disable-defaults',
    ...COLLECTORS.map((name) => `--collector.${name}`),
    '--collector.vmstat.fields=^(oom_kill|pgpg|pswp|pgsteal|pg.*fault).*',
  ],
  ports: (context) => ({ http: listening(context, nodeOptions.parse(context.service.options).port).at }),
  metrics: (context) => listening(context, nodeOptions.parse(context.service.options).port).at,
};

/** Groups of processes that belong to a job; process-exporter takes the first that fits. */
const GROUPS: readonly { readonly name: string; readonly cmdline?: string; readonly comm?: string }[] = [
  { name: 'frontend', cmdline: 'dynamo\\.frontend' },
  { name: 'sglang', cmdline: 'sglang|dynamo\\.sglang' },
  { name: 'vllm', cmdline: 'vllm|dynamo\\.vllm' },
  { name: 'trtllm', cmdline: 'trtllm|dynamo\\.trtllm' },
  { name: 'nginx', comm: 'nginx' },
  { name: 'etcd', comm: 'etcd' },
  { name: 'nats', comm: 'nats-server' },
];

const CONFIG = 'process-exporter.yml';

/** ncabatoff's process-exporter: CPU, memory and threads of groups of processes. */
export const processExporter: ServiceProtocol = {
  ...exporter,
  type: 'process-exporter',
  summary: "metrics of the job's processes",
  options: processOptions,
  placement: 'all',
  image: () => null,
  command: (context) => {
    const { runtime, service } = context;
    const { port, binary } = processOptions.parse(service.options);
    const isInImage = runtime.containers && service.container != null;
    return [
      ...[
        isInImage ? '/bin/process-exporter' : binary,
        '-config.path',
        `${isInImage ? runtime.logDirInside : runtime.logDir}/${CONFIG}`,
      ],
      ...[
        `-web.listen-address=${listening(context, port).place}`,
        '-threads=true',
        '-children=false',
        '-recheck=false',
      ],
    ];
  },
  files: ({ runtime }) => [{ path: `${runtime.logDir}/${CONFIG}`, content: groupsText() }],
  ports: (context) => ({ http: listening(context, processOptions.parse(context.service.options).port).at }),
  metrics: (context) => listening(context, processOptions.parse(context.service.options).port).at,
};

const groupsText = (): string =>
  `process_names:\n${GROUPS.map(({ name, cmdline, comm }) => `  - name: ${name}\n    ${cmdline === undefined ? `comm: ['${comm}']` : `cmdline: ['${cmdline}']`}\n`).join('')}`;
