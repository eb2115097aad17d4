/**
 * Replaces node:timers/promises by functions on the global timers, because vitest's fake timers only replace
 * those.
 */

export const setImmediate = (): Promise<void> => new Promise((resolve) => globalThis.setImmediate(resolve));

export const setTimeout = <T>(
  ms: number,
  value?: T,
  { signal }: { signal?: AbortSignal } = {},
): Promise<T | undefined> =>
  new Promise((resolve, reject) => {
    const abort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = globalThis.setTimeout(() => {
      signal?.removeEventListener('abort', abort);
      resolve(value);
    }, ms);
    signal?.addEventListener('abort', abort, { once: true });
  });
