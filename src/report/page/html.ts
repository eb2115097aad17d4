import { escaped, visible } from '../model/visible.ts';

/** HTML that is safe to put into a page as it stands. */
export class Html {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

type Value = Html | string | number | null | undefined | false | readonly Value[];

/**
 * Makes HTML of a template. Every value that is not itself HTML is escaped, so a text from a recipe, a log or a node's
 * name stays text, also within an attribute in quotes. Templates have ASCII characters alone, because bundling cannot
 * escape others in them; values may have any.
 */
export const html = (parts: TemplateStringsArray, ...values: readonly Value[]): Html =>
  new Html(parts.map((part, at) => part + (at < values.length ? textOf(values[at]) : '')).join(''));

function textOf(value: Value): string {
  if (value instanceof Html) return value.text;
  if (value === null || value === undefined || value === false) return '';
  if (typeof value === 'string' || typeof value === 'number') return escapeHtml(String(value));
  return value.map(textOf).join('');
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
  '`': '&#96;',
};

/** A text as HTML that shows every character of it. */
export const escapeHtml = (text: string): string =>
  visible(text.replace(/[&<>"'`]/g, (char) => ESCAPES[char] ?? char));

/**
 * A value as JSON that may stand in a script element: no text in it ends the element or begins a comment, and it is
 * JavaScript, too.
 */
export const jsonInScript = (value: unknown): Html =>
  new Html(visible(JSON.stringify(value).replace(/[<>&]/g, escaped)));
