import { expect, it } from 'vitest';
import { LaunchedAgents } from '../../../src/platform/launch/launched.ts';

/** A process that ends when the test says so. */
function fake(pid: number) {
  let end: (how: string) => void = () => undefined;
  const ended = new Promise<string>((resolve) => {
    end = resolve;
  });
  return { process: { pid, startedAt: '1', ended, hasEnded: false, kill: () => undefined }, end };
}

it('the end of an earlier process is not the end of an agent that was launched again', async () => {
  const launched = new LaunchedAgents({ began: () => {}, over: () => {} });
  const told: [number, readonly string[]][] = [];
  const [first, second] = [fake(1), fake(2)];
  launched.add({ process: first.process, agents: ['node1', 'node2'] }, (_, agents) => told.push([1, agents]));
  launched.add({ process: second.process, agents: ['node2'] }, (_, agents) => told.push([2, agents]));
  first.end('exit code 75');
  await first.process.ended;
  expect(told).toEqual([[1, ['node1']]]);
  second.end('exit code 1');
  await second.process.ended;
  expect(told).toEqual([
    [1, ['node1']],
    [2, ['node2']],
  ]);
  expect(launched.running).toEqual([]);
});
