import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { writeSweep } from '../e2e/sweep-recipe.ts';
import { useJobs } from '../support/jobs.ts';
import { describeReal, pythonOf } from './support/programs.ts';

/** Prints, as JSON, what DuckDB and pandas find in the telemetry of a job. The query is that of docs/how-to/telemetry.md. */
const READ = `
import json, sys
import duckdb, pandas
job = sys.argv[1]
samples, windows = f'{job}/telemetry/samples', f'{job}/telemetry/windows.parquet'
watts = duckdb.sql(f"""
    SELECT w.point, w.concurrency, s.node, s.labels ->> 'gpu' AS gpu, avg(s.value) AS watts
    FROM '{samples}/*.parquet' s
    JOIN '{windows}' w ON s.time BETWEEN w.begins AND w.ends
    WHERE w.kind = 'window' AND s.name = 'gpu_power_watts' GROUP BY ALL ORDER BY ALL
""").fetchall()
rows = duckdb.sql(f"SELECT count(*) FROM '{samples}/*.parquet'").fetchall()[0][0]
frame = pandas.read_parquet(samples)
steps = frame[frame['name'] == 'up'].groupby(['node', 'process'])['time'].diff().dropna()
print(json.dumps({
    'watts': watts,
    'rows': [rows, len(frame)],
    'types': {name: str(kind) for name, kind in frame.dtypes.items()},
    'step': steps.median().total_seconds(),
    'processes': sorted(frame['process'].unique()),
    'windows': pandas.read_parquet(windows)['kind'].tolist(),
}))
`;

describeReal('the telemetry of a run', ['parquet'], () => {
  const jobs = useJobs({ SRTCTL_SIM_GPU_WATTS: '300 500' });

  it('is read by DuckDB and by pandas', async () => {
    const recipe = await writeSweep(jobs.dir, {
      sweep: 'n: [1]',
      ...{ requests: 80, osl: 64, extra: 'telemetry: { interval_ms: 200 }\n' },
    });
    const job = await jobs.apply(recipe);
    expect(await job.ended(), job.said).toBe(0);
    const found = execFileSync(pythonOf('parquet'), ['-c', READ, await job.jobDir()], { encoding: 'utf8' });
    const { watts, rows, types, step, processes, windows } = JSON.parse(found);
    expect(watts).toEqual([
      [expect.any(String), 2, 'node1', '0', 300],
      [expect.any(String), 2, 'node1', '1', 500],
    ]);
    expect(rows[0]).toBe(rows[1]);
    expect(types).toMatchObject({ time: 'datetime64[ms, UTC]', value: 'float64' });
    expect(step).toBeCloseTo(0.2);
    expect(processes).toEqual(['', 'decode-0-0', 'frontend-0', 'prefill-0-0']);
    expect(windows).toEqual(['point', 'window']);
  }, 90_000);
});
