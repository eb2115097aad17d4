import type { Command } from 'commander';
import { addEdits, type EditOptions } from '../terminal/options.ts';
import { doctor, seconds, WAIT_S } from './doctor.ts';

interface PreflightOptions extends EditOptions {
  readonly file: readonly string[];
  readonly onNodes?: boolean;
  readonly node?: readonly string[];
  readonly wait: number;
  readonly output?: string;
  readonly json?: boolean;
}

export function registerPreflight(program: Command): void {
  addEdits(program.command('preflight'))
    .description('Check whether recipes can run on this cluster, before a job waits for its nodes.')
    .requiredOption('-f, --file <path...>', 'recipes: files, file.yaml:variant, directories, or patterns')
    .option(
      '--on-nodes',
      'also look at the idle nodes of the recipe’s partition, in a job step of one minute: models, images, mounts, ports, GPUs, programs, options of engines',
    )
    .option('--node <nodes...>', 'the same on these nodes, for example gpu1 or gpu[1-4]')
    .option('--wait <seconds>', 'how long the step may wait for its nodes', seconds, WAIT_S)
    .option('--output <dir>', 'parent of the job directories')
    .option('--json', 'one JSON object a line, one for each finding')
    .addHelpText(
      'after',
      `
Exit code 0 when no check failed, 1 when one did, 2 when apply would refuse a recipe. Without --on-nodes and --node
nothing is started: what only nodes know is not checked.

Examples:
  srtctl preflight -f recipe.yaml
  srtctl preflight -f recipe.yaml --on-nodes
  srtctl preflight -f recipe.yaml --on-nodes --json | jq -r 'select(.status == "fail") | .where + ": " + .text'`,
    )
    .action(async ({ onNodes, node, ...options }: PreflightOptions) => {
      process.exitCode = await doctor({
        ...options,
        ...(node ? { node } : { all: onNodes === true }),
        parsesOptions: true,
      });
    });
}
