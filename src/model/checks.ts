import type { Recipe } from '../recipe/schema/schema.ts';

/** How a recipe is to be run. */
export interface Way {
  /** Engines are stand-ins: neither the model nor an image is used, and nothing is installed. */
  readonly mock: boolean;
  readonly containers: boolean;
  /** What starts the containers; undefined where nothing does. */
  readonly runtime?: string;
  /** false on this machine alone: MPI launches are steps of Slurm. */
  readonly slurm?: boolean;
}

/** What a check has to say of a place in the recipe. */
export interface Finding {
  readonly path: readonly string[];
  readonly text: string;
  readonly hint?: string;
}

/** Does srtctl run a recipe that names this engine, router or benchmark, and if not, why? Pure functions of the recipe. */
export interface Checks {
  /** Why it cannot be run. Nothing is started. */
  cannotRun?(recipe: Recipe, way: Way): Finding[];
  /** What the recipe asks for and srtctl does not do, though the run is valid without it: a warning for each. */
  notDone?(recipe: Recipe, way: Way): Finding[];
}

/** How a warning begins: srtctl does not do it yet, or nothing could come of it. */
export const YET = 'not done by srtctl yet: ';
export const VAIN = 'has no effect: ';
