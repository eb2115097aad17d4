import { expect, it } from 'vitest';
import type { ProcessTransition, SrtEvent } from '../../src/messages/events/events.ts';
import { useJobs } from '../support/jobs.ts';
import { writeRecipe } from './recipe.ts';

const jobs = useJobs();

const isProcess = (event: SrtEvent): event is ProcessTransition => event.kind === 'process.transition';

it('clients stop before routers, routers before workers, and etcd last', async () => {
  const job = await jobs.apply(await writeRecipe(jobs.dir, { frontend: 'dynamo', requests: 400 }));
  await job.benchmarking();
  job.child.kill('SIGINT');
  expect(await job.ended()).toBe(130);
  const events = (await job.events()).filter(isProcess);
  const began = (id: RegExp) =>
    events.findIndex(({ process, to }) => id.test(process) && (to === 'stopping' || to === 'stopped'));
  const over = (id: RegExp) =>
    events.findLastIndex(({ process, to }) => id.test(process) && (to === 'stopped' || to === 'failed'));
  const [benchmark, frontend, worker, etcd] = [/^benchmark/, /^frontend/, /^(prefill|decode|agg)/, /^etcd/];
  expect(began(benchmark)).toBeGreaterThan(0);
  expect(began(frontend)).toBeGreaterThan(over(benchmark));
  expect(began(worker)).toBeGreaterThan(over(frontend));
  expect(began(etcd)).toBeGreaterThan(over(worker));
  expect(events.filter(({ to }) => to === 'failed')).toEqual([]);
  await job.nothingLeft();
}, 90_000);
