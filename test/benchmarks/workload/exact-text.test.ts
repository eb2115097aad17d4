import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readChatTemplate } from '../../../src/benchmarks/loadgen/workload/chat-template.ts';
import { exactTexts } from '../../../src/benchmarks/loadgen/workload/exact-text.ts';
import { seededRandom } from '../../../src/benchmarks/loadgen/workload/random.ts';
import { readTokenizer, type Tokenizer } from '../../../src/benchmarks/loadgen/workload/tokenizer.ts';
import { CHAT_TEMPLATE, TOKENIZERS, TRIMMING_TEMPLATE } from '../../support/tokenizers.ts';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const write = (name: string, content: unknown) =>
  writeFile(join(dir, name), typeof content === 'string' ? content : JSON.stringify(content));

async function tokenizerOf(kind: string): Promise<Tokenizer> {
  await write('tokenizer.json', TOKENIZERS[kind]?.());
  const tokenizer = await readTokenizer(dir);
  if (!tokenizer) throw new Error('no tokenizer');
  return tokenizer;
}

async function templateOf(template: string) {
  await write('tokenizer_config.json', { chat_template: template, bos_token: { content: '<s>' } });
  const read = await readChatTemplate(dir);
  if (!read || 'problem' in read) throw new Error(read?.problem);
  return read.render;
}

const templates = {
  'no template': undefined,
  'a template': CHAT_TEMPLATE,
  'one that trims': TRIMMING_TEMPLATE,
};

describe.each(Object.keys(TOKENIZERS))('texts by %s', (kind) => {
  it.each(Object.entries(templates))('have exactly the asked tokens, with %s', async (_, template) => {
    const tokenizer = await tokenizerOf(kind);
    const frame = template === undefined ? (content: string) => content : await templateOf(template);
    const texts = exactTexts(tokenizer, frame);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 700 }), fc.integer(), (more, seed) => {
        const tokens = texts.around + more;
        const made = texts.text(tokens, seededRandom(seed));
        expect(made.tokens).toBe(tokens);
        expect(tokenizer.count(frame(made.text))).toBe(tokens);
        expect(texts.text(tokens, seededRandom(seed))).toEqual(made);
      }),
      { numRuns: 40 },
    );
  });

  it('begin with the same tokens where a part is shared, and differ after it', async () => {
    const tokenizer = await tokenizerOf(kind);
    const texts = exactTexts(tokenizer);
    const text = (seed: number) =>
      texts.text(200, seededRandom(seed), { tokens: 120, random: seededRandom(9) }).text;
    const [one, other] = [tokenizer.encode(text(1)), tokenizer.encode(text(2))];
    let same = 0;
    while (one[same] === other[same] && same < one.length) same++;
    // By chance a few more are equal; what the tokenizer puts before a text is no part of these.
    expect(same).toBeGreaterThanOrEqual(115);
    expect(same).toBeLessThan(135);
  });
});

it('texts differ from seed to seed and repeat no beginning', async () => {
  const texts = exactTexts(await tokenizerOf('byte-level BPE'));
  const many = Array.from({ length: 200 }, (_, seed) => texts.text(16, seededRandom(seed)).text);
  expect(new Set(many).size).toBe(200);
});

describe('a tokenizer that cannot be used', () => {
  it('is named with the reason', async () => {
    await write('tokenizer.json', { model: { type: 'Unheard' } });
    await expect(readTokenizer(dir)).rejects.toThrow(/tokenizer\.json cannot be used as a tokenizer: .+/);
    await write('tokenizer.json', 'no JSON');
    await expect(readTokenizer(dir)).rejects.toThrow(/tokenizer\.json cannot be used as a tokenizer: .+/);
  });

  it('is missing where the directory has none', async () => {
    expect(await readTokenizer(join(dir, 'none'))).toBeUndefined();
  });
});

describe('a chat template', () => {
  it('is that of chat_template.jinja, before that of the tokenizer’s config', async () => {
    await write('tokenizer_config.json', { chat_template: 'old {{ messages[0].content }}' });
    await write('chat_template.jinja', 'new {{ messages[0].content }}');
    const read = await readChatTemplate(dir);
    expect(read && 'render' in read ? read.render('x') : read).toBe('new x');
    await rm(join(dir, 'chat_template.jinja'));
  });

  it('is the one named default, where there are several', async () => {
    const named = ['tool_use', 'default'].map((name) => ({
      name,
      template: `${name} {{ messages[0].content }}`,
    }));
    await write('tokenizer_config.json', { chat_template: named });
    const read = await readChatTemplate(dir);
    expect(read && 'render' in read ? read.render('x') : read).toBe('default x');
  });

  it.each([
    ['{% nonsense', /.+/],
    ['{{ raise_exception("no") }}', /no/],
    ['always the same', /it leaves out the message/],
  ])('such as %j has a problem', async (template, problem) => {
    await write('tokenizer_config.json', { chat_template: template });
    expect(await readChatTemplate(dir)).toMatchObject({ problem: expect.stringMatching(problem) });
  });

  it('is missing where a model has none', async () => {
    await write('tokenizer_config.json', {});
    expect(await readChatTemplate(dir)).toBeUndefined();
  });
});
