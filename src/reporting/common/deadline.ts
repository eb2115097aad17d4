/** A signal that is aborted after a time, or when another one is. */
export interface Deadline {
  readonly signal: AbortSignal;
  /** It is not needed any more: its timer is stopped. */
  end(): void;
}

/**
 * A deadline of `ms`, and that of `above`. It does what AbortSignal.any and AbortSignal.timeout do together, whose
 * signals Node 20 may collect as garbage before they are aborted (nodejs/node#54614).
 */
export function deadline(ms: number, above?: AbortSignal): Deadline {
  const controller = new AbortController();
  const stop = (): void => controller.abort(above?.reason);
  const timer = setTimeout(
    () => controller.abort(new DOMException(`no answer within ${ms} ms`, 'TimeoutError')),
    ms,
  );
  if (above?.aborted) stop();
  else above?.addEventListener('abort', stop, { once: true });
  return {
    signal: controller.signal,
    end(): void {
      clearTimeout(timer);
      above?.removeEventListener('abort', stop);
    },
  };
}
