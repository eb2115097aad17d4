/** How long a slice may hold up what else there is to do, ms. */
const SLICE_MS = 20;

/** Runs to its end what yields between its steps, and lets everything else have its turn meanwhile: leases, messages. */
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
