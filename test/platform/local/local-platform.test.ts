import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addressIn, createLocalPlatform, freePort } from '../../../src/platform/local/local-platform.ts';
import { until } from '../../support/bus.ts';
import { guardsOf } from '../../support/guards.ts';

const NOTHING = { distDir: tmpdir(), home: tmpdir(), mock: false, env: {}, began: () => {}, over: () => {} };
const platform = (nodes: string[]) => createLocalPlatform({ ...NOTHING, jobId: 'none', nodes });

it('stop resolves after the guards of killed agents have ended', async () => {
  const jobId = `guarded-${process.pid}`;
  const own = await createLocalPlatform({ ...NOTHING, jobId, nodes: [] });
  const guard = spawn('/bin/sh', ['src/os/processes/guard.sh', `SRTCTL_AGENT=${jobId}/node1/x`], {
    stdio: ['pipe', 'ignore', 'ignore'],
    env: { PATH: '/usr/bin:/bin' },
  });
  await new Promise((settle) => guard.once('spawn', settle));
  // The agent is killed.
  guard.stdin.end();
  await own.stop([]);
  expect(guardsOf(`SRTCTL_AGENT=${jobId}/`)).toEqual([]);
  await own.release();
});

describe('loopback addresses', () => {
  it('are different for every node of every block, and never the block’s own address', () => {
    expect([addressIn(0, 0), addressIn(0, 1), addressIn(3, 0)]).toEqual([
      '127.0.0.2',
      '127.0.0.3',
      '127.3.0.2',
    ]);
    fc.assert(
      fc.property(fc.nat(199), fc.nat(1_000), fc.nat(199), fc.nat(1_000), (a, i, b, j) => {
        if (a !== b || i !== j) expect(addressIn(a, i)).not.toBe(addressIn(b, j));
        expect(addressIn(a, i)).toMatch(/^127\.(\d+)\.(\d+)\.(\d+)$/);
        for (const part of addressIn(a, i).split('.')) expect(Number(part)).toBeLessThan(256);
      }),
    );
  });

  it('belong to one job at a time, and are free again afterwards', async () => {
    const [a, b] = [await platform(['node1', 'node2']), await platform(['node1'])];
    const address = a.addresses.get('node1');
    expect(address).not.toBe(b.addresses.get('node1'));
    await a.release();
    // Jobs of other tests start and end meanwhile: a lower block may be free, or this one may be taken for a while.
    await until('the block to be given once more', async () => {
      const next = [];
      while (next.length < 5) next.push(await platform(['node1']));
      await Promise.all(next.map((each) => each.release()));
      return next.some(({ addresses }) => addresses.get('node1') === address);
    });
    await b.release();
  });
});

it('a free port can be listened on', async () => {
  const port = await freePort('127.0.0.1');
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  await new Promise((resolve) => server.close(resolve));
});
