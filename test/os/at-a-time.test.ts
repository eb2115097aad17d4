import { expect, it } from 'vitest';
import { atATime } from '../../src/os/at-a-time.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));

it('calls the function for each element, in order, with a limit on simultaneous calls', async () => {
  const begun: [string, number][] = [];
  let running = 0;
  let most = 0;
  await atATime(2, ['a', 'b', 'c', 'd', 'e'], async (item, index) => {
    begun.push([item, index]);
    most = Math.max(most, ++running);
    await turn();
    running--;
  });
  expect(begun).toEqual([
    ['a', 0],
    ['b', 1],
    ['c', 2],
    ['d', 3],
    ['e', 4],
  ]);
  expect(most).toBe(2);
  expect(running).toBe(0);
});

it('rejects with the first call that fails, and calls nothing for an empty list', async () => {
  await expect(
    atATime(1, [1, 2, 3], async (item) => {
      if (item === 2) throw new Error(`not ${item}`);
    }),
  ).rejects.toThrow('not 2');
  await atATime(4, [], () => Promise.reject(new Error('there is nothing')));
});
