import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { access, open, readdir, readFile, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { outputOf } from '../os/processes/output-of.ts';
import { findMarker, markIn, ownerLives, ownerMark } from '../os/processes/owner-mark.ts';
import type { Gpu, NodeReport, NodeRequest } from './node-report.ts';

const SMI_MS = 15_000;

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

export async function gpus(): Promise<Pick<NodeReport, 'gpus' | 'gpuError'>> {
  const query = ['--query-gpu=index,name,memory.used,memory.total', '--format=csv,noheader,nounits'];
  try {
    const stdout = await outputOf('nvidia-smi', query, { timeoutMs: SMI_MS });
    const list = stdout.split('\n').flatMap((line): Gpu[] => {
      const [index = '', name = '', used, total] = line.split(',').map((word) => word.trim());
      return index === '' ? [] : [{ index, name, usedMib: Number(used) || 0, totalMib: Number(total) || 0 }];
    });
    return { gpus: list, gpuError: null };
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT')
      return { gpus: null, gpuError: null };
    return { gpus: [], gpuError: messageOf(error).split('\n').at(-1) ?? '' };
  }
}

export async function portsTaken(ports: readonly number[]): Promise<number[]> {
  const taken = await Promise.all(
    ports.map(
      (port) =>
        new Promise<number[]>((resolve) => {
          const server = createServer();
          server.once('error', () => resolve([port]));
          server.listen({ port, exclusive: true }, () => server.close(() => resolve([])));
        }),
    ),
  );
  return taken.flat();
}

/**
 * Processes of this user that a job of srtctl started. They carry a mark in their environment; a process
 * without one (an engine that sets its title overwrites it) is found by the mark in its limits, when its
 * owner has ended.
 */
export async function marked(proc = '/proc'): Promise<NodeReport['leftovers']> {
  const pids = (await readdir(proc)).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const text = (file: string) => readFile(join(proc, pid, file), 'latin1').catch(() => undefined);
      const environ = await text('environ');
      // The kernel shows the limits of another user's process, but not its environment.
      if (environ === undefined) return [];
      const job = environ
        .split('\0')
        .find((each) => each.startsWith('SRTCTL_JOB='))
        ?.slice('SRTCTL_JOB='.length);
      if (job === undefined && !isOrphan((await text('limits')) ?? '')) return [];
      const command = ((await text('cmdline')) ?? '').replaceAll('\0', ' ').trim().slice(0, 120);
      return [{ pid: Number(pid), job: job ?? null, command }];
    }),
  );
  return found.flat();
}

function isOrphan(limits: string): boolean {
  const mark = markIn(limits);
  return mark !== undefined && ownerLives(mark) === false;
}

/**
 * Whether a process can get a mark here that it cannot lose, and which keeper an agent would have
 * (agent-launcher.ts).
 */
export async function ownership(): Promise<NodeReport['ownership']> {
  const hard = ownerMark(process.pid, 'agent');
  const keepers = [
    ['perl', ['-MConfig', '-e', '1']],
    ['python3', ['-I', '-S', '-c', 'import ctypes']],
  ] as const;
  const works = await Promise.all(
    keepers.map(([program, args]) =>
      outputOf(program, args, { timeoutMs: SMI_MS }).then(
        () => program,
        () => null,
      ),
    ),
  );
  return {
    mark: hard !== undefined && findMarker(hard) !== undefined,
    keeper: works.find((program) => program !== null) ?? null,
  };
}

/** null when the model can be read, else the reason. */
export async function modelProblem(path: string): Promise<string | null> {
  try {
    const isDirectory = (await stat(path)).isDirectory();
    if (!isDirectory) {
      await readable(path);
      return null;
    }
    const [file] = (await readdir(path, { withFileTypes: true })).filter((entry) => entry.isFile());
    if (file === undefined) return 'the directory has no files';
    await readable(join(path, file.name));
    return null;
  } catch (error) {
    return messageOf(error);
  }
}

export async function missingOf(paths: readonly string[]): Promise<string[]> {
  const found = await Promise.all(
    paths.map((path) =>
      access(path).then(
        () => [],
        () => [path],
      ),
    ),
  );
  return found.flat();
}

async function readable(file: string): Promise<void> {
  const handle = await open(file, 'r');
  try {
    await handle.read(Buffer.alloc(1), 0, 1, 0);
  } finally {
    await handle.close();
  }
}

export async function freeInTmp(): Promise<NodeReport['tmp']> {
  const path = tmpdir();
  const { bavail, bsize } = await statfs(path);
  return { path, freeBytes: bavail * bsize };
}

/** The version of srtctl here: nodes must have the same one as the login node. */
export async function versionOf(distDir: string): Promise<string | null> {
  const code = await readFile(join(distDir, 'programs/node-agent.cjs')).catch(() => undefined);
  return code === undefined ? null : createHash('sha256').update(code).digest('hex').slice(0, 12);
}

export async function outputs(
  { outputs: directory, token }: NodeRequest,
  node: string,
): Promise<NodeReport['outputs']> {
  const seesToken = await access(join(directory, token)).then(
    () => true,
    () => false,
  );
  const own = join(directory, `${token}-${node}`);
  const writeProblem = await writeFile(own, node).then(
    () => null,
    (error: unknown) => messageOf(error),
  );
  await rm(own, { force: true }).catch(() => {});
  return { seesToken, writeProblem };
}

export async function isOnPath(name: string): Promise<boolean> {
  const places = (process.env.PATH ?? '').split(delimiter);
  const there = await Promise.all(
    places.map((place) =>
      access(join(place, name), constants.X_OK).then(
        () => true,
        () => false,
      ),
    ),
  );
  return there.includes(true);
}
