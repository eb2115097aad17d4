import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SrtctlError } from '../errors.ts';
import { frontendFor } from '../frontends/index.ts';
import { startGuard } from '../guard.ts';
import { jobSpecSchema } from '../messages/job-files.ts';
import { toToken } from '../messages/subjects.ts';
import { ownLog } from '../own-log.ts';
import type { JobContext } from '../plan/kinds.ts';
import { planVariant } from '../plan/plan.ts';
import { createRuntimeContext } from '../plan/runtime-context.ts';
import { clusterConfigSchema } from '../recipe/cluster.ts';
import { loadedVariantSchema } from '../recipe/load.ts';
import { freePort } from '../slurm/local.ts';
import { createServerCertificate } from './certificates.ts';
import { Coordinator } from './coordinator.ts';
import { jobPaths } from './files.ts';
import { findProgram } from './find-program.ts';
import { createJobKeys, type JobKeys } from './keys.ts';
import { listenAddress } from './listen.ts';
import { NatsServer } from './nats-server.ts';
import { choosePlatform, type PlatformChoice } from './platform.ts';
import { readPointResults } from './point-results.ts';
import { pointsInOrder } from './points-in-order.ts';
import { DEFAULT_SUPERVISION } from './roster.ts';

const EPOCH = 1;

/** `node coordinator.js JOB_SPEC`: JOB_SPEC is <job id>.json. Ends with the run's exit code. */
async function main(): Promise<void> {
  const log = ownLog();
  const specFile = process.argv[2];
  if (!specFile) {
    process.stderr.write('usage: coordinator JOB_SPEC\n');
    process.exit(2);
  }

  process.on('uncaughtException', die);
  process.on('unhandledRejection', die);

  const spec = jobSpecSchema.parse(JSON.parse(await readFile(specFile, 'utf8')));
  const variant = loadedVariantSchema.parse(spec.variant);
  const cluster = clusterConfigSchema.parse(spec.cluster);
  const distDir = dirname(fileURLToPath(import.meta.url));
  const { logs } = jobPaths(spec.jobDir, spec.jobId);
  await mkdir(logs, { recursive: true });
  const tmpDir = await mkdtemp(join(tmpdir(), `srtctl-${userInfo().uid}-${toToken(spec.jobId)}-`));
  // Should this process be killed, the guard ends nats-server and the local agents, whose own guards end the rest.
  const guard = startGuard({
    script: join(distDir, 'guard.sh'),
    mark: `SRTCTL_COORDINATOR=${spec.jobId}/${randomUUID()}`,
    directory: tmpDir,
    onLost: (why) => log.warn({ why }, 'the guard is gone: another one is started'),
  });

  const etcd = usesEtcd() ? [dirname(findProgram('etcd', process.env, process.cwd()))] : [];
  // On a cluster each node has a directory of its own, which its agent makes; here it is the coordinator's.
  const nodeTmpDir = spec.mode === 'slurm' ? `${tmpDir}-node` : tmpDir;
  const here: PlatformChoice = await choosePlatform({
    spec,
    nodeTmpDir,
    cluster,
    variant,
    distDir,
    programDirs: [...etcd, join(process.cwd(), '.srtctl/bin')],
    guard,
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
  const keys: JobKeys = {
    ...createJobKeys(agents.map(({ name }) => name)),
    ...(encrypted ? { tls: await createServerCertificate([headAddress, headName]) } : {}),
  };
  const nats = new NatsServer({
    jobId: spec.jobId,
    host: headAddress,
    listen,
    logFile: join(logs, 'nats.log'),
    keys,
    binary: findProgram('nats-server', process.env, process.cwd()),
    directory: tmpDir,
    began: (pid) => guard.began(pid),
    over: (pid) => guard.over(pid),
    onRestart: (why) => log.warn({ why }, 'nats-server is started again'),
    onGone: (why) => coordinator.busGone(why),
  });
  await nats.start();

  const infraPorts = {
    nats: nats.port,
    etcdClient: await freePort(headAddress),
    etcdPeer: await freePort(headAddress),
  };
  const runtimeAt = (addresses: ReadonlyMap<string, string>): JobContext => {
    const runtime = createRuntimeContext({
      jobId: spec.jobId,
      nodes,
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
      setupScript: spec.setupScript,
      realEngines: !spec.mock,
    });
    if (!spec.mock) return runtime;
    // Simulated engines are the node's own programs: whether or not a container is around them, its paths are the node's.
    const logDirInside = runtime.logDir;
    return {
      ...runtime,
      logDirInside,
      forRecipe: (recipe) => ({ ...runtime.forRecipe(recipe), logDirInside }),
    };
  };
  const places = runtimeAt(new Map());

  const coordinator = new Coordinator({
    spec,
    agents,
    agentExtras: {
      networkInterface: cluster.network_interface ?? null,
      path: here.agentPath,
      ...here.launch,
      stopDirs: `${tmpDir}-stop`,
      ...(spec.mode === 'slurm' ? { tmpDir: nodeTmpDir } : {}),
    },
    points: pointsInOrder(variant, nodes, runtimeAt),
    sweep: variant.sweep,
    finished: (await readPointResults(spec.jobDir)).filter(({ status }) => status === 'done'),
    plan: (addresses) => planVariant(variant, runtimeAt(addresses)),
    pointDir: (ordinal, name) => places.pointDir(ordinal, name),
    platform,
    nats,
    keys,
    supervision: DEFAULT_SUPERVISION,
    joinTimeoutMs: joining,
    epoch: EPOCH,
    signatures: join(distDir, 'signatures.yaml'),
    log,
  });

  process.on('SIGINT', () => coordinator.interrupt('interrupted (Ctrl-C)', 130));
  process.on('SIGTERM', () => coordinator.interrupt(here.whyTerminated(), 143));
  process.on('SIGHUP', () => coordinator.interrupt('the terminal is gone (SIGHUP)', 143));
  // `apply --local` holds the other end: when it is gone nobody is there to want the run.
  process.on('disconnect', () => coordinator.interrupt('the command that started the run is gone', 143));

  const exitCode = await coordinator.run();
  await rm(tmpDir, { recursive: true, force: true });
  await guard.dismiss();
  log.info({ exitCode }, 'coordinator ends');
  process.exit(exitCode);

  function usesEtcd(): boolean {
    return variant.points.some(({ recipe }) => frontendFor(recipe.frontend.type)?.needsEtcd);
  }

  /** What a person can mend has a line and an exit code of its own; else a defect of ours. The guard ends what runs. */
  function die(error: unknown): void {
    if (error instanceof SrtctlError) {
      process.stderr.write(`srtctl: ${error.oneLine()}\n`);
      process.exit(error.exitCode);
    }
    log.fatal({ error: error instanceof Error ? error.stack : String(error) }, 'the coordinator broke');
    process.exit(70);
  }
}

void main();
