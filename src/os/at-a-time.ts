/**
 * Does the same with each, `most` at a time, in their order. Rejects with the first that fails; others that are under way
 * then go on by themselves.
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
