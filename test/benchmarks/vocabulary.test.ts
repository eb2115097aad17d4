import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ordinaryIds, readVocabulary } from '../../src/benchmarks/loadgen/workload/vocabulary.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const write = (name: string, content: unknown, at = dir) =>
  writeFile(join(at, name), typeof content === 'string' ? content : JSON.stringify(content));

describe("a model's vocabulary", () => {
  it('is as large as the smaller of its tokenizer and its weights', async () => {
    await write('config.json', { vocab_size: 600, bos_token_id: 1, eos_token_id: [2, 3] });
    const vocab = Object.fromEntries(Array.from({ length: 500 }, (_, id) => [`t${id}`, id]));
    await write('tokenizer.json', { model: { vocab }, added_tokens: [{ id: 400, content: '<|im_end|>' }] });
    await write('tokenizer_config.json', { added_tokens_decoder: { 401: { content: '<pad>' } } });
    const found = await readVocabulary(dir);
    expect(found?.size).toBe(500);
    expect([...(found?.special ?? [])].sort((a, b) => a - b)).toEqual([1, 2, 3, 400, 401]);
  });

  it('is in the text part of a config', async () => {
    await write('config.json', { text_config: { vocab_size: 151_936 } });
    expect((await readVocabulary(dir))?.size).toBe(151_936);
  });

  it('is found in the cache of the hub', async () => {
    const model = join(dir, 'hub/models--org--name');
    await mkdir(join(model, 'snapshots/abc'), { recursive: true });
    await mkdir(join(model, 'refs'));
    await write('main', 'abc', join(model, 'refs'));
    await write('config.json', { vocab_size: 32_000 }, join(model, 'snapshots/abc'));
    expect((await readVocabulary('org/name', { HF_HOME: dir }))?.size).toBe(32_000);
  });

  it.each(['', '{"vocab_size": "many"}', '{'])('is unknown for %j', async (text) => {
    await write('config.json', text);
    expect(await readVocabulary(dir)).toBeUndefined();
    expect(await readVocabulary(join(dir, 'none'))).toBeUndefined();
  });
});

describe('ids of prompts', () => {
  const none = new Set<number>();
  it('are 1,000 to 20,999 of a vocabulary that has them, or that is unknown', () => {
    for (const ids of [ordinaryIds(undefined), ordinaryIds({ size: 151_936, special: none })])
      expect([ids[0], ids.at(-1), ids.length]).toEqual([1_000, 20_999, 20_000]);
  });

  it('are below the size of a small one, and none is special', () => {
    const ids = ordinaryIds({ size: 320, special: new Set([100, 319]) });
    expect([ids[0], ids.at(-1), ids.length]).toEqual([80, 318, 238]);
    expect(() => ordinaryIds({ size: 1, special: new Set([0]) })).toThrow(/has none to make prompts of/);
  });
});
