import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * What a test needs. `unit`: only this process. `process`: programs that it starts on this machine, among
 * them srtctl's own from dist/. `lab`: a Slurm cluster, or real engines and routers.
 */
export const KINDS = ['unit', 'process', 'lab'] as const;
export type Kind = (typeof KINDS)[number];

const LAB = /^test\/(real\/|platform\/slurm\/cluster\.test\.ts$)/;

/**
 * A test that mentions one of these starts programs. Derived from the text, so that no list of tests can
 * become outdated.
 */
const STARTS_PROGRAMS =
  /node:child_process|execa|dist\/|startTestBus|NatsServer|\/(job|jobs|marked|signal|leftovers|simulated-node|stand-ins|tmux)\.ts'/;

export function kindOf(path: string, text: string): Kind {
  if (LAB.test(path)) return 'lab';
  return STARTS_PROGRAMS.test(text) ? 'process' : 'unit';
}

/** All test files of the repository by kind, as paths from its root. */
export function testsByKind(root: string): Record<Kind, string[]> {
  const tests: Record<Kind, string[]> = { unit: [], process: [], lab: [] };
  for (const name of readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' }).sort()) {
    if (!name.endsWith('.test.ts')) continue;
    const path = `test/${name}`;
    tests[kindOf(path, readFileSync(join(root, path), 'utf8'))].push(path);
  }
  return tests;
}
