import { afterEach, describe, expect, it } from 'vitest';
import { destroyAll, engineArgv, healthy, nodeAddress, start } from './stand-ins.ts';

const [first, second] = [nodeAddress(6), nodeAddress(7)] as const;
const health = `http://${first}:6100/health`;
const rankArgv = (rank: number) => [
  ...engineArgv(rank === 0 ? 6100 : 0, '--tp-size', '8', '--nnodes', '2', '--node-rank', String(rank)),
  ...['--dist-init-addr', `${first}:8300`],
];
afterEach(destroyAll);

describe('an engine on several nodes', () => {
  it('is healthy when all its ranks have joined', async () => {
    const leader = start(first, rankArgv(0));
    await leader.says('server_args');
    expect((await fetch(health).catch(() => undefined))?.ok ?? false).toBe(false);
    const follower = start(second, rankArgv(1));
    await healthy(health);
    await follower.says('Rank 1 is ready');
  });

  it('may start its ranks in any order', async () => {
    const follower = start(second, rankArgv(1));
    await follower.says('server_args');
    start(first, rankArgv(0));
    await healthy(health);
  });

  it.each([
    ['a follower', 'leader', 0],
    ['a leader', 'follower', 1],
  ] as const)('fails on %s when the %s is gone', async (_, __, victim) => {
    const ranks = [start(first, rankArgv(0)), start(second, rankArgv(1))];
    await Promise.all(ranks.map((rank, index) => rank.says(index === 0 ? 'ready to roll' : 'is ready')));
    ranks[victim]?.child.kill('SIGKILL');
    const survivor = ranks[1 - victim];
    expect(await survivor?.ended()).toBe(1);
    expect(survivor?.output).toContain('NCCL error');
  });

  it.each([0, 1])('gives up when rank %i is alone', async (rank) => {
    const lonely = start(rank === 0 ? first : second, rankArgv(rank), { SRTCTL_SIM_DIST_TIMEOUT_MS: '100' });
    expect(await lonely.ended()).toBe(1);
    expect(lonely.output).toMatch(/timed out/i);
  });
});
