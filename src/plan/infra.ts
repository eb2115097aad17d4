import type { ProcessSpec } from '../messages/process-spec.ts';
import type { JobContext, Roles } from './kinds.ts';

const START_TIMEOUT_MS = 60_000;
const SETUP_TIMEOUT_MS = 3_600_000;
const GRACE_MS = 5_000;
const UNHEALTHY_AFTER_MS = 60_000;

/** The registry that Dynamo's workers and frontends meet in. One member, gone with the job. */
export function etcdProcess(runtime: JobContext, roles: Roles): ProcessSpec {
  const node = roles.infra;
  const { etcdClient, etcdPeer } = runtime.infraPorts;
  const listen = (port: number) => `http://${runtime.listenAddress(node)}:${port}`;
  const advertise = (port: number) => `http://${runtime.address(node)}:${port}`;
  return {
    id: 'etcd',
    role: 'etcd',
    phase: 'infra',
    node,
    argv: [
      ...['etcd', '--name', 'srtctl', '--data-dir', `${runtime.tmpDir}/etcd`],
      ...['--listen-client-urls', listen(etcdClient), '--advertise-client-urls', advertise(etcdClient)],
      ...['--listen-peer-urls', listen(etcdPeer), '--initial-advertise-peer-urls', advertise(etcdPeer)],
      ...['--initial-cluster', `srtctl=${advertise(etcdPeer)}`],
    ],
    env: {},
    logFile: `${runtime.logDir}/${node}_etcd.out`,
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

/** The setup script, once on each node that has workers, before any of them starts. */
export function setupProcesses(runtime: JobContext, roles: Roles): ProcessSpec[] {
  const script = runtime.setupScript;
  if (script === null) return [];
  return roles.workers.map((node, index) => ({
    id: `setup-${index}`,
    role: 'step' as const,
    phase: 'step' as const,
    node,
    argv: ['bash', script],
    env: {},
    logFile: `${runtime.logDir}/${node}_setup.out`,
    gpus: [],
    image: null,
    ports: {},
    probe: { kind: 'running' as const },
    critical: true,
    terminates: true,
    startTimeoutMs: SETUP_TIMEOUT_MS,
    graceMs: GRACE_MS,
    unhealthyAfterMs: UNHEALTHY_AFTER_MS,
  }));
}
