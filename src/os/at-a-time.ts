/**
 * Calls a function for each element, at most `most` at a time, in order. Rejects with the first failure;
 * running calls then continue unobserved.
 */
export async function atATime<T>(
  most: number,
  items: readonly T[],
  act: (item: T, index: number) => Promise<void>,
): Promise<void> {
  const queue = items.entries();
  const worker = async (): Promise<void> => {
    for (const [index, item] of queue) await act(item, index);
  };
  await Promise.all(Array.from({ length: Math.min(most, items.length) }, worker));
}
