import { Command, CommanderError } from 'commander';
import { EXIT, SrtctlError } from '../os/errors.ts';
import { setOwnUmask } from '../os/processes/own-umask.ts';
import { sourceStack } from '../os/source-stack.ts';
import { registerApply } from './commands/apply.ts';
import { registerCancel } from './commands/cancel.ts';
import { registerDoctor } from './commands/doctor.ts';
import { registerDryRun } from './commands/dry-run.ts';
import { registerLogs } from './commands/logs.ts';
import { registerRender } from './commands/render.ts';
import { registerResolveOverride } from './commands/resolve-override.ts';
import { registerResults } from './commands/results.ts';
import { registerResume } from './commands/resume.ts';
import { registerSchema } from './commands/schema.ts';
import { registerStatus } from './commands/status.ts';
import { registerWatch } from './commands/watch.ts';
import { registerWhy } from './commands/why.ts';
import { errorBody, sayError } from './terminal/say-error.ts';
import { guardTerminal } from './terminal/terminal.ts';

setOwnUmask();
for (const stream of [process.stdout, process.stderr]) guardTerminal(stream, process.env);

const VERSION = '0.1.0';

/** Commands that look at the directory of outputs anyway. */
const OF_JOBS: ReadonlySet<string> = new Set([
  ...['apply', 'resume', 'status', 'watch', 'logs', 'results', 'why', 'cancel'],
]);

const program = new Command('srtctl')
  .description(
    'Benchmark large language models on Slurm clusters: one job, one coordinator, one agent a node.',
  )
  .version(VERSION)
  .option('--verbose', 'show the stack of an error')
  .option('--all-errors', 'show everything that is wrong with a recipe, not the first thing alone')
  .option(
    '--safe-directory <directories>',
    'directories, with colons between them, whose recipes and srtslurm.yaml are taken whoever owns them; * = all (SRTCTL_SAFE_DIRECTORY)',
  )
  .hook('preAction', (command) => {
    const { safeDirectory } = command.opts<{ safeDirectory?: string }>();
    if (safeDirectory !== undefined) process.env.SRTCTL_SAFE_DIRECTORY = safeDirectory;
  })
  .hook('postAction', async (_, command) => {
    if (!OF_JOBS.has(command.name())) return;
    const { removeStaleKeys } = await import('./jobs/stale-keys.ts');
    const { outputsRoot } = await import('./jobs/job-dir.ts');
    // What could not be removed is tried again by the next command.
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
  registerDryRun,
  registerRender,
  registerWatch,
  registerLogs,
  registerStatus,
  registerResults,
  registerResume,
  registerWhy,
  registerCancel,
  registerSchema,
  registerResolveOverride,
])
  register(program);
for (const command of program.commands) command.exitOverride();

// A reader that has seen enough (`srtctl … | head`) is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.ok);
});

// A client of the bus that was cut off in the middle of a request goes on trying after it was closed (nats.js' ordered
// consumer, without end): a command is over when it says so, not when nothing is left to wait for.
program.parseAsync().then(
  () => end(),
  (error: unknown) => end(report(error)),
);

/** A pipe that is full takes the rest of what was printed later: a process that ends before cuts it off. */
function end(exitCode?: number): void {
  if (exitCode !== undefined) process.exitCode = exitCode;
  process.stdout.write('', () => process.exit());
}

/** What the operating system says of a file that a person named; these are theirs to mend. */
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
  ELOOP: 'its links go in a circle',
  ESTALE: 'the network file system has lost it (Stale file handle)',
  EIO: 'the file system cannot read or write it (I/O error)',
};

function fileError(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code = '', path } = error as NodeJS.ErrnoException;
  return typeof path === 'string' && Object.hasOwn(OF_FILES, code) ? `${path}: ${OF_FILES[code]}` : undefined;
}

/** One line for a person, and the exit code. */
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
  return 70;
}
