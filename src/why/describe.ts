import type { ProcessRole } from '../messages/spec/process-spec.ts';

const ROLE_NAMES: Readonly<Record<ProcessRole, string>> = {
  prefill: 'prefill worker',
  decode: 'decode worker',
  agg: 'worker',
  frontend: 'router',
  nginx: 'nginx',
  etcd: 'etcd',
  mooncake: 'Mooncake master',
  base: 'service',
  service: 'service',
  step: 'step',
  benchmark: 'benchmark',
  nats: 'nats-server',
};

/** `decode-0-0 (decode worker on node3)` */
export const describe = (process: string, role: ProcessRole, node: string | null): string =>
  `${process} (${ROLE_NAMES[role]}${node === null ? '' : ` on ${node}`})`;
