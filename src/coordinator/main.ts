import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { SrtctlError } from '../errors.ts';
import { startGuard } from '../guard.ts';
import { jobSpecSchema } from '../messages/job-files.ts';
import { toToken } from '../messages/subjects.ts';
import { planVariant } from '../plan/plan.ts';
import { createRuntimeContext } from '../plan/runtime-context.ts';
import { clusterConfigSchema } from '../recipe/cluster.ts';
import { loadedVariantSchema } from '../recipe/load.ts';
import { createLocalPlatform, freePort } from '../slurm/local.ts';
import { Coordinator } from './coordinator.ts';
import { jobPaths } from './files.ts';
import { findProgram } from './find-program.ts';
import { createJobKeys } from './keys.ts';
import { NatsServer } from './nats-server.ts';
import { DEFAULT_SUPERVISION } from './roster.ts';

/** `node coordinator.js JOB_SPEC`: JOB_SPEC is <job id>.json. Ends with the run's exit code. */
const EPOCH = 1;
const JOIN_TIMEOUT_MS = 60_000;
const log = pino({ base: null, timestamp: pino.stdTimeFunctions.isoTime });
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
const guard = startGuard(
  join(distDir, 'guard.sh'),
  `SRTCTL_COORDINATOR=${spec.jobId}/${randomUUID()}`,
  tmpDir,
);

const platform = await createLocalPlatform({
  nodes: spec.nodes,
  distDir,
  mock: spec.mock,
  env: { ...process.env, PATH: [process.env.PATH ?? '', join(process.cwd(), '.srtctl/bin')].join(delimiter) },
  began: (group) => guard.began(group),
  over: (group) => guard.over(group),
});
const head = spec.nodes[0] ?? 'node1';
const headAddress = platform.addresses.get(head) ?? '127.0.0.1';
const keys = createJobKeys(spec.nodes);
const nats = new NatsServer({
  jobId: spec.jobId,
  host: headAddress,
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

const runtime = createRuntimeContext({
  jobId: spec.jobId,
  nodes: spec.nodes,
  addresses: Object.fromEntries(platform.addresses),
  hostNames: platform.hostNames,
  jobDir: spec.jobDir,
  tmpDir,
  infraPorts: {
    nats: nats.port,
    etcdClient: await freePort(headAddress),
    etcdPeer: await freePort(headAddress),
  },
  containers: platform.containers,
  cluster,
  distDir,
  nodeBinary: process.execPath,
  setupScript: spec.setupScript,
});
const plan = planVariant(variant, runtime);

const coordinator = new Coordinator({
  spec,
  plan,
  pointDir: (ordinal, name) => runtime.pointDir(ordinal, name),
  platform,
  nats,
  keys,
  supervision: DEFAULT_SUPERVISION,
  joinTimeoutMs: JOIN_TIMEOUT_MS,
  epoch: EPOCH,
  log,
});

process.on('SIGINT', () => coordinator.interrupt('interrupted (Ctrl-C)', 130));
process.on('SIGTERM', () => coordinator.interrupt('told to end (SIGTERM)', 143));
process.on('SIGHUP', () => coordinator.interrupt('the terminal is gone (SIGHUP)', 143));
// `apply --local` holds the other end: when it is gone nobody is there to want the run.
process.on('disconnect', () => coordinator.interrupt('the command that started the run is gone', 143));

const exitCode = await coordinator.run();
await rm(tmpDir, { recursive: true, force: true });
guard.dismiss();
log.info({ exitCode }, 'coordinator ends');
process.exit(exitCode);

/** A defect of ours: the guard ends what runs. */
function die(error: unknown): void {
  if (error instanceof SrtctlError) process.stderr.write(`${error.oneLine()}\n`);
  log.fatal({ error: error instanceof Error ? error.stack : String(error) }, 'the coordinator broke');
  process.exit(70);
}
