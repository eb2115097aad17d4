import { createUserKey } from '../../messages/bus/nkey.ts';
import type { Handover } from '../takeover/handover-file.ts';
import type { ServerCertificate } from './certificates.ts';

export interface KeyPair {
  /** Secret: stored only in files with mode 0600. */
  readonly seed: string;
  readonly publicKey: string;
}

/** Keys of one job: one for each role, and one for each node's agent. */
export interface JobKeys {
  readonly coordinator: KeyPair;
  readonly operator: KeyPair;
  readonly system: KeyPair;
  /** May watch and replay what is public on the bus; for colleagues and dashboards. */
  readonly reader: KeyPair;
  /** Makes the stream that readers replay. */
  readonly librarian: KeyPair;
  readonly agents: ReadonlyMap<string, KeyPair>;
  /** Only when `bus.tls` asks for a certificate. */
  readonly tls?: ServerCertificate;
}

export function createJobKeys(nodes: readonly string[]): JobKeys {
  return {
    coordinator: createUserKey(),
    operator: createUserKey(),
    system: createUserKey(),
    reader: createUserKey(),
    librarian: createUserKey(),
    agents: new Map(nodes.map((node) => [node, createUserKey()])),
  };
}

/** The keys from the hand-over file of a previous coordinator. */
export const keysOf = ({ keys: { tls, ...keys } }: Pick<Handover, 'keys'>): JobKeys => ({
  ...keys,
  reader: keys.reader ?? createUserKey(),
  librarian: keys.librarian ?? createUserKey(),
  ...(tls ? { tls } : {}),
  agents: new Map(keys.agents),
});
