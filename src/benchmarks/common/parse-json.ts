import type * as z from 'zod';

/** Parses text that should be JSON of a shape: returns the value, or the problem in half a sentence. */
export function parseJson<T>(
  schema: z.ZodType<T>,
  text: string,
): { readonly value: T } | { readonly problem: string } {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    return { problem: `not JSON: ${(error as Error).message}` };
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return { value: parsed.data };
  const [issue] = parsed.error.issues;
  return { problem: [issue?.path.join('.'), issue?.message].filter(Boolean).join(': ') };
}
