import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { SRTCTL } from './support/job.ts';
import { removeLeftovers } from './support/leftovers.ts';

const root = resolve(import.meta.dirname, '..');
const read = (page: string): string => readFileSync(join(root, page), 'utf8');

const scratch = mkdtempSync(join(tmpdir(), 'srtctl-docs-'));
afterEach(async () => {
  for (const page of readdirSync(scratch)) {
    const outputs = join(scratch, page, 'outputs');
    for (const job of existsSync(outputs) ? readdirSync(outputs) : []) await removeLeftovers(job);
  }
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

interface Step {
  readonly command: string;
  readonly printed: string[];
}

/** The commands of a page's console blocks, each with the expected lines below it. */
function stepsOf(page: string): Step[] {
  const steps: Step[] = [];
  for (const [, block = ''] of read(page).matchAll(/^```console\n(.*?)^```$/gms)) {
    for (const line of block.trimEnd().split('\n')) {
      if (line.startsWith('$ ')) steps.push({ command: line.slice(2), printed: [] });
      else steps.at(-1)?.printed.push(line);
    }
  }
  return steps;
}

/** A line without the parts that differ from run to run: numbers, times, paths of jobs, the width of columns. */
const shapeOf = (line: string): string =>
  line
    .replace(/local-\d+-\d+-\w+/g, 'JOB')
    .replace(/\/\S*(?=\/JOB)/g, '')
    .replace(/\d+(?:[.,:-]\d+)*/g, 'N')
    .replace(/ *[─│┌┐└┘├┤┬┴┼]+ */g, '|')
    .replace(/\b[KM]?i?B\b/g, 'B')
    .replace(/ +/g, ' ')
    .trim();

/** Runs the commands in one shell, in a directory with the examples; returns the output of each. */
async function run(steps: readonly Step[]): Promise<string[]> {
  const cwd = mkdtempSync(join(scratch, 'page-'));
  symlinkSync(join(root, 'examples'), join(cwd, 'examples'));
  const script = [
    `srtctl() { '${process.execPath}' '${SRTCTL}' "$@"; }`,
    ...steps.flatMap(({ command }, at) => [`echo '<step ${at}>'`, command]),
  ].join('\n');
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    NO_COLOR: '1',
    SRTCTL_SIM_LOAD_MS: '100',
    SRTCTL_SIM_SPEED: '10',
    SRTSLURM_CONFIG: join(root, 'test/support/patient.yaml'),
  };
  delete env.SRTCTL_OUTPUT;
  const shell = spawn('bash', ['-c', `exec 2>&1\n${script}`], {
    cwd,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  shell.stdout.on('data', (data) => {
    said += data;
  });
  await once(shell, 'close');
  return said.split(/^<step \d+>\n/m).slice(1);
}

describe.each(['README.md', 'docs/tutorial/first-run.md'])('the commands of %s', (page) => {
  // Commands that install, build or name the program have been run before the test.
  const steps = stepsOf(page).filter(({ command }) => !/^(make|alias) /.test(command));

  it('print the expected lines', async () => {
    const outputs = await run(steps);
    for (const [at, { command, printed }] of steps.entries()) {
      const lines = (outputs[at] ?? '').split('\n').map(shapeOf);
      let from = 0;
      for (const line of printed.filter((each) => each !== '…')) {
        const found = lines.indexOf(shapeOf(line), from);
        expect(found, `$ ${command}\nprints no line: ${line}\n${outputs[at]}`).toBeGreaterThanOrEqual(0);
        from = found + 1;
      }
    }
  }, 240_000);
});

describe('pages', () => {
  const pages = execFileSync('git', ['ls-files', '*.md'], { cwd: root, encoding: 'utf8' }).trim().split('\n');

  it('have relative links to files and headings that exist', () => {
    const broken = pages.filter((page) => existsSync(join(root, page))).flatMap(brokenLinks);
    expect(broken).toEqual([]);
  });
});

function brokenLinks(page: string): string[] {
  const prose = read(page).replace(/^```.*?^```$/gms, '');
  const links = [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1] ?? '');
  return links
    .filter((link) => !link.includes('://') && !leads(page, link))
    .map((link) => `${page}: ${link}`);
}

function leads(page: string, link: string): boolean {
  const [path = '', heading] = link.split('#');
  const target = path === '' ? page : join(dirname(page), path);
  if (!existsSync(join(root, target))) return false;
  return heading === undefined || headingsOf(target).includes(heading);
}

/** The anchors that GitHub gives the headings of a page. */
const headingsOf = (page: string): string[] =>
  [...read(page).matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replace(/[^\w\s-]/g, '')
      .trim()
      .replaceAll(' ', '-'),
  );
