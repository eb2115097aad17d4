import { Argument, type Command } from 'commander';
import { SHELLS, type Shell } from '../../completion/scripts.ts';
import { writeExactly } from '../../terminal/terminal.ts';

export function registerCompletion(program: Command): void {
  program
    .command('completion')
    .description('Print the script with which a shell completes commands, options, jobs and processes.')
    .addArgument(new Argument('<shell>').choices(SHELLS))
    .addHelpText(
      'after',
      `
The shell has to find srtctl on PATH.

Examples:
  srtctl completion bash >> ~/.bashrc
  srtctl completion zsh > "\${fpath[1]}/_srtctl"
  srtctl completion fish > ~/.config/fish/completions/srtctl.fish`,
    )
    .action(async (shell: Shell) => {
      const { scriptFor } = await import('../../completion/scripts.ts');
      writeExactly(scriptFor(shell));
    });
  program
    .command('__complete', { hidden: true })
    .argument('[words...]')
    .action((words: string[]) => complete(program, words));
}

/** For the scripts of `completion`. */
async function complete(program: Command, words: readonly string[]): Promise<void> {
  const { wantedAt } = await import('../../completion/complete.ts');
  const { offerFor } = await import('../../completion/candidates.ts');
  const { plain } = await import('../../terminal/text.ts');
  const offer = await offerFor(wantedAt(program, words), words.at(-1) ?? '');
  if ('kind' in offer) return void process.stdout.write(`${offer.kind}\n`);
  const lines = offer.words.map(({ value, description }) => `${value}\t${plain(description)}`);
  process.stdout.write(`${['words', ...lines].join('\n')}\n`);
}
