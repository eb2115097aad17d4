import { resolve } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { processRoleSchema } from '../../src/messages/spec/process-spec.ts';
import { diagnose, type Witness } from '../../src/why/diagnose.ts';
import { errorLine } from '../../src/why/error-line.ts';
import { readSignatures } from '../../src/why/signatures.ts';
import { type Failure, failures, nodeOf } from './failures.ts';

const signatures = readSignatures(resolve(import.meta.dirname, '../../src/why/signatures.yaml'));
const START = Date.parse('2026-11-24T10:00:00Z');

function diagnosisOf({ logs, lost }: Pick<Failure, 'logs' | 'lost'>) {
  const witnesses = Object.entries(logs).map(
    ([process, { log, at, signal, exitCode, why, unwellAt }]): Witness => ({
      process,
      role: processRoleSchema.catch('step').parse(process.replace(/-.*/, '')),
      node: nodeOf[process] ?? '',
      logFile: `/logs/${process}.out`,
      failedAt: at === null ? null : START + at,
      why: why ?? (signal ? `ended by ${signal}` : `ended with exit code ${exitCode}`),
      unwell: unwellAt === undefined ? undefined : { at: START + unwellAt, why: why ?? '' },
      exitCode: exitCode ?? null,
      signal: signal ?? null,
      line: errorLine(log, signatures),
    }),
  );
  return diagnose(
    witnesses,
    lost ? [{ certain: true, ...lost, at: START + lost.at, why: 'silent for 3 s' }] : [],
  );
}

it('errorLine reads a traceback line of many brackets fast, and finds the exception after it', () => {
  const log = `Traceback (most recent call last)\n${'[a]'.repeat(600)}\n[2026-01-01 TP0] (Engine pid=7) KeyError: [x] is no key`;
  expect(errorLine(log, signatures)?.text).toBe('KeyError: [x] is no key');
});

it('errorLine takes an exception without its traceback for an error', () => {
  expect(errorLine('loading\nValueError: bad dataset\nbye', signatures)).toMatchObject({
    text: 'ValueError: bad dataset',
    weight: 'error',
  });
});

describe('diagnose', () => {
  it.each(failures.map((failure) => [failure.name, failure] as const))('%s', (_, failure) => {
    const found = diagnosisOf(failure);
    const { process, node, line } = failure.cause;
    expect(found).toMatchObject({ process, node });
    if (line) expect(found?.line?.text).toMatch(line);
    expect(found?.line?.signature?.id ?? null).toBe(failure.signature);
  });

  it('finds the cause whatever the order of the processes', () => {
    fc.assert(
      fc.property(fc.constantFrom(...failures), fc.infiniteStream(fc.nat()), (failure, order) => {
        const shuffled = Object.entries(failure.logs)
          .map((entry) => ({ entry, at: order.next().value ?? 0 }))
          .sort((a, b) => a.at - b.at);
        const again = { ...failure, logs: Object.fromEntries(shuffled.map(({ entry }) => entry)) };
        expect(diagnosisOf(again)?.process ?? null).toBe(failure.cause.process);
      }),
    );
  });

  it('finds no cause when nothing has failed', () => {
    expect(diagnose([], [])).toBeUndefined();
  });
});

describe('errorLine', () => {
  it('returns a line of the log, whatever the log contains, and returns fast', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme', maxLength: 300 }), { maxLength: 40 }), (lines) => {
        const found = errorLine(lines.join('\n'), signatures);
        if (found) expect(lines.join('\n')).toContain(found.text.slice(0, 20).trim());
      }),
    );
    expect(errorLine(`${'error '.repeat(100_000)}\n`.repeat(20), signatures)?.weight).toBe('error');
    expect(errorLine('', signatures)).toBeUndefined();
  });
});

it('a benchmark that waits for answers names the only worker, and itself where several or another program may be meant', () => {
  const benchmark = { log: '', at: 0, exitCode: 1, why: 'hung: 8 requests in flight and no token for 30 s' };
  const worker = { log: '', at: null };
  const named = (logs: Failure['logs']) => diagnosisOf({ logs: { benchmark, ...logs } });
  expect(named({ 'agg-0-0': worker })).toMatchObject({
    process: 'agg-0-0',
    why: `benchmark waits for it: ${benchmark.why}`,
  });
  expect(named({ 'agg-0-0': worker, 'agg-1-0': worker })).toMatchObject({ process: 'benchmark' });
  const unwell = { ...worker, why: '/health does not answer', unwellAt: -5 };
  expect(named({ 'agg-0-0': worker, 'frontend-0': unwell })).toMatchObject({ process: 'benchmark' });
});
