import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { expandHostlist } from '../../../src/platform/slurm/hostlist.ts';

/** scontrol needs a configuration, although it contacts no cluster. */
const dir = mkdtempSync(join(tmpdir(), 'srtctl-hostlist-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const conf = join(dir, 'slurm.conf');
writeFileSync(conf, 'ClusterName=x\nSlurmctldHost=localhost\nNodeName=a\nPartitionName=p Nodes=a\n');
const env = { ...process.env, SLURM_CONF: conf };
const scontrol = spawnSync('scontrol', ['show', 'hostnames', 'a1'], { encoding: 'utf8', env });
const hasScontrol = scontrol.status === 0 && scontrol.stdout.trim() === 'a1';

describe('a node list', () => {
  it.each([
    ['gpu1', ['gpu1']],
    ['gpu[001-003,130]', ['gpu001', 'gpu002', 'gpu003', 'gpu130']],
    ['a,b[1-2],c-d', ['a', 'b1', 'b2', 'c-d']],
    ['r[1-2]n[08-10]', ['r1n08', 'r1n09', 'r1n10', 'r2n08', 'r2n09', 'r2n10']],
    ['n[9-11]-ib', ['n9-ib', 'n10-ib', 'n11-ib']],
    ['', []],
  ])('%s has the expected names', (list, names) => {
    expect(expandHostlist(list)).toEqual(names);
  });

  it.each(['gpu[1-3', 'gpu1-3]', 'gpu[3-1]', 'gpu[a-b]', 'gpu[]', 'a[[1]]'])('%s is refused', (list) => {
    expect(() => expandHostlist(list)).toThrow(RangeError);
  });

  it('of a thousand names is parsed fast', () => {
    expect(expandHostlist('gpu[0001-1000]')).toHaveLength(1_000);
  });

  it.skipIf(!hasScontrol)('of a thousand names agrees with `scontrol show hostnames`', () => {
    const list = 'gpu[0001-0500,0502-1001],login1';
    const said = execFileSync('scontrol', ['show', 'hostnames', list], { encoding: 'utf8', env });
    expect(expandHostlist(list)).toEqual(said.trim().split('\n'));
  });

  it.skipIf(!hasScontrol)('is parsed as by `scontrol show hostnames`', () => {
    const number = fc.nat(40);
    const range = fc.tuple(number, fc.nat(5), fc.boolean()).map(([from, more, zeros]) => {
      const text = (value: number) => String(value).padStart(zeros ? 3 : 1, '0');
      return more === 0 ? text(from) : `${text(from)}-${text(from + more)}`;
    });
    const bracket = fc.array(range, { minLength: 1, maxLength: 3 }).map((ranges) => `[${ranges.join(',')}]`);
    const word = fc.constantFrom('gpu', 'node-', 'r', 'a.b');
    // scontrol refuses text after the last bracket; srtctl does not.
    const part = fc.tuple(word, bracket).map((pieces) => pieces.join(''));
    const list = fc.array(fc.oneof(part, fc.constantFrom('login', 'n1')), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(list, (parts) => {
        const text = parts.join(',');
        const theirs = execFileSync('scontrol', ['show', 'hostnames', text], { encoding: 'utf8', env });
        expect(expandHostlist(text)).toEqual(theirs.trim().split('\n'));
      }),
      { numRuns: 30 },
    );
  });
});
