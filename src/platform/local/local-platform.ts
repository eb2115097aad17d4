import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { delimiter, join } from 'node:path';
import { endMarked, guardsAreGone } from '../../os/processes/guard.ts';
import { findKeeper } from '../../os/processes/keeper.ts';
import { limitsPattern, OWNER_VARIABLE, ownerMark } from '../../os/processes/owner-mark.ts';
import { childHandle, ORDERLY, type ProcessHandle } from '../../os/processes/process-handle.ts';
import { PUBLIC_PORT } from '../../recipe/values/public-port.ts';
import { LaunchedAgents } from '../launch/launched.ts';
import type { AgentLaunch, OnAgentEnd, Platform } from '../launch/launcher.ts';
import { INIT, UNSHARE } from '../launch/pid-namespace.ts';
import { LocalPorts } from './local-ports.ts';
import { blocksInUse } from './loopback.ts';

/** A listener on this port of a block's first address shows that a job has the block; it goes with its process. */
const CLAIM_PORT = 41_999;
const BLOCKS = 200;
/** An agent makes little garbage: young generations of 1 MB in place of 16 save it 10 MB of memory. */
const AGENT_FLAGS = ['--max-semi-space-size=1'];
/** Longer than the grace of any process that an agent may have to wait for. */
const STOP_GRACE_MS = 45_000;
const GUARD_MS = 5_000;
/** A keeper ends when all that its agent had started has ended, and memory of an engine may take its time. */
const KEEPER_MS = 5_000;
/** Of an agent that ended in good order nothing is left (as agent-launcher.ts has it, too). */
const IN_ORDER = ['exit code 0', 'exit code 2', 'exit code 75'];
/** Addresses .0 and .1 of a block are not nodes. */
const FIRST_HOST = 2;

export interface LocalOptions {
  readonly jobId: string;
  readonly nodes: readonly string[];
  /** Directory with dist's files. */
  readonly distDir: string;
  /** What is around the engines; on this machine only what an agent itself starts. */
  readonly containers?: boolean;
  /** Stand-ins for the engines, put first on the agents' PATH. */
  readonly mock: boolean;
  /** Directory of the job on this machine, which outlives a coordinator that is killed. */
  readonly home: string;
  /** Where clients are to send their requests; default: a free port. */
  readonly entryPort?: number | undefined;
  readonly env: NodeJS.ProcessEnv;
  /** Each agent in a PID namespace of its own. */
  readonly pidNamespace?: boolean;
  /** Puts the coordinator's mark on a command. */
  readonly mark?: ((argv: readonly string[]) => string[]) | undefined;
  /** Told of each agent's process group, so that none outlives a coordinator that was killed. */
  readonly began: (processGroup: number) => void;
  readonly over: (processGroup: number) => void;
  /** What runs is another set than before. */
  readonly onLaunched?: () => void;
  /** The block of a coordinator that was killed, whose job goes on. */
  readonly claim?: number | undefined;
}

/**
 * The local stand-in for Slurm: every node is an agent process on this machine with a loopback address of its own
 * (127.<block>.0.2, .3, …). A block belongs to one job at a time. Ports are free ones of the machine: something else may
 * have those of the plan on every address. Simulated nodes have them in common.
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

  /** The agent's command, and around it what ends all that the agent has started. */
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

  /** Ends what an agent ran that was killed with its keeper and its guard: nobody else is there to do that. */
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

  /** A keeper ends the agent and all that it has started; around an agent in a namespace is what ends that. */
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
        // Its own process group: Ctrl-C in the terminal is for the coordinator, which stops agents over the bus.
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
      // Of an agent that was killed the guard may still be at work, and nothing is to be left when we are done.
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

/** The whole group: around an agent in a namespace are others, which do not hear SIGTERM. */
function killGroup({ pid, hasEnded }: ProcessHandle, signal: NodeJS.Signals): void {
  try {
    if (pid > 0 && !hasEnded) process.kill(-pid, signal);
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

/**
 * A block that nobody has, and nobody's processes listen in (its coordinator may just be being started again); or the
 * one that is `ours`, whoever still holds it.
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
