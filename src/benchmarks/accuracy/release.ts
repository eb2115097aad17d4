/** Whether a release (`0.5.10.post1`) is this one or a later one, number by number. */
export function atLeast(release: string, other: string): boolean {
  const [a, b] = [numbersOf(release), numbersOf(other)];
  for (let at = 0; at < Math.max(a.length, b.length); at++) {
    const difference = (a[at] ?? 0) - (b[at] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}

const numbersOf = (release: string): number[] =>
  (/^\d+(\.\d+)*/.exec(release)?.[0] ?? '0').split('.').map(Number);
