import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { delimiter, join } from 'node:path';
import { endMarked, guardsAreGone } from '../../os/processes/guard.ts';
import { findKeeper } from '../../os/processes/keeper.ts';
import { limitsPattern, OWNER_VARIABLE, ownerMark } from '../../os/processes/owner-mark.ts';
import { childHandle, ORDERLY, type ProcessHandle } from '../../os/processes/process-handle.ts';
import { PUBLIC_PORT } from '../../recipe/values/ports.ts';
import { LaunchedAgents } from '../launch/launched.ts';
import type { AgentLaunch, OnAgentEnd, Platform } from '../launch/launcher.ts';
import { INIT, UNSHARE } from '../launch/pid-namespace.ts';
import { LocalPorts } from './local-ports.ts';
import { blocksInUse } from './loopback.ts';

/**
 * A listener on this port of a block's first address shows that a job has the block. It closes when its process ends.
 */
const CLAIM_PORT = 41_999;
const BLOCKS = 200;
/** An agent makes little garbage. Young generations of 1 MB instead of 16 MB save 10 MB of memory for each agent. */
const AGENT_FLAGS = ['--max-semi-space-size=1'];
/** Longer than the grace of any process that an agent may have to wait for. */
const STOP_GRACE_MS = 45_000;
const GUARD_MS = 5_000;
/** A keeper ends when all processes of its agent have ended, and an engine may take a while to free its memory. */
const KEEPER_MS = 5_000;
/** An agent that ended in good order has left no process (the same list as in agent-launcher.ts). */
const IN_ORDER = ['exit code 0', 'exit code 2', 'exit code 75'];
/** Addresses .0 and .1 of a block are not nodes. */
const FIRST_HOST = 2;

export interface LocalOptions {
  readonly jobId: string;
  readonly nodes: readonly string[];
  /** Directory with the files of dist/. */
  readonly distDir: string;
  /** Agents start containers around the engines. On this machine no other program starts them. */
  readonly containers?: boolean;
  /** Puts the stand-ins for the engines first on the agents' PATH. */
  readonly mock: boolean;
  /** The job's directory on this machine. It outlives a coordinator that is killed. */
  readonly home: string;
  /** The port for the requests of clients; default: a free port. */
  readonly entryPort?: number | undefined;
  readonly env: NodeJS.ProcessEnv;
  /** Starts each agent in its own PID namespace. */
  readonly pidNamespace?: boolean;
  /** Puts the coordinator's mark on a command. */
  readonly mark?: ((argv: readonly string[]) => string[]) | undefined;
  /** Called with each agent's process group, so that the guard can end the group when the coordinator is killed. */
  readonly began: (processGroup: number) => void;
  readonly over: (processGroup: number) => void;
  /** The set of launched processes has changed. */
  readonly onLaunched?: () => void;
  /** The block of a killed coordinator whose job this coordinator takes over. */
  readonly claim?: number | undefined;
}

/**
 * The local stand-in for Slurm: every node is an agent process on this machine with its own loopback address
 * (127.<block>.0.2, .3, …). A block belongs to one job at a time. The platform chooses free ports of the machine,
 * because another program may listen on a port of the plan at every address. Simulated nodes share the ports.
 */
export async function createLocalPlatform(options: LocalOptions): Promise<Platform> {
  const { block, claim } = await claimBlock(options.claim);
  const addresses = new Map(options.nodes.map((node, index) => [node, addressIn(block, index)]));
  const launched = new LaunchedAgents(options);
  const { home, entryPort, mock } = options;
  const chosen = new Map(entryPort === undefined ? [] : [[PUBLIC_PORT, entryPort]]);
  const ports = new LocalPorts({ block, home, chosen, perNode: !mock });
  const env = environmentOf(options);
  const keeper = findKeeper(options.distDir, env);
  const { mark = (argv: readonly string[]) => [...argv] } = options;

  /** The agent's command, inside of the command that ends all processes of the agent. */
  function commandOf(name: string, configFile: string): { argv: string[]; env: NodeJS.ProcessEnv } {
    const agent = [process.execPath, ...AGENT_FLAGS, join(options.distDir, 'node-agent.js'), configFile];
    const init = options.pidNamespace ? INIT : [];
    const around = options.pidNamespace ? UNSHARE : [];
    const owner = `${options.jobId}/${name}`;
    return {
      argv: mark([...around, ...(keeper ? [...keeper.command, owner] : [...init, ...agent])]),
      env: { ...env, [OWNER_VARIABLE]: owner, ...keeper?.environment(agent) },
    };
  }

  /**
   * Ends the processes of an agent that was killed together with its keeper and its guard, because nothing else does.
   */
  const sweeps = new Set<Promise<void>>();
  function sweepAfter({ pid, ended }: ProcessHandle): void {
    const hard = options.pidNamespace ? undefined : ownerMark(pid, 'agent');
    if (hard === undefined) return;
    void ended.then((how) => {
      if (IN_ORDER.includes(how)) return;
      const sweep = endMarked(join(options.distDir, 'guard.sh'), limitsPattern(hard));
      sweeps.add(sweep);
      void sweep.then(() => sweeps.delete(sweep));
    });
  }

  /** A keeper ends the agent and all its processes. For an agent in a namespace, the process around it does that. */
  function killAgent(handle: ProcessHandle): void {
    if (handle.pid <= 0 || handle.hasEnded) return;
    if (!keeper && !options.pidNamespace) {
      killGroup(handle, 'SIGKILL');
      return;
    }
    handle.kill('SIGCONT');
    handle.kill('SIGUSR1');
    const timer = setTimeout(() => killGroup(handle, 'SIGKILL'), KEEPER_MS);
    void handle.ended.then(() => clearTimeout(timer));
  }

  return {
    addresses,
    hostNames: 'addresses',
    containers: options.containers === true,
    claim: block,
    port: (node, planned) => ports.of(node, planned),
    launchAgents(agents: readonly AgentLaunch[], onEnd): void {
      for (const { name, configFile, logFile } of agents) {
        const log = openSync(logFile, 'a', 0o644);
        // A new process group, because Ctrl-C in the terminal must reach only the coordinator, which stops agents over
        // the bus.
        const { argv, env } = commandOf(name, configFile);
        const [command = '', ...args] = argv;
        const child = spawn(command, args, { detached: true, stdio: ['ignore', log, log], env });
        closeSync(log);
        const handle = childHandle(child);
        sweepAfter(handle);
        launched.add({ process: handle, agents: [name] }, endOf(onEnd));
      }
    },
    adoptAgents(named, _, onEnd): string[] {
      const agents = launched.adopt(named, endOf(onEnd));
      for (const { process } of launched.running) sweepAfter(process);
      return agents;
    },
    get launched() {
      return launched.running.map(({ process: { pid, startedAt }, agents }) => ({ pid, startedAt, agents }));
    },
    endAgents(names): void {
      for (const { process, agents } of launched.running)
        if (agents.some((name) => names.includes(name))) killAgent(process);
    },
    async stop(lost): Promise<void> {
      const left = launched.running;
      for (const { process, agents } of left)
        if (agents.some((name) => lost.includes(name))) killAgent(process);
        else killGroup(process, 'SIGTERM');
      await launched.ended(STOP_GRACE_MS, left);
      const stubborn = launched.running;
      for (const { process } of stubborn) killAgent(process);
      await Promise.all(stubborn.map(({ process }) => process.ended));
      // The guard of a killed agent may still be at work, and no process may be left when stop resolves.
      await Promise.all(sweeps);
      await guardsAreGone(`SRTCTL_AGENT=${options.jobId}/`, GUARD_MS);
    },
    release: () => (claim ? new Promise((resolve) => claim.close(() => resolve())) : Promise.resolve()),
  };
}

const endOf =
  (onEnd: OnAgentEnd) =>
  (how: string, agents: readonly string[]): void => {
    for (const name of agents) onEnd(name, ending(how), { isOrderly: how === ORDERLY });
  };

/** How an agent's process ended, as the end of a sentence about the agent. */
function ending(how: string): string {
  if (how.startsWith('SIG')) return `was ended by ${how}`;
  if (how.startsWith('cannot')) return how;
  return how === 'unknown' ? 'ended' : `ended with ${how}`;
}

/** Signals the whole group, because the processes around an agent in a namespace do not react to SIGTERM. */
function killGroup({ pid, hasEnded }: ProcessHandle, signal: NodeJS.Signals): void {
  try {
    if (pid > 0 && !hasEnded) process.kill(-pid, signal);
  } catch {
    // The process has already ended.
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

/**
 * Claims a block that no job has and in which no process listens (the block's coordinator may be restarting). Keeps
 * block `ours` even if another process still holds it.
 */
async function claimBlock(ours: number | undefined): Promise<{ block: number; claim: Server | undefined }> {
  if (ours !== undefined) return { block: ours, claim: await listen(addressOfClaim(ours), CLAIM_PORT) };
  const used = blocksInUse();
  for (let block = 0; block < BLOCKS; block++) {
    if (used.has(block)) continue;
    const claim = await listen(addressOfClaim(block), CLAIM_PORT);
    if (claim) return { block, claim };
  }
  throw new Error(`no loopback addresses left: ${BLOCKS} local jobs run on this machine`);
}

const addressOfClaim = (block: number): string => `127.${block}.0.1`;

/** undefined when another process has the port. */
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

/** A TCP port of `host` on which no process listens now. */
export async function freePort(host: string): Promise<number> {
  const server = await listen(host, 0);
  if (!server) throw new Error(`no free port on ${host}`);
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error(`no port on ${host}`);
  return address.port;
}
