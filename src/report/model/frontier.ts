/** A place in the plane in which more of both is better. */
export interface Place {
  readonly x: number;
  readonly y: number;
}

/**
 * The Pareto frontier: the places that no other one beats in both directions, by rising `x`. Of equal places the
 * first is kept.
 */
export function frontier<T extends Place>(places: readonly T[]): T[] {
  const byX = [...places].sort((a, b) => b.x - a.x || b.y - a.y);
  const kept: T[] = [];
  let best = Number.NEGATIVE_INFINITY;
  for (const place of byX) {
    if (place.y <= best) continue;
    best = place.y;
    kept.push(place);
  }
  return kept.reverse();
}
