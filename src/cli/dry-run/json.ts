import type { AllocationPoint, AllocationProcess, Planned } from './plan.ts';

/**
 * An allocation as a line of JSON, in pieces, because thousands of points exceed the maximum length of a
 * string.
 */
export function* allocationLine({ head, points }: Planned): Generator<string> {
  const textOf = pointText();
  yield `${JSON.stringify(head).slice(0, -1)},"points":[`;
  let separator = '';
  for (const point of points()) {
    yield separator + textOf(point);
    separator = ',';
  }
  yield ']}\n';
}

/** Serialises processes that several points share only once. */
function pointText(): (point: AllocationPoint) => string {
  const texts = new WeakMap<AllocationProcess, string>();
  const textOf = (process: AllocationProcess): string => {
    const text = texts.get(process) ?? JSON.stringify(process);
    texts.set(process, text);
    return text;
  };
  return ({ processes, ...point }) =>
    `${JSON.stringify(point).slice(0, -1)},"processes":[${processes.map(textOf).join()}]}`;
}
