import { join } from 'node:path';
import type { ProcessSpec } from '../../src/messages/spec/process-spec.ts';

/** A process spec with defaults that a test overrides where it matters. */
export function specOf(over: Partial<ProcessSpec> & { id: string }, dir = '/tmp'): ProcessSpec {
  return {
    role: 'agg',
    phase: 'worker',
    node: 'node1',
    argv: ['sleep', '1000'],
    env: {},
    logFile: join(dir, `${over.id}.out`),
    gpus: [],
    image: null,
    ports: {},
    probe: { kind: 'running' },
    critical: true,
    terminates: false,
    startTimeoutMs: 60_000,
    graceMs: 1_000,
    unhealthyAfterMs: 60_000,
    ...over,
  };
}
