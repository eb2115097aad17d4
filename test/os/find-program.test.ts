import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commandOf, findProgram } from '../../src/os/find-program.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'srtctl-test-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** The part of an ELF file's head that is read. */
function program(path: string, machine: number): string {
  const head = Buffer.alloc(64);
  head.write('\x7fELF', 'latin1');
  head[5] = 1;
  head.writeUInt16LE(machine, 18);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, head);
  chmodSync(path, 0o755);
  return path;
}

const [X86, ARM] = [62, 183];

describe('a program of the job’s', () => {
  it('is the one for this node’s architecture', () => {
    const root = mkdtempSync(join(dir, 'a-'));
    const x86 = program(join(root, '.srtctl/bin/nats-server'), X86);
    const arm = program(join(root, '.srtctl/bin/aarch64/nats-server'), ARM);
    expect(findProgram('nats-server', { PATH: '' }, dir, 'aarch64', root)).toBe(arm);
    expect(findProgram('nats-server', { PATH: '' }, dir, 'x86_64', root)).toBe(x86);
  });

  it('is never taken from the working directory, in which another user may have put it', () => {
    const [cwd, root] = [mkdtempSync(join(dir, 'c-')), mkdtempSync(join(dir, 'd-'))];
    program(join(cwd, '.srtctl/bin/nats-server'), X86);
    program(join(cwd, 'nats-server'), X86);
    const onPath = program(join(root, 'path/nats-server'), X86);
    expect(findProgram('nats-server', { PATH: `:.:${dirname(onPath)}` }, cwd, 'x86_64', root)).toBe(onPath);
  });

  it('for another architecture is refused, with the place for the right one', () => {
    const cwd = mkdtempSync(join(dir, 'b-'));
    const etcd = program(join(cwd, 'mine/etcd'), ARM);
    expect(() => findProgram('etcd', { SRTCTL_ETCD: etcd }, cwd, 'x86_64')).toThrow(
      /is for aarch64, and this node is x86_64/,
    );
  });

  it('is named by its path when a variable names it or it is bundled with srtctl, whatever PATH contains', () => {
    const cwd = mkdtempSync(join(dir, 'c-'));
    const system = dirname(program(join(cwd, 'system/etcd'), X86));
    const named = program(join(cwd, 'mine/etcd'), X86);
    expect(commandOf('etcd', { PATH: system, SRTCTL_ETCD: named }, cwd)).toBe(named);
    const own = program(join(cwd, '.srtctl/bin/etcd'), X86);
    expect(commandOf('etcd', { PATH: system }, cwd, cwd)).toBe(own);
  });
});
