import type { Command } from 'commander';
import { JOB_WORDS, OUTPUT_OPTION } from '../../terminal/options.ts';

interface ExecOptions {
  readonly output?: string;
  readonly timeout: string;
}

export function registerExec(program: Command): void {
  program
    .command('exec')
    .description('Run a command on the node of a process, through its agent.')
    .argument('<job>', JOB_WORDS)
    .argument('<process>', 'a name from `srtctl logs JOB --list`; agent-<node> for a node itself')
    .argument('<command...>', 'the program and its arguments, after --')
    .option('--timeout <time>', 'end the command after this long (10s, 5m), at most 1h', '10m')
    .option(...OUTPUT_OPTION)
    .addHelpText(
      'after',
      `
The command has the environment and the directory of the process, and SRTCTL_PROCESS_PID is its pid. No shell reads it.
It runs on the node, not in a container of the process's own. It has no standard input.
It ends with this command, with the agent, or after --timeout. The exit code is that of the command; 124 after --timeout.
An event says who ran which program. \`bus.exec: false\` in a recipe or in srtslurm.yaml forbids it.

Examples:
  srtctl exec latest decode-0-0 -- nvidia-smi
  srtctl exec latest decode-0-0 -- sh -c 'py-spy dump --pid $SRTCTL_PROCESS_PID'
  srtctl exec latest agent-node3 --timeout 10s -- dmesg`,
    )
    .action(exec);
}

async function exec(
  told: string,
  name: string,
  argv: readonly string[],
  { output, timeout }: ExecOptions,
): Promise<void> {
  const { EXIT, SrtctlError } = await import('../../../os/errors.ts');
  const { durationMs } = await import('../../terminal/since.ts');
  const { LONGEST_EXEC_MS } = await import('../../../messages/events/exec.ts');
  const limitMs = durationMs(timeout);
  if (limitMs === undefined || limitMs < 1 || limitMs > LONGEST_EXEC_MS)
    throw new SrtctlError('usage', `--timeout ${timeout} is no time of at most 1h`, {
      hint: 'such as 10s or 5m',
    });
  const { findJob, outputsRoot } = await import('../../jobs/job-dir.ts');
  const job = await findJob(told, outputsRoot(output));
  const { LogIndex } = await import('../../logs/log-index.ts');
  const { selection } = await import('../../logs/selection.ts');
  const [found] = selection([name], {})(await new LogIndex(job).refresh());
  const isAgent = found?.process === `agent-${found?.node}`;
  const agent = found?.agent ?? (isAgent ? found?.node : null);
  if (!found || found.process !== name || agent == null)
    throw new SrtctlError('unknown-process', `${name} is no process that an agent runs`, {
      hint: `srtctl logs ${job.jobId} --list shows the names`,
    });
  const { execBus } = await import('../../nodes/exec-bus.ts');
  const bus = await execBus(job);
  const { runOnNode } = await import('../../nodes/run-on-node.ts');
  const { subjectsOf } = await import('../../../messages/events/subjects.ts');
  const { ownUserName } = await import('../../../os/processes/own-user.ts');
  const { writeBytes } = await import('../../terminal/write-all.ts');
  const stopping = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stopping.abort());
  try {
    const end = await runOnNode(bus, {
      ...{ subject: subjectsOf(job.jobId).exec(agent), node: found.node ?? agent, argv, limitMs },
      ...{ process: isAgent ? null : name, by: ownUserName(), signal: stopping.signal },
      onOutput: (stream, data) => writeBytes(process[stream], data),
    });
    if (end.stoppedBecause !== undefined && !stopping.signal.aborted)
      process.stderr.write(`srtctl: the command was ended: ${end.stoppedBecause}\n`);
    const isLate = end.stoppedBecause?.startsWith('it took longer') === true;
    process.exitCode = isLate ? EXIT.outOfTime : await exitCodeOf(end);
  } finally {
    await bus.close(500);
  }
}

/** As a shell says it: 128 and the number of the signal. */
async function exitCodeOf({ exitCode, signal }: { exitCode: number | null; signal: string | null }) {
  const { constants } = await import('node:os');
  const { EXIT } = await import('../../../os/errors.ts');
  const number = Object.entries(constants.signals).find(([name]) => name === signal)?.[1];
  return exitCode ?? (number === undefined ? EXIT.failed : 128 + number);
}
