import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { stringify } from 'yaml';
import { ALONE } from '../../support/alone.ts';
import { until } from '../../support/bus.ts';
import { RunningJob } from '../../support/job.ts';
import { removeLeftovers } from '../../support/leftovers.ts';
import { signal } from '../../support/signal.ts';
import { type Environment, pythonOf } from './programs.ts';

/** Loading engines use all of a small machine; these limits keep agents from being lost. */
const PATIENT = resolve(import.meta.dirname, '../../support/patient.yaml');

export interface RealWays {
  /** The Python environment of `python3` in the recipe's commands. */
  readonly python: Exclude<Environment, 'debian'>;
  /**
   * Modules that `python3 -m MODULE` runs elsewhere: `simulator` is srtctl's own stand-in; a path is a
   * program that gets all arguments of python3.
   */
  readonly modules?: Readonly<Record<string, 'simulator' | (string & {})>>;
  /** Directories in front of the rest of PATH. */
  readonly path?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** More options of `srtctl apply`. */
  readonly args?: readonly string[];
}

/**
 * A process of a run, as the kernel reports it, because a program that sets a title hides its command line.
 */
export interface RunProcess {
  readonly pid: number;
  readonly ppid: number;
  readonly group: number;
  readonly session: number;
  /** The command line, or the title that the program set. */
  readonly title: string;
}

/** Real engines compute on the cores of the load generator, which makes it late. */
const ANY_CLIENT = ['send_lag_ms', 'loop_delay_ms', 'client_busy', 'client_frozen_ms', 'slow_start'].flatMap(
  (limit) => ['--set', `benchmark.validity.${limit}=false`],
);

/** A run of `srtctl apply --local` on real programs, in a network and a /dev/shm of its own. */
export class RealJob extends RunningJob {
  readonly shm: string;

  constructor(outputs: string, shm: string, args: readonly string[], env: Readonly<Record<string, string>>) {
    super(outputs, args, { ...env, SHM: shm }, [ALONE]);
    this.shm = shm;
  }

  /** Processes in the run's network, without the command itself. */
  processes(): RunProcess[] {
    const net = this.#network();
    if (net === undefined) return [];
    const found: RunProcess[] = [];
    for (const name of readdirSync('/proc')) {
      const pid = Number(name);
      if (!(pid > 0) || pid === this.child.pid) continue;
      try {
        if (readlinkSync(`/proc/${pid}/ns/net`) !== net) continue;
        const stat = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)?.split(' ') ?? [];
        if (stat[0] === 'Z' || stat[0] === 'X') continue;
        const title = readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ').trim();
        found.push({
          pid,
          ppid: Number(stat[1]),
          group: Number(stat[2]),
          session: Number(stat[3]),
          title: title || readFileSync(`/proc/${pid}/comm`, 'utf8').trim(),
        });
      } catch {
        // It has ended in the meantime.
      }
    }
    return found;
  }

  /** Seen once, the network identifies the run even after the command has ended. */
  #net: string | undefined;
  #network(): string | undefined {
    if (this.#net !== undefined) return this.#net;
    try {
      const net = readlinkSync(`/proc/${this.child.pid}/ns/net`);
      // Until unshare(1) has made the new network, the command is in the test's own.
      if (net !== readlinkSync('/proc/self/ns/net')) this.#net = net;
    } catch {
      // It has not started, or has ended.
    }
    return this.#net;
  }

  /** Waits for a process whose title matches. */
  processOf(title: RegExp): Promise<RunProcess> {
    return until(`a process ${title}`, () => this.processes().find((each) => title.test(each.title)));
  }

  /** Sends a signal to the first process whose title matches, and returns that process. */
  async hurt(title: RegExp, name: NodeJS.Signals): Promise<RunProcess> {
    const found = await this.processOf(title);
    signal(found.pid, name);
    return found;
  }

  /** Remaining processes in the run's network and files in its /dev/shm. */
  stillThere(): string[] {
    const processes = this.processes().map(({ pid, title }) => `process ${pid}: ${title.slice(0, 200)}`);
    const shared = existsSync(this.shm) ? readdirSync(this.shm).map((name) => `/dev/shm/${name}`) : [];
    return [...processes, ...shared];
  }

  /**
   * Waits until no process, no shared memory and no directory of the run is left; the error names what is
   * left.
   */
  override async nothingLeft(): Promise<void> {
    let left: string[] = [];
    const look = (): boolean => {
      left = this.stillThere();
      return left.length === 0;
    };
    await until('nothing of the run left', look).catch((error: Error) =>
      Promise.reject(new Error(`${error.message}; there is ${left.join('\n')}`)),
    );
    await super.nothingLeft();
  }

  /** Ends everything in the run's network, at the end of a test, also of a failed one. */
  async endAll(): Promise<void> {
    this.#network();
    await this.stop();
    for (let round = 0; round < 20 && this.processes().length > 0; round++) {
      for (const { pid } of this.processes()) signal(pid, 'SIGKILL');
      await until('an end', () => this.processes().length === 0, 1_000).catch(() => undefined);
    }
    for (const id of existsSync(this.outputs) ? readdirSync(this.outputs) : [])
      if (id.startsWith('local-')) await removeLeftovers(id);
  }
}

/** `python3` of a run: the environment's own, except for modules that run elsewhere. */
function pythonScript({ python, modules = {} }: RealWays): string {
  const cases = Object.entries(modules).map(([module, where]) =>
    where === 'simulator'
      ? `    ${module}) exec "$SRTCTL_NODE_BIN" "$REAL_SIMULATOR" "$@" ;;`
      : `    ${module}) exec "${where}" "$@" ;;`,
  );
  return `#!/bin/sh
# Made by test/real/support/real-jobs.ts.
: "\${SRTCTL_NODE_BIN:=node}"
if [ "\${1-}" = -m ]; then
  case \${2-} in
${cases.join('\n')}
    *) ;;
  esac
fi
exec "${pythonOf(python)}" "$@"
`;
}

/** Real runs for the tests of one file. After each test everything that it started is ended. */
export function useRealJobs(common: RealWays) {
  let directory = '';
  const started: RealJob[] = [];
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'srtctl-real-'));
  });
  const endAll = async (): Promise<void> => {
    await Promise.all(started.splice(0).map((job) => job.endAll()));
  };
  afterEach(endAll);
  afterAll(async () => {
    await endAll();
    await rm(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  });

  /** Runs a recipe (an object, or YAML) through `srtctl apply --local`. */
  async function apply(recipe: object | string, ways: Partial<RealWays> = {}): Promise<RealJob> {
    const all: RealWays = { ...common, ...ways, env: { ...common.env, ...ways.env } };
    const own = await mkdtemp(join(directory, 'run-'));
    const [bin, shm, outputs] = [join(own, 'bin'), join(own, 'shm'), join(own, 'out')];
    for (const each of [bin, shm, outputs]) await mkdir(each);
    for (const name of ['python3', 'python']) {
      await writeFile(join(bin, name), pythonScript(all));
      await chmod(join(bin, name), 0o755);
    }
    const file = join(own, 'recipe.yaml');
    await writeFile(file, typeof recipe === 'string' ? recipe : stringify(recipe));
    const path = [bin, ...(all.path ?? []), dirname(pythonOf(all.python)), process.env.PATH ?? ''].join(
      delimiter,
    );
    const args = ['apply', '-f', file, '--local', '--again', ...ANY_CLIENT, ...(all.args ?? [])];
    const job = new RealJob(outputs, shm, args, {
      PATH: path,
      REAL_SIMULATOR: resolve('dist/simulator.js'),
      HF_HUB_OFFLINE: '1',
      SRTCTL_SIM_LOAD_MS: '100',
      SRTCTL_SIM_SPEED: '10',
      SRTSLURM_CONFIG: PATIENT,
      ...all.env,
    });
    started.push(job);
    return job;
  }

  return {
    /** A directory for files of the tests. */
    get dir(): string {
      return directory;
    },
    apply,
  };
}
