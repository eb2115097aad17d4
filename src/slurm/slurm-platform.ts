import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Logger } from 'pino';
import { tailOf } from '../log-tail.ts';
import { agentLauncher, FAILED_SUFFIX } from './agent-launcher.ts';
import type { SlurmAllocation } from './allocation.ts';
import type { AgentLaunch, Platform } from './launcher.ts';
import { agentStepArgs, stepEnvironment } from './srun.ts';

/** How long srun may take to notice that its agents have ended by themselves. */
const LEAVE_MS = 10_000;
/** With a node gone srun would wait until Slurm notices, which may take minutes. */
const LEAVE_WITH_LOST_MS = 500;
const TERM_MS = 3_000;
const LOOK_EVERY_MS = 500;

export interface SlurmPlatformOptions {
  readonly allocation: SlurmAllocation;
  readonly headAddress: string;
  readonly containers: boolean;
  readonly agentScript: string;
  /** Each agent in a PID namespace of its own. */
  readonly pidNamespace?: boolean;
  readonly runtimes: Readonly<Record<string, string>>;
  readonly mounts: readonly string[];
  readonly srunOptions: Readonly<Record<string, string>>;
  readonly logDir: string;
  readonly env: NodeJS.ProcessEnv;
  readonly log: Logger;
  readonly began: (processGroup: number) => void;
  readonly over: (processGroup: number) => void;
}

/** A Slurm allocation: one srun for the agents of each image. */
export function createSlurmPlatform(options: SlurmPlatformOptions): Platform {
  const { allocation, headAddress, containers, logDir, log } = options;
  const [head = ''] = allocation.nodes;
  const steps = new Set<ChildProcess>();
  let watching: NodeJS.Timeout | undefined;

  const launch = (agents: readonly AgentLaunch[], onEnd: (name: string, reason: string) => void): void => {
    const [first] = agents;
    if (!first) return;
    const { group, configFile } = first;
    const suffix = group.name === '' ? '' : `/${group.name}`;
    const output = join(logDir, `%N${suffix.replace('/', '_')}_agent.out`);
    const args = agentStepArgs({
      nodes: agents.map(({ node }) => node),
      everyNode: group.name === '',
      hetGroups: allocation.hetGroups,
      output,
      jobName: group.name === '' ? 'srtctl-agents' : `srtctl-agents-${group.name}`,
      container: group.image === null ? null : { image: group.image, mounts: options.mounts },
      options: group.image === null ? {} : options.srunOptions,
      command: agentLauncher({
        configDir: dirname(configFile),
        suffix,
        agentScript: options.agentScript,
        pidNamespace: options.pidNamespace ?? false,
        runtimes: options.runtimes,
      }),
    });
    const logFile = join(logDir, `srun${suffix.replace('/', '_')}.out`);
    const file = openSync(logFile, 'a', 0o644);
    const child = spawn('srun', args, {
      detached: true,
      stdio: ['ignore', file, file],
      env: stepEnvironment(options.env),
    });
    closeSync(file);
    steps.add(child);
    log.info({ args, nodes: agents.length }, 'srun of the agents');
    const { pid } = child;
    if (pid !== undefined) options.began(pid);
    const endOf = (reason: string): void => {
      for (const { name } of agents) onEnd(name, reason);
    };
    child.once('error', (error) => {
      steps.delete(child);
      endOf(`cannot be started: srun: ${error.message}`);
    });
    child.once('exit', (code, signal) => {
      steps.delete(child);
      if (pid !== undefined) options.over(pid);
      // Agents may outlive an srun that was killed; who is silent is then missed by the roster.
      if (signal !== null) log.warn({ signal }, 'srun was killed');
      else
        void Promise.all(
          agents.map(async ({ name, node }) => {
            // A step that could not begin there, as without its image, says so where the agent would write.
            const own = output.replaceAll('%N', node);
            const words = await lastWords(own);
            const told =
              words === '' ? `${await lastWords(logFile)}; see ${logFile}` : `${words}; see ${own}`;
            onEnd(name, `ended: srun ended with exit code ${code}${told}`);
          }),
        );
    });
  };

  return {
    addresses: new Map([[head, headAddress]]),
    hostNames: 'names',
    containers,
    launchAgents(agents, onEnd): void {
      const groups = new Map<string, AgentLaunch[]>();
      for (const agent of agents) {
        const list = groups.get(agent.group.name) ?? [];
        list.push(agent);
        groups.set(agent.group.name, list);
      }
      for (const group of groups.values()) launch(group, onEnd);
      const [first] = agents;
      if (first) watching = watchFailures(dirname(first.configFile), agents, onEnd);
    },
    async stop(lost): Promise<void> {
      clearInterval(watching);
      await ended(steps, lost.length > 0 ? LEAVE_WITH_LOST_MS : LEAVE_MS);
      for (const step of steps) step.kill('SIGTERM');
      await ended(steps, TERM_MS);
      for (const step of steps) step.kill('SIGKILL');
    },
    async release(): Promise<void> {},
  };
}

/** What a node's launcher has to say is in a file beside the agents' configs. */
function watchFailures(
  configDir: string,
  agents: readonly AgentLaunch[],
  onEnd: (name: string, reason: string) => void,
): NodeJS.Timeout {
  const told = new Set<string>();
  const look = async (): Promise<void> => {
    const names = await readdir(configDir).catch(() => []);
    for (const file of names) {
      if (!file.endsWith(FAILED_SUFFIX) || told.has(file)) continue;
      told.add(file);
      const node = file.slice(0, -FAILED_SUFFIX.length);
      const reason = (await readFile(join(configDir, file), 'utf8').catch(() => '')).trim();
      for (const agent of agents) if (agent.node === node) onEnd(agent.name, `could not start: ${reason}`);
    }
  };
  return setInterval(() => void look(), LOOK_EVERY_MS);
}

async function ended(steps: ReadonlySet<ChildProcess>, withinMs: number): Promise<void> {
  if (steps.size === 0) return;
  let timer: NodeJS.Timeout | undefined;
  const all = Promise.all([...steps].map((step) => new Promise((resolve) => step.once('exit', resolve))));
  await Promise.race([
    all,
    new Promise((resolve) => {
      timer = setTimeout(resolve, withinMs);
    }),
  ]);
  clearTimeout(timer);
}

/** For people alone: nothing depends on what srun says. */
async function lastWords(logFile: string): Promise<string> {
  const text = await tailOf(logFile, 3).then(
    (piece) => piece.text.trim(),
    () => '',
  );
  return text === '' ? '' : ` (${text.replaceAll(/\s*\n\s*/g, ' / ')})`;
}
