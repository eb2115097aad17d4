/** Small tokenizer.json files, one of each kind that models have. */
const SYLLABLES = ['ba', 'ke', 'lo', 'mi', 'nu', 'ra', 'se', 'ti', 'vo', 'zu'];
/** 100 words of four letters, each of two syllables. */
const WORDS = SYLLABLES.flatMap((one) => SYLLABLES.map((other) => one + other));

/** The characters that stand for bytes in a byte-level tokenizer (GPT-2's bytes_to_unicode). */
const byteCharacters = (): string[] => {
  const plain = (byte: number) =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255);
  let others = 0;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(plain(byte) ? byte : 256 + others++));
};
const SPACE = 'Ġ';

const numbered = (tokens: readonly string[]) => Object.fromEntries(tokens.map((token, id) => [token, id]));
const special = (content: string, id: number) => ({
  ...{ id, content, special: true, normalized: false },
  ...{ single_word: false, lstrip: false, rstrip: false },
});

/** Merges that make every word from its letters, with the mark of a space before it. */
function merges(mark: string): { tokens: string[]; merges: string[] } {
  const tokens = new Set<string>();
  const rules = new Set<string>();
  const join = (left: string, right: string): string => {
    rules.add(`${left} ${right}`);
    tokens.add(left + right);
    return left + right;
  };
  for (const [a = '', b = ''] of SYLLABLES) join(a, b);
  for (const one of SYLLABLES) for (const other of SYLLABLES) join(join(mark, one), other);
  return { tokens: [...tokens], merges: [...rules] };
}

const begin = (token: string, id: number) => ({
  type: 'TemplateProcessing',
  single: [{ SpecialToken: { id: token, type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
  pair: [],
  special_tokens: { [token]: { id: token, ids: [id], tokens: [token] } },
});

function byteLevel(pieces: { tokens: string[]; merges: string[] }, begins: boolean): object {
  const tokens = [...byteCharacters(), ...pieces.tokens];
  const [from, to] = [tokens.length, tokens.length + 1];
  return {
    added_tokens: [special('<s>', from), special('<|im_end|>', to)],
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: begins ? begin('<s>', from) : null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: { type: 'BPE', vocab: numbered(tokens), merges: pieces.merges, unk_token: null },
  };
}

function sentencePiece(): object {
  const pieces = merges('▁');
  const bytes = Array.from(
    { length: 256 },
    (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`,
  );
  const tokens = ['<unk>', '<s>', '</s>', ...bytes, '▁', ...'abcdefghijklmnopqrstuvwxyz', ...pieces.tokens];
  return {
    added_tokens: [special('<unk>', 0), special('<s>', 1), special('</s>', 2)],
    normalizer: {
      type: 'Sequence',
      normalizers: [
        { type: 'Prepend', prepend: '▁' },
        { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
      ],
    },
    pre_tokenizer: null,
    post_processor: begin('<s>', 1),
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        { type: 'Strip', content: ' ', start: 1, stop: 0 },
      ],
    },
    model: {
      ...{ type: 'BPE', vocab: numbered(tokens), merges: pieces.merges },
      ...{ unk_token: '<unk>', fuse_unk: true, byte_fallback: true },
    },
  };
}

function unigram(): object {
  const letters = [...'abcdefghijklmnopqrstuvwxyz'];
  const vocab = [
    ['<pad>', 0],
    ['</s>', 0],
    ['<unk>', 0],
    ['▁', -2],
    ...letters.map((letter) => [letter, -9]),
    ...WORDS.map((word) => [`▁${word}`, -3]),
  ];
  return {
    added_tokens: [special('<pad>', 0), special('</s>', 1), special('<unk>', 2)],
    normalizer: null,
    pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true },
    post_processor: {
      ...begin('</s>', 1),
      single: [{ Sequence: { id: 'A', type_id: 0 } }, { SpecialToken: { id: '</s>', type_id: 0 } }],
    },
    decoder: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true },
    model: { type: 'Unigram', unk_id: 2, vocab },
  };
}

function wordPiece(): object {
  const letters = [...'abcdefghijklmnopqrstuvwxyz'];
  const tokens = [
    '[PAD]',
    '[UNK]',
    '[CLS]',
    '[SEP]',
    ...letters,
    ...letters.map((one) => `##${one}`),
    ...WORDS,
  ];
  return {
    added_tokens: ['[PAD]', '[UNK]', '[CLS]', '[SEP]'].map(special),
    normalizer: {
      ...{ type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true },
      ...{ strip_accents: null, lowercase: true },
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: {
      type: 'TemplateProcessing',
      single: [
        { SpecialToken: { id: '[CLS]', type_id: 0 } },
        { Sequence: { id: 'A', type_id: 0 } },
        { SpecialToken: { id: '[SEP]', type_id: 0 } },
      ],
      pair: [],
      special_tokens: {
        '[CLS]': { id: '[CLS]', ids: [2], tokens: ['[CLS]'] },
        '[SEP]': { id: '[SEP]', ids: [3], tokens: ['[SEP]'] },
      },
    },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      ...{ type: 'WordPiece', vocab: numbered(tokens), unk_token: '[UNK]' },
      ...{ continuing_subword_prefix: '##', max_input_chars_per_word: 100 },
    },
  };
}

/** Letters that join with each other but not with a space: no text is a row of pieces of one token each. */
function sticky(): object {
  const pairs = [...'abcdefghijklmnopqrstuvwxyz'].flatMap((one) =>
    [...'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'].flatMap((other) => [
      [one, other],
      [other, one],
    ]),
  );
  const upper = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZ'];
  const all = [...pairs, ...upper.flatMap((one) => upper.map((other) => [one, other]))];
  return byteLevel(
    {
      tokens: [...new Set(all.map((pair) => pair.join('')))],
      merges: [...new Set(all.map((pair) => pair.join(' ')))],
    },
    false,
  );
}

/** The kinds by name: tokenizer.json. */
export const TOKENIZERS: Readonly<Record<string, () => object>> = {
  'byte-level BPE': () => byteLevel(merges(SPACE), false),
  'byte-level BPE with a beginning': () => byteLevel(merges(SPACE), true),
  'bytes alone': () => byteLevel({ tokens: [], merges: [] }, false),
  'SentencePiece BPE without splitting': sentencePiece,
  Unigram: unigram,
  WordPiece: wordPiece,
  'letters that all join': sticky,
};

/** As Qwen's. */
export const CHAT_TEMPLATE =
  "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}" +
  '{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}';
/** As Llama 3's, which leaves out white space around a message and begins with a special token. */
export const TRIMMING_TEMPLATE =
  "{{ bos_token }}{% for message in messages %}[{{ message['role'] }}]\n\n{{ message['content'] | trim }}{% endfor %}[assistant]";
