/** Limits to try in turn until a message is small enough: characters of a text, elements of a list. */
const STEPS = [
  { characters: 4_000, elements: 500 },
  { characters: 500, elements: 100 },
  { characters: 100, elements: 20 },
  { characters: 40, elements: 2 },
] as const;

const bytesOf = (message: unknown): number => Buffer.byteLength(JSON.stringify(message));

/**
 * A message of at most `bytes` as JSON. Long texts lose their middle, long lists their beginning, with a
 * note, so the message keeps its shape and its important parts. A message that fits is returned unchanged.
 */
export function fitMessage<T extends object>(message: T, bytes: number): T {
  if (bytesOf(message) <= bytes) return message;
  for (const step of STEPS) {
    const shorter = shorten(message, step) as T;
    if (bytesOf(shorter) <= bytes) return shorter;
  }
  throw new Error(`a message of ${bytesOf(message)} bytes cannot be shortened to ${bytes}`);
}

function shorten(value: unknown, step: (typeof STEPS)[number]): unknown {
  if (typeof value === 'string') return shortText(value, step.characters);
  if (Array.isArray(value)) {
    // The end of a list matters most: the last lines of a log.
    const kept = value.length > step.elements ? value.slice(-step.elements) : value;
    return kept.map((element) => shorten(element, step));
  }
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, shorten(each, step)]));
}

function shortText(text: string, characters: number): string {
  if (text.length <= characters) return text;
  const half = Math.floor(characters / 2);
  return `${text.slice(0, half)} … [${text.length - 2 * half} characters left out] … ${text.slice(-half)}`;
}
