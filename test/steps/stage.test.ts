import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { alone } from '../../src/steps/lock.ts';
import { stageModel } from '../../src/steps/stage.ts';
import { until } from '../support/bus.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const quiet = { parallel: 4, onProgress: () => {} };

async function write(root: string, files: Record<string, string>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
}

async function read(root: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile() && !entry.name.startsWith('.srtctl'))
      found[path.slice(root.length + 1)] = await readFile(path, 'utf8');
  }
  return found;
}

describe('stageModel', () => {
  it('copies a model exactly, whatever its files', async () => {
    const name = fc.stringMatching(/^[\w][\w .-]{0,8}$/);
    const files = fc.dictionary(
      fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => `d/${parts.join('/')}.x`),
      fc.string({ maxLength: 50 }),
      { minKeys: 1, maxKeys: 6 },
    );
    let round = 0;
    await fc.assert(
      fc.asyncProperty(files, async (wanted) => {
        const [source, target] = [join(dir, `s${++round}`), join(dir, `t${round}`)];
        await write(source, wanted);
        await stageModel(source, target, quiet);
        expect(await read(target)).toEqual(await read(source));
        expect((await stageModel(source, target, quiet)).copiedBytes).toBe(0);
      }),
      { numRuns: 25 },
    );
  });

  it('continues an interrupted copy', async () => {
    const [source, target] = [join(dir, 's'), join(dir, 't')];
    const big = 'x'.repeat(40 * 1024 * 1024);
    await write(source, { 'a.safetensors': big, 'b.safetensors': 'b' });
    let copied = 0;
    const cut = stageModel(source, target, {
      parallel: 1,
      onProgress: (done) => {
        copied = done;
        throw new Error('cut off');
      },
    });
    await expect(cut).rejects.toThrow('cut off');
    expect(await read(target)).not.toHaveProperty('a.safetensors');
    const progress: number[] = [];
    await stageModel(source, target, { parallel: 1, onProgress: (done) => progress.push(done) });
    expect(progress[0]).toBe(copied);
    expect((await read(target))['a.safetensors'] === big).toBe(true);
    expect(Object.keys(await read(target)).sort()).toEqual(['a.safetensors', 'b.safetensors']);
  });

  it('follows the links of a cache, and removes shards that the model no longer has', async () => {
    const [source, target] = [join(dir, 's'), join(dir, 't')];
    await write(dir, { 'blobs/1': 'weights' });
    await write(source, { 'old.safetensors': 'old' });
    await symlink(join(dir, 'blobs/1'), join(source, 'new.safetensors'));
    await stageModel(source, target, quiet);
    await write(target, { 'own.txt': 'of somebody else' });
    await rm(join(source, 'old.safetensors'));
    await utimes(join(dir, 'blobs/1'), 1, 1);
    await stageModel(source, target, quiet);
    expect(await read(target)).toEqual({ 'new.safetensors': 'weights', 'own.txt': 'of somebody else' });
    expect((await stat(join(target, 'new.safetensors'))).mtimeMs).toBe(1000);
  });

  it('refuses a model that does not fit on the disk, and a source without files', async () => {
    await expect(stageModel(join(dir, 'none'), join(dir, 't'), quiet)).rejects.toThrow(/ENOENT/);
    await mkdir(join(dir, 'empty'));
    await expect(stageModel(join(dir, 'empty'), join(dir, 't'), quiet)).rejects.toThrow(/has no files/);
    await write(join(dir, 's'), { huge: '' });
    const { truncate } = await import('node:fs/promises');
    await truncate(join(dir, 's/huge'), 2 ** 42);
    await expect(stageModel(join(dir, 's'), join(dir, 't'), quiet)).rejects.toThrow(
      /free, and 4096\.0 GiB must be copied/,
    );
  });

  it('copies in one process at a time, and in the next one when the first is killed', async () => {
    const lock = join(dir, 'lock');
    let inside = 0;
    let most = 0;
    const work = async (): Promise<void> => {
      most = Math.max(most, ++inside);
      await new Promise((resolve) => setImmediate(resolve));
      inside--;
    };
    await Promise.all([1, 2, 3].map(() => alone(lock, () => {}, work)));
    expect(most).toBe(1);
    // The lock of an ended process is not renewed.
    await mkdir(lock);
    await utimes(lock, 1, 1);
    await alone(lock, () => {}, work);
    expect(await readdir(dir)).toEqual([]);
  });

  it("does not copy while a lock is new, whatever its owner's pid means in this PID namespace", async () => {
    const lock = join(dir, 'lock');
    await mkdir(lock);
    let waits = false;
    const copied = alone(
      lock,
      () => {
        waits = true;
      },
      async () => 'copied',
    );
    await until('the wait', () => waits);
    await rm(lock, { recursive: true });
    expect(await copied).toBe('copied');
  });
});
