import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { runOnNode } from '../../../src/cli/nodes/run-on-node.ts';
import { type Bus, BusError, BusTimeout } from '../../../src/messages/bus/bus.ts';
import type { ExecReply, ExecRequest } from '../../../src/messages/events/exec.ts';

type Answer = ExecReply | Error;
type Request = ExecRequest;

/** A bus whose agent answers with `answer`. */
function busOf(answer: (request: Request) => Answer | Promise<Answer>) {
  const requests: Request[] = [];
  const request = async (_: string, message: unknown) => {
    requests.push(message as Request);
    const reply = await answer(message as Request);
    if (reply instanceof Error) throw reply;
    return reply;
  };
  return { bus: { request } as unknown as Bus, requests };
}

const piece = (number: number, text: string) => ({
  ...{ number, stream: 'stdout' as const, data: Buffer.from(text).toString('base64') },
});
const says = (pieces: ReturnType<typeof piece>[], exitCode?: number): Answer => ({
  ...{ v: 1, ok: true, pieces, end: exitCode === undefined ? null : { exitCode, signal: null } },
});
let said: string;
const command = {
  ...{ subject: 's', node: 'node1', process: null, argv: ['true'], by: 'alice', limitMs: 1_000 },
  onOutput: (_: string, data: Buffer): void | Promise<void> => {
    said += data.toString();
  },
};

beforeEach(() => {
  said = '';
  vi.useFakeTimers();
});
afterEach(() => void vi.useRealTimers());

describe('a command on a node, from here', () => {
  it('repeats requests without an answer, with the same id, and prints no output twice', async () => {
    const answers = [
      ...[new BusTimeout('lost'), says([]), says([piece(1, 'one '), piece(2, 'two ')])],
      ...[new BusTimeout('lost'), says([piece(2, 'two '), piece(3, 'three')], 4)],
    ];
    const { bus, requests } = busOf(() => answers.shift() ?? new Error('too many requests'));
    expect(await runOnNode(bus, command)).toEqual({ exitCode: 4, signal: null });
    expect(said).toBe('one two three');
    expect(requests.map((each) => each.do)).toEqual(['start', 'start', 'read', 'read', 'read']);
    expect(new Set(requests.map(({ id }) => id)).size).toBe(1);
    expect(requests.at(-1)).toMatchObject({ after: 2 });
  });

  it('says what the agent refuses, and that no agent answers (exit code 1)', async () => {
    const refused = busOf(() => ({ v: 1, ok: false, reason: 'command not found: x' }));
    await expect(runOnNode(refused.bus, command)).rejects.toMatchObject({
      ...{ code: 'exec-refused', exitCode: 1, message: 'node1: command not found: x' },
    });
    const away = busOf(() => new BusError('no responders'));
    await expect(runOnNode(away.bus, command)).rejects.toMatchObject({ code: 'exec-failed', exitCode: 1 });
  });

  it('tells the agent that it is still here while its output waits for a reader', async () => {
    const { bus, requests } = busOf((request) => {
      if (request.do === 'start') return says([piece(1, 'long')]);
      return says([], request.do === 'read' && request.after === 1 && request.waitMs > 0 ? 0 : undefined);
    });
    let read = (): void => {};
    const onOutput = () => new Promise<void>((resolve) => (read = resolve));
    const done = runOnNode(bus, { ...command, onOutput });
    await vi.advanceTimersByTimeAsync(16_000);
    expect(
      requests.filter((each) => each.do === 'read' && each.after === 0 && each.waitMs === 0),
    ).toHaveLength(3);
    read();
    expect(await done).toEqual({ exitCode: 0, signal: null });
  });

  it('asks the agent to stop it when it is aborted', async () => {
    const stopping = new AbortController();
    let isStopped = false;
    const { bus } = busOf(async (request) => {
      if (request.do === 'stop') isStopped = true;
      if (request.do === 'start') stopping.abort();
      return says([], isStopped ? 143 : undefined);
    });
    expect(await runOnNode(bus, { ...command, signal: stopping.signal })).toMatchObject({ exitCode: 143 });
  });
});
