import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, it } from 'vitest';

/** Where scripts/real/setup.sh installs real programs. */
const HOME = resolve('.srtctl/real');

/** A Python environment with real programs in it, or the programs from Debian. */
export type Environment =
  | 'routers'
  | 'dynamo'
  | 'dynamo-old'
  | 'vllm'
  | 'dynamo-vllm'
  | 'sglang'
  | 'mooncake'
  | 'aiperf'
  | 'accuracy'
  | 'bus'
  | 'monitoring'
  | 'parquet'
  | 'debian';

const marker = (name: Environment): string => join(HOME, name, name === 'debian' ? '.nginx' : 'made-from');

export const pythonOf = (name: Exclude<Environment, 'debian'>): string => join(HOME, name, 'bin/python3');

/** A program of an environment: `programOf('dynamo', 'nats-server')`. */
export const programOf = (name: Environment, program: string): string =>
  name === 'debian'
    ? ([`usr/sbin/${program}`, `usr/bin/${program}`].map((path) => join(HOME, name, path)).find(existsSync) ??
      join(HOME, name, 'usr/sbin', program))
    : join(HOME, name, 'bin', program);

/** Directory with the shared libraries that programs of Debian's packages need. */
export const debianLibraries = join(HOME, 'debian/usr/lib/x86_64-linux-gnu');

/** The same with those that Debian keeps for the start of the system, which Mooncake needs too. */
export const mooncakeLibraries = `${debianLibraries}:${join(HOME, 'debian/lib/x86_64-linux-gnu')}`;

/**
 * A suite that runs real programs. Without them it is skipped with a message; in CI a skipped suite fails the
 * run (test/support/totals.ts).
 */
export function describeReal(name: string, needs: readonly Environment[], suite: () => void): void {
  const missing = needs.filter((environment) => !existsSync(marker(environment)));
  if (missing.length === 0) {
    describe(name, suite);
    return;
  }
  const why = `needs ${missing.join(' and ')}: run scripts/real/setup.sh ${missing.join(' ')}`;
  describe(name, () => it.skip(why, () => undefined));
}
