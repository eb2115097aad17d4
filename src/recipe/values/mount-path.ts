import * as z from 'zod';

/**
 * Why pyxis and enroot cannot mount a path, or null. pyxis separates mounts with commas, and the parts of one
 * with colons; enroot's own list is separated by white space (pyxis' common.c and enroot's 10-mounts of 3.4).
 */
function mountProblem(path: string): string | null {
  if (path.trim() === '') return 'a mount needs a path';
  if (/\s/.test(path)) return `"${path}" contains white space, which containers cannot mount`;
  if (path.includes(',')) return `"${path}" contains a comma, which separates mounts`;
  return null;
}

/** Flags of the mount may follow the path in the container: `/there:ro`. */
const insideSchema = z.string().superRefine((path, context) => {
  const problem = mountProblem(path);
  if (problem) context.addIssue({ code: 'custom', message: problem });
});

/** Host directory, and its path in the container. */
export const mountMapSchema = z.record(z.string(), insideSchema).superRefine((mounts, context) => {
  for (const host of Object.keys(mounts)) {
    const problem = host.includes(':') ? `"${host}" contains a colon` : mountProblem(host);
    if (problem)
      context.addIssue({
        code: 'custom',
        path: [host],
        message: `${problem}: mount a link without it instead`,
      });
  }
});

/** `host`, `host:container` or `host:container:flags`. */
export const mountListSchema = z.array(
  z.string().superRefine((mount, context) => {
    const parts = mount.split(':');
    const problem =
      parts.length > 3
        ? `"${mount}" has more parts than host:container:flags`
        : (parts.map(mountProblem).find((each) => each !== null) ?? null);
    if (problem) context.addIssue({ code: 'custom', message: `${problem}: mount a link without it instead` });
  }),
);

/**
 * Expands a leading `~` of a host path to the home directory, as a shell does, because containers would take
 * it for a name.
 */
export function expandHome(part: unknown, home: string | undefined): unknown {
  if (home === undefined) return part;
  const expand = (text: string): string => text.replace(/^~(?=\/|:|$)/, home);
  if (Array.isArray(part)) return part.map((each) => (typeof each === 'string' ? expand(each) : each));
  if (part === null || typeof part !== 'object') return part;
  return Object.fromEntries(Object.entries(part).map(([key, value]) => [expand(key), value]));
}
