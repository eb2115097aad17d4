import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import fc from 'fast-check';
import { createColors } from 'picocolors';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { JobModel } from '../../src/cli/jobs/job-model.ts';
import { lineOf } from '../../src/cli/view/lines.ts';
import { render } from '../../src/cli/view/live.ts';
import { summaryOf } from '../../src/cli/view/summary.ts';
import { parseEvents } from '../../src/messages/events/events.ts';
import { processRoleSchema } from '../../src/messages/spec/process-spec.ts';
import { processStateSchema } from '../../src/messages/spec/states.ts';
import { explain } from '../../src/why/explain.ts';
import { readSignatures } from '../../src/why/signatures.ts';

/** The owner of an agent's key can publish, in that agent's name, whatever fits the schema. */

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'srtctl-test-'));
  execFileSync('mkfifo', [join(dir, 'pipe')]);
  writeFileSync(
    join(dir, 'log'),
    `Traceback (most recent call last)\n${'[a]'.repeat(600)}\n\u001b[2J\u0000${'x'.repeat(300_000)}`,
  );
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const signatures = readSignatures(resolve('src/why/signatures.yaml'));
const evil = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom('', '__proto__', 'constructor', '\u001b[2J', '\u202e', '\ud800', 'a\nb', 'x'.repeat(5_000)),
);
const place = fc.constantFrom(
  '',
  '/',
  '/dev/zero',
  '/proc/self/mem',
  '\u0000',
  'pipe',
  'log',
  '../..',
  'none',
);
const whole = fc.maxSafeInteger();
const event = fc.record({
  kind: fc.constant('process.transition'),
  v: fc.constant(1),
  at: fc.oneof(evil, fc.constantFrom('2026-01-01T00:00:00Z', '+275760-09-13T00:00:00.001Z')),
  source: fc.string().map((text) => `agent:node1:${text}`),
  seq: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  node: fc.constantFrom('node1', '__proto__', ''),
  process: fc.oneof(evil, fc.constantFrom('decode-0-0', 'benchmark')),
  role: fc.constantFrom(...processRoleSchema.options),
  from: fc.constantFrom(null, ...processStateSchema.options),
  to: fc.constantFrom(...processStateSchema.options),
  why: evil,
  pid: fc.option(whole),
  exitCode: fc.option(whole),
  signal: fc.option(evil),
  generation: fc.nat(),
  logFile: place,
  logFrom: fc.nat(),
});

it('no event that an agent can send breaks a program that shows it, stores it or looks for the cause', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(event, { maxLength: 12 }), async (sent) => {
      const files = sent.map((each) => ({
        ...each,
        logFile: ['pipe', 'log'].includes(each.logFile) ? join(dir, each.logFile) : each.logFile,
      }));
      const events = parseEvents(`${files.map((each) => JSON.stringify(each)).join('\n')}\n`);
      expect(events).toHaveLength(files.length);
      const model = new JobModel();
      for (const each of events) {
        model.take(each);
        expect(lineOf(each)).not.toMatch(/\p{Cc}/u);
      }
      const area = { columns: 80, rows: 8, colors: createColors(false), now: Date.now() };
      expect(render(model, 'job', area).split('\n').length).toBeLessThan(8);
      summaryOf(model, '/out', createColors(false));
      const told = { summary: 'told' };
      const cause = await explain(events, 0, told, signatures);
      expect(cause.summary).not.toBe('');
      expect(({} as Record<string, unknown>).polluted).toBeUndefined();
    }),
    { numRuns: 150 },
  );
}, 120_000);
