import { lookup } from 'node:dns/promises';

/**
 * What the job's nats-server listens on. Srtctl's own clients use the head's address; engines look the head up by name.
 * Where the name means that address alone, nothing else needs to be open; a name that leads elsewhere too (as to
 * 127.0.1.1 on the head itself) needs all of them.
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
