import { expect, it } from 'vitest';
import { useJobs } from '../support/jobs.ts';
import { writeSweep } from './sweep-recipe.ts';

const jobs = useJobs();

/** A fault for every second point, and the cause to expect. */
const REHEARSED = [
  [
    { do: 'die', process: 'decode', signal: 'SIGKILL', request: 3 },
    { process: 'decode-0-0', signal: 'SIGKILL' },
  ],
  [
    { do: 'die', process: 'prefill', request: 3, code: 9, says: 'RuntimeError: NCCL error: rehearsed' },
    { process: 'prefill-0-0', exitCode: 9, error: 'RuntimeError: NCCL error: rehearsed' },
  ],
  [
    { do: 'refuse', process: 'frontend', status: 502, request: 3, path: '/v1/' },
    { summary: expect.stringMatching(/a request failed.*502/) },
  ],
  [
    { do: 'stream-error', process: 'decode', request: 3, chunk: 1, how: 'event' },
    { summary: expect.stringMatching(/requests? failed/) },
  ],
  [
    { do: 'freeze', process: 'prefill', request: 3 },
    { summary: expect.stringMatching(/unhealthy.*prefill|prefill.*unhealthy/) },
  ],
] as const;

it('each fault of a stand-in fails its point with the right cause, does not affect the next point, and leaves nothing behind', async () => {
  const faults = REHEARSED.map(([fault], at) => ({ ...fault, point: 2 * at }));
  const osl = REHEARSED.flatMap((_, at) => [20 + 2 * at, 21 + 2 * at]);
  const recipe = await writeSweep(jobs.dir, {
    sweep: `osl: [${osl}]`,
    osl: '{osl}',
    // Long enough that a process which a busy machine holds up for seconds is not taken for the frozen one.
    extra: 'supervision: { unhealthy_after: 10 }\n',
  });
  const job = await jobs.apply(recipe, { env: { SRTCTL_SIM_FAULTS: JSON.stringify(faults) } });
  expect(await job.ended(), job.said).toBe(3);
  const results = await job.results();
  REHEARSED.forEach(([, cause], at) => {
    const failed = results[2 * at];
    const said = `${failed?.status}, ${failed?.cause?.summary}, for ${JSON.stringify(faults[at])}`;
    expect(failed, said).toMatchObject({ status: 'failed', cause });
    expect(results[2 * at + 1], `after ${JSON.stringify(faults[at])}`).toMatchObject({
      status: 'done',
      benchmark: { valid: true },
    });
  });
  await job.nothingLeft();
}, 240_000);
