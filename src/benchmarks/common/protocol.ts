import type { BenchmarkResult } from '../../messages/job-directory/result.ts';
import type { Checks } from '../../model/checks.ts';
import type {
  EndpointProcess,
  PlannedBenchmark,
  Roles,
  RuntimeContext,
  ServedModel,
  WorkerRest,
} from '../../model/kinds.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';

/** Where a benchmark sends its requests, and what they may be. */
export interface Entry {
  readonly node: string;
  readonly port: number;
  /** false: a prompt of /v1/completions must be text. */
  readonly takesTokenIds: boolean;
  readonly model: ServedModel;
}

export interface BenchmarkContext {
  readonly recipe: Recipe;
  readonly runtime: RuntimeContext;
  readonly roles: Roles;
  readonly processes: readonly EndpointProcess[];
  readonly entry: Entry;
  /** Absolute directory of the point; the benchmark writes below it. */
  readonly pointDir: string;
  /** The point's number in the sweep, from 0. */
  readonly ordinal: number;
  /** How workers are brought to rest, and where they count what came from their caches. */
  readonly rest: readonly WorkerRest[];
}

export type BenchmarkKey = keyof Recipe['benchmark'];

/**
 * What runs against the frontend, and how its result is read. A new benchmark is one file that exports this, and one line in
 * index.ts; keys that only it has are added to recipe/schema/benchmark.ts.
 */
export interface BenchmarkProtocol extends Checks {
  /** `benchmark.type` in the recipe. */
  readonly type: string;
  /** Keys of `benchmark` that it uses, beside those that say where its process runs. */
  readonly uses: readonly BenchmarkKey[];
  /** What to say of keys that it does not use; by default that it does not use them. */
  readonly unused?: Partial<Record<BenchmarkKey, string>>;
  /** true: it leaves figures as it goes, so that what was measured can be read when it did not come to its end. */
  readonly leavesFigures?: boolean;
  /** Its command for a script, which knows exit codes only: it fails unless its result is valid. */
  judged?(argv: readonly string[], given: { readonly lossy: boolean }): string[];
  plan(context: BenchmarkContext): PlannedBenchmark;
  /**
   * Reads what the benchmark left in its directory after it ended with exit code 0. The result says itself
   * whether it is valid (failed requests or no tokens make it invalid, with the reason). `lossy`: workers that the run
   * can do without were lost meanwhile, so that requests that failed are part of what was measured.
   */
  readResult(planned: PlannedBenchmark, given?: { readonly lossy: boolean }): Promise<BenchmarkResult>;
}
