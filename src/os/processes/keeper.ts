import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** The command of a keeper, without the agent's own words, which are in its environment. */
export interface Keeper {
  readonly command: readonly string[];
  /** Environment from which the keeper reads `argv`. */
  environment(argv: readonly string[]): Record<string, string>;
}

const PROGRAMS = [
  { name: 'perl', options: [], check: ['-MConfig', '-e', '1'], script: 'keeper.pl' },
  { name: 'python3', options: ['-I', '-S'], check: ['-c', 'import ctypes'], script: 'keeper.py' },
] as const;

/** The keeper of this machine (its task is in keeper.pl); undefined where neither perl nor python3 runs. */
export function findKeeper(distDir: string, env: NodeJS.ProcessEnv = process.env): Keeper | undefined {
  const directories = (env.PATH ?? '/usr/bin:/bin').split(delimiter);
  for (const { name, options, check, script } of PROGRAMS) {
    const program = directories.map((each) => join(each, name)).find((path) => existsSync(path));
    if (program === undefined || !existsSync(join(distDir, script))) continue;
    const { status } = spawnSync(program, [...options, ...check], { env, stdio: 'ignore', timeout: 10_000 });
    if (status !== 0) continue;
    return {
      command: [program, ...options, join(distDir, script)],
      environment: (argv) => ({ SRTCTL_KEPT: argv.map((word) => `${word}\x1f`).join('') }),
    };
  }
  return undefined;
}
