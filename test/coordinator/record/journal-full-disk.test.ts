import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Journal } from '../../../src/coordinator/record/journal.ts';
import { parseEvents, type SrtEvent } from '../../../src/messages/events/events.ts';

const event = (seq: number): SrtEvent => ({
  ...{ v: 1, at: '', source: 'coordinator:1', seq, kind: 'sweep.transition', from: null, to: 'running' },
  ...{ why: 'x'.repeat(20_000), points: 1, exitCode: null, cause: null },
});

it.runIf(process.getuid?.() === 0)(
  'a full disk does not delay the handling of events, and tears no event in the file',
  async (context) => {
    const directory = mkdtempSync(join(tmpdir(), 'srtctl-test-'));
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'srtctl-test', directory], {
        stdio: 'ignore',
      });
    } catch {
      rmSync(directory, { recursive: true });
      context.skip();
    }
    try {
      writeFileSync(join(directory, 'fill'), Buffer.alloc(150_000));
      let tell: (event: SrtEvent, seq: number) => void = () => undefined;
      const acted: number[] = [];
      const begun: number[] = [];
      const bus = {
        follow: (from: number, handle: typeof tell) => {
          begun.push(from);
          tell = handle;
          return { stop: () => undefined, caughtUp: async () => undefined };
        },
      } as unknown as ConstructorParameters<typeof Journal>[0];
      const path = join(directory, 'events.jsonl');
      const journal = new Journal(bus, path, 1, ({ seq }) => acted.push(seq));
      const all = Array.from({ length: 8 }, (_, index) => index + 1);
      for (const seq of all) tell(event(seq), seq);
      expect(acted).toEqual(all);
      expect(journal.streamSeq).toBeLessThan(8);
      rmSync(join(directory, 'fill'));
      await journal.close(1_000, []);
      expect(parseEvents(readFileSync(path, 'utf8')).map(({ seq }) => seq)).toEqual(all);
      expect(begun).toEqual([1]);
    } finally {
      execFileSync('umount', ['-l', directory]);
      rmSync(directory, { recursive: true, force: true });
    }
  },
);

it.runIf(process.getuid?.() === 0)(
  'events that do not fit into memory stay in the stream, are handled once, and are read again when there is room',
  async (context) => {
    const directory = mkdtempSync(join(tmpdir(), 'srtctl-test-'));
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'srtctl-test', directory], { stdio: 'ignore' });
    } catch {
      rmSync(directory, { recursive: true });
      context.skip();
    }
    try {
      const all = Array.from({ length: 150 }, (_, index) => index + 1);
      const acted: number[] = [];
      const begun: number[] = [];
      let told = 0;
      let handle: (event: SrtEvent, seq: number) => void = () => undefined;
      const bus = {
        follow: (from: number, to: typeof handle) => {
          begun.push(from);
          handle = to;
          // As the stream does: delivers all messages again, up to the last.
          queueMicrotask(() => {
            for (let seq = from; begun.length > 1 && handle === to && seq <= told; seq++) to(event(seq), seq);
          });
          return { stop: () => undefined, caughtUp: () => new Promise<void>((done) => setImmediate(done)) };
        },
      } as unknown as ConstructorParameters<typeof Journal>[0];
      const path = join(directory, 'events.jsonl');
      writeFileSync(join(directory, 'fill'), Buffer.alloc(8 * 1024 * 1024 - 8_192));
      const journal = new Journal(bus, path, 1, ({ seq }) => acted.push(seq));
      for (const seq of all) {
        told = seq;
        handle(event(seq), seq);
      }
      rmSync(join(directory, 'fill'));
      await journal.close(1_000, []);
      expect(acted).toEqual(all);
      expect(begun.length).toBeGreaterThan(1);
      expect(parseEvents(readFileSync(path, 'utf8')).map(({ seq }) => seq)).toEqual(all);
    } finally {
      execFileSync('umount', ['-l', directory]);
      rmSync(directory, { recursive: true, force: true });
    }
  },
);
