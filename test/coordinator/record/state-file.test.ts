import { appendFile, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readStateFile, StateFile } from '../../../src/coordinator/record/state-file.ts';
import { type JobState, jobStateSchema } from '../../../src/messages/job-directory/job-files.ts';

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

/** Uses a temporary directory. */
async function inDirectory(run: (path: string, directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
  try {
    await run(join(directory, 'state.json'), directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

const refuse = (error: unknown): never => {
  throw error;
};
const whole = async (path: string) => jobStateSchema.parse(JSON.parse(await readFile(path, 'utf8')));
const over = (file: StateFile, ordinal: number) => {
  const [before] = file.current.points.slice(ordinal, ordinal + 1);
  if (!before) throw new Error(`no point ${ordinal}`);
  return { ...before, state: 'done' as const, status: 'done' as const };
};

it('combines changes into one write, and has saved every change that a caller waited for', () =>
  inDirectory(async (path) => {
    let writes = 0;
    const file = new StateFile(path, state(5_000), refuse, () => writes++);
    const generationOnDisk = async () => (await readStateFile(path))?.generation;
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
  }));

it('a point of a sweep of thousands costs as much as in a small sweep, and is readable at once', () =>
  inDirectory(async (path, directory) => {
    const file = new StateFile(path, state(2_000), refuse);
    let [written, wholes, last] = [0, 0, ''];
    for (let step = 0; step < 6_000; step++) {
      file.save({ points: [over(file, step % 2_000)], generation: step });
      if (step % 20 !== 0) continue;
      await file.saved();
      const text = await readFile(path, 'utf8');
      if (text !== last) written += text.length;
      wholes += text === last ? 0 : 1;
      last = text;
      const read = await readStateFile(path);
      expect(read?.generation).toBe(step);
      expect(read?.points.filter(({ status }) => status === 'done')).toHaveLength(Math.min(step + 1, 2_000));
    }
    expect(wholes).toBeGreaterThan(1);
    expect(written).toBeLessThan(10 * last.length);
    expect((await readdir(directory)).sort()).toEqual([(await whole(path)).changes, 'state.json'].sort());
    file.save({ sweep: 'finished', exitCode: 0 });
    await file.saved();
    expect(await readdir(directory)).toEqual(['state.json']);
    expect(await whole(path)).toEqual(file.current);
  }));

it('a coordinator that takes over reads the file to its end, and begins a new one', () =>
  inDirectory(async (path, directory) => {
    const first = new StateFile(path, state(1_000), refuse);
    first.save({});
    await first.saved();
    first.save({ points: [over(first, 7)], streamSeq: 12 });
    await first.saved();
    const { changes = '' } = await whole(path);
    await appendFile(join(directory, changes), '{"generation": 9');
    const read = await readStateFile(path);
    expect(read).toEqual(first.current);
    expect(read?.points[7]?.status).toBe('done');
    if (!read) return;
    const second = new StateFile(path, { ...read, epoch: 2 }, refuse);
    second.save({ generation: 10 });
    await second.saved();
    expect(await readStateFile(path)).toEqual(second.current);
    expect(await readdir(directory)).toHaveLength(2);
    expect((await whole(path)).changes).not.toBe(changes);
  }));

it('a line that the file system damaged does not affect the lines before it', () =>
  inDirectory(async (path, directory) => {
    const file = new StateFile(path, state(1_000), refuse);
    file.save({});
    await file.saved();
    file.save({ points: [over(file, 7)] });
    await file.saved();
    const { changes = '' } = await whole(path);
    await appendFile(join(directory, changes), `${'\0'.repeat(40)}\n{"generation": "many"}\n`);
    expect(await readStateFile(path)).toEqual(file.current);
  }));

it('a failed write is repeated with the next state', () =>
  inDirectory(async (path, directory) => {
    const errors: unknown[] = [];
    const file = new StateFile(path, state(1_000), (error) => errors.push(error));
    file.save({});
    await file.saved();
    const { changes = '' } = await whole(path);
    expect(changes).not.toBe('');
    await rm(directory, { recursive: true });
    file.save({ points: [over(file, 3)] });
    await file.saved();
    expect(errors).toHaveLength(1);
    await mkdir(directory);
    file.save({ generation: 5 });
    await file.saved();
    expect(errors).toHaveLength(1);
    expect(await readStateFile(path)).toEqual(file.current);
    expect(file.current.points[3]?.status).toBe('done');
  }));

it('state.json of a small sweep is complete at any time', () =>
  inDirectory(async (path, directory) => {
    const file = new StateFile(path, state(20), refuse);
    for (let ordinal = 0; ordinal < 20; ordinal++) {
      file.save({ points: [over(file, ordinal)] });
      await file.saved();
      expect(await whole(path)).toEqual(file.current);
    }
    expect(await readdir(directory)).toEqual(['state.json']);
  }));
