import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { parseApps } from '../../../src/node-agent/watch/gpu-holders.ts';
import { HangDecision } from '../../../src/node-agent/watch/hang.ts';
import { cpuTicksOf, lookAtCounts, lookAtMetrics } from '../../../src/node-agent/watch/looks.ts';
import { sumsOf } from '../../../src/os/prometheus.ts';
import { until } from '../../support/bus.ts';
import { signal } from '../../support/signal.ts';

const HUNG_AFTER_MS = 1_000;

describe('the decision whether a process hangs', () => {
  const decide = (looks: readonly { at: number; busy: boolean; tokens: number }[]) => {
    const decision = new HangDecision(HUNG_AFTER_MS);
    return looks.map(({ at, busy, tokens }) =>
      decision.observe({ busy, fingerprint: String(tokens), says: 'no token' }, at),
    );
  };

  it('is yes after a time without progress while there is work', () => {
    const at = (time: number) => ({ at: time, busy: true, tokens: 5 });
    expect(decide([at(0), at(500), at(999), at(1_000)])).toEqual([
      ...[undefined, undefined, undefined],
      'hung: no token for 1 s',
    ]);
  });

  it('is never yes while there is progress or no work, however irregular the samples', () => {
    const look = fc.record({ pause: fc.nat(HUNG_AFTER_MS * 10), busy: fc.boolean() });
    fc.assert(
      fc.property(fc.array(look), (looks) => {
        let at = 0;
        const told = decide(
          looks.map(({ pause, busy }, tokens) => {
            at += pause;
            return { at, busy, tokens };
          }),
        );
        expect(told.filter((says) => says !== undefined)).toEqual([]);
      }),
    );
  });

  it('starts anew when work comes after a pause, and does not change after a failed sample', () => {
    const decision = new HangDecision(HUNG_AFTER_MS);
    const look = { fingerprint: '5', says: 'no token' };
    expect(decision.observe({ ...look, busy: true }, 0)).toBeUndefined();
    expect(decision.observe({ ...look, busy: false }, 900)).toBeUndefined();
    expect(decision.observe({ ...look, busy: true }, 5_000)).toBeUndefined();
    expect(decision.observe(undefined, 6_500)).toBeUndefined();
    expect(decision.observe({ ...look, busy: true }, 6_600)).toBe('hung: no token for 2 s');
  });
});

describe('figures in Prometheus’ text format', () => {
  it('are summed over their labels, and only the requested ones', () => {
    const text = [
      '# HELP sglang:num_running_reqs The number of running requests.',
      'sglang:num_running_reqs{model_name="a b} 9 ",tp_rank="0"} 2.0',
      'sglang:num_running_reqs{tp_rank="1"} 3 1395066363000',
      'sglang:num_running_reqs_total 100',
      'sglang:generation_tokens_total 7.557572e+06',
      'sglang:token_usage NaN',
    ].join('\n');
    const names = new Set([
      'sglang:num_running_reqs',
      'sglang:generation_tokens_total',
      'sglang:token_usage',
    ]);
    expect(sumsOf(text, names)).toEqual({
      'sglang:num_running_reqs': 5,
      'sglang:generation_tokens_total': 7_557_572,
    });
  });

  it('can be selected by a label', () => {
    const text = [
      'sglang:http_requests_active{endpoint="/v1/chat/completions",method="POST"} 3.0',
      'sglang:http_requests_active{endpoint="/v1/completions",method="POST"} 1.0',
      'sglang:http_requests_active{endpoint="/health",method="GET"} 2.0',
      'sglang:http_requests_active{endpoint="/metrics",method="GET"} 1.0',
      'sglang:http_requests_active{method="POST",endpoint="/generate"} 4.0',
      'sglang:http_requests_active{other="x\\",endpoint=\\"/generate"} 9',
    ].join('\n');
    const active = 'sglang:http_requests_active{endpoint=~"/v1/(chat/)?completions|/generate"}';
    expect(sumsOf(text, new Set([active]))).toEqual({ [active]: 8 });
  });

  it('are ignored when an engine does not report them', () => {
    const progress = {
      ...({ kind: 'metrics', host: 'h', port: 1, path: '/', hungAfterMs: 1 } as const),
      ...{ running: ['running'], counters: ['tokens'] },
    };
    expect(lookAtMetrics(progress, { running: 3 })).toBeUndefined();
    expect(lookAtMetrics(progress, { running: 0, tokens: 3 })).toMatchObject({ busy: false });
    expect(lookAtMetrics(progress, { running: 1, tokens: 3 })).toMatchObject({
      busy: true,
      fingerprint: '3',
    });
  });

  it('of what is computed are no progress when it is known what is sent', () => {
    const progress = {
      ...({ kind: 'metrics', host: 'h', port: 1, path: '/', hungAfterMs: 1 } as const),
      ...{ running: ['running'], counters: ['ended', 'sent'], computed: ['decoded'], sent: ['sent'] },
    };
    const look = (values: Record<string, number>) =>
      lookAtMetrics(progress, { running: 1, ...values })?.fingerprint;
    expect(look({ sent: 4, decoded: 1 })).toBe(look({ sent: 4, decoded: 2 }));
    expect(look({ sent: 4, decoded: 1 })).not.toBe(look({ sent: 5, decoded: 1 }));
    // An engine that never reports what it sends is judged by what it computes.
    expect(look({ sent: 0, decoded: 1 })).not.toBe(look({ sent: 0, decoded: 2 }));
    expect(look({ decoded: 1 })).not.toBe(look({ decoded: 2 }));
  });
});

describe('the counts of a benchmark', () => {
  const directory = mkdtempSync(join(tmpdir(), 'srtctl-counts-'));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  const look = (progress: object | string) => {
    const file = join(directory, 'progress.json');
    writeFileSync(file, typeof progress === 'string' ? progress : JSON.stringify(progress));
    return lookAtCounts(file);
  };
  const measuring = {
    ...{ stage: 'measure', concurrency: 4, step: 1, steps: 1, requestsDone: 7, requestsTotal: 40, failed: 0 },
    ...{ inFlight: 4, chunks: 90 },
  };

  it('stand still when no token comes, whatever rate the benchmark prints', async () => {
    const first = await look({ ...measuring, outputThroughput: 30 });
    expect(first).toMatchObject({ busy: true, says: '4 requests in flight and no token' });
    expect(await look({ ...measuring, outputThroughput: 12.5 })).toEqual(first);
    const after = await look({ ...measuring, outputThroughput: 12.5, chunks: 91 });
    expect(after?.fingerprint).not.toBe(first?.fingerprint);
  });

  it('are ignored while no request is in flight, or when there are none', async () => {
    expect(await look({ ...measuring, outputThroughput: 1, inFlight: 0 })).toBeUndefined();
    expect(await look({ ...measuring, outputThroughput: 1, inFlight: undefined })).toBeUndefined();
    expect(await look('{"stage":')).toBeUndefined();
    expect(await lookAtCounts(join(directory, 'none.json'))).toBeUndefined();
  });
});

it('CPU time includes the whole tree, also children in their own sessions', async () => {
  // The process ends without help when the test dies first.
  const loop = 'const end = Date.now() + 20_000; while (Date.now() < end);';
  const child = spawn('sh', ['-c', 'setsid "$0" -e "$1" & wait', process.execPath, loop], {
    detached: true,
    stdio: 'ignore',
  });
  try {
    await until('CPU time of a grandchild', async () => (await cpuTicksOf(child.pid ?? 0)) > 20);
  } finally {
    const below = readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && parentOf(pid) === child.pid);
    for (const pid of [...below.map(Number), child.pid ?? 0]) signal(pid, 'SIGKILL');
  }
});

function parentOf(pid: string): number {
  try {
    return Number(readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)?.split(' ')[1]);
  } catch {
    return 0;
  }
}

it('the processes of nvidia-smi are parsed, with any names', () => {
  const indices = new Map([['GPU-a', 4]]);
  const text =
    'GPU-a, 42, python3, -m, x, 71234\nGPU-a, 43, [Not Found], [N/A]\nGPU-gone, 1, x, 1\nNo devices\n';
  expect(parseApps(text, indices)).toEqual([
    { gpu: 4, pid: 42, program: 'python3, -m, x', memoryMiB: 71234 },
    { gpu: 4, pid: 43, program: '[Not Found]', memoryMiB: null },
  ]);
});
