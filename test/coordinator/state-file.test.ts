import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { StateFile } from '../../src/coordinator/state-file.ts';
import { type JobState, jobStateSchema } from '../../src/messages/job-files.ts';

const state = (points: number): JobState => ({
  v: 1,
  jobId: 'j',
  name: 'j',
  epoch: 1,
  generation: 0,
  streamSeq: 0,
  coordinatorPid: 1,
  updatedAt: new Date(0).toISOString(),
  sweep: 'running',
  exitCode: null,
  points: Array.from({ length: points }, (_, ordinal) => ({
    ordinal,
    name: `point-${ordinal}`,
    state: 'planned',
    status: null,
  })),
  cause: null,
});

it('of thousands of points not every change is written, and always what whoever waits has saved', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
  try {
    const errors: unknown[] = [];
    let writes = 0;
    const path = join(dir, 'state.json');
    const file = new StateFile(
      path,
      state(5_000),
      (error) => errors.push(error),
      () => {
        writes++;
      },
    );
    const generationOnDisk = async () =>
      jobStateSchema.parse(JSON.parse(await readFile(path, 'utf8'))).generation;
    for (let generation = 1; generation <= 100; generation++) {
      file.save({ generation });
      if (generation % 50 === 0) {
        await file.saved();
        expect(await generationOnDisk()).toBe(generation);
      } else await new Promise((resolve) => setImmediate(resolve));
    }
    expect(writes).toBeLessThan(50);
    file.save({ generation: 200 });
    file.save({ generation: 201 });
    await file.saved();
    expect(await generationOnDisk()).toBe(201);
    expect(errors).toEqual([]);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
