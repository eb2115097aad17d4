import { spawn } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import {
  exitCodeOfJob,
  superviseCoordinator,
  whenSpawned,
} from '../../../src/cli/submit/coordinator-process.ts';
import { EXIT } from '../../../src/os/errors.ts';

describe('a coordinator whose program is missing', () => {
  const start = async () => whenSpawned(spawn('not-there', []), 'not-there');

  it('is an error in one line that names the program', async () => {
    await expect(superviseCoordinator(start)).rejects.toThrow('not-there is not on the PATH');
  });
});

describe('the exit code of a command that ran a job', () => {
  it.each([
    ['the coordinator finished before it heard of Ctrl-C', 0, EXIT.interrupted, 0],
    ['points had failed before it heard of Ctrl-C', EXIT.partly, EXIT.interrupted, EXIT.partly],
    ['it was told over the bus, for which its own code is that of cancel', 143, EXIT.interrupted, 130],
    ['it was told by the signal', 130, EXIT.interrupted, 130],
    ['it was cancelled by somebody else', 143, undefined, 143],
    ['it was killed after Ctrl-C', null, EXIT.interrupted, 130],
    ['it was killed', null, undefined, EXIT.failed],
  ])('when %s', (_, coordinator, asked, expected) => {
    expect(exitCodeOfJob(coordinator, asked, 0)).toBe(expected);
  });
});
