import { randomUUID } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { jobPaths } from '../messages/job-directory/files.ts';
import { jobSpecSchema } from '../messages/job-directory/job-files.ts';
import type { JobContext } from '../model/kinds.ts';
import { EXIT, SrtctlError } from '../os/errors.ts';
import { commandOf, findProgram } from '../os/find-program.ts';
import { machineHasGpus } from '../os/machine.ts';
import { ownLog } from '../os/own-log.ts';
import type { PatientGuard } from '../os/processes/guard.ts';
import { setOwnUmask } from '../os/processes/own-umask.ts';
import {
  COORDINATORS,
  COORDINATORS_NUMBERS,
  findMarker,
  limitsPattern,
  ownerMark,
} from '../os/processes/owner-mark.ts';
import { adopt } from '../os/processes/process-handle.ts';
import { sourceStack } from '../os/source-stack.ts';
import { createSteadyClock } from '../os/steady-clock.ts';
import { natsLogins, natsPayloadOf } from '../plan/infra.ts';
import { nodesNeeded, planSweep, spareNodesOf } from '../plan/plan.ts';
import { createRuntimeContext } from '../plan/runtime-context.ts';
import { containerRuntimeOf } from '../platform/container-runtime.ts';
import { choosePlatform, type PlatformChoice } from '../platform/index.ts';
import { freePort } from '../platform/local/local-platform.ts';
import { notDoneOf, notDoneOfCluster } from '../recipe/checks/not-done.ts';
import { loadedVariantSchema } from '../recipe/load.ts';
import { clusterConfigSchema } from '../recipe/schema/cluster.ts';
import { telemetrySettings } from '../recipe/schema/telemetry-settings.ts';
import { supervisionSchema } from '../recipe/values/supervision.ts';
import { numbersOf } from '../recipe/variant.ts';
import { runsEtcd } from '../services/effective.ts';
import { supervisionOf } from './agents/roster.ts';
import { createServerCertificate } from './bus-server/certificates.ts';
import { createJobKeys, type JobKeys, keysOf } from './bus-server/keys.ts';
import { listenAddress } from './bus-server/listen.ts';
import { natsServerFor } from './bus-server/nats-release.ts';
import { NatsServer } from './bus-server/nats-server.ts';
import { Coordinator } from './coordinator.ts';
import { readPointResults } from './record/read-results.ts';
import { startReporter } from './reporter.ts';
import { pointsInOrder } from './sweep/points-in-order.ts';
import { startCoordinatorGuard } from './takeover/coordinator-guard.ts';
import { clearDeadJobs, ownHome, removeHome } from './takeover/dead-jobs.ts';
import { EpochLock } from './takeover/epoch-lock.ts';
import { findRun } from './takeover/find-run.ts';
import { HandoverFile } from './takeover/handover-file.ts';

setOwnUmask();

/** `node coordinator.js JOB_SPEC`: JOB_SPEC is <job id>.json. Ends with the run's exit code. */
async function main(): Promise<void> {
  const log = ownLog();
  const specFile = process.argv[2];
  if (!specFile) {
    process.stderr.write('usage: coordinator JOB_SPEC\n');
    process.exit(2);
  }

  let guard: PatientGuard | undefined;
  let handover: HandoverFile | undefined;
  process.on('uncaughtException', die);
  process.on('unhandledRejection', die);

  const spec = jobSpecSchema.parse(JSON.parse(await readFile(specFile, 'utf8')));
  const variant = loadedVariantSchema.parse(spec.variant);
  const cluster = clusterConfigSchema.parse(spec.cluster);
  const settings = variant.points[0]?.recipe.supervision ?? supervisionSchema.parse({});
  const distDir = dirname(fileURLToPath(import.meta.url));
  const guardScript = join(distDir, 'guard.sh');
  const { logs, natsLog } = jobPaths(spec.jobDir, spec.jobId);
  await mkdir(logs, { recursive: true });
  const { epoch, home: tmpDir, found } = await findRun(spec);
  const last = found?.handover ?? null;
  const clock = createSteadyClock(last?.clockOffsetMs);
  if (found) log.warn({ epoch, handover: last !== null }, 'takes over from a coordinator that has ended');
  const epochLock = new EpochLock(tmpDir, epoch, (why): never => {
    log.fatal({ epoch }, `${why}: this one ends, and touches nothing`);
    process.exit(EXIT.fenced);
  });
  epochLock.claim();
  await ownHome(tmpDir);
  const dead = clearDeadJobs(guardScript);
  if (dead.length > 0)
    log.warn({ dead }, 'what jobs left whose coordinator and guard were killed is removed');
  // If this process is killed and not started again, the guard ends nats-server and the local agents, whose own guards
  // end the rest. A coordinator that takes over marks its processes as its predecessor did, because the predecessor's
  // nats-server and agents go on.
  const hard = last?.mark === undefined ? ownerMark(process.pid, 'coordinator') : BigInt(last.mark);
  const marker = hard === undefined ? undefined : findMarker(hard);
  const mark = (number: number) =>
    marker && hard !== undefined ? (argv: readonly string[]) => marker(hard, number, argv) : undefined;
  guard = startCoordinatorGuard({
    script: guardScript,
    limits: hard === undefined ? undefined : limitsPattern(hard, COORDINATORS_NUMBERS),
    groups: last ? [last.nats, ...last.launched].flatMap((name) => adopt(name)?.pid ?? []) : [],
    home: tmpDir,
    epoch,
    mark: `SRTCTL_COORDINATOR=${spec.jobId}/${randomUUID()}`,
    onLost: (why) => log.warn({ why }, 'the guard is gone: another one is started'),
  });

  const reporter = startReporter({
    script: join(distDir, 'reporter.js'),
    specFile,
    recipe: variant.points[0]?.recipe,
    env: process.env,
    mark: mark(COORDINATORS.reporter),
    began: (pid) => guard?.began(pid),
    over: (pid) => guard?.over(pid),
    log,
  });
  const etcdCommand = usesEtcd() ? commandOf('etcd', process.env, process.cwd()) : 'etcd';
  const etcd = usesEtcd() ? [dirname(findProgram('etcd', process.env, process.cwd()))] : [];
  // On a cluster each node has its own directory, which the node's agent makes. On this machine it is the
  // coordinator's.
  const nodeTmpDir = spec.mode === 'slurm' ? `${tmpDir}-node` : tmpDir;
  const stopDirs = `${tmpDir}-stop`;
  const here: PlatformChoice = await choosePlatform({
    spec,
    nodeTmpDir,
    stopDirs,
    cluster,
    variant,
    distDir,
    programDirs: [...etcd, join(dirname(distDir), '.srtctl/bin')],
    guard,
    mark: mark(COORDINATORS.agent),
    onLaunched: () => void handover?.save(),
    claim: last?.claim ?? undefined,
    clock,
    log,
    env: process.env,
  });
  const { platform, nodes, headAddress, agents, join: joining } = here;
  const [headName = headAddress] = nodes;
  const listen = platform.hostNames === 'names' ? await listenAddress(headName, headAddress) : headAddress;
  if (listen !== headAddress)
    log.warn(
      { headName, headAddress },
      'nats-server listens on every interface: the name of the head node leads elsewhere too',
    );
  const encrypted = variant.points.some(({ recipe }) => recipe.bus.tls);
  const keys: JobKeys = last
    ? keysOf(last)
    : {
        ...createJobKeys(agents.map(({ name }) => name)),
        ...(encrypted ? { tls: await createServerCertificate([headAddress, headName]) } : {}),
      };
  const recipes = variant.points.map(({ recipe }) => recipe);
  const telemetry = recipes[0] && telemetrySettings(recipes[0], cluster);
  const exec = cluster.bus?.exec !== false && recipes.every(({ bus }) => bus.exec);
  const { binary, warning } = natsServerFor({
    recipes,
    mock: spec.mock,
    env: process.env,
    cwd: process.cwd(),
  });
  if (warning !== undefined) log.warn(warning);
  const nats = new NatsServer({
    jobId: spec.jobId,
    host: headAddress,
    listen,
    logFile: natsLog,
    keys,
    maxPayloadMb: Math.max(1, ...recipes.map((recipe) => natsPayloadOf(recipe) ?? 1)),
    logins: natsLogins(recipes),
    exec,
    binary,
    directory: tmpDir,
    mark: mark(COORDINATORS.natsServer),
    began: (pid) => guard?.began(pid),
    over: (pid) => guard?.over(pid),
    onStarted: () => void handover?.save(),
    onRestart: (why) => log.warn({ why }, 'nats-server is started again'),
    onGone: (why) => coordinator.busGone(why),
  });
  await (last ? nats.takeOver(last.nats) : nats.start());

  const infraPorts = last?.infraPorts ?? {
    nats: nats.port,
    etcdClient: await freePort(headAddress),
    etcdPeer: await freePort(headAddress),
  };
  let addresses: ReadonlyMap<string, string> = new Map(Object.entries(last?.addresses ?? {}));
  let lost: readonly string[] = last?.without ?? [];
  handover = new HandoverFile(
    tmpDir,
    () => ({
      v: 1,
      jobId: spec.jobId,
      clockOffsetMs: clock.offsetMs,
      mark: hard?.toString(),
      nats: nats.name,
      infraPorts,
      claim: platform.claim,
      addresses: Object.fromEntries(addresses),
      without: [...lost],
      keys: { ...keys, agents: [...keys.agents] },
      launched: [...platform.launched],
    }),
    (error) => log.error({ error: String(error) }, 'the hand-over file cannot be written'),
    () => epochLock.check(),
  );
  await handover.save();
  const runtimeAt = (addresses: ReadonlyMap<string, string>, without: readonly string[] = []): JobContext => {
    return createRuntimeContext({
      jobId: spec.jobId,
      nodes: nodes.filter((node) => !without.includes(node)),
      addresses: Object.fromEntries(addresses),
      hostNames: platform.hostNames,
      jobDir: spec.jobDir,
      tmpDir: nodeTmpDir,
      infraPorts,
      containers: platform.containers,
      containerPerProcess: here.launch.containers !== undefined,
      cluster,
      distDir,
      nodeBinary: process.execPath,
      etcdBinary: etcdCommand,
      setupScript: spec.setupScript,
      realEngines: !spec.mock,
      checksOptions: !spec.mock,
      ...(platform.port ? { port: platform.port } : {}),
      hasGpus: spec.mock || spec.mode === 'slurm' || machineHasGpus(),
    });
  };
  const places = runtimeAt(new Map());

  const coordinator = new Coordinator({
    spec,
    agents,
    agentExtras: {
      networkInterface: cluster.network_interface ?? null,
      nodeBinary: process.execPath,
      path: here.agentPath,
      ...here.launch,
      stopDirs,
      ...(spec.mode === 'slurm' ? { tmpDir: nodeTmpDir } : {}),
      ...(spec.hostSetup ? { staysForTeardown: true } : {}),
      ...(exec ? { exec } : {}),
      ...(telemetry === undefined
        ? {}
        : { telemetry: { ...telemetry, directory: jobPaths(spec.jobDir, spec.jobId).samples } }),
    },
    // A coordinator that takes over keeps the order of its predecessor.
    points: found?.state.points ?? (await pointsInOrder(variant, nodes, runtimeAt)),
    sweep: variant.sweep,
    results: await readPointResults(spec.jobDir),
    plan: (known, without) => planSweep(variant, runtimeAt(known, without)),
    onNodes: (known, without) => {
      addresses = known;
      lost = without;
      return handover?.save() ?? Promise.resolve();
    },
    notDone: (recipe) =>
      [
        ...notDoneOf(recipe, {
          mock: spec.mock,
          containers: platform.containers,
          runtime: containerRuntimeOf(cluster, spec),
          hostSetup: spec.hostSetup === true,
        }),
        ...notDoneOfCluster(cluster),
      ].map(({ path, text }) => `${path}: ${text}`),
    pointDir: (ordinal, name) => places.pointDir(ordinal, name, numbersOf(variant)),
    platform,
    nats,
    keys,
    supervision: supervisionOf(settings),
    joinTimeoutMs: joining,
    relaunchAgents: settings.relaunch_agents,
    spareNodes: Math.min(spareNodesOf(variant), nodes.length - nodesNeeded(variant)),
    clock,
    endsAt: here.endsAt,
    epoch,
    home: tmpDir,
    epochLock,
    found,
    signatures: join(distDir, 'signatures.yaml'),
    log,
  });

  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => reporter.giveUp());
  process.on('SIGINT', () => coordinator.interrupt('interrupted (Ctrl-C)', 130));
  process.on('SIGTERM', () => coordinator.interrupt(here.whyTerminated(), 143));
  process.on('SIGHUP', () => coordinator.interrupt('the terminal is gone (SIGHUP)', 143));
  // `apply --local` holds the other end of this channel; when it is gone, the run is no longer wanted.
  process.on('disconnect', () => coordinator.interrupt('the command that started the run is gone', 143));

  await coordinator.announce();
  const exitCode = await coordinator.run();
  await reporter.finish(clock.now(), here.endsAt);
  // A coordinator that died just before this job started is certainly dead by now.
  clearDead();
  epochLock.release();
  removeHome(tmpDir, guardScript);
  await guard.dismiss();
  log.info({ exitCode }, 'coordinator ends');
  process.exit(exitCode);

  function usesEtcd(): boolean {
    return variant.points.some(({ recipe }) => runsEtcd(recipe));
  }

  function clearDead(): void {
    const dead = clearDeadJobs(guardScript);
    if (dead.length > 0)
      log.warn({ dead }, 'what jobs left whose coordinator and guard were killed is removed');
  }

  /**
   * An error that a person can correct has its own line and exit code; any other is a defect of srtctl. The guard ends
   * all processes.
   */
  function die(error: unknown): void {
    if (error instanceof SrtctlError) {
      guard?.despair();
      process.stderr.write(`srtctl: ${error.oneLine()}\n`);
      process.exit(error.exitCode);
    }
    log.fatal(
      { error: error instanceof Error ? sourceStack(error) : String(error) },
      'the coordinator broke',
    );
    process.exit(EXIT.broke);
  }
}

void main();
