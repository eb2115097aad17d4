import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { LocalPorts, type LocalPortsOptions } from '../../../src/platform/local/local-ports.ts';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'srtctl-test-'));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const portsOf = (over: Partial<LocalPortsOptions> = {}): LocalPorts =>
  new LocalPorts({ block: 0, perNode: true, chosen: new Map(), home, taken: () => new Set(), ...over });
const written = () => new Promise((resolve) => setImmediate(resolve));

it('gives each port of each node its own port, and the same one at each request', () => {
  const asked = fc.array(
    fc.tuple(fc.constantFrom('node1', 'node2', 'node3'), fc.integer({ min: 4_000, max: 21_000 })),
    {
      maxLength: 60,
    },
  );
  fc.assert(
    fc.property(asked, fc.nat(199), (pairs, block) => {
      const ports = portsOf({ block });
      const given = new Map(pairs.map(([node, port]) => [`${node} ${port}`, ports.of(node, port)]));
      expect(new Set(given.values()).size).toBe(given.size);
      for (const [node, port] of pairs.toReversed())
        expect(ports.of(node, port)).toBe(given.get(`${node} ${port}`));
    }),
    { numRuns: 50 },
  );
});

it('looks once for the ports in use while a plan is made, and again for the next plan', async () => {
  let looks = 0;
  const ports = portsOf({
    taken: () => {
      looks += 1;
      return new Set();
    },
  });
  for (const node of ['node1', 'node2', 'node3']) ports.of(node, 8_000);
  expect(looks).toBe(1);
  await written();
  ports.of('node4', 8_000);
  expect(looks).toBe(2);
});

it('keeps ports together when an engine counts from the first one', () => {
  const ports = portsOf();
  for (const first of [5_200, 5_400, 7_200, 8_300])
    expect([1, 2, 7].map((rank) => ports.of('node1', first + rank) - ports.of('node1', first))).toEqual([
      1, 2, 7,
    ]);
});

it('uses no port on which a process listens, on any address', async () => {
  const first = portsOf().of('node1', 8_000);
  await written();
  rmSync(join(home, 'ports.json'));
  const stranger = createServer();
  await new Promise<void>((resolve) => stranger.listen(first, '0.0.0.0', resolve));
  try {
    const other = new LocalPorts({ block: 0, perNode: true, chosen: new Map(), home });
    expect(other.of('node1', 8_000)).not.toBe(first);
  } finally {
    stranger.close();
  }
});

it('gives the nodes of a simulation the same ports, because each listens on its own address', () => {
  const ports = portsOf({ perNode: false });
  expect(ports.of('node1', 6_100)).toBe(ports.of('node2', 6_100));
});

it('uses the port that the user has chosen', () => {
  const ports = portsOf({ chosen: new Map([[8_000, 9_123]]) });
  expect(ports.of('node1', 8_000)).toBe(9_123);
});

it('is the same for a coordinator that takes over, although processes listen on the ports by then', async () => {
  const before = portsOf();
  const given = [8_000, 6_100, 6_132].map((port) => before.of('node1', port));
  await written();
  const after = portsOf({ taken: () => new Set(given) });
  expect([8_000, 6_100, 6_132].map((port) => after.of('node1', port))).toEqual(given);
});

it('gives simultaneous jobs ports far from one another', () => {
  const first = Array.from({ length: 8 }, (_, block) => portsOf({ block }).of('n', 8_000));
  const sorted = [...first].sort((a, b) => a - b);
  const gaps = sorted.slice(1).map((port, index) => port - (sorted[index] ?? 0));
  expect(Math.min(...gaps)).toBeGreaterThan(1_000);
});
