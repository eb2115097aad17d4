import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { backendTypes } from '../src/backends/index.ts';

const root = resolve(import.meta.dirname, '..');
const text = readFileSync(join(root, 'CONTRIBUTING.md'), 'utf8');
const run = promisify(execFile);

interface Block {
  /** The heading of the thing's section: `An engine`. */
  readonly section: string;
  readonly language: string;
  readonly file: string;
  readonly body: string;
}

/** Blocks with a file name after their language. */
const blocks: Block[] = text.split(/^#+ /m).flatMap((part) => {
  const section = part.split('\n')[0] ?? '';
  return [...part.matchAll(/^```(\w+) (\S+)\n(.*?)^```$/gms)].map(
    ([, language = '', file = '', body = '']): Block => ({ section, language, file, body }),
  );
});

/** The lines of a hunk that begin with one of `marks`, without their first character. */
const linesOf = (hunk: string, marks: string): string =>
  hunk
    .split('\n')
    .filter((line) => marks.includes(line[0] ?? '-'))
    .map((line) => `${line.slice(1)}\n`)
    .join('');

/** The content of a file after a diff whose hunks have context instead of line numbers. */
function patched(before: string, { file, body }: Block): string {
  return body.split(/^@@\n/m).reduce((now, hunk) => {
    const [old, changed] = [linesOf(hunk.trimEnd(), ' -'), linesOf(hunk.trimEnd(), ' +')];
    const parts = now.split(old);
    if (parts.length !== 2) throw new Error(`${file} has ${parts.length - 1} times, not once:\n${old}`);
    return parts.join(changed);
  }, before);
}

describe('CONTRIBUTING.md', () => {
  const copy = mkdtempSync(join(tmpdir(), 'srtctl-contributing-'));
  afterAll(() => rmSync(copy, { recursive: true, force: true }));
  const srtctl = async (...argv: string[]) =>
    (await run(process.execPath, [join(copy, 'dist/srtctl.js'), ...argv], { cwd: copy })).stdout;
  const commandsOf = async (recipe: string): Promise<string[]> => {
    const [allocation] = (await srtctl('dry-run', '--json', '-f', recipe)).trim().split('\n');
    const { points } = JSON.parse(allocation ?? '') as { points: { processes: { argv: string[] }[] }[] };
    return (points[0]?.processes ?? []).map(({ argv }) => argv.join(' '));
  };

  beforeAll(async () => {
    for (const name of ['src', 'scripts', 'package.json']) {
      cpSync(join(root, name), join(copy, name), { recursive: true });
    }
    symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
    const { compilerOptions } = JSON.parse(readFileSync(join(root, 'tsconfig.json'), 'utf8'));
    writeFileSync(
      join(copy, 'tsconfig.json'),
      JSON.stringify({ compilerOptions, include: ['src'], exclude: ['src/report/browser'] }),
    );
    for (const block of blocks) {
      const file = join(copy, block.file);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(
        file,
        block.language === 'diff' ? patched(readFileSync(file, 'utf8'), block) : block.body,
      );
    }
    await run(
      process.execPath,
      ['-e', "import('./scripts/bundle.mjs').then(({ bundle }) => bundle('dist', { minify: false }))"],
      { cwd: copy },
    );
  });

  it('adds each thing in at most three files', () => {
    const files = new Map<string, Set<string>>();
    for (const { section, language, file } of blocks)
      if (language !== 'yaml') files.set(section, (files.get(section) ?? new Set()).add(file));
    expect([...files].map(([section, { size }]) => [section, size])).toEqual([
      ['An engine', 2],
      ['A router', 2],
      ['A benchmark', 2],
      ['A kind of service', 2],
      ['A command', 2],
      ['A watched metric', 1],
      ['A kept message', 3],
    ]);
  });

  it('has code that passes the type check', async () => {
    const { stdout } = await run(join(root, 'node_modules/.bin/tsc'), ['--noEmit', '-p', copy]).catch(
      (error: { stdout: string }) => error,
    );
    expect(stdout).toBe('');
  }, 300_000);

  it('adds an engine for which a recipe can be planned', async () => {
    const commands = await commandsOf('toy.yaml');
    expect(commands.filter((command) => command.includes('toy.server'))).toEqual([
      expect.stringMatching(/--model org\/model .*--port 6100 --batch-size 8$/),
      expect.stringMatching(/--port 6132 --batch-size 8$/),
    ]);
    expect(commands.at(-1)).toMatch(/smg.launch_router --worker-urls http:\S+:6100 http:\S+:6132 /);
    const recipe = readFileSync(join(copy, 'toy.yaml'), 'utf8');
    const refused = (text: string) => {
      writeFileSync(join(copy, 'wrong.yaml'), text);
      return srtctl('dry-run', '-f', 'wrong.yaml').catch(({ stderr }: { stderr: string }) => stderr);
    };
    expect(await refused(recipe.replace('smg', 'dynamo'))).toContain('a dynamo frontend has no Toy workers');
    expect(await refused(recipe.replace('toy_config', 'toy_confg'))).toContain('did you mean "toy_config"?');
  });

  it('adds a router and a benchmark for which recipes can be planned', async () => {
    expect((await commandsOf('toy-router.yaml')).at(-1)).toMatch(
      /^toy-router --port 8000 --workers \S+:6100 \S+:6132$/,
    );
    expect((await commandsOf('toy-bench.yaml')).at(-1)).toMatch(/^curl .*"max_tokens":16.*:8000\/v1\/compl/);
  });

  it('adds a kind of service', async () => {
    expect(await commandsOf('toy-store.yaml')).toContain('toy-store --listen 0.0.0.0:9400 --size 4');
  });

  it('adds a command', async () => {
    expect(await srtctl('engines')).toBe(`${[...backendTypes, 'toy'].join('\n')}\n`);
  });
});
