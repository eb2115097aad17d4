const HIDDEN =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** A character as `\u202e`, which JSON accepts, too. */
export const escaped = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;

/**
 * A text whose control characters, and those that turn the direction of text (Unicode TR 9), are shown as `\u202e`,
 * because they could make a name look like another one.
 */
export const visible = (text: string): string => text.replace(HIDDEN, escaped);

/** A plain value with all its texts and keys visible. */
export function withVisibleTexts<T>(value: T): T;
export function withVisibleTexts(value: unknown): unknown {
  if (typeof value === 'string') return visible(value);
  if (Array.isArray(value)) return value.map((each) => withVisibleTexts<unknown>(each));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, below]) => [visible(key), withVisibleTexts<unknown>(below)]),
  );
}
