import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { writeFiles } from '../recipe/write.ts';

const SCRIPT = resolve(import.meta.dirname, '../../src/steps/check-options.py');

/** A package with SGLang's name: its parser takes --model-path and --tp-size, and a start would leave a file. */
const TOY = {
  'sglang/__init__.py': 'print("noise of an import")\nopen(__file__ + ".imported", "a").write("x")\n',
  'sglang/srt/__init__.py': '',
  'sglang/srt/server_args.py': `
import argparse
def prepare_server_args(argv):
    parser = argparse.ArgumentParser(prog="toy")
    parser.add_argument("--model-path")
    parser.add_argument("--tp-size", type=int)
    parser.parse_args(argv)
    open(__file__ + ".started", "w")
`,
  'sglang-0.5.99.dist-info/METADATA': 'Metadata-Version: 2.1\nName: sglang\nVersion: 0.5.99\n',
  'sglang-0.5.99.dist-info/RECORD': 'sglang/__init__.py,,\nsglang/srt/server_args.py,,\n',
};

interface Line {
  readonly program?: string;
  readonly args: readonly string[];
}

const PLACE = 'r.yaml:1: backend';

async function check(
  lines: readonly Line[],
  { files = TOY as Readonly<Record<string, string>>, dir = '' } = {},
) {
  const home = dir || writeFiles(files);
  mkdirSync(join(home, 'cache'), { recursive: true });
  const places = { '--tp-sise': 'r.yaml:7: backend.sglang_config.decode.tp-sise' };
  const content = {
    ...{ cache: join(home, 'cache'), seconds: 100 },
    lines: lines.map((line) => ({ program: 'sglang', place: PLACE, places, ...line })),
  };
  writeFileSync(join(home, 'lines.json'), JSON.stringify(content));
  const env = { ...process.env, PYTHONPATH: home };
  const { code, stdout } = await promisify(execFile)('python3', [SCRIPT, join(home, 'lines.json')], {
    env,
  }).then(
    ({ stdout }) => ({ code: 0, stdout }),
    (error: { code: number; stdout: string }) => error,
  );
  const answer: unknown = JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
  return { code, stdout, answer, home };
}

describe("a program's own parser", () => {
  it('takes a line, and nothing is started', async () => {
    const { code, answer, home } = await check([{ args: ['--model-path', '/m', '--tp-size', '8'] }]);
    expect([code, answer]).toEqual([0, { refused: [], unchecked: [], cached: 0 }]);
    expect(readdirSync(join(home, 'sglang/srt')).filter((name) => name.includes('started'))).toEqual([]);
  });

  it("refuses a line, which is said with the recipe's line", async () => {
    const { code, stdout } = await check([
      { args: ['--model-path', '/m'] },
      { args: ['--tp-sise', '8'] },
      { args: ['--tp-size', 'eight'] },
    ]);
    expect(code).toBe(1);
    expect(stdout.split('\n').slice(0, 2)).toEqual([
      'ERROR r.yaml:7: backend.sglang_config.decode.tp-sise: the engine refuses its command line: unrecognized arguments: --tp-sise 8',
      `ERROR ${PLACE}: the engine refuses its command line: argument --tp-size: invalid int value: 'eight'`,
    ]);
  });

  it('is not asked again for the same line while the package stays the same', async () => {
    const lines = [{ args: ['--tp-sise', '8'] }, { args: ['--tp-size', '8'] }];
    const { home } = await check(lines);
    const again = await check(lines, { dir: home });
    expect([again.code, again.answer]).toMatchObject([1, { cached: 2 }]);
    const imports = () => readFileSync(join(home, 'sglang/__init__.py.imported'), 'utf8').length;
    expect(imports()).toBe(1);
    writeFileSync(join(home, 'sglang/srt/server_args.py'), `${TOY['sglang/srt/server_args.py']}# changed\n`);
    expect((await check(lines, { dir: home })).answer).toMatchObject({ cached: 0 });
    expect(imports()).toBe(2);
  });

  it('of which nothing is installed leaves no file', async () => {
    const { 'sglang-0.5.99.dist-info/RECORD': _, ...files } = TOY;
    const { home, answer } = await check([{ args: ['--tp-size', '8'] }], { files });
    expect(answer).toMatchObject({ refused: [], unchecked: [], cached: 0 });
    expect([...readdirSync(home), ...readdirSync('.')].filter((name) => name.startsWith('None'))).toEqual([]);
    expect(readdirSync(join(home, 'cache'))).toEqual([]);
  });

  it('that is elsewhere, fails to import or is unknown is no failure', async () => {
    const moved = { ...TOY, 'sglang/srt/server_args.py': 'raise SystemExit(7)\n' };
    const { code, answer } = await check(
      [{ args: [] }, { program: 'smg', args: [] }, { program: 'new', args: [] }],
      {
        files: moved,
      },
    );
    expect(code).toBe(0);
    expect(answer).toMatchObject({
      refused: [],
      unchecked: [
        ['sglang', expect.stringContaining('7')],
        ['smg', expect.stringMatching(/smg/)],
        ['new', expect.anything()],
      ],
    });
  });
});
