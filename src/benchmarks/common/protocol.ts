import type { BenchmarkResult } from '../../messages/job-directory/result.ts';
import type { Checks } from '../../model/checks.ts';
import type {
  EndpointProcess,
  PlannedBenchmark,
  PlannedService,
  Roles,
  RuntimeContext,
  ServedModel,
  WorkerRest,
} from '../../model/kinds.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';

/** The address for a benchmark's requests, and their allowed form. */
export interface Entry {
  readonly node: string;
  readonly port: number;
  /** false: a prompt of /v1/completions must be text. */
  readonly takesTokenIds: boolean;
  /** true: there is no /v1/completions. */
  readonly chatAlone?: boolean;
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
  readonly services: readonly PlannedService[];
  /** How to bring workers to rest, and where they count cached tokens. */
  readonly rest: readonly WorkerRest[];
}

export type BenchmarkKey = keyof Recipe['benchmark'];

/**
 * A benchmark: its process, and how its result is read. A new benchmark is one file that exports this, and
 * one line in index.ts; its own keys are added to recipe/schema/benchmark.ts.
 */
export interface BenchmarkProtocol extends Checks {
  /** `benchmark.type` in the recipe. */
  readonly type: string;
  /** Keys of `benchmark` that it uses, besides those for the placement of its process. */
  readonly uses: readonly BenchmarkKey[];
  /** Messages for keys that it does not use; the default message says that. */
  readonly unused?: Partial<Record<BenchmarkKey, string>>;
  /** true: it writes figures during the run, so that they can be read when it did not finish. */
  readonly leavesFigures?: boolean;
  /** true: its progress.json says when the measured window begins. */
  readonly measures?: boolean;
  /** Its command for a script, which only sees exit codes: it fails unless its result is valid. */
  judged?(argv: readonly string[], given: { readonly lossy: boolean }): string[];
  plan(context: BenchmarkContext): PlannedBenchmark;
  /**
   * Reads the benchmark's result from its directory after exit code 0. The result itself says whether it is
   * valid (failed requests or no tokens make it invalid, with the reason). `lossy`: workers that the run can
   * do without were lost, so failed requests are allowed.
   */
  readResult(planned: PlannedBenchmark, given?: { readonly lossy: boolean }): Promise<BenchmarkResult>;
}
