import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { pointResultSchema } from '../../src/messages/job-directory/result.ts';
import type { Report } from '../../src/report/model/report.ts';
import { useJobs } from '../support/jobs.ts';
import { writeSweep } from './sweep-recipe.ts';

const jobs = useJobs({
  SRTCTL_SIM_SPEED: '2',
  SRTCTL_SIM_FAULTS: '[{do: die, process: decode-0, signal: SIGKILL, point: 1, request: 6}]',
});

const dataIn = (page: string): { report: Report } =>
  JSON.parse(/<script type="application\/json" id="report-data">(.*?)<\/script>/s.exec(page)?.[1] ?? '');

describe('the report of a sweep with a failed point', () => {
  it('has the figures of result.json, the failure and the timeline; compare has the changes', async () => {
    const recipe = await writeSweep(jobs.dir, {
      sweep: 'fraction: [0.7, 0.8]',
      decode: 'mem-fraction-static: "{fraction}"',
      concurrencies: '1x2',
      requests: 4,
    });
    const job = await jobs.apply(recipe);
    expect(await job.ended(), job.said).toBe(3);
    const dir = await job.jobDir();
    const file = join(jobs.dir, 'report.html');

    const written = jobs.run(job.outputs, ['report', dir, '-o', file]);
    expect([written.stderr, written.status, written.stdout]).toEqual(['', 0, `${file}\n`]);
    const page = await readFile(file, 'utf8');
    const [source] = dataIn(page).report.sources;
    for (const point of source?.points ?? []) {
      const [name = ''] = (await readdir(join(dir, 'points'))).filter((each) =>
        each.startsWith(`0${point.ordinal}-`),
      );
      const text = await readFile(join(dir, 'points', name, 'result.json'), 'utf8');
      const result = pointResultSchema.parse(JSON.parse(text));
      const figures = point.rows.map((row) => ({ ...row, ...row.result }));
      expect(figures).toMatchObject(result.benchmark?.serving ?? []);
      expect(point.cause).toEqual(result.cause);
    }
    expect(source?.points.map(({ status }) => status.split(',')[0])).toEqual(['done', 'failed']);
    expect(source?.points[0]?.rows[1]).toMatchObject({ concurrency: 2, valid: true, gpus: { total: 8 } });
    expect(source?.points[0]?.rows[1]?.requestsFile?.completed).toBe(8);
    expect(source?.timeline?.marks).toContainEqual(
      expect.objectContaining({ what: 'process failed', text: expect.stringContaining('decode-0-0') }),
    );
    // The script of the page is the one whose hash the page allows, so it is not cut off anywhere.
    expect(page.match(/<\/script>/g)).toHaveLength(2);

    const charts = jobs.run(job.outputs, ['report', dir, '--charts', join(jobs.dir, 'charts')]);
    expect(charts.stdout.split('\n')[0]).toBe(join(jobs.dir, 'charts/pareto.svg'));
    expect(await readFile(join(jobs.dir, 'charts/pareto.svg'), 'utf8')).toMatch(
      /^<svg [\s\S]*fraction=0\.7 c=\d[\s\S]*<\/svg>/,
    );

    const csv = jobs.run(job.outputs, ['report', dir, '--csv']).stdout.split('\r\n');
    expect(csv[0]).toContain('params.fraction');
    expect(jobs.run(job.outputs, ['report', dir, '--markdown']).stdout).toContain('| 1 |');

    const other = join(jobs.dir, 'vllm.json');
    await writeFile(
      other,
      JSON.stringify({
        ...{
          max_concurrency: 2,
          request_rate: 'inf',
          duration: 1,
          completed: 8,
          failed: 0,
          request_throughput: 8,
        },
        ...{ output_throughput: 800, mean_ttft_ms: 5, median_ttft_ms: 5, median_tpot_ms: 2 },
      }),
    );
    const compared = jobs.run(job.outputs, ['compare', dir, other, '--gpus', '8', '--json']);
    const { comparisons } = JSON.parse(compared.stdout) as Report;
    const both = comparisons?.[0]?.rows.filter(({ before, after }) => before !== null && after !== null);
    expect(both?.map(({ before, after }) => [before, after])).toEqual([['0/1', '0/0']]);
    const page2 = join(jobs.dir, 'compare.html');
    jobs.run(job.outputs, ['compare', dir, dir, '-o', page2]);
    // No character is lost on the way through the bundle.
    expect(await readFile(page2, 'utf8')).toMatch(/\d → \d/);
    const table = jobs.run(job.outputs, ['compare', dir, dir]).stdout;
    expect(table).toMatch(/fraction=0.7 c=2 .* → [\s\S]*0\.0 %[\s\S]*what ran does not differ/);
  }, 120_000);

  it('of a job that is not there ends with exit code 2', () => {
    const { status, stderr } = jobs.run(join(jobs.dir, 'none'), ['report', 'nope']);
    expect([status, stderr]).toEqual([2, expect.stringContaining('there is no job nope')]);
    const file = join(import.meta.dirname, 'report.test.ts');
    const unknown = jobs.run(join(jobs.dir, 'none'), ['compare', file, file]);
    expect([unknown.status, unknown.stderr]).toEqual([
      2,
      expect.stringContaining('no file of results that srtctl can read'),
    ]);
  });
});
