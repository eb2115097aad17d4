import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import * as z from 'zod';
import { processRoleSchema } from '../../src/messages/spec/process-spec.ts';
import { diagnose, type Witness } from '../../src/why/diagnose.ts';
import { errorLine } from '../../src/why/error-line.ts';
import { readSignatures } from '../../src/why/signatures.ts';

const signatures = readSignatures(resolve(import.meta.dirname, '../../src/why/signatures.yaml'));

const caseSchema = z.strictObject({
  name: z.string(),
  /** Where it was reported; absent: recorded here, or written after a program's source. */
  from: z.string().optional(),
  process: z.string().default('decode-0-0'),
  exitCode: z.number().nullable().default(1),
  signal: z.string().nullable().default(null),
  line: z.string().transform((text) => new RegExp(text)),
  signature: z.string().optional(),
  weight: z.enum(['origin', 'error', 'echo']).optional(),
  log: z.string(),
});
const casesIn = (file: string) =>
  z.array(caseSchema).parse(parse(readFileSync(resolve(import.meta.dirname, 'corpus', file), 'utf8')));
const healthySchema = z.array(z.strictObject({ name: z.string(), log: z.string() }));

const START = Date.parse('2026-11-20T10:00:00Z');
const QUIET = `[2026-11-20 10:00:01 TP0] Load weight end. type=Qwen3ForCausalLM, dtype=torch.bfloat16, avail mem=31.10 GB
[2026-11-20 10:01:00 TP0] Decode batch. #running-req: 8, #token: 512, gen throughput (token/s): 410.2
`;
/** A router's output when a worker is gone; the router ends first, because it notices first. */
const ROUTER = `2026-11-20 10:00:01  INFO smg::server: src/server.rs:985: Router ready | workers: []
2026-11-20 10:02:01 ERROR http_request{method=POST uri=/v1/completions}: smg::routers::http::router: src/routers/http/router.rs:563: Failed to send typed request worker_url=http://10.0.0.3:6100 route=/v1/completions error=error sending request for url (http://10.0.0.3:6100/v1/completions)
`;

/**
 * Diagnoses the case's log as that of one process of a deployment whose router ends earlier and whose prefill
 * worker keeps running.
 */
function diagnosisOf(of: z.infer<typeof caseSchema>) {
  const witness = (process: string, node: string, log: string, failedAt: number | null): Witness => ({
    ...{ process, node, failedAt, exitCode: failedAt === null ? null : 1, signal: null, why: '' },
    role: processRoleSchema.parse(process.replace(/-.*/, '')),
    logFile: `/logs/${process}.out`,
    line: errorLine(log, signatures),
  });
  const { exitCode, signal } = of;
  const why = signal ? `ended by ${signal}` : `ended with exit code ${exitCode}`;
  return diagnose(
    [
      witness('frontend-0', 'node1', ROUTER, START),
      witness('prefill-0-0', 'node1', QUIET, null),
      { ...witness(of.process, 'node3', of.log, START + 300), exitCode, signal, why },
    ],
    [],
  );
}

describe.each(['public-reports.yaml', 'real-programs.yaml'])('%s', (file) => {
  const cases = casesIn(file);
  it.each(cases.map((each) => [each.name, each] as const))('%s', (_, each) => {
    const found = each.weight === 'echo' ? undefined : diagnosisOf(each);
    const line = errorLine(each.log, signatures);
    expect(line?.text).toMatch(each.line);
    if (each.signature) expect(line?.signature?.id).toBe(each.signature);
    if (each.weight) expect(line?.weight).toBe(each.weight);
    // An echo alone does not name the process that failed.
    if (each.weight !== 'echo') expect(found).toMatchObject({ process: each.process, node: 'node3' });
  });
});

describe('healthy logs', () => {
  const text = readFileSync(resolve(import.meta.dirname, 'corpus/healthy.yaml'), 'utf8');
  it.each(healthySchema.parse(parse(text)).map(({ name, log }) => [name, log] as const))(
    '%s: errorLine picks no line as the cause',
    (_, log) => {
      expect(errorLine(log, signatures)?.weight ?? 'last').toBe('last');
    },
  );
});

it('the corpus has logs of 60 root causes and 30 healthy starts', () => {
  expect(casesIn('public-reports.yaml').length).toBeGreaterThanOrEqual(60);
  const healthy = readFileSync(resolve(import.meta.dirname, 'corpus/healthy.yaml'), 'utf8');
  expect(healthySchema.parse(parse(healthy)).length).toBeGreaterThanOrEqual(30);
});
