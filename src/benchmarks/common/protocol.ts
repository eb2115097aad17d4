import type { BenchmarkResult } from '../../messages/job-directory/result.ts';
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

/** What runs against the frontend, and how its result is read. A new benchmark is one file and one line in index.ts. */
export interface BenchmarkProtocol {
  /** `benchmark.type` in the recipe. */
  readonly type: string;
  plan(context: BenchmarkContext): PlannedBenchmark;
  /**
   * Reads what the benchmark left in its directory after it ended with exit code 0. The result says itself
   * whether it is valid (failed requests or no tokens make it invalid, with the reason). `lossy`: workers that the run
   * can do without were lost meanwhile, so that requests that failed are part of what was measured.
   */
  readResult(planned: PlannedBenchmark, given?: { readonly lossy: boolean }): Promise<BenchmarkResult>;
}
