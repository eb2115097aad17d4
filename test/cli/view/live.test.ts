import { stripVTControlCharacters } from 'node:util';
import fc from 'fast-check';
import { createColors } from 'picocolors';
import { describe, expect, it } from 'vitest';
import { JobModel } from '../../../src/cli/jobs/job-model.ts';
import { cut, plain, widthOf } from '../../../src/cli/terminal/text.ts';
import { render } from '../../../src/cli/view/live.ts';
import { processRoleSchema } from '../../../src/messages/spec/process-spec.ts';
import { processStateSchema } from '../../../src/messages/spec/states.ts';
import { agentEvent, killed, processEvent, recorded, START, wholeRun } from './events.ts';

const area = (columns: number, rows: number, colors = false) => ({
  columns,
  rows,
  colors: createColors(colors),
  now: START + 60_000,
});

function modelOf(events: ReturnType<typeof recorded>): JobModel {
  const model = new JobModel();
  for (const event of events) model.take(event);
  return model;
}

/** 1,000 nodes with a decode worker each; one has failed, two are starting. */
function largeJob(): JobModel {
  const special = new Map([
    [17, 'starting'],
    [500, 'failed'],
    [999, 'starting'],
  ] as const);
  return modelOf(
    recorded(
      Array.from({ length: 1_000 }, (_, index) => [
        agentEvent(`n${index}`, 'joined'),
        processEvent({
          node: `n${index}`,
          process: `decode-${index}-0`,
          role: 'decode',
          to: special.get(index as 17) ?? 'ready',
        }),
      ]).flat(),
    ),
  );
}

describe('the live screen', () => {
  it('lists each process when there is room', () => {
    const screen = render(modelOf(wholeRun().slice(0, 10)), 'job', area(100, 24));
    expect(screen).toContain('node1 prefill-0-0 ready');
    expect(screen).toContain('node2 decode-0-0  ready');
    expect(screen).toContain('agents: 2 joined');
  });

  it('names a point by its number, as other commands do', () => {
    const screen = render(modelOf(wholeRun().slice(0, 10)), 'job', area(100, 24));
    expect(screen).toMatch(/^point 0 small: /m);
  });

  it('counts at 1,000 nodes, and lists only processes that are not ready, the worst first', () => {
    const lines = render(largeJob(), 'job', area(100, 24)).split('\n');
    expect(lines).toContain('  decode: 997 ready, 2 starting, 1 failed');
    expect(lines).toContain('agents: 1000 joined');
    expect(
      lines.filter((line) => /decode-\d+-0/.test(line)).map((line) => line.trim().split(/ +/)[0]),
    ).toEqual(['n500', 'n17', 'n999']);
  });

  it('shows how many more there are than fit', () => {
    const events = recorded(
      Array.from({ length: 30 }, (_, index) =>
        processEvent({ process: `decode-${index}-0`, to: 'starting' }),
      ),
    );
    expect(render(modelOf(events), 'job', area(80, 10))).toMatch(/… 26 more not ready$/);
  });

  it('names the cause of a failure while the job still cleans up', () => {
    expect(render(modelOf(wholeRun(killed).slice(0, 14)), 'job', area(100, 24))).toContain(
      `cause: ${killed.summary}`,
    );
  });

  it('has no colours by default', () => {
    const model = modelOf(wholeRun());
    expect(render(model, 'job', area(100, 24))).toBe(
      stripVTControlCharacters(render(model, 'job', area(100, 24, true))),
    );
    expect(render(model, 'job', area(100, 24, true))).toContain('\u001b[');
  });

  it('is never wider or higher than the terminal, whatever it shows', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc.constant('日本語 ✅ \u001b[31mred\n'),
    );
    const process = fc.record({
      node: text,
      process: text,
      why: text,
      role: fc.constantFrom(...processRoleSchema.options),
      to: fc.constantFrom(...processStateSchema.options),
    });
    const size = { columns: fc.integer({ min: 1, max: 200 }), rows: fc.integer({ min: 2, max: 60 }) };
    fc.assert(
      fc.property(
        fc.record(size),
        fc.array(process, { maxLength: 80 }),
        text,
        fc.boolean(),
        ({ columns, rows }, processes, title, colors) => {
          const events = recorded([...processes.map((each) => processEvent(each))]);
          const model = modelOf([...events, ...wholeRun(killed)]);
          model.takeProgress({
            v: 1,
            at: '',
            ordinal: 0,
            progress: {
              stage: 'measure',
              concurrency: 4,
              step: 1,
              steps: 1,
              requestsDone: 9,
              requestsTotal: 4,
              failed: 1,
              outputThroughput: 1e9,
            },
          });
          const lines = stripVTControlCharacters(render(model, title, area(columns, rows, colors))).split(
            '\n',
          );
          expect(lines.length).toBeLessThan(rows);
          for (const line of lines) expect(widthOf(line)).toBeLessThanOrEqual(columns);
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe('text of other programs', () => {
  it('cannot move the cursor, ring the bell or break the line', () => {
    expect(plain('a\u001b[2Jb\rc\u0007\nd\te')).toBe('ab c d  e');
  });

  it('is measured in cells of a terminal', () => {
    expect(widthOf('abc')).toBe(3);
    expect(widthOf('日本')).toBe(4);
    expect(widthOf('e\u0301')).toBe(1);
    expect(widthOf('✅')).toBe(2);
  });

  it('is cut at whole characters, with a sign for the cut', () => {
    expect(cut('abcdef', 6)).toBe('abcdef');
    expect(cut('abcdef', 4)).toBe('abc…');
    expect(cut('日本語', 4)).toBe('日…');
    expect(cut('abc', 0)).toBe('');
  });
});
