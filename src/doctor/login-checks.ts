import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { SrtctlError } from '../os/errors.ts';
import { findProgram } from '../os/find-program.ts';
import { fileSystemOf, gib } from './file-system.ts';
import { type Found, fail, ok, warn } from './finding.ts';
import type { Check } from './world.ts';

const OLDEST_NODE = [20, 18, 1] as const;
/** Logs and results of a run are small; with less than this a disk may fill within hours. */
const FEW_BYTES = 5 * 2 ** 30;

/** Checks of the machine where srtctl is called. */
export const LOGIN_CHECKS: readonly Check[] = [
  {
    id: 'srtslurm.yaml',
    async run({ clusterFile }) {
      if (clusterFile !== undefined) return [ok(clusterFile)];
      return [
        warn(
          'no srtslurm.yaml: every setting has its default',
          'write one (docs/how-to/slurm.md), or set SRTSLURM_CONFIG to its path',
        ),
      ];
    },
  },
  {
    id: 'aliases',
    async run({ cluster }) {
      const named = [
        ...Object.entries(cluster.model_paths ?? {}).map((entry) => ['model_paths', ...entry] as const),
        ...Object.entries(cluster.containers ?? {}).map((entry) => ['containers', ...entry] as const),
        ...(cluster.srtctl_root ? [['srtctl_root', '', cluster.srtctl_root] as const] : []),
      ];
      const missing = named.filter(([, , path]) => isAbsolute(path) && !existsSync(path));
      if (missing.length > 0)
        return missing.map(([key, name, path]) =>
          warn(
            `${key}${name === '' ? '' : `.${name}`}: ${path} does not exist`,
            'correct it in srtslurm.yaml',
          ),
        );
      return named.length > 0 ? [ok(`${named.length} paths exist`)] : [];
    },
  },
  {
    id: 'node',
    async run() {
      const version = process.versions.node.split('.').map(Number);
      const at = OLDEST_NODE.findIndex((least, index) => least !== version[index]);
      if (at >= 0 && (version[at] ?? 0) < (OLDEST_NODE[at] ?? 0))
        return [fail(`Node ${process.versions.node}`, `Node ${OLDEST_NODE.join('.')} or newer is needed`)];
      return [ok(`Node ${process.versions.node}, ${process.execPath}`)];
    },
  },
  {
    id: 'srtctl',
    run: async ({ distDir, asksNodes }) => [
      await onSharedDisk(distDir, asksNodes, 'clone srtctl to a file system that every node has'),
    ],
  },
  { id: 'nats-server', run: async ({ env, cwd }) => [found('nats-server', env, cwd)] },
  {
    id: 'etcd',
    async run({ env, cwd }) {
      const result = found('etcd', env, cwd);
      if (result.status === 'ok') return [result];
      return [{ ...result, status: 'warn', text: `${result.text}; only the dynamo frontend needs it` }];
    },
  },
  {
    id: 'output_dir',
    async run({ outputs, asksNodes }) {
      const probe = join(outputs, `.srtctl-doctor-${process.pid}`);
      const advice = 'set output_dir in srtslurm.yaml to a directory of yours on a shared file system';
      try {
        await mkdir(outputs, { recursive: true });
        await writeFile(probe, 'x');
      } catch (error) {
        return [fail(`${outputs} cannot be written: ${messageOf(error)}`, advice)];
      } finally {
        await rm(probe, { force: true });
      }
      const { freeBytes } = await fileSystemOf(outputs);
      return [
        await onSharedDisk(outputs, asksNodes, advice),
        ...(freeBytes < FEW_BYTES
          ? [warn(`${outputs} has ${gib(freeBytes)} free`, 'free space, or set output_dir elsewhere')]
          : []),
      ];
    },
  },
];

/**
 * Only a node can tell whether it sees the same directory; the kind of file system shows how likely that is.
 */
async function onSharedDisk(path: string, asksNodes: boolean, advice: string): Promise<Found> {
  const { name, shared } = await fileSystemOf(path);
  if (shared !== false || asksNodes) return ok(`${path} (${name})`);
  return warn(`${path} is on ${name}, which nodes may not share`, `${advice}; --all checks it on the nodes`);
}

function found(name: 'nats-server' | 'etcd', env: NodeJS.ProcessEnv, cwd: string): Found {
  try {
    return ok(findProgram(name, env, cwd));
  } catch (error) {
    if (!(error instanceof SrtctlError)) throw error;
    return fail(error.message, error.hint ?? '');
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
