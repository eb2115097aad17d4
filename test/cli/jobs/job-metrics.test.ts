import { expect, it } from 'vitest';
import { metricsOfJob } from '../../../src/cli/jobs/job-metrics.ts';
import { JobModel } from '../../../src/cli/jobs/job-model.ts';
import { exposition } from '../../../src/reporting/prometheus/exposition.ts';
import { wholeRun } from '../../reporting/made.ts';

const textAfter = (events: number): string => {
  const model = new JobModel();
  for (const event of wholeRun(0).slice(0, events)) model.take(event);
  return [...exposition(metricsOfJob('77', 'small', model))].join('');
};

it('the metrics of a job say in which state it, its point and its processes are', () => {
  const text = textAfter(6);
  expect(text).toContain('srtctl_job_state{srtctl_job="77",job_name="small",state="running"} 1\n');
  expect(text).toContain(
    'srtctl_point_state{srtctl_job="77",ordinal="0",point="small",state="benchmarking"} 1\n',
  );
  expect(text).toContain(
    'srtctl_process_state{srtctl_job="77",process="agg-0",node="n1",role="agg",state="starting"} 1\n',
  );
  expect(text).toContain('srtctl_points{srtctl_job="77",state="left"} 1\n');
});

it('the metrics of a job count its points when they are over, and have no benchmark that does not run', () => {
  const text = textAfter(9);
  expect(text).toContain('srtctl_points{srtctl_job="77",state="done"} 1\n');
  expect(text).toContain('srtctl_points{srtctl_job="77",state="left"} 0\n');
  expect(text).not.toContain('srtctl_benchmark');
});
