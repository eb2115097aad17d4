import { lookup } from 'node:dns/promises';

/**
 * The address on which the job's nats-server listens. srtctl's own clients use the head's address; engines look the
 * head up by name. When the name resolves to that address alone, the server listens only there. When it also resolves
 * to another address (to 127.0.1.1 on the head itself, for example), the server listens on all addresses.
 */
export async function listenAddress(
  name: string,
  address: string,
  resolve: (name: string) => Promise<readonly string[]> = addressesOf,
): Promise<string> {
  const found = await resolve(name).catch(() => []);
  return found.length > 0 && found.every((each) => each === address) ? address : '0.0.0.0';
}

const addressesOf = async (name: string): Promise<string[]> =>
  (await lookup(name, { all: true, family: 4 })).map((each) => each.address);
