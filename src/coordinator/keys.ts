import { nkeys } from 'nats';
import type { Lifeline } from './lifeline.ts';

export interface KeyPair {
  /** Secret: only ever in files with mode 0600. */
  readonly seed: string;
  readonly publicKey: string;
}

/** Keys of one job: one for each role, and one for each node's agent. */
export interface JobKeys {
  readonly coordinator: KeyPair;
  readonly operator: KeyPair;
  readonly system: KeyPair;
  readonly agents: ReadonlyMap<string, KeyPair>;
}

export function createJobKeys(nodes: readonly string[]): JobKeys {
  return {
    coordinator: createKeyPair(),
    operator: createKeyPair(),
    system: createKeyPair(),
    agents: new Map(nodes.map((node) => [node, createKeyPair()])),
  };
}

/** As they were kept for a coordinator that takes over. */
export const keysOf = ({ keys }: Pick<Lifeline, 'keys'>): JobKeys => ({
  ...keys,
  agents: new Map(keys.agents),
});

function createKeyPair(): KeyPair {
  const pair = nkeys.createUser();
  const seed = new TextDecoder().decode(pair.getSeed());
  return { seed, publicKey: pair.getPublicKey() };
}
