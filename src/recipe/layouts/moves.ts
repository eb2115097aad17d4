import type { Path } from '../source/problems.ts';
import type { Plain } from '../values/merge.ts';

/**
 * Where the parts of a canonical recipe stand in the recipe as it was written: pairs of a canonical path and the
 * written one. Everything below a moved path moves with it.
 */
export class Moves {
  readonly #moves: { readonly to: Path; readonly from: Path }[] = [];

  add(to: Path, from: Path): void {
    this.#moves.push({ to, from });
  }

  /** The canonical paths of what moved. */
  canonical(): Path[] {
    return this.#moves.map(({ to }) => to);
  }

  /** The written path of a canonical one; paths that did not move are the same in both. */
  written(path: Path): Path {
    let best: { readonly to: Path; readonly from: Path } | undefined;
    for (const move of this.#moves)
      if (move.to.length > (best?.to.length ?? -1) && move.to.every((key, at) => path[at] === key))
        best = move;
    return best ? [...best.from, ...path.slice(best.to.length)] : path;
  }
}

/** A recipe in the canonical shape, not checked yet, and where its parts were written. */
export interface Canonical {
  readonly value: Plain;
  readonly moves: Moves;
}
