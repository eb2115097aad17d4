/** How long a slice may block the event loop, ms. */
const SLICE_MS = 20;

/** Runs an iterator to its end in slices, so that leases and messages are handled in between. */
export async function inSlices<T>(steps: Iterator<unknown, T>): Promise<T> {
  for (;;) {
    const until = performance.now() + SLICE_MS;
    do {
      const step = steps.next();
      if (step.done) return step.value;
    } while (performance.now() < until);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
