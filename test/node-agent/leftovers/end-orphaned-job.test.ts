import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AliveFile, aliveFile } from '../../../src/coordinator/record/alive-file.ts';
import { endOrphanedJob } from '../../../src/node-agent/leftovers/end-orphaned-job.ts';
import { until } from '../../support/bus.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'srtctl-test-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** Expires the lease of an agent of job 7; returns the jobs that the agent cancelled. */
async function orphaned(over: { ofOwnAllocation?: boolean; meanwhile?: () => void } = {}) {
  const cancelled: string[] = [];
  const logFile = join(dir, 'sweep.log');
  const allocation = { slurmJobId: '7', head: 'node1', aliveFile: aliveFile(dir), logFile };
  const ending = endOrphanedJob({
    config: { node: 'node2', ...(over.ofOwnAllocation === false ? {} : { allocation }) },
    why: 'no word for 10 s',
    log: { warn: () => undefined },
    stillMs: 200,
    spreadMs: 0,
    cancel: async (id) => cancelled.push(id),
  });
  over.meanwhile?.();
  return { ended: await ending, cancelled, logFile };
}

describe('an agent whose lease has expired', () => {
  it('ends the job when its coordinator shows no sign of life, and writes that into the job’s log', async () => {
    writeFileSync(aliveFile(dir), '1.7\n');
    const { ended, cancelled, logFile } = await orphaned();
    expect([ended, cancelled]).toEqual([true, ['7']]);
    expect(readFileSync(logFile, 'utf8')).toMatch(
      /^srtctl: the head node node1 is lost.*node2.*ended the job\n$/,
    );
  });

  it('is cut off, and leaves the job to the other nodes, when the coordinator lives', async () => {
    writeFileSync(aliveFile(dir), '1.7\n');
    const meanwhile = () => void setTimeout(() => appendFileSync(aliveFile(dir), 'x'), 50);
    expect(await orphaned({ meanwhile })).toMatchObject({ ended: false, cancelled: [] });
  });

  it('ends no unknown job, and no allocation that is not the job’s own', async () => {
    expect(await orphaned()).toMatchObject({ ended: false, cancelled: [] });
    writeFileSync(aliveFile(dir), '1.7\n');
    expect(await orphaned({ ofOwnAllocation: false })).toMatchObject({ ended: false, cancelled: [] });
  });
});

it('a coordinator’s sign of life exists from its first lease until the job has ended', async () => {
  const alive = new AliveFile(dir, 3);
  alive.tick();
  const read = (): string => readFileSync(aliveFile(dir), 'utf8');
  await until('the file', () => {
    try {
      return read() === '3.1\n';
    } catch {
      return false;
    }
  });
  await alive.remove();
  expect(read).toThrow();
});
