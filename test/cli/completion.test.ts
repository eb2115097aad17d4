import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Wanted, wantedAt } from '../../src/cli/completion/complete.ts';
import { SHELLS } from '../../src/cli/completion/scripts.ts';
import { writeJob } from './job.ts';
import { processEvent, recorded } from './view/events.ts';

describe('what may follow on a command line', () => {
  const program = new Command('srtctl').option('--verbose', 'the stack of an error');
  program
    .command('watch')
    .alias('w')
    .description('Show a job. And more.')
    .argument('[job]')
    .option('--json', 'lines');
  program
    .command('apply')
    .option('-f, --file <path...>', 'recipes')
    .option('--output <dir>', 'outputs')
    .option('--set <path=value>', 'a key');
  program
    .command('exec')
    .argument('<job>')
    .argument('<process>')
    .argument('<command...>')
    .option('--output <dir>');
  program.command('compare').argument('<first>').argument('<others...>');
  program.command('hidden', { hidden: true });

  const at = (...words: string[]): Wanted => wantedAt(program, words);
  const words = (...line: string[]): string[] => {
    const wanted = at(...line);
    return wanted.kind === 'words' ? wanted.words.map(({ value }) => value) : [wanted.kind];
  };

  it('is a command, with the first sentence of its description', () => {
    expect(words('')).toEqual(['watch', 'apply', 'exec', 'compare', 'help']);
    expect(at('')).toMatchObject({
      words: expect.arrayContaining([{ value: 'watch', description: 'Show a job' }]),
    });
    expect(words('--verbose', '')).toContain('apply');
  });

  it('is an option of the command, each once', () => {
    expect(words('watch', '-')).toEqual(['--json', '--help', '-h', '--verbose']);
    expect(words('watch', '--json', '--')).not.toContain('--json');
    expect(words('apply', '--file', 'a.yaml', '--')).toContain('--file');
  });

  it('is a value of the option before it', () => {
    expect(words('apply', '-f', '')).toEqual(['files']);
    expect(words('apply', '-f', 'a.yaml', '')).toEqual(['files']);
    expect(words('apply', '--output', '')).toEqual(['directories']);
    expect(words('apply', '--set', '')).toEqual(['nothing']);
  });

  it('is a job, or a process of the job before it', () => {
    expect(at('watch', '')).toEqual({ kind: 'jobs', output: undefined });
    expect(at('w', '--json', '')).toMatchObject({ kind: 'jobs' });
    expect(at('exec', '--output', '/out', 'a', '')).toEqual({ kind: 'processes', job: 'a', output: '/out' });
    expect(at('exec', 'a', 'p', '--', '')).toEqual({ kind: 'files' });
    expect(at('exec', 'a', 'p', '--', 'ls', '-')).toEqual({ kind: 'files' });
    expect(at('compare', 'a', 'b', '')).toMatchObject({ kind: 'jobs' });
    expect(at('watch', 'a', '')).toEqual({ kind: 'nothing' });
  });
});

const isThere = (shell: string): boolean =>
  (process.env.PATH ?? '').split(delimiter).some((directory) => existsSync(join(directory, shell)));

describe('the scripts of', () => {
  let root = '';
  let bin = '';
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
    bin = join(root, 'bin');
    await mkdir(bin);
    const start = `#!/bin/sh\nexec '${process.execPath}' '${resolve('dist/srtctl.js')}' "$@"\n`;
    await writeFile(join(bin, 'srtctl'), start);
    await chmod(join(bin, 'srtctl'), 0o755);
    // A tag that a shell must not evaluate.
    const tags = ['evil$(touch evaluated)', 'nightly'];
    const events = recorded([
      processEvent({ process: 'decode-0-0' }),
      processEvent({ process: 'decode-1-0' }),
    ]);
    await writeJob(join(root, 'outputs'), 'job-1', { spec: { name: 'llama', tags }, events });
  });
  afterAll(() => rm(root, { recursive: true, force: true }));

  /** Runs a script of a shell in the test's directory. */
  const run = (shell: string, script: string): Promise<string[]> =>
    new Promise((settle, fail) => {
      const env = {
        ...process.env,
        ...{
          PATH: `${bin}${delimiter}${process.env.PATH}`,
          SRTCTL_OUTPUT: join(root, 'outputs'),
          HOME: root,
        },
      };
      execFile(shell, ['-c', script], { env, cwd: root, timeout: 60_000 }, (error, stdout, stderr) =>
        error ? fail(new Error(stderr)) : settle(stdout.split('\n').filter((line) => line !== '')),
      );
    });

  /** What each shell offers for a line whose words are separated by blanks. */
  const ASK: Readonly<Record<(typeof SHELLS)[number], (line: string) => string>> = {
    bash: (line) => {
      const words = line.split(' ');
      const list = words.map((word) => `'${word}'`).join(' ');
      return `source <(srtctl completion bash); COMP_WORDS=(${list}); COMP_CWORD=${words.length - 1}; _srtctl; printf '%s\\n' "\${COMPREPLY[@]}"`;
    },
    fish: (line) => `srtctl completion fish | source; complete -C '${line}' | cut -f1`,
    // compadd works only in the line editor.
    zsh: (line) => {
      const words = line.split(' ');
      const list = words.map((word) => `'${word}'`).join(' ');
      return `compdef() { :; }; compadd() { print -rl -- $values; }; source <(srtctl completion zsh); words=(${list}); CURRENT=${words.length}; _srtctl`;
    },
  };

  it.each(SHELLS.filter(isThere))(
    '%s complete commands, jobs, tags and processes, and evaluate none of them',
    async (shell) => {
      const ask = (line: string) => run(shell, ASK[shell](line));
      expect(await ask('srtctl can')).toEqual(['cancel']);
      expect(await ask('srtctl logs ')).toEqual(['latest', 'job-1']);
      expect(await ask('srtctl logs n')).toEqual(['nightly']);
      expect((await ask('srtctl logs ev')).join()).toContain('touch');
      expect(await ask('srtctl logs job-1 decode-')).toEqual(['decode-0-0', 'decode-1-0']);
      expect(await ask('srtctl url latest --js')).toEqual(['--json']);
      expect(await run('/bin/sh', 'ls')).toEqual(['bin', 'outputs']);
    },
    120_000,
  );
});
