import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connectBus, inboxOf } from '../messages/bus/nats-bus.ts';
import { createOutbox } from '../messages/bus/outbox.ts';
import { agentSource } from '../messages/events/authorship.ts';
import { subjectsOf, toToken } from '../messages/events/subjects.ts';
import { agentConfigSchema } from '../messages/job-directory/job-files.ts';
import type { GpuHolder } from '../messages/spec/gpu-holder.ts';
import { EXIT } from '../os/errors.ts';
import { removeOwnDirectory } from '../os/files/own-directory.ts';
import { addressOfInterface, addressTowards } from '../os/own-address.ts';
import { ownLog } from '../os/own-log.ts';
import { startGuard } from '../os/processes/guard.ts';
import { setOwnUmask } from '../os/processes/own-umask.ts';
import { findMarker, limitsPattern, OWNER_VARIABLE, ownerMark } from '../os/processes/owner-mark.ts';
import { sourceStack } from '../os/source-stack.ts';
import { createSteadyClock } from '../os/steady-clock.ts';
import { NodeAgent } from './agent.ts';
import { ExecRequests } from './exec/exec-requests.ts';
import { endOrphanedJob } from './leftovers/end-orphaned-job.ts';
import { claimDirectory, clearDirectories } from './leftovers/left-directories.ts';
import { clearLeftovers } from './leftovers/leftovers.ts';
import { processIdentity } from './leftovers/marks.ts';
import type { TableOptions } from './processes/entry.ts';
import { ProcessTable } from './processes/process-table.ts';
import { createCommandBuilder } from './start/launch.ts';
import { osSpawner } from './start/spawn.ts';
import { startTelemetry } from './telemetry/telemetry.ts';
import { findGpuHolders } from './watch/gpu-holders.ts';
import { OomWatch } from './watch/oom.ts';

setOwnUmask();

const CONNECT_PATIENCE_MS = 60_000;
/** Set by keeper.pl and keeper.py: their own pid. */
const KEEPER_VARIABLE = 'SRTCTL_KEEPER';

/**
 * `node node-agent.js CONFIG`: CONFIG is this agent's config (0600), made by the coordinator; `node node-agent.js
 * DIRECTORY NAME [INCARNATION]`: the config of the agent NAME in a directory with all of them.
 */
async function main(): Promise<void> {
  const log = ownLog();
  const configFile = process.argv[2];
  if (!configFile) {
    process.stderr.write('usage: node-agent CONFIG\n');
    process.exit(2);
  }

  const name = process.argv[3];
  const file = name === undefined ? configFile : join(configFile, `agent-${toToken(name)}.json`);
  const config = agentConfigSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  const incarnation = process.argv[4] ?? randomUUID();
  const agentMark = `${config.jobId}/${config.node}/${incarnation}`;
  const subjects = subjectsOf(config.jobId);
  const here = dirname(fileURLToPath(import.meta.url));

  const address = await ownAddress();

  const keeper = ownKeeper();
  const owner = ownerOfAll();
  const environment = inherited();
  const foreseen = prepareNode();
  const bus = await connectBus({
    url: config.url,
    seed: config.seed,
    job: config.jobId,
    name: `agent ${config.node} ${incarnation}`,
    inbox: inboxOf('agent', config.node),
    ca: config.ca,
    patienceMs: CONNECT_PATIENCE_MS,
    onDenied: (error) => die(`the bus refused this agent: ${error.message}`, error),
    log: (message, detail) =>
      log.warn({ detail: detail === undefined ? undefined : String(detail) }, message),
  });
  const clock = createSteadyClock();
  const source = agentSource(config.node, incarnation);
  const outbox = createOutbox({ bus, job: config.jobId, source, now: clock.date });
  const guard = startGuard({
    script: join(here, 'guard.sh'),
    mark: `SRTCTL_AGENT=${agentMark}`,
    limits: owner && limitsPattern(owner.hard),
    directory: config.tmpDir,
    stopDir: config.stopDir,
    onLost: (why) => log.warn({ why }, 'the guard is gone: another one is started'),
  });
  // After the guard, which removes the directory when this agent is killed.
  if (config.tmpDir !== undefined) claimDirectory(config.tmpDir, config.node);

  const oom = new OomWatch();
  setInterval(() => oom.tick(), 1_000).unref();
  const onDefect = (what: string, error: unknown): void => log.error({ error: String(error) }, what);
  const owned = {
    ...{ guard, agentMark, agentId: processIdentity(process.pid), jobNode: `${config.jobId}/${config.node}` },
    ...{ owner, keeper, environment, onDefect },
  };
  const table = new ProcessTable({
    ...owned,
    spawner: osSpawner,
    ...(config.nodeBinary === undefined ? {} : { words: { [config.nodeBinary]: process.execPath } }),
    launcher: createCommandBuilder({ ...config, distDir: here, incarnation }),
    // Nodes with loopback addresses share a machine.
    listenAddress: address.startsWith('127.') ? address : '0.0.0.0',
    oomKills: () => oom.recentKills(),
    onTransition: (transition) => agent.publish(transition),
    onEmpty: () => agent.onEmpty(),
  });
  const telemetry =
    config.telemetry &&
    startTelemetry({
      ...{ config, incarnation, bus, subjects, table, environment, clock, log },
      packScript: join(here, 'telemetry-pack.js'),
    });
  const exec = config.exec
    ? new ExecRequests({ ...owned, node: config.node, table, outbox, log })
    : undefined;
  const agent = new NodeAgent({
    config,
    incarnation,
    address,
    bus,
    outbox,
    subjects,
    table,
    telemetry,
    exec,
    gpuHolders: await foreseen,
    log,
    now: () => performance.now(),
    clock: { now: clock.now, source },
    onEnd: (why, exitCode, { leaseExpired }) => void leave(why, exitCode, leaseExpired),
  });

  process.on('uncaughtException', (error) => die('uncaught exception', error));
  process.on('unhandledRejection', (error) => die('unhandled rejection', error));
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const)
    process.on(signal, () => agent.signalled(`the agent was sent ${signal}`));
  // Before the log's last lines, which may wait for the disk.
  process.prependListener('exit', () => table.killAll());

  log.info({ node: config.node, address, incarnation }, 'agent starts');
  agent.start();

  /** Before anything is started: ends leftovers of earlier agents, and finds processes that hold a GPU. */
  async function prepareNode(): Promise<GpuHolder[]> {
    const left = await clearLeftovers({ jobId: config.jobId, node: config.node });
    if (left.length > 0) log.warn({ left }, 'ended leftover processes of earlier agents');
    const directories = clearDirectories(join(here, 'guard.sh'));
    if (directories.length > 0) log.warn({ directories }, 'removed leftover directories of earlier agents');
    const holders = await findGpuHolders({ jobId: config.jobId, env: environment });
    if (holders.length > 0) log.warn({ holders }, 'other programs hold GPUs');
    return holders;
  }

  /** Pid of this process's keeper (keeper.pl); undefined without one. */
  function ownKeeper(): number | undefined {
    const told = Number(process.env[KEEPER_VARIABLE]);
    return told === process.ppid ? told : undefined;
  }

  /**
   * The mark of everything that this agent starts. It names the keeper, if any, because the two end together.
   */
  function ownerOfAll(): TableOptions['owner'] {
    const hard = ownerMark(keeper ?? process.pid, 'agent');
    const marker = hard === undefined ? undefined : findMarker(hard);
    if (hard !== undefined && marker) return { hard, marker };
    log.warn('no limit of file locks can be set here: processes that erase their environment are not found');
    return undefined;
  }

  /**
   * Environment of every process on this node, with the node's own address and the path of the Node binary.
   */
  function inherited(): Record<string, string> {
    const env: Record<string, string> = {};
    for (const [name, value] of Object.entries(process.env)) if (value !== undefined) env[name] = value;
    // The variable identifies agents and their keepers.
    delete env[OWNER_VARIABLE];
    delete env[KEEPER_VARIABLE];
    env.SRTCTL_JOB = config.jobId;
    env.SRTCTL_NODE = config.node;
    env.SRTCTL_NODE_ADDRESS = address;
    env.SRTCTL_NODE_BIN = process.execPath;
    const { prepend = [], append = [] } = config.path ?? {};
    env.PATH = [...prepend, env.PATH ?? '/usr/bin:/bin', ...append].join(delimiter);
    return env;
  }

  /**
   * The coordinator's address for this node, else that of the named interface, else that of the route to the
   * bus.
   */
  async function ownAddress(): Promise<string> {
    const { address: told, networkInterface, url } = config;
    if (told !== null) return told;
    if (networkInterface) {
      const found = addressOfInterface(networkInterface);
      if (found !== undefined) return found;
      log.warn(
        { networkInterface },
        'no such network interface here: using the address of the route to the bus',
      );
    }
    return addressTowards(new URL(url).hostname);
  }

  async function leave(why: string, exitCode: number, leaseExpired: boolean): Promise<void> {
    log.info({ why, exitCode }, 'agent ends');
    await bus.close(1_000);
    await guard.dismiss();
    for (const directory of [config.tmpDir, config.stopDir])
      if (directory !== undefined) removeOwnDirectory(directory);
    if (leaseExpired) await endOrphanedJob({ config, why, log });
    process.exit(exitCode);
  }

  function die(why: string, error: unknown): void {
    table.killAll();
    log.fatal({ error: error instanceof Error ? sourceStack(error) : String(error) }, why);
    process.exit(EXIT.broke);
  }
}

void main();
