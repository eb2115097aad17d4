import { readdirSync, readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { until } from '../../support/bus.ts';
import { signal } from '../../support/signal.ts';
import { destroyAll, engineArgv, events, healthy, nodeAddress, post, start } from '../stand-ins.ts';

const node = nodeAddress(14);
const url = `http://${node}:6100`;
const body = { prompt: 'a', max_tokens: 20, ignore_eos: true, stream: true };
afterEach(destroyAll);

const engine = (...faults: object[]) =>
  start(node, engineArgv(6100), {
    SRTCTL_PROCESS: 'job/node1/decode-0-0/1',
    SRTCTL_SIM_FAULTS: JSON.stringify(faults),
  });
const complete = (given = body) => post(`${url}/v1/completions`, given);
const statusOf = (path: string) =>
  fetch(`${url}${path}`).then(
    ({ status }) => status,
    () => 'refused',
  );
/** T of /proc/PID/stat: stopped. */
const stateOf = (pid = 0) => readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)?.[0];

describe('a stand-in with a fault', () => {
  it('works normally when the fault belongs to another process', async () => {
    engine({ do: 'die', process: 'prefill' }, { do: 'refuse', process: 'decode-1' });
    await healthy(`${url}/health`);
    expect((await events(await complete())).done).toBe(true);
  });

  it('dies by exit code or signal, with its last words, at its n-th request', async () => {
    const one = engine({
      do: 'die',
      process: 'decode-0',
      request: 2,
      code: 7,
      says: 'RuntimeError: of a test',
    });
    await healthy(`${url}/health`);
    expect((await complete()).status).toBe(200);
    await complete().catch(() => undefined);
    expect(await one.ended()).toBe(7);
    expect(one.output).toContain('RuntimeError: of a test');
    expect(await engine({ do: 'die', signal: 'SIGKILL' }).ended()).toBe('SIGKILL');
  });

  it('freezes, and continues after a while', async () => {
    const one = engine({ do: 'freeze', request: 1, for_ms: 300 });
    await healthy(`${url}/health`);
    const answer = complete();
    await until('it is stopped', () => stateOf(one.child.pid) === 'T');
    expect((await events(await answer)).done).toBe(true);
  });

  it('stalls, and its health check fails in the end', async () => {
    engine({ do: 'stall', request: 2 });
    await healthy(`${url}/health`);
    expect((await events(await complete())).done).toBe(true);
    const gone = new AbortController();
    const answer = post(`${url}/v1/completions`, body, gone.signal).then((response) => response.text());
    await until('it is not healthy', async () => (await statusOf('/health')) === 503);
    gone.abort();
    await expect(answer).rejects.toThrow();
  });

  it('answers late, on some paths only', async () => {
    engine({ do: 'slow', delay_ms: 400, path: '/health' });
    await until('it listens', async () => (await statusOf('/v1/models')) === 200);
    const at = performance.now();
    expect(await statusOf('/health')).toBe(200);
    expect(performance.now() - at).toBeGreaterThanOrEqual(400);
  });

  it('refuses with a status, or closes its port, for a while', async () => {
    const one = engine({ do: 'refuse', status: 429, request: 1, path: '/v1' });
    await healthy(`${url}/health`);
    expect((await complete()).status).toBe(429);
    expect(await statusOf('/health')).toBe(200);
    await one.destroy();
    engine({ do: 'refuse', status: 'connection', request: 2, for_ms: 500 });
    await healthy(`${url}/health`);
    await complete();
    await complete().catch(() => undefined);
    await until('nobody listens', async () => (await statusOf('/health')) === 'refused');
    await healthy(`${url}/health`);
  });

  it.each(['error', 'event', 'cut'])('breaks a stream: %s', async (how) => {
    engine({ do: 'stream-error', chunk: 1, how });
    await healthy(`${url}/health`);
    const text = await complete().then((response) => response.text().catch(() => 'cut'));
    if (how === 'error')
      expect(text).toMatch(/^data: .*"text".*\n\ndata: \{"error":.*\n\ndata: \[DONE\]\n\n$/);
    if (how === 'event') expect(text).toMatch(/"text".*\n\nevent: error\n/);
    if (how === 'cut') expect(text).toBe('cut');
  });

  it('becomes ready late, or never', async () => {
    const at = performance.now();
    const one = engine({ do: 'late', delay_ms: 700 });
    await healthy(`${url}/health`);
    expect(performance.now() - at).toBeGreaterThanOrEqual(700);
    await one.destroy();
    const never = engine({ do: 'never-ready' });
    await until('it listens', async () => (await statusOf('/health')) === 503);
    await never.says('100% Completed');
    expect(await statusOf('/health')).toBe(503);
    expect(never.output).not.toContain('fired up');
  });

  it('has a title, and children with a title and without an environment', async () => {
    const title = `test::scheduler-${process.pid}`;
    const one = engine({ do: 'title', title: 'test::engine' }, { do: 'children', count: 2, title });
    const titleOf = (pid: number): string => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
      } catch {
        return '';
      }
    };
    const titled = (text: string): number[] =>
      readdirSync('/proc')
        .map(Number)
        .filter((pid) => pid > 0 && titleOf(pid).startsWith(text));
    const children = await until('two children', () => {
      const found = titled(title);
      return found.length === 2 ? found : undefined;
    });
    try {
      expect(titled('test::engine')).toContain(one.child.pid);
      for (const pid of children) {
        expect(readFileSync(`/proc/${pid}/environ`, 'latin1')).toBe('');
        const [, ppid, , session] =
          readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)?.split(' ') ?? [];
        expect([Number(ppid) === one.child.pid, Number(session)]).toEqual([false, pid]);
      }
    } finally {
      for (const pid of children) signal(pid, 'SIGKILL');
    }
  });

  it('has no environment in /proc, but still uses it', async () => {
    const one = start(node, engineArgv(6100), {
      SRTCTL_PROCESS: 'job/node1/decode-0-0/1',
      SRTCTL_SIM_ERASE: 'prefill-* decode-*',
    });
    await healthy(`${url}/health`);
    expect(readFileSync(`/proc/${one.child.pid}/environ`, 'latin1')).toBe('');
  });
});
