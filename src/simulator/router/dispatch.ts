import type { ServerResponse } from 'node:http';
import type { Target } from './policy.ts';

export interface PrefillTarget extends Target {
  readonly bootstrap: { host: string; port: number };
}

/** Appends fields to the request's text, because parsing it would mean parsing the whole prompt. */
export function withFields(text: string, fields: Record<string, unknown>): string | undefined {
  const end = text.lastIndexOf('}');
  if (end < 0 || !text.trimStart().startsWith('{')) return undefined;
  return `${text.slice(0, end)}${/\{\s*$/.test(text.slice(0, end)) ? '' : ','}${JSON.stringify(fields).slice(1)}`;
}

/** Counts a request as load of its targets until its answer is complete. */
export async function counted(
  targets: Target[],
  response: ServerResponse,
  run: () => Promise<void>,
): Promise<void> {
  for (const target of targets) target.load++;
  response.once('close', () => {
    for (const target of targets) target.load--;
  });
  await run();
}
