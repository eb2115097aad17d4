import type { Command } from 'commander';
import { EXIT, SrtctlError } from '../../os/errors.ts';
import type { DoctorCliOptions } from './doctor-world.ts';

export const WAIT_S = 300;

export function registerDoctor(program: Command): void {
  program
    .command('doctor')
    .description('Check everything that a run needs, and say what to do about each problem.')
    .option('-f, --file <path...>', 'recipes whose models, ports, partition and time limit to check')
    .option('--model <dir...>', 'further directories of models that nodes must be able to read')
    .option(
      '--node <nodes...>',
      'also check these nodes, for example gpu1 or gpu[1-4], in a job of one minute',
    )
    .option('--all', 'check all idle nodes of the partition')
    .option(
      '--wait <seconds>',
      'how long the job of --node and --all may wait for its nodes',
      seconds,
      WAIT_S,
    )
    .option('--output <dir>', 'parent of the job directories')
    .option('--json', 'one JSON object a line, one for each finding')
    .addHelpText(
      'after',
      `
Without --node and --all nothing is started. Exit code 0 when no check failed, 1 when one did, 2 for wrong usage.

Examples:
  srtctl doctor                              this machine, Slurm, srtslurm.yaml
  srtctl doctor --all                        and all idle nodes at once
  srtctl doctor -f recipe.yaml --node "gpu[1-4]"
  srtctl doctor --all --json | jq -r 'select(.status == "fail") | .where + ": " + .text'`,
    )
    .action(async (options: DoctorCliOptions) => {
      process.exitCode = await doctor(options);
    });
}

export function seconds(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new SrtctlError('usage', `--wait ${text}: not a whole number of seconds from 1`);
}

/** Runs all checks and prints what they found. Resolves with the exit code. */
export async function doctor(options: DoctorCliOptions): Promise<number> {
  const { worldOf } = await import('./doctor-world.ts');
  const { examine } = await import('../../doctor/doctor.ts');
  if (options.all && options.node)
    throw new SrtctlError('usage', '--all and --node: use only one of the two options');
  const { world, findings: before } = await worldOf(options);
  const further = await examine(world, {
    nodes: options.node ?? [],
    all: options.all === true,
    waitS: options.wait,
  });
  // An unreadable srtslurm.yaml must not also be reported as missing.
  const said = new Set(before.map(({ check }) => check));
  const findings = [...before, ...further.filter(({ check }) => !said.has(check))];
  if (options.json) for (const finding of findings) process.stdout.write(`${JSON.stringify(finding)}\n`);
  else {
    const { findingsText } = await import('../view/findings.ts');
    const { colorsFor } = await import('../view/printers.ts');
    process.stdout.write(findingsText(findings, colorsFor(process.stdout, process.env)));
  }
  const failed = findings.filter(({ status }) => status === 'fail');
  // The exit code of apply for a recipe that it refuses.
  if (failed.some(({ check }) => check === 'recipe')) return EXIT.usage;
  return failed.length > 0 ? EXIT.failed : EXIT.ok;
}
