import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import fc from 'fast-check';
import { createColors } from 'picocolors';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { printable } from '../../../src/cli/terminal/terminal.ts';
import { writeJob } from '../job.ts';

/** Sets the title, writes the clipboard, clears the screen, hides text, reverses its direction. */
const HOSTILE = '\u001b]0;owned\u0007\u001b]52;c;aWQ=\u0007\u001b[2J\u001b[8m\u009b2J\u202e';
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;

describe('text for a terminal', () => {
  it('has no control characters, and keeps all printable ones', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const clean = printable(text, false);
        expect(clean).not.toMatch(CONTROL);
        if (!CONTROL.test(text) && !/[\u200e\u200f]/.test(text)) expect(clean).toBe(text);
      }),
    );
  });

  it('keeps the colours of picocolors when colours are on', () => {
    const { isColorSupported: _, hidden: __, ...formatters } = createColors(true);
    for (const format of Object.values(formatters)) {
      const text = format('x');
      expect(printable(text, true)).toBe(text);
      expect(printable(text, false)).not.toContain('\u001b');
    }
    expect(printable('\u001b[8mhidden', true)).toBe('\\u001b[8mhidden');
  });

  it('stays valid JSON', () => {
    const line = JSON.stringify({ name: HOSTILE });
    expect(JSON.parse(printable(line, false))).toEqual({ name: HOSTILE });
  });
});

describe('srtctl on a terminal', () => {
  let root: string;
  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), 'srtctl-test-'));
    const job = await writeJob(root, 'a', {
      spec: { name: `x${HOSTILE}`, nodes: [`node${HOSTILE}`] },
      state: {
        name: `x${HOSTILE}`,
        exitCode: 1,
        cause: { summary: `it ${HOSTILE} died`, process: `agg${HOSTILE}`, node: `node${HOSTILE}` },
        points: [{ ordinal: 0, name: `p${HOSTILE}`, state: 'failed', status: 'failed' }],
      },
    });
    const logs = join(job.jobDir, 'logs');
    mkdirSync(logs, { recursive: true });
    writeFileSync(join(logs, 'sweep_a.log'), `a line ${HOSTILE}\nprogress 1\rprogress 2\n`);
    writeFileSync(join(root, 'recipe.yaml'), `name: "x${HOSTILE.replaceAll('\u0007', '')}"\nmodell: 1\n`);
  });
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  const env = { ...process.env, SRTCTL_OUTPUT: '', TERM: 'xterm', NO_COLOR: '' };
  const onTerminal = (args: readonly string[]): string =>
    spawnSync(
      'script',
      ['-qec', [process.execPath, resolve('dist/srtctl.js'), ...args].join(' '), '/dev/null'],
      {
        env: { ...env, SRTCTL_OUTPUT: root },
        encoding: 'utf8',
      },
    ).stdout;
  /** The sequences that a terminal would obey, without colours and the terminal's own line ends. */
  const obeyed = (text: string): string[] =>
    text
      .replaceAll('\r\n', '\n')
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
      .replaceAll(/\u001b\[(?:[0-79]|[239]\d|4[0-79]|10[0-7])m/g, '')
      .split('\n')
      .filter((line) => CONTROL.test(line));

  it.each([
    [['status', 'a']],
    [['status', '--json', 'a']],
    [['why', 'a']],
    [['logs', 'a']],
    [['logs', 'a', 'coordinator']],
    [['results', 'a']],
    [['status', HOSTILE.replaceAll('\u0007', '').replaceAll(';', '')].map((word) => `'${word}'`)],
    [['dry-run', '-f', 'recipe.yaml']],
  ])('prints no sequence of a foreign text that the terminal obeys: %j', (args) => {
    const text = onTerminal(args.map((word) => (word === 'recipe.yaml' ? join(root, word) : word)));
    expect(text).not.toBe('');
    expect(obeyed(text)).toEqual([]);
  });

  it('keeps every byte of a log that goes to a file', () => {
    const { stdout } = spawnSync(process.execPath, [resolve('dist/srtctl.js'), 'logs', 'a', 'coordinator'], {
      env: { ...env, SRTCTL_OUTPUT: root },
      encoding: 'utf8',
    });
    expect(stdout).toBe(`a line ${HOSTILE}\nprogress 1\rprogress 2\n`);
  });
});
