import { mixed } from '../../common/seed.ts';
import { type ChatTemplate, readChatTemplate } from './chat-template.ts';
import { type Contents, idContents, textContents, wordContents } from './contents.ts';
import { readDataset } from './dataset-file.ts';
import { exactTexts } from './exact-text.ts';
import { directoryOf } from './model-files.ts';
import type { PromptSource, WorkloadFacts } from './prompt.ts';
import { seededRandom } from './random.ts';
import { first, randomPrompts } from './random-prompts.ts';
import type { WorkloadSettings } from './settings.ts';
import { readTokenizer, type Tokenizer } from './tokenizer.ts';
import { ordinaryIds, readVocabulary } from './vocabulary.ts';

/** Tells the seed of a data set's order from those of stages, which are smaller numbers. */
const ORDER = 0xfffe;

/** Requests of a file that a benchmark keeps in memory. A run by time repeats them. */
const MOST_READ = 50_000;

/** Of the requests of a file, in turn. */
interface Share {
  readonly index: number;
  readonly of: number;
}
const ALL: Share = { index: 0, of: 1 };

/** What there is of the model here. */
interface ModelFiles {
  readonly tokenizer?: Tokenizer | undefined;
  readonly directory?: string | undefined;
  readonly template?: ChatTemplate | undefined;
  /** true: it has a chat template that cannot be rendered here. */
  readonly isUnreadable?: boolean;
  /** Why something is missing, for the log. */
  readonly why: string;
}

/**
 * Opens what a benchmark sends: reads the tokenizer, the chat template and the data set. Throws when the recipe
 * names one that cannot be read, or a prompt is shorter than the template around it.
 * @param most as many requests as the benchmark can send
 * @param share the part of a file that is sent here, where several clients send it
 */
export async function openSource(
  config: WorkloadSettings,
  most: number,
  share: Share = ALL,
): Promise<PromptSource> {
  const files = await modelFiles(config);
  const { tokenizer, directory } = files;
  if (config.dataset.name !== 'random') return fileSource(config, files, most, share);
  const chat = chatOf(config, files);
  const contents = await contentsOf(config, files, chat);
  const facts: WorkloadFacts = {
    dataset: 'random',
    prompts: contents.prompts,
    tokenizer: tokenizer && contents.prompts === 'text' ? (directory ?? null) : null,
    chatTemplate: chat.chatTemplate,
  };
  let room = 0;
  requireLength(config, contents.around);
  return {
    get facts() {
      return room === 0 ? facts : { ...facts, addedTokens: room };
    },
    endpoint: chat.endpoint,
    isl: config.isl,
    osl: config.osl,
    summary: `prompts are ${LOOKS[contents.prompts]}${files.why}; chat template: ${TEMPLATE[chat.chatTemplate]}`,
    prompts: (count, random) =>
      first(
        count,
        randomPrompts(config, contents, random, () => room),
      ),
    ...(contents.prompts === 'text'
      ? {
          makeRoomFor(tokens: number) {
            requireLength(config, contents.around + room + tokens);
            room += tokens;
          },
        }
      : {}),
  };
}

const LOOKS = {
  text: 'text of exact lengths by its tokenizer',
  'token ids': 'token ids of exact lengths',
  words: 'words, about a token each',
} as const;
const TEMPLATE = { client: 'in each prompt', engine: 'by the engine', none: 'none' } as const;

function requireLength({ isl }: WorkloadSettings, around: number): void {
  if (isl > around) return;
  throw new Error(
    `benchmark.isl: ${isl} tokens are too few, because each prompt has ${around} tokens of the chat template or of the engine: ask for more, or set use_chat_template: false`,
  );
}

async function modelFiles({ tokenizer: given, modelPath }: WorkloadSettings): Promise<ModelFiles> {
  if (given === 'none') return { why: ' (no tokenizer is wanted)' };
  const path = given ?? modelPath;
  if (path === null) return { why: ' (there are no files of the model to read)' };
  const directory = await directoryOf(path);
  const missing = `${directory ?? path} has no tokenizer.json here`;
  try {
    const tokenizer = directory === undefined ? undefined : await readTokenizer(directory);
    if (directory === undefined || !tokenizer) {
      if (given !== null) throw new Error(missing);
      return { directory, why: ` (${missing})` };
    }
    const template = await readChatTemplate(directory);
    if (template && 'render' in template) return { tokenizer, directory, template: template.render, why: '' };
    if (!template) return { tokenizer, directory, why: '' };
    return { tokenizer, directory, isUnreadable: true, why: ` (its chat template: ${template.problem})` };
  } catch (error) {
    if (given !== null) throw new Error(`benchmark.tokenizer: ${(error as Error).message}`, { cause: error });
    return { directory, why: ` (${(error as Error).message})` };
  }
}

type Endpoint = WorkloadSettings['endpoint'];
const CHAT: Endpoint = '/v1/chat/completions';

interface Chat {
  readonly endpoint: Endpoint;
  readonly chatTemplate: WorkloadFacts['chatTemplate'];
}

/**
 * Who applies the chat template. The reference's client does by default, and posts to /v1/completions. A template
 * that only the engine can apply is asked for by /v1/chat/completions when the model has it, the recipe wants it
 * by name, or there is no other endpoint.
 */
function chatOf(
  { useChatTemplate, endpoint }: WorkloadSettings,
  { template, isUnreadable }: ModelFiles,
): Chat {
  if (endpoint === CHAT) return { endpoint, chatTemplate: 'engine' };
  if (useChatTemplate === false) return { endpoint, chatTemplate: 'none' };
  if (template) return { endpoint, chatTemplate: 'client' };
  if (useChatTemplate || isUnreadable) return { endpoint: CHAT, chatTemplate: 'engine' };
  return { endpoint, chatTemplate: 'none' };
}

async function contentsOf(
  { takesTokenIds, modelPath }: WorkloadSettings,
  { tokenizer, template }: ModelFiles,
  { endpoint, chatTemplate }: Chat,
): Promise<Contents> {
  if (tokenizer) {
    // An engine puts the same template around a message as the client would: the prompt is as long either way.
    const around = chatTemplate === 'none' ? undefined : template;
    return textContents(exactTexts(tokenizer, around), chatTemplate === 'client' ? around : undefined);
  }
  if (endpoint === CHAT || !takesTokenIds) return wordContents;
  return idContents(ordinaryIds(modelPath === null ? undefined : await readVocabulary(modelPath)));
}

/** Prompts of a file are sent as they are, without a chat template, as sa-bench does. */
async function fileSource(
  config: WorkloadSettings,
  files: ModelFiles,
  most: number,
  share: Share,
): Promise<PromptSource> {
  const { dataset, osl, seed, endpoint } = config;
  if (dataset.name === 'random') throw new Error('a random data set has no file');
  const random = seededRandom(mixed(seed, ORDER));
  const given = { ...dataset, osl: osl === 0 ? null : osl, most: Math.min(most, MOST_READ) };
  const read = await readDataset(given, files.tokenizer, random);
  // The engine adds its template to a message, and the lengths in a file are without it.
  const whole = endpoint === CHAT ? read.map((prompt) => ({ ...prompt, isExact: false })) : read;
  const all = whole.filter((_, at) => at % share.of === share.index);
  const mean = (key: 'inputTokens' | 'outputTokens'): number =>
    Math.round(whole.reduce((sum, prompt) => sum + prompt[key], 0) / whole.length);
  let next = 0;
  return {
    facts: {
      dataset: dataset.name,
      prompts: 'text',
      tokenizer: files.tokenizer ? (files.directory ?? null) : null,
      chatTemplate: endpoint === CHAT ? 'engine' : 'none',
    },
    endpoint,
    isl: mean('inputTokens'),
    osl: mean('outputTokens'),
    summary: `${all.length} prompts of ${dataset.path}`,
    *prompts(count) {
      // A run by number sends no prompt twice; the next run continues where this one ended.
      const limit = Number.isFinite(count) ? Math.min(count, all.length) : count;
      for (let sent = 0; sent < limit; sent++) {
        const prompt = all[next++ % all.length];
        if (prompt) yield prompt;
      }
    },
  };
}
