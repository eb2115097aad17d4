import { Command, CommanderError } from 'commander';
import { EXIT, SrtctlError } from '../os/errors.ts';
import { setOwnUmask } from '../os/processes/own-umask.ts';
import { sourceStack } from '../os/source-stack.ts';
import { registerApply } from './commands/apply.ts';
import { registerBench } from './commands/bench.ts';
import { registerCancel } from './commands/cancel.ts';
import { registerDoctor } from './commands/doctor.ts';
import { registerDryRun } from './commands/dry-run.ts';
import { registerCompare } from './commands/figures/compare.ts';
import { registerReport } from './commands/figures/report.ts';
import { registerClean } from './commands/jobs/clean.ts';
import { registerMigrate } from './commands/migrate.ts';
import { registerExec } from './commands/node/exec.ts';
import { registerGpu } from './commands/node/gpu.ts';
import { registerPreflight } from './commands/preflight.ts';
import { registerRender } from './commands/render.ts';
import { registerResolveOverride } from './commands/resolve-override.ts';
import { registerResults } from './commands/results.ts';
import { registerResume } from './commands/resume.ts';
import { registerSchema } from './commands/schema.ts';
import { registerCompletion } from './commands/shell/completion.ts';
import { registerStatusServer } from './commands/status-server.ts';
import { registerBus } from './commands/watching/bus.ts';
import { registerEvents } from './commands/watching/events.ts';
import { registerLogs } from './commands/watching/logs.ts';
import { registerLs } from './commands/watching/ls.ts';
import { registerMetrics } from './commands/watching/metrics.ts';
import { registerStatus } from './commands/watching/status.ts';
import { registerTrace } from './commands/watching/trace.ts';
import { registerUrl } from './commands/watching/url.ts';
import { registerWatch } from './commands/watching/watch.ts';
import { registerWhy } from './commands/watching/why.ts';
import { errorBody, sayError } from './terminal/say-error.ts';
import { guardTerminal } from './terminal/terminal.ts';

setOwnUmask();
for (const stream of [process.stdout, process.stderr]) guardTerminal(stream, process.env);

const VERSION = '0.1.0';

/** Commands that read the outputs directory anyway. */
const OF_JOBS: ReadonlySet<string> = new Set([
  ...[
    'apply',
    'resume',
    'ls',
    'status',
    'watch',
    'logs',
    'events',
    'url',
    'results',
    'report',
    'compare',
    'why',
    'cancel',
  ],
]);

const program = new Command('srtctl')
  .description(
    'Benchmark large language models on Slurm clusters: one job, one coordinator, one agent a node.',
  )
  .version(VERSION)
  .option('--verbose', 'show the stack of an error')
  .option('--all-errors', 'show all problems of a recipe, not only the first one')
  .option(
    '--safe-directory <directories>',
    'colon-separated directories whose recipes and srtslurm.yaml are accepted with any owner; * = all (SRTCTL_SAFE_DIRECTORY)',
  )
  .option(
    '--allow-duplicate-keys',
    'a key that stands twice in a map is a warning, and its last value counts (SRTCTL_ALLOW_DUPLICATE_KEYS=1)',
  )
  .hook('preAction', (command) => {
    const { safeDirectory, allowDuplicateKeys } = command.opts<{
      safeDirectory?: string;
      allowDuplicateKeys?: boolean;
    }>();
    if (allowDuplicateKeys) process.env.SRTCTL_ALLOW_DUPLICATE_KEYS = '1';
    if (safeDirectory !== undefined) process.env.SRTCTL_SAFE_DIRECTORY = safeDirectory;
  })
  .hook('postAction', async (_, command) => {
    if (!OF_JOBS.has(command.name())) return;
    const { removeStaleKeys } = await import('./jobs/stale-keys.ts');
    const { outputsRoot } = await import('./jobs/job-dir.ts');
    // The next command tries again to remove the rest.
    await removeStaleKeys(outputsRoot(command.opts<{ output?: string }>().output)).catch(() => []);
  })
  .showSuggestionAfterError()
  .exitOverride()
  .addHelpText(
    'after',
    `
Exit codes:
  0    the run ended well, and every result is valid, or there is none to be (custom, manual)
  1    the run failed: a process ended, an agent was lost, a result is not valid
  2    nothing was started: bad input, wrong usage, a program is missing
  3    some points of a sweep failed, the others are done
  124  points were left out or stopped: the allocation ends
  130  stopped by Ctrl-C          143  stopped by cancel or SIGTERM`,
  );

for (const register of [
  registerApply,
  registerDoctor,
  registerPreflight,
  registerDryRun,
  registerRender,
  registerMigrate,
  registerWatch,
  registerLogs,
  registerEvents,
  registerLs,
  registerStatus,
  registerUrl,
  registerExec,
  registerGpu,
  registerResults,
  registerReport,
  registerCompare,
  registerResume,
  registerWhy,
  registerCancel,
  registerClean,
  registerBus,
  registerMetrics,
  registerTrace,
  registerStatusServer,
  registerBench,
  registerSchema,
  registerResolveOverride,
  registerCompletion,
])
  register(program);
for (const command of program.commands) command.exitOverride();

// A reader that stops early (`srtctl … | head`) is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.ok);
});

// Ends the process explicitly: after a bus client lost its connection during a request it retries even when
// it was closed (nats.js' ordered consumer, without end), so the event loop would not become empty.
program.parseAsync().then(
  () => end(),
  (error: unknown) => end(report(error)),
);

/** A full pipe takes the rest of the output later; process.exit() would cut it off. */
function end(exitCode?: number): void {
  if (exitCode !== undefined) process.exitCode = exitCode;
  process.stdout.write('', () => process.exit());
}

/** The operating system's errors for a file that the user named; the user can correct them. */
const OF_FILES: Readonly<Record<string, string>> = {
  EACCES: 'this user may not read or write it',
  EPERM: 'this user may not read or write it',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the file system is full',
  EDQUOT: 'the quota is used up',
  ENOTDIR: 'a part of the path is a file',
  EISDIR: 'it is a directory',
  ENOENT: 'it does not exist',
  ENAMETOOLONG: 'the name is too long',
  ELOOP: 'its links form a cycle',
  ESTALE: 'the network file system has lost it (Stale file handle)',
  EIO: 'the file system cannot read or write it (I/O error)',
};

function fileError(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code = '', path } = error as NodeJS.ErrnoException;
  return typeof path === 'string' && Object.hasOwn(OF_FILES, code) ? `${path}: ${OF_FILES[code]}` : undefined;
}

/** Prints one line for a person, and returns the exit code. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  const verbose = program.opts<{ verbose?: boolean }>().verbose === true;
  if (error instanceof SrtctlError) {
    sayError(error);
    if (process.argv.includes('--json')) process.stdout.write(`${JSON.stringify(errorBody(error))}\n`);
    if (verbose) process.stderr.write(`${sourceStack(error)}\n`);
    return error.exitCode;
  }
  const ofFile = fileError(error);
  if (ofFile !== undefined) {
    process.stderr.write(`srtctl: ${ofFile}\n`);
    if (verbose && error instanceof Error) process.stderr.write(`${sourceStack(error)}\n`);
    return EXIT.usage;
  }
  const text = error instanceof Error ? error.message : String(error);
  process.stderr.write(`srtctl: internal error: ${text} (--verbose shows where)\n`);
  if (verbose && error instanceof Error) process.stderr.write(`${sourceStack(error)}\n`);
  return EXIT.broke;
}
