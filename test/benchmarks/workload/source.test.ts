import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeRoom } from '../../../src/benchmarks/loadgen/workload/make-room.ts';
import type { Prompt, PromptSource } from '../../../src/benchmarks/loadgen/workload/prompt.ts';
import { seededRandom } from '../../../src/benchmarks/loadgen/workload/random.ts';
import type { WorkloadSettings } from '../../../src/benchmarks/loadgen/workload/settings.ts';
import { openSource } from '../../../src/benchmarks/loadgen/workload/source.ts';
import { readTokenizer } from '../../../src/benchmarks/loadgen/workload/tokenizer.ts';
import { WorkloadHash } from '../../../src/benchmarks/loadgen/workload/workload-hash.ts';
import { CHAT_TEMPLATE, TOKENIZERS } from '../../support/tokenizers.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const write = (name: string, content: unknown) =>
  writeFile(join(dir, name), typeof content === 'string' ? content : JSON.stringify(content));
const writeModel = async (template?: string) => {
  await write('tokenizer.json', TOKENIZERS['byte-level BPE']?.());
  await write('tokenizer_config.json', template === undefined ? {} : { chat_template: template });
};

const config = (over: Partial<WorkloadSettings> = {}): WorkloadSettings => ({
  ...{ endpoint: '/v1/completions', modelPath: dir, tokenizer: null, useChatTemplate: null },
  ...{ takesTokenIds: true, dataset: { name: 'random' }, seed: 1 },
  ...{ isl: 80, osl: 8, randomRangeRatio: 1, sharedPrefixRatio: 0 },
  ...over,
});

async function some(source: PromptSource, count = 3): Promise<Prompt[]> {
  const all: Prompt[] = [];
  for await (const prompt of source.prompts(count, seededRandom(1))) all.push(prompt);
  return all;
}

const open = (over: Partial<WorkloadSettings> = {}) => openSource(config(over), 1_000);

describe('random prompts', () => {
  it('are text in the model’s chat template for /v1/completions, exact with it', async () => {
    await writeModel(CHAT_TEMPLATE);
    const source = await open();
    expect(source).toMatchObject({
      endpoint: '/v1/completions',
      facts: { dataset: 'random', prompts: 'text', tokenizer: dir, chatTemplate: 'client' },
    });
    const tokenizer = await readTokenizer(dir);
    for (const { content, inputTokens, isExact } of await some(source)) {
      expect(content).toMatch(/^<\|im_start\|>user\n.*<\|im_start\|>assistant\n$/s);
      expect([tokenizer?.count(String(content)), inputTokens, isExact]).toEqual([80, 80, true]);
    }
  });

  it('have no template where the recipe leaves it out, or the model has none', async () => {
    await writeModel(CHAT_TEMPLATE);
    const without = await open({ useChatTemplate: false });
    await writeModel();
    const none = await open();
    for (const source of [without, none]) {
      expect(source.facts).toMatchObject({ prompts: 'text', chatTemplate: 'none' });
      expect(source.endpoint).toBe('/v1/completions');
      expect((await some(source))[0]?.content).not.toContain('im_start');
    }
  });

  it('leave the template to the engine where only it has one and the recipe wants it, or has no other endpoint', async () => {
    await writeModel();
    const wanted = await open({ useChatTemplate: true });
    expect(wanted).toMatchObject({ endpoint: '/v1/chat/completions', facts: { chatTemplate: 'engine' } });
    await writeModel('{{ unknown_function() }}');
    const unreadable = await open();
    expect(unreadable).toMatchObject({ endpoint: '/v1/chat/completions', facts: { chatTemplate: 'engine' } });
    expect(unreadable.summary).toContain('(its chat template: ');
    await writeModel(CHAT_TEMPLATE);
    const alone = await open({ endpoint: '/v1/chat/completions' });
    expect(alone).toMatchObject({ endpoint: '/v1/chat/completions', facts: { chatTemplate: 'engine' } });
    const tokenizer = await readTokenizer(dir);
    const [prompt] = await some(alone);
    // The engine writes the rest, so that the prompt has 80.
    expect(prompt?.inputTokens).toBe(80);
    expect(tokenizer?.count(String(prompt?.content))).toBeLessThan(80);
    expect(prompt?.content).not.toContain('im_start');
  });

  it('are token ids or words without a tokenizer, as the target takes them', async () => {
    const ids = await open({ modelPath: null });
    expect(ids.facts).toEqual({
      ...{ dataset: 'random', prompts: 'token ids', tokenizer: null, chatTemplate: 'none' },
    });
    expect((await some(ids))[0]?.content).toHaveLength(80);
    const words = await open({ modelPath: null, takesTokenIds: false });
    expect(words.facts).toMatchObject({ prompts: 'words', tokenizer: null });
    const chat = await open({ modelPath: null, useChatTemplate: true });
    expect(chat).toMatchObject({ endpoint: '/v1/chat/completions', facts: { prompts: 'words' } });
    await writeModel();
    expect((await open({ tokenizer: 'none' })).facts.prompts).toBe('token ids');
  });

  it('say why there is no tokenizer; one that the recipe names must be there', async () => {
    expect((await open()).summary).toContain(`${dir} has no tokenizer.json here`);
    const missing = join(dir, 'none');
    await expect(open({ tokenizer: missing })).rejects.toThrow(
      `benchmark.tokenizer: ${missing} has no tokenizer.json here`,
    );
    await write('tokenizer.json', 'no JSON');
    expect((await open()).summary).toContain('cannot be used as a tokenizer');
    await expect(open({ tokenizer: dir })).rejects.toThrow('cannot be used as a tokenizer');
  });

  it('cannot be shorter than the template', async () => {
    await writeModel(CHAT_TEMPLATE);
    await expect(open({ isl: 5 })).rejects.toThrow(
      /benchmark\.isl: 5 tokens are too few, because each prompt has \d+/,
    );
  });
});

describe('tokens that the engine adds', () => {
  it('shorten the prompts, and are in the result', async () => {
    await writeModel();
    const source = await open();
    const said: string[] = [];
    makeRoom(source, 1, (text) => said.push(text));
    expect(said.join()).toContain('counts 1 prompt tokens more');
    expect(source.facts.addedTokens).toBe(1);
    const tokenizer = await readTokenizer(dir);
    const [prompt] = await some(source);
    expect([tokenizer?.count(String(prompt?.content)), prompt?.inputTokens]).toEqual([79, 80]);
  });

  it('are no reason to change prompts when there are many: the tokenizer is another', async () => {
    await writeModel();
    const source = await open();
    const said: string[] = [];
    makeRoom(source, 9, (text) => said.push(text));
    expect(said.join()).toMatch(/^warning: .*is that the tokenizer of this model\?$/);
    expect(source.facts.addedTokens).toBeUndefined();
  });
});

describe('the hash of a workload', () => {
  const hashOf = async (source: PromptSource, prompts?: readonly Prompt[]) => {
    const hash = new WorkloadHash(source.facts);
    for (const prompt of prompts ?? (await some(source))) hash.add(prompt);
    return hash.digest();
  };

  it('is that of contents, lengths, kind and order', async () => {
    const source = await open({ modelPath: null });
    const [one, other] = await some(source);
    if (!one || !other) throw new Error('no prompts');
    const hashes = await Promise.all([
      hashOf(source, [one, other]),
      hashOf(source, [other, one]),
      hashOf(source, [one]),
      hashOf(source, [{ ...one, outputTokens: 9 }, other]),
      hashOf({ ...source, facts: { ...source.facts, prompts: 'words' } }, [one, other]),
    ]);
    expect(new Set(hashes).size).toBe(hashes.length);
    expect(hashes[0]).toMatch(/^[0-9a-f]{64}$/);
    expect(await hashOf(source, [one, other])).toBe(hashes[0]);
  });
});

describe('a file of prompts', () => {
  const custom = (path: string, over: Partial<WorkloadSettings> = {}) =>
    openSource(config({ dataset: { name: 'custom', path }, isl: 0, osl: 0, ...over }), 1_000);

  it('of JSON lines is read as sa-bench reads it', async () => {
    const lines = [
      { prompt: 'one two', expected_output_len: 5 },
      { prompt: 'three four', max_tokens: 6, prompt_len: 77 },
      {
        input: {
          messages: [
            { role: 'user', content: 'first' },
            { role: 'assistant', content: 'x' },
          ],
          max_tokens: 7,
        },
      },
      {
        input: {
          messages: [
            { role: 'user', content: 'a' },
            { role: 'user', content: 'last' },
          ],
          num_tokens: 8,
        },
      },
      { prompt: '' },
      { other: 1 },
    ];
    const path = join(dir, 'p.jsonl');
    await write('p.jsonl', `${lines.map((line) => JSON.stringify(line)).join('\n')}\n\n`);
    const source = await custom(path);
    const prompts = (await some(source, 4)).map(({ content, inputTokens, outputTokens }) => [
      ...[content, inputTokens, outputTokens],
    ]);
    expect(prompts.toSorted()).toEqual([
      ['first', 1, 7],
      ['last', 8, 128],
      ['one two', 1, 5],
      ['three four', 77, 6],
    ]);
    expect(source).toMatchObject({
      endpoint: '/v1/completions',
      facts: { dataset: 'custom', prompts: 'text', tokenizer: null, chatTemplate: 'none' },
      osl: 37,
    });
  });

  it('gives a run by number no more than it has, and continues where the last run ended', async () => {
    await write('p.jsonl', ['a', 'b', 'c', 'd'].map((prompt) => JSON.stringify({ prompt })).join('\n'));
    const source = await custom(join(dir, 'p.jsonl'));
    const first = await some(source, 3);
    const second = await some(source, 9);
    expect(second).toHaveLength(4);
    expect(new Set([...first, ...second.slice(0, 1)].map(({ content }) => content)).size).toBe(4);
    const again = await some(await custom(join(dir, 'p.jsonl')), 3);
    expect(again).toEqual(first);
    const other = await Promise.all([2, 3, 4, 5].map((seed) => custom(join(dir, 'p.jsonl'), { seed })));
    const orders = await Promise.all(other.map(async (one) => JSON.stringify(await some(one, 4))));
    expect(new Set(orders).size).toBeGreaterThan(1);
  });

  it('repeats in a run by time, and has no exact lengths where an engine adds its template', async () => {
    await writeModel(CHAT_TEMPLATE);
    await write('p.jsonl', ['aaaa', 'bbbb'].map((prompt) => JSON.stringify({ prompt })).join('\n'));
    const endless: Prompt[] = [];
    for await (const prompt of (await custom(join(dir, 'p.jsonl'))).prompts(
      Number.POSITIVE_INFINITY,
      Math.random,
    ))
      if (endless.push(prompt) === 5) break;
    expect(new Set(endless.map(({ content }) => content)).size).toBe(2);
    expect(endless.every(({ isExact }) => isExact)).toBe(true);
    const chat = await custom(join(dir, 'p.jsonl'), { endpoint: '/v1/chat/completions' });
    expect(chat.facts.chatTemplate).toBe('engine');
    expect((await some(chat)).some(({ isExact }) => isExact)).toBe(false);
  });

  it('of ShareGPT has its lengths by the tokenizer, without very short and very long ones', async () => {
    await writeModel();
    const talk = (...values: string[]) => ({ conversations: values.map((value) => ({ from: 'x', value })) });
    const long = 'x'.repeat(1_025);
    const all = [
      talk('aaaaa', 'bbbbbb'),
      talk('aa', 'bbbbbb'),
      talk('aaaaa'),
      talk(long, 'bbbbbb'),
      talk('aaaaa', 'b'),
    ];
    await write('s.json', all);
    const dataset = { name: 'sharegpt', path: join(dir, 's.json') } as const;
    const source = await openSource(config({ dataset, isl: 0, osl: 0 }), 1_000);
    expect(await some(source, 9)).toEqual([
      { content: 'aaaaa', inputTokens: 5, outputTokens: 6, isExact: true },
    ]);
    expect(source.facts).toMatchObject({ dataset: 'sharegpt', tokenizer: dir });
    const fixed = await openSource(config({ dataset, isl: 0, osl: 30 }), 1_000);
    expect((await some(fixed, 9)).map(({ outputTokens }) => outputTokens)).toEqual([30, 30]);
  });

  it.each([
    ['custom', undefined, /benchmark\.dataset_path: .*: there is no such file/],
    ['custom', '{"prompt": "a"}\nno JSON', /benchmark\.dataset_path: .*, line 2: not JSON: /],
    ['custom', '{"prompt": 5}', /benchmark\.dataset_path: .*, line 1 is no request: prompt: /],
    ['custom', '{"other": 5}', /has no request that can be used/],
    ['sharegpt', '{}', /is not ShareGPT's JSON/],
  ] as const)('of %s that is %j ends with a sentence', async (name, content, sentence) => {
    const path = join(dir, 'file');
    if (content !== undefined) await write('file', content);
    await expect(openSource(config({ dataset: { name, path } }), 9)).rejects.toThrow(sentence);
  });
});
