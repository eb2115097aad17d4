/** Exit codes of srtctl, documented in docs/reference/cli.md. */
export const EXIT = {
  ok: 0,
  /** The run failed: a process ended, an agent was lost, the benchmark's result was not valid. */
  failed: 1,
  /** Nothing was started: bad input, a missing program, wrong usage. */
  usage: 2,
  /** Every point of a sweep has run; some failed, and the others are done. */
  partly: 3,
  /** A defect of srtctl. */
  broke: 70,
  /** A coordinator: another one has taken over its job. */
  fenced: 75,
  /** The allocation ends too soon for the remaining points. */
  outOfTime: 124,
  /** Stopped by Ctrl-C. */
  interrupted: 130,
  /** Stopped by `srtctl cancel` or SIGTERM. */
  terminated: 143,
} as const;

/** The place of an error in a recipe. `path` as in `resources.decode_nodes`; line and column from 1. */
export interface SourcePlace {
  readonly file: string;
  readonly line?: number | undefined;
  readonly column?: number | undefined;
  readonly path?: string | undefined;
  /** The option of the command line that gives the value, in place of a line. */
  readonly option?: string | undefined;
}

/**
 * An error that a person can act on: one sentence, the place in the recipe, and what to do. The command line
 * prints it in one line and exits with `exitCode`; any other exception is a defect of srtctl.
 */
export class SrtctlError extends Error {
  override readonly name: string = 'SrtctlError';
  readonly code: string;
  readonly exitCode: number;
  readonly place: SourcePlace | undefined;
  readonly hint: string | undefined;

  constructor(
    code: string,
    message: string,
    options: { exitCode?: number; place?: SourcePlace; hint?: string; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.exitCode = options.exitCode ?? EXIT.usage;
    this.place = options.place;
    this.hint = options.hint;
  }

  /** `recipe.yaml:12:3: resources.decode_nodes: message. Hint.` in one line. */
  oneLine(): string {
    const { place } = this;
    const where = place
      ? [place.file, place.line, place.column].filter((x) => x !== undefined).join(':')
      : '';
    const parts = [where, place?.option, place?.path, this.message].filter(
      (x) => x !== undefined && x !== '',
    );
    const text = parts.join(': ') + (this.hint ? ` (${this.hint})` : '');
    return text.replace(/\s*\n\s*/g, ' ');
  }

  /** All problems, one per line. */
  lines(): string[] {
    return [this.oneLine()];
  }
}

/** The recipe or cluster config is wrong. */
export class RecipeError extends SrtctlError {
  override readonly name = 'RecipeError';
}

/** The recipe is well-formed but cannot be planned: workers that do not fit, an unknown kind. */
export class PlanError extends SrtctlError {
  override readonly name = 'PlanError';
}
