import { describe, expect, it } from 'vitest';
import type { JobLine } from '../../../src/cli/watch/model/job-line.ts';
import { type Facts, press, settled } from '../../../src/cli/watch/model/keys.ts';
import { topOf, type Ui, uiOf } from '../../../src/cli/watch/model/ui.ts';
import type { Size } from '../../../src/cli/watch/views/rows.ts';
import type { Scene } from '../../../src/cli/watch/views/scene.ts';
import { screenOf, screenText, widthOfRow } from '../../../src/cli/watch/views/screen.ts';
import { processEvent, recorded, START } from '../view/events.ts';
import { jobScene, sceneOf } from './scene.ts';

const NARROW: Size = { columns: 80, rows: 24 };
const WIDE: Size = { columns: 200, rows: 50 };

/** Presses keys as the program does: each on the screen that the one before made. */
function pressed(scene: Scene, ui: Ui, size: Size, keys: readonly string[]) {
  let now = ui;
  let facts: Facts = { ids: [], count: 0, height: 1, matches: [] };
  const draw = () => {
    const drawn = screenOf(scene, now, size);
    facts = drawn.facts;
    now = settled(now, facts, drawn.offset);
    return drawn.rows;
  };
  draw();
  const effects = keys.map((key) => {
    const step = press(now, key, facts);
    now = step.ui;
    draw();
    return step.effect;
  });
  const rows = draw();
  return { ui: now, rows, text: screenText(rows), effects };
}

const job = (jobId = '4711') => uiOf({ kind: 'job', jobId });

/** Local times differ between machines. */
const timeless = (text: string): string =>
  text.replaceAll(/\d\d:\d\d:\d\d/g, 'HH:MM:SS').replaceAll(/ +$/gm, '');

const line = (jobId: string, over: Partial<JobLine> = {}): JobLine => ({
  ...{
    jobId,
    jobDir: `/jobs/${jobId}`,
    name: 'dsr1',
    tags: [],
    state: 'running',
    isOver: false,
    exitCode: null,
  },
  ...{ reason: '', points: { all: 12, done: 4, failed: 1 }, stage: 'isl8k: benchmarking' },
  workers: [
    { role: 'prefill', ready: 2, failed: 0, all: 2 },
    { role: 'decode', ready: 7, failed: 1, all: 8 },
  ],
  ...{ submittedAt: new Date(START).toISOString(), endedAt: null, progress: null, cause: null },
  figures: { rate: 2451.4, isPerGpu: true, ttftMs: 118, itlMs: 14.2 },
  ...over,
});

describe('the screen of watch', () => {
  it('shows in 80 columns which worker died, why, and when the sweep ends', () => {
    const { text } = pressed(sceneOf(jobScene({ dies: true })), job(), NARROW, []);
    expect(timeless(text)).toMatchSnapshot();
    expect(text).toMatch(/^cause +decode-3-0 \(decode worker on node5\) failed: ended by SIGKILL/m);
    expect(text).toContain('ends about');
    expect(text).toContain('decode 7 of 8 ready, 1 failed');
  });

  it('shows in 200 columns how fast the benchmark is, and which node is slow', () => {
    const { text } = pressed(sceneOf(jobScene({ isSlow: true })), job(), WIDE, []);
    expect(timeless(text)).toMatchSnapshot();
    expect(text).toContain('1700 output tok/s · TTFT 118 ms · ITL 14.2 ms · 64 requests running · 8 waiting');
    expect(text).toMatch(/^slow +node8: decode-6-0 makes 15 tokens\/s for each request, its peers 50/m);
    expect(text).toContain('22 s left');
  });

  it('is exactly as large as the terminal, whatever that is', () => {
    const scenes = [jobScene({ dies: true }), jobScene({ isSlow: true }), null];
    for (const scene of scenes)
      for (const kind of ['job', 'nodes', 'events', 'jobs'] as const)
        for (const size of [
          NARROW,
          WIDE,
          { columns: 20, rows: 5 },
          { columns: 3, rows: 1 },
          { columns: 1, rows: 3 },
        ]) {
          const { rows } = screenOf(sceneOf(scene), uiOf({ kind, jobId: '4711' }), size);
          expect(rows.length).toBe(size.rows);
          for (const each of rows) expect(widthOfRow(each)).toBe(size.columns);
        }
  });

  it('lists jobs with their points, workers, end and best figures', () => {
    const progress = {
      points: 12,
      done: 4,
      failed: 1,
      left: 7,
      meanPointMs: 1_000,
      expectedEndAt: new Date(START).toISOString(),
    };
    const lines = [
      line('4711', { progress }),
      line('4710', {
        state: 'pending',
        reason: 'Priority',
        workers: [],
        figures: null,
        points: { all: 0, done: 0, failed: 0 },
      }),
      line('4709', {
        isOver: true,
        exitCode: 1,
        cause: 'decode-0-0 failed',
        endedAt: new Date(START).toISOString(),
        workers: [],
      }),
    ];
    const scene = sceneOf(null, { jobs: { root: '/jobs', lines, isRead: true } });
    const { text } = pressed(scene, uiOf({ kind: 'jobs' }), WIDE, []);
    expect(text).toMatch(
      /4711 +dsr1 +running +4\/12 1 failed +prefill 2\/2 decode 7\/8 +40 s +~\d\d:\d\d +2451 tok\/s\/GPU TTFT 118 ms ITL 14.2 ms +isl8k: benchmarking/,
    );
    expect(text).toMatch(/4710 +dsr1 +pending .*Priority/);
    expect(text).toMatch(/4709 +dsr1 +failed \(1\).*decode-0-0 failed/);
    const narrow = pressed(scene, uiOf({ kind: 'jobs' }), NARROW, []).text;
    expect(narrow).toMatch(/4711 +dsr1 +running +4\/12 1 failed/);
  });

  it('shows each of 8,000 processes by scrolling, and draws only those on the screen', () => {
    const scene = jobScene();
    const many = Array.from({ length: 8_000 }, (_, at) =>
      processEvent({ node: `gpu${at % 1_000}`, process: `agg-${at}-0`, role: 'agg' }),
    );
    for (const event of recorded(many)) scene.history.take(event);
    const { text, ui } = pressed(sceneOf(scene), job(), NARROW, ['END']);
    expect(text).toContain('8009 processes');
    expect(text).toContain(topOf(ui).cursor);
    expect(topOf(ui).at).toBe(8_008);
  });
});

describe('the keys of watch', () => {
  const scene = () => sceneOf(jobScene({ dies: true }));

  it('open a process, show its history, and go back', () => {
    const { text, ui } = pressed(scene(), job(), NARROW, ['ENTER', 'TAB']);
    expect(topOf(ui).page).toEqual({ kind: 'process', jobId: '4711', process: 'decode-3-0' });
    expect(text).toMatch(/starting +its files are in place/);
    expect(text).toMatch(/failed +ended by SIGKILL \(out of memory\)/);
    expect(topOf(pressed(scene(), ui, NARROW, ['ESCAPE']).ui).page.kind).toBe('job');
  });

  it('filter a list while the text is typed, and the cursor stays on its item', () => {
    const { text, ui } = pressed(scene(), job(), NARROW, ['DOWN', 'DOWN', '/', ...'node4']);
    expect(text).toContain('1 processes with "node4"');
    expect(topOf(ui).cursor).toBe('decode-2-0');
    const after = pressed(scene(), ui, NARROW, ['ENTER', 'ESCAPE']);
    expect(topOf(after.ui)).toMatchObject({ cursor: 'decode-2-0', filter: '' });
  });

  it('sort by another order, and the cursor stays on its item', () => {
    const before = pressed(scene(), job(), NARROW, ['DOWN', 'DOWN', 'DOWN']);
    const after = pressed(scene(), before.ui, NARROW, ['s']);
    expect(after.text).toContain('by node');
    expect(topOf(after.ui).cursor).toBe(topOf(before.ui).cursor);
  });

  it('ask before a job is cancelled', () => {
    expect(pressed(scene(), job(), NARROW, ['c', 'n']).effects).toEqual([null, null]);
    expect(pressed(scene(), job(), NARROW, ['c']).text).toContain('cancel 4711?');
    expect(pressed(scene(), job(), NARROW, ['c', 'y']).effects).toEqual([
      null,
      { kind: 'cancel', jobId: '4711' },
    ]);
  });

  it('search a log from its newest line upwards', () => {
    const log = Array.from({ length: 500 }, (_, at) => `${at % 100 === 7 ? 'error' : 'line'} ${at}`);
    const withLog = sceneOf(jobScene(), { process: { log, command: 'none' } });
    const ui = uiOf({ kind: 'process', jobId: '4711', process: 'decode-0-0' });
    expect(pressed(withLog, ui, NARROW, []).text).toContain('line 499');
    const found = pressed(withLog, ui, NARROW, ['/', ...'error', 'ENTER', 'n', 'n']);
    expect(found.text).toContain('error 307');
    expect(found.text).toContain('"error" in 5 lines');
    expect(pressed(withLog, found.ui, NARROW, ['f']).text).toContain('line 499');
  });

  it('show help, the nodes with the slow one first, and the events of a node', () => {
    const slow = sceneOf(jobScene({ isSlow: true }));
    expect(pressed(slow, job(), NARROW, ['?']).text).toContain('cancel the job; asks first');
    const nodes = pressed(slow, job(), WIDE, ['n']);
    expect(nodes.text.split('\n')[3]).toMatch(/^node8 +joined +1\/1 .* decode-6-0 makes 15 tokens/);
    const events = pressed(slow, nodes.ui, NARROW, ['ENTER', 'e']);
    expect(topOf(events.ui).page).toEqual({ kind: 'events', jobId: '4711', node: 'node8' });
    expect(events.text).toContain('3 events');
  });

  it('end the watching with q on the first page, and with Ctrl-C anywhere', () => {
    expect(pressed(scene(), job(), NARROW, ['q']).effects).toEqual([{ kind: 'quit' }]);
    expect(pressed(scene(), job(), NARROW, ['ENTER', 'CTRL_C']).effects).toEqual([null, { kind: 'quit' }]);
  });
});
