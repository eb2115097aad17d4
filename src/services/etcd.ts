import * as z from 'zod';
import type { ProcessSpec } from '../messages/spec/process-spec.ts';
import { VAIN } from '../model/checks.ts';
import type { ServiceContext, ServiceProtocol } from './common/protocol.ts';
import { settingsWithoutEffect } from './common/without-effect.ts';

const START_TIMEOUT_MS = 60_000;
const GRACE_MS = 5_000;
const UNHEALTHY_AFTER_MS = 60_000;

/** The registry in which Dynamo's workers and frontends find each other. One member, which ends with the job. */
export const etcd: ServiceProtocol = {
  type: 'etcd',
  summary: 'registry of Dynamo, which a dynamo frontend implies',
  options: z.strictObject({}),
  hasCommand: true,
  placement: 'infra',
  placements: ['head', 'infra', 'dedicated'],
  start: 'infra',
  critical: true,
  isInfra: true,
  processes: (context) => [etcdProcess(context)],
  notDone: (service) =>
    settingsWithoutEffect(service, `${VAIN}srtctl starts its own etcd, on the node itself`),
};

function etcdProcess({ runtime, roles, service }: ServiceContext): ProcessSpec {
  const node = roles.infra;
  const { etcdClient, etcdPeer } = runtime.infraPorts;
  const dataDir = `${runtime.tmpDir}/etcd`;
  const listen = (port: number) => `http://${runtime.listenAddress(node)}:${port}`;
  const advertise = (port: number) => `http://${runtime.address(node)}:${port}`;
  const seconds = service.readiness?.timeout_seconds;
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
      ...service.args,
    ],
    env: service.env,
    logFile: `${runtime.logDir}/${node}_etcd.out`,
    // With old data it would list ended workers until their leases expire after 30 s.
    emptyDirs: [dataDir],
    gpus: [],
    image: null,
    ports: { client: etcdClient, peer: etcdPeer },
    probe: { kind: 'http', host: runtime.address(node), port: etcdClient, path: '/health' },
    metrics: [{ host: runtime.address(node), port: etcdClient, path: '/metrics' }],
    critical: service.critical ?? true,
    terminates: false,
    startTimeoutMs: seconds === undefined ? START_TIMEOUT_MS : seconds * 1000,
    graceMs: GRACE_MS,
    unhealthyAfterMs: UNHEALTHY_AFTER_MS,
  };
}
