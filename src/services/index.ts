import type { ServiceProtocol } from './common/protocol.ts';
import { etcd } from './etcd.ts';
import { dcgmExporter, nodeExporter, processExporter } from './exporters.ts';
import { generic } from './generic.ts';
import { gms } from './gms.ts';
import { llmdSidecar } from './llm-d-sidecar.ts';
import { lmcacheServer } from './lmcache-server.ts';
import { mooncakeDonor } from './mooncake-donor.ts';
import { mooncakeMaster } from './mooncake-master.ts';
import { mooncakeStore } from './mooncake-store.ts';
import { nats } from './nats.ts';
import { ray } from './ray.ts';

/** Every kind of service. A new one is one line here, and its file. */
export const serviceKinds: readonly ServiceProtocol[] = [
  generic,
  etcd,
  nats,
  mooncakeMaster,
  mooncakeStore,
  mooncakeDonor,
  lmcacheServer,
  gms,
  llmdSidecar,
  ray,
  dcgmExporter,
  nodeExporter,
  processExporter,
];

export const serviceKind = (type: string): ServiceProtocol | undefined =>
  serviceKinds.find((kind) => kind.type === type);
