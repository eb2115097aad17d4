import { stripVTControlCharacters } from 'node:util';
import { createColors } from 'picocolors';
import { describe, expect, it } from 'vitest';
import { JobModel } from '../../../src/cli/jobs/job-model.ts';
import { lineOf, progressText } from '../../../src/cli/view/lines.ts';
import { colorsFor } from '../../../src/cli/view/printers.ts';
import { summaryOf } from '../../../src/cli/view/summary.ts';
import { killed, processEvent, recorded, wholeRun } from './events.ts';

const TIME = /^\d\d:\d\d:\d\d /;

function summary(cause: typeof killed | null, exitCode: number | null = null, colors = false): string {
  const model = new JobModel();
  for (const event of wholeRun(cause)) model.take(event);
  model.exitCode = exitCode ?? model.exitCode;
  return summaryOf(model, '/out/job-1', createColors(colors));
}

describe('the line of an event', () => {
  it('has the time, the place, the subject, both states, and the reason', () => {
    const lines = wholeRun(killed).map(lineOf);
    for (const line of lines) expect(line).toMatch(TIME);
    expect(lines.map((line) => line.replace(TIME, ''))).toEqual(
      expect.arrayContaining([
        'job booting (submitted)',
        'node1 agent expected → joined (said hello)',
        'node1 prefill-0-0 starting → ready (HTTP 200 after 2.1 s)',
        'node2 decode-0-0 ready → failed (ended by SIGKILL)',
        'point 0 small benchmarking → failed (it is over)',
        'point 0 small result: failed',
      ]),
    );
  });

  it('is one line, without escape sequences, whatever the reason contains', () => {
    const [event] = recorded([processEvent({ why: 'a\nb\u001b[31mc' })]);
    expect(event && lineOf(event)).toMatch(/\(a bc\)$/);
  });

  it('shows the progress of a benchmark', () => {
    const progress = {
      stage: 'measure',
      concurrency: 8,
      step: 2,
      steps: 3,
      requestsDone: 10,
      requestsTotal: 80,
      failed: 1,
      outputThroughput: 123.4,
    } as const;
    expect(progressText(progress)).toBe(
      'measure, concurrency 8 (2 of 3): 10 of 80 requests, 1 failed, 123 output tokens/s',
    );
  });
});

describe('the summary', () => {
  it('has the table of each point and the place of the results', () => {
    const text = summary(null);
    expect(text).toContain('point 0 small: done');
    expect(text).toMatch(/concurrency.*requests/);
    expect(text).toContain('results: /out/job-1');
    expect(text).not.toContain('failed:');
  });

  it('names the cause of a failure: process, signal, log and its last 50 lines', () => {
    const text = summary(killed);
    expect(text).toContain(`failed: ${killed.summary}`);
    expect(text).toContain('node2, decode-0-0, ended by SIGKILL');
    expect(text).toContain('log: /nowhere/node2_decode_w0.out');
    expect(text.match(/ {2}\| /g)).toHaveLength(50);
    expect(text).toContain('| log line 60');
    expect(text).not.toContain('| log line 10\n');
  });

  it('does not call a stopped run failed', () => {
    const text = summary({ summary: 'cancelled by me' }, 143);
    expect(text).toContain('stopped: cancelled by me');
    expect(text).not.toContain('failed: cancelled');
  });

  it('is the same text with and without colours', () => {
    expect(stripVTControlCharacters(summary(killed, null, true))).toBe(summary(killed));
  });
});

describe('colours', () => {
  it.each([
    ['a terminal', { isTTY: true }, {}, true],
    ['a pipe', { isTTY: false }, {}, false],
    ['a terminal with NO_COLOR', { isTTY: true }, { NO_COLOR: '1' }, false],
    ['a terminal with an empty NO_COLOR', { isTTY: true }, { NO_COLOR: '' }, true],
    ['a dumb terminal', { isTTY: true }, { TERM: 'dumb' }, false],
  ])('on %s', (_, out, env, expected) => {
    expect(colorsFor(out, env).red('x') !== 'x').toBe(expected);
  });
});
