import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { commitOf } from '../../src/os/processes/git-commit.ts';
import { pinSources } from '../../src/recipe/pin-sources.ts';
import { loadText, small } from './write.ts';

const services = (...sources: string[]): string =>
  `services:\n${sources.map((source, at) => `  - {name: s${at}, command: [x], source: ${source}}`).join('\n')}\n`;
const shown = async (text: string, answers: Readonly<Record<string, string>>) => {
  const asked: string[] = [];
  const pinned = await pinSources(loadText(text), async (repository, revision) => {
    asked.push(`${repository} ${revision}`);
    const commit = answers[revision];
    if (commit === undefined) throw new Error(`fatal: something\n${repository} has no ${revision}`);
    return commit;
  });
  const [recipe] = pinned.variants.flatMap(({ points }) => points.map((point) => point.recipe));
  return { ...pinned, asked, recipe };
};

describe('the revisions of sources', () => {
  it('become commits, each looked up once', async () => {
    const text = small.replace('  type: sglang\n', '  type: dynamo\n');
    const { recipe, notes, problems, asked } = await shown(
      `${text}${services('{git: g, rev: v1}', '{git: g, rev: v1}', '{git: g, rev: abcd}', '{git: g, rev: v1, sha: cafe}')}dynamo: {hash: refs/pull/7/head}\nsweep: {n: [1, 2]}\n`,
      { v1: '11', 'refs/pull/7/head': '77' },
    );
    expect(recipe?.services?.map(({ source }) => source?.sha)).toEqual(['11', '11', undefined, 'cafe']);
    expect(recipe?.dynamo.hash).toBe('77');
    expect(asked.sort()).toEqual(['g v1', 'https://github.com/ai-dynamo/dynamo.git refs/pull/7/head']);
    expect(notes).toContain('services[0].source: v1 is 11');
    expect(problems).toEqual([]);
  });

  it('stay where they cannot be looked up, with the reason', async () => {
    const { recipe, problems } = await shown(`${small}${services('{git: g, rev: v1}')}`, {});
    expect(recipe?.services?.[0]?.source).toEqual({ git: 'g', rev: 'v1' });
    expect(problems).toEqual([
      'services[0].source: v1 of g cannot be looked up here, so the job looks it up when it runs (g has no v1)',
    ]);
  });
});

describe('the commit of a name in a repository', () => {
  const repository = mkdtempSync(join(tmpdir(), 'srtctl-git-'));
  afterAll(() => rmSync(repository, { recursive: true, force: true }));
  const git = (...args: string[]): string =>
    execFileSync('git', ['-C', repository, '-c', 'user.name=a', '-c', 'user.email=a@b', ...args], {
      encoding: 'utf8',
    }).trim();
  git('init', '--quiet');
  git('commit', '--quiet', '--allow-empty', '-m', 'one');
  const one = git('rev-parse', 'HEAD');
  git('tag', 'light');
  git('tag', '-a', 'heavy', '-m', 'a tag');
  git('update-ref', 'refs/pull/7/head', one);

  it.each(['light', 'heavy', 'refs/pull/7/head', 'refs/tags/heavy'])('%s', async (name) => {
    expect(await commitOf(repository, name, process.env)).toBe(one);
  });

  it('is an error where there is none', async () => {
    await expect(commitOf(repository, 'nothing', process.env)).rejects.toThrow('has no nothing');
    await expect(commitOf('/nowhere', 'v1', process.env)).rejects.toThrow();
  });
});
