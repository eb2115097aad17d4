import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { delimiter, join } from 'node:path';
import type { AgentLaunch, Platform } from './launcher.ts';
import { INIT, UNSHARE } from './pid-namespace.ts';

/** A listener on this port of a block's first address shows that a job has the block; it goes with its process. */
const CLAIM_PORT = 41_999;
const BLOCKS = 200;
/** An agent makes little garbage: young generations of 1 MB in place of 16 save it 10 MB of memory. */
const AGENT_FLAGS = ['--max-semi-space-size=1'];
/** Longer than the grace of any process that an agent may have to wait for. */
const STOP_GRACE_MS = 12_000;
/** Addresses .0 and .1 of a block are not nodes. */
const FIRST_HOST = 2;

export interface LocalOptions {
  readonly nodes: readonly string[];
  /** Directory with dist's files. */
  readonly distDir: string;
  /** What is around the engines; on this machine only what an agent itself starts. */
  readonly containers?: boolean;
  /** Stand-ins for the engines, put first on the agents' PATH. */
  readonly mock: boolean;
  readonly env: NodeJS.ProcessEnv;
  /** Each agent in a PID namespace of its own. */
  readonly pidNamespace?: boolean;
  /** Told of each agent's process group, so that none outlives a coordinator that was killed. */
  readonly began: (processGroup: number) => void;
  readonly over: (processGroup: number) => void;
}

/**
 * The local stand-in for Slurm: every node is an agent process on this machine with a loopback address of its own
 * (127.<block>.0.2, .3, …), so that all nodes can use the same ports. A block belongs to one job at a time.
 */
export async function createLocalPlatform(options: LocalOptions): Promise<Platform> {
  const { block, claim } = await claimBlock();
  const addresses = new Map(options.nodes.map((node, index) => [node, addressIn(block, index)]));
  const children = new Map<string, ChildProcess>();
  const env = environmentOf(options);

  return {
    addresses,
    hostNames: 'addresses',
    containers: options.containers === true,
    launchAgents(agents: readonly AgentLaunch[], onEnd): void {
      for (const { name: node, configFile, logFile } of agents) {
        const log = openSync(logFile, 'a', 0o644);
        // Its own process group: Ctrl-C in the terminal is for the coordinator, which stops agents over the bus.
        const around = options.pidNamespace ? [...UNSHARE, ...INIT] : [];
        const [command = '', ...args] = [
          ...[...around, process.execPath],
          ...[...AGENT_FLAGS, join(options.distDir, 'node-agent.js'), configFile],
        ];
        const child = spawn(command, args, {
          detached: true,
          stdio: ['ignore', log, log],
          env,
        });
        closeSync(log);
        children.set(node, child);
        const { pid } = child;
        if (pid !== undefined) options.began(pid);
        child.once('error', (error) => onEnd(node, `cannot be started: ${error.message}`));
        child.once('exit', (code, signal) => {
          children.delete(node);
          if (pid !== undefined) options.over(pid);
          onEnd(node, signal ? `was ended by ${signal}` : `ended with exit code ${code}`);
        });
      }
    },
    async stop(lost): Promise<void> {
      const left = [...children];
      const ended = left.map(([, child]) => new Promise((resolve) => child.once('exit', resolve)));
      // To the group: around an agent in a namespace are others, which do not hear SIGTERM.
      for (const [node, child] of left) killGroup(child, lost.includes(node) ? 'SIGKILL' : 'SIGTERM');
      const timer = setTimeout(() => {
        for (const [, child] of left) killGroup(child, 'SIGKILL');
      }, STOP_GRACE_MS);
      await Promise.all(ended);
      clearTimeout(timer);
    },
    release: () => new Promise((resolve) => claim.close(() => resolve())),
  };
}

function killGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(-pid, signal);
  } catch {
    // It has ended by itself.
  }
}

function environmentOf({ env, mock, distDir }: LocalOptions): NodeJS.ProcessEnv {
  if (!mock) return env;
  return { ...env, PATH: [join(distDir, 'mock-bin'), env.PATH ?? '/usr/bin:/bin'].join(delimiter) };
}

/** The address of the node at `index` in a block; exported for its test. */
export function addressIn(block: number, index: number): string {
  const host = index + FIRST_HOST;
  return `127.${block}.${host >> 8}.${host & 255}`;
}

async function claimBlock(): Promise<{ block: number; claim: Server }> {
  for (let block = 0; block < BLOCKS; block++) {
    const claim = await listen(`127.${block}.0.1`, CLAIM_PORT);
    if (claim) return { block, claim };
  }
  throw new Error(`no loopback addresses left: ${BLOCKS} local jobs run on this machine`);
}

/** undefined when somebody else has it. */
function listen(host: string, port: number): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
    );
    server.listen({ host, port, exclusive: true }, () => {
      server.unref();
      resolve(server);
    });
  });
}

/** A TCP port of `host` that nobody listens on now. */
export async function freePort(host: string): Promise<number> {
  const server = await listen(host, 0);
  if (!server) throw new Error(`no free port on ${host}`);
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error(`no port on ${host}`);
  return address.port;
}
