/**
 * What srtctl writes to a terminal. Names, reasons and lines of logs come from engines, recipes and other people. A
 * terminal executes the escape sequences in them: some set its title or its clipboard, or overwrite earlier lines. So
 * srtctl writes only text, line breaks, tabs and the colours of picocolors, and shows every other control character.
 */

/** A colour or style of picocolors (1.1; no hidden or blinking text), or a control character. */
const SPECIAL =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /(\u001b\[(?:[012347]|9|2[2-9]|3[0-79]|4[0-79]|9[0-7]|10[0-7])m)|\r\n?|[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/**
 * A text in a form that is safe for a terminal: a carriage return starts a line; other controls of C0 and C1
 * and bidirectional controls (Unicode TR 9) become `\u001b`, which JSON accepts, too.
 */
export const printable = (text: string, coloured: boolean): string =>
  text.replace(SPECIAL, (found, colour: string | undefined) => {
    if (colour !== undefined && coloured) return colour;
    if (found.startsWith('\r')) return '\n';
    return `${escaped(found[0] ?? '')}${found.slice(1)}`;
  });

const escaped = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** Colours only on terminals, unless the user has disabled them (https://no-color.org). */
export const hasColours = (out: { readonly isTTY?: boolean }, env: NodeJS.ProcessEnv): boolean =>
  out.isTTY === true && env.TERM !== 'dumb' && !env.NO_COLOR;

type Write = NodeJS.WriteStream['write'];
const raw = new WeakMap<object, Write>();

/** From now on every text written to the stream is printable. Bytes are unchanged. */
export function guardTerminal(stream: NodeJS.WriteStream, env: NodeJS.ProcessEnv): void {
  const write = stream.write.bind(stream) as Write;
  raw.set(stream, write);
  const coloured = hasColours(stream, env);
  stream.write = ((text: string | Uint8Array, ...more: never[]) =>
    write(typeof text === 'string' ? printable(text, coloured) : text, ...more)) as Write;
}

/** The original stream, for code that moves the cursor and escapes its own text. */
export function unguarded(stream: NodeJS.WriteStream): NodeJS.WriteStream {
  const write = raw.get(stream);
  return write ? Object.create(stream, { write: { value: write } }) : stream;
}

/**
 * Writes text that a user may redirect to a file unchanged: a script, a recipe, a log. On a terminal it is
 * printable.
 */
export const writeExactly = (text: string, out: NodeJS.WriteStream = process.stdout): boolean =>
  (out.isTTY ? out : unguarded(out)).write(text);
