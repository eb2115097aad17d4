import type { Recipe } from '../recipe/schema/schema.ts';

/** How a recipe will run. */
export interface Way {
  /** Engines are stand-ins: neither the model nor an image is used, and nothing is installed. */
  readonly mock: boolean;
  readonly containers: boolean;
  /** The container runtime; undefined where no containers run. */
  readonly runtime?: string;
  /** Whether `host_setup` runs. Default: only without `mock`. */
  readonly hostSetup?: boolean;
  /** false only on this machine, because MPI launches are Slurm steps. */
  readonly slurm?: boolean;
}

/** A check's message about a place in the recipe. */
export interface Finding {
  readonly path: readonly string[];
  readonly text: string;
  readonly hint?: string;
}

/**
 * Whether srtctl can run a recipe with this engine, router or benchmark, and if not, why. Pure functions of
 * the recipe.
 */
export interface Checks {
  /** Reasons why the recipe cannot run. Any reason keeps the run from starting. */
  cannotRun?(recipe: Recipe, way: Way): Finding[];
  /** Options that srtctl does not support yet, though the run is valid without them: a warning for each. */
  notDone?(recipe: Recipe, way: Way): Finding[];
}

/** Beginning of a warning: srtctl does not support the option yet, or the option cannot have an effect. */
export const YET = 'not done by srtctl yet: ';
export const VAIN = 'has no effect: ';
