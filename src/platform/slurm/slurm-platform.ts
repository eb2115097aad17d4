import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import type { Logger } from 'pino';
import { agentLogName } from '../../messages/job-directory/files.ts';
import { childHandle, ORDERLY } from '../../os/processes/process-handle.ts';
import { stepEnvironment } from '../containers/step-environment.ts';
import { LaunchedAgents } from '../launch/launched.ts';
import type { AgentGroup, AgentLaunch, OnAgentEnd, Platform } from '../launch/launcher.ts';
import { agentLauncher, ENDED_SUFFIX, FAILED_SUFFIX } from './agent-launcher.ts';
import type { SlurmAllocation } from './allocation.ts';
import { lastWords } from './last-words.ts';
import { agentStepArgs } from './srun.ts';

/** How long srun may take to end after its agents have ended. */
const LEAVE_MS = 10_000;
/** With a lost node srun would wait until Slurm notices the loss, which may take minutes. */
const LEAVE_WITH_LOST_MS = 500;
const TERM_MS = 3_000;
const LOOK_EVERY_MS = 500;

export interface SlurmPlatformOptions {
  readonly allocation: SlurmAllocation;
  readonly headAddress: string;
  readonly containers: boolean;
  readonly agentScript: string;
  /** Starts each agent in its own PID namespace. */
  readonly pidNamespace?: boolean;
  /** The job's directory on each node, and the prefix of the path of each agent's own directory. */
  readonly tmpDir: string;
  readonly stopDirs: string;
  readonly runtimes: Readonly<Record<string, string>>;
  readonly spareRuntimes: Readonly<Record<string, string>>;
  readonly mounts: readonly string[];
  readonly srunOptions: Readonly<Record<string, string>>;
  readonly logDir: string;
  readonly env: NodeJS.ProcessEnv;
  readonly log: Logger;
  readonly began: (processGroup: number) => void;
  readonly over: (processGroup: number) => void;
  /** The set of launched processes has changed. */
  readonly onLaunched?: () => void;
}

/** A Slurm allocation: one srun for the agents of each image. */
export function createSlurmPlatform(options: SlurmPlatformOptions): Platform {
  const { allocation, headAddress, containers, logDir, log } = options;
  const [head = ''] = allocation.nodes;
  const catalogue = join(dirname(options.agentScript), 'signatures.yaml');
  const steps = new LaunchedAgents(options);
  let watching: NodeJS.Timeout | undefined;

  const launch = (agents: readonly AgentLaunch[], onEnd: OnAgentEnd): void => {
    const [first] = agents;
    if (!first) return;
    const { group, configFile } = first;
    const suffix = suffixOf(group);
    const args = agentStepArgs({
      nodes: agents.map(({ node }) => node),
      everyNode: group.name === '' && agents.length === allocation.nodes.length,
      hetGroups: allocation.hetGroups,
      output: outputOf(group),
      jobName: group.name === '' ? 'srtctl-agents' : `srtctl-agents-${group.name}`,
      container: group.image === null ? null : { image: group.image, mounts: options.mounts },
      options: group.image === null ? {} : options.srunOptions,
      ...(group.srunOptions ? { own: group.srunOptions } : {}),
      command: agentLauncher({
        configDir: dirname(configFile),
        suffix,
        agentScript: options.agentScript,
        pidNamespace: options.pidNamespace ?? false,
        tmpDir: options.tmpDir,
        stopDirs: options.stopDirs,
        runtimes: options.runtimes,
        spareRuntimes: options.spareRuntimes,
      }),
    });
    const file = openSync(srunLogOf(group), 'a', 0o644);
    const child = spawn('srun', args, {
      detached: true,
      stdio: ['ignore', file, file],
      env: stepEnvironment(options.env),
    });
    closeSync(file);
    log.info({ args, nodes: agents.length }, 'srun of the agents');
    const step = { process: childHandle(child), agents: agents.map(({ name }) => name) };
    steps.add(step, endOf(agents, onEnd));
  };

  const suffixOf = ({ name }: AgentGroup): string => (name === '' ? '' : `/${name}`);
  const outputOf = (group: AgentGroup): string => join(logDir, agentLogName(`%N${suffixOf(group)}`));
  const srunLogOf = (group: AgentGroup): string =>
    join(logDir, `srun${suffixOf(group).replace('/', '_')}.out`);

  /**
   * Reports the agents of an srun that has ended. Agents of a killed srun may still run; the roster notices the silent
   * ones.
   */
  const endOf =
    (launched: readonly AgentLaunch[], onEnd: OnAgentEnd) => (how: string, names: readonly string[]) => {
      const agents = launched.filter(({ name }) => names.includes(name));
      if (how.startsWith('SIG')) {
        log.warn({ signal: how }, 'srun was killed');
        return;
      }
      void Promise.all(
        agents.map(async ({ name, node, group }) => {
          if (how.startsWith('cannot')) return onEnd(name, how.replace('started:', 'started: srun:'));
          // When a step could not begin on a node (without its image, for example), its message is in the agent's log.
          const own = outputOf(group).replaceAll('%N', node);
          const words = await lastWords(own, catalogue);
          const logFile = srunLogOf(group);
          const told =
            words === '' ? `${await lastWords(logFile, catalogue)}; see ${logFile}` : `${words}; see ${own}`;
          // When a node cannot be reached, srun ends the step and with it the agents of all other nodes.
          onEnd(name, `ended: srun ended${how === 'unknown' ? '' : ` with ${how}`}${told}`, {
            isShared: agents.length > 1,
            isOrderly: how === ORDERLY,
          });
        }),
      );
    };

  const watchFor = (agents: readonly AgentLaunch[], onEnd: OnAgentEnd): void => {
    const [first] = agents;
    if (first && !watching) watching = watchFailures(dirname(first.configFile), agents, onEnd);
  };

  return {
    addresses: new Map([[head, headAddress]]),
    hostNames: 'names',
    containers,
    claim: null,
    launchAgents(agents, onEnd): void {
      const groups = new Map<string, AgentLaunch[]>();
      for (const agent of agents) {
        const list = groups.get(agent.group.name) ?? [];
        list.push(agent);
        groups.set(agent.group.name, list);
      }
      for (const group of groups.values()) launch(group, onEnd);
      watchFor(agents, onEnd);
    },
    adoptAgents(named, agents, onEnd): string[] {
      watchFor(agents, onEnd);
      return steps.adopt(named, endOf(agents, onEnd));
    },
    get launched() {
      return steps.running.map(({ process: { pid, startedAt }, agents }) => ({ pid, startedAt, agents }));
    },
    // Killing an srun would end its other agents too; a frozen agent ends when its lease expires.
    endAgents: () => undefined,
    async stop(lost): Promise<void> {
      clearInterval(watching);
      await steps.ended(lost.length > 0 ? LEAVE_WITH_LOST_MS : LEAVE_MS);
      for (const { process } of steps.running) process.kill('SIGTERM');
      await steps.ended(TERM_MS);
      for (const { process } of steps.running) process.kill('SIGKILL');
    },
    async release(): Promise<void> {},
  };
}

/** A shell adds 128 to the number of the signal that ended a program. */
function howOf(code: number): string {
  const signal = Object.entries(constants.signals).find(([, number]) => number === code - 128);
  return signal === undefined ? `with exit code ${code}` : `by ${signal[0]}`;
}

/** The launcher script of a node writes into files beside the agents' configs why an agent did not start, or ended. */
function watchFailures(configDir: string, agents: readonly AgentLaunch[], onEnd: OnAgentEnd): NodeJS.Timeout {
  const take = async (file: string): Promise<string> => {
    const text = await readFile(join(configDir, file), 'utf8').catch(() => '');
    // A new agent on the node may fail for another reason.
    await rm(join(configDir, file), { force: true });
    return text.trim();
  };
  const look = async (): Promise<void> => {
    for (const file of await readdir(configDir).catch(() => []))
      if (file.endsWith(FAILED_SUFFIX)) {
        const node = file.slice(0, -FAILED_SUFFIX.length);
        const reason = await take(file);
        for (const agent of agents) if (agent.node === node) onEnd(agent.name, `could not start: ${reason}`);
      } else if (file.endsWith(ENDED_SUFFIX)) {
        const name = file.slice(0, -ENDED_SUFFIX.length).replace('%2f', '/');
        const code = await take(file);
        if (agents.some((agent) => agent.name === name))
          onEnd(name, `ended ${howOf(Number(code))}`, { isBeforeHello: true });
      }
  };
  return setInterval(() => void look(), LOOK_EVERY_MS);
}
