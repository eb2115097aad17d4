import { mooncakeOf, mooncakePorts } from '../backends/common/mooncake.ts';
import type { ProcessSpec } from '../messages/spec/process-spec.ts';
import type { JobContext, Roles, RuntimeContext } from '../model/kinds.ts';
import type { Recipe } from '../recipe/schema/schema.ts';

const START_TIMEOUT_MS = 60_000;
const MOONCAKE_START_TIMEOUT_MS = 120_000;
const GRACE_MS = 5_000;
const UNHEALTHY_AFTER_MS = 60_000;

/**
 * The registry in which Dynamo's workers and frontends find each other. One member, which ends with the job.
 */
export function etcdProcess(runtime: JobContext, roles: Roles): ProcessSpec {
  const node = roles.infra;
  const { etcdClient, etcdPeer } = runtime.infraPorts;
  const dataDir = `${runtime.tmpDir}/etcd`;
  const listen = (port: number) => `http://${runtime.listenAddress(node)}:${port}`;
  const advertise = (port: number) => `http://${runtime.address(node)}:${port}`;
  return {
    id: 'etcd',
    role: 'etcd',
    phase: 'infra',
    node,
    argv: [
      ...[runtime.etcdBinary, '--name', 'srtctl', '--data-dir', dataDir],
      ...['--listen-client-urls', listen(etcdClient), '--advertise-client-urls', advertise(etcdClient)],
      ...['--listen-peer-urls', listen(etcdPeer), '--initial-advertise-peer-urls', advertise(etcdPeer)],
      ...['--initial-cluster', `srtctl=${advertise(etcdPeer)}`],
    ],
    env: {},
    logFile: `${runtime.logDir}/${node}_etcd.out`,
    // With old data it would list ended workers until their leases expire after 30 s.
    emptyDirs: [dataDir],
    gpus: [],
    image: null,
    ports: { client: etcdClient, peer: etcdPeer },
    probe: { kind: 'http', host: runtime.address(node), port: etcdClient, path: '/health' },
    critical: true,
    terminates: false,
    startTimeoutMs: START_TIMEOUT_MS,
    graceMs: GRACE_MS,
    unhealthyAfterMs: UNHEALTHY_AFTER_MS,
  };
}

/**
 * The master of Mooncake's store, when the recipe asks for one. It starts before the workers, which register
 * with it.
 */
export function mooncakeProcesses(recipe: Recipe, runtime: RuntimeContext, roles: Roles): ProcessSpec[] {
  const mooncake = mooncakeOf(recipe);
  if (!mooncake) return [];
  const node = roles.infra;
  const ports = mooncakePorts(runtime, roles);
  return [
    {
      id: 'mooncake-master',
      role: 'mooncake',
      phase: 'infra',
      node,
      argv: [
        ...['mooncake_master', `--rpc_port=${ports.rpc}`],
        ...['--enable_http_metadata_server=true', `--http_metadata_server_port=${ports.metadata}`],
        ...['--eviction_high_watermark_ratio=0.9', '--default_kv_lease_ttl=10000', '--rpc_thread_num=16'],
        ...['--enable_metric_reporting=true', `--metrics_port=${ports.metrics}`],
        ...mooncake.master_extra_args,
      ],
      env: {},
      logFile: `${runtime.logDir}/${node}_mooncake_master.out`,
      gpus: [],
      image: runtime.containers ? (mooncake.container ?? runtime.image) : null,
      ports: { ...ports },
      probe: { kind: 'tcp', host: runtime.address(node), port: ports.rpc },
      critical: true,
      terminates: false,
      startTimeoutMs: MOONCAKE_START_TIMEOUT_MS,
      graceMs: GRACE_MS,
      unhealthyAfterMs: UNHEALTHY_AFTER_MS,
    },
  ];
}

/**
 * Lines of a nats-server's configuration for messages of up to so many MB. nats-server refuses a max_payload
 * above max_pending, whose default is 64 MB.
 */
export const natsPayload = (mb: number): string =>
  `max_payload: ${mb}MB${mb > 32 ? `\nmax_pending: ${2 * mb}MB` : ''}`;

export interface NatsLogin {
  readonly user: string;
  readonly password: string;
}

/** Text that nats-server's configuration can contain unchanged: bcrypt hashes begin with `$2`. */
const PLAIN = /^(?!\$2)[\x20-\x7e]+$/;

/**
 * Dynamo's NATS logins in a recipe. The job's nats-server accepts them, because recipes that were written for
 * another nats-server contain them.
 */
export function natsLogins(recipes: readonly Recipe[]): NatsLogin[] {
  const logins = new Map<string, NatsLogin>();
  for (const { environment, backend, frontend } of recipes) {
    const modes = [backend.prefill_environment, backend.decode_environment, backend.aggregated_environment];
    for (const own of [{}, ...modes, frontend.env]) {
      const { NATS_AUTH_USERNAME: user, NATS_AUTH_PASSWORD: password } = { ...environment, ...own };
      if (user === undefined || password === undefined || logins.has(user)) continue;
      if (PLAIN.test(user) && PLAIN.test(password)) logins.set(user, { user, password });
    }
  }
  return [...logins.values()];
}
