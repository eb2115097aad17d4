import { type Complaint, checkOptions } from '../../engine-options/check.ts';
import { type Framework, type KnownProgram, programOf } from '../../engine-options/programs.ts';
import { type Hints, releaseOf } from '../../engine-options/releases.ts';
import { type Known, type Tables, together } from '../../engine-options/table.ts';
import type { PlannedPoint, ProcessSpec } from '../../model/kinds.ts';
import { workerId } from '../../model/worker-id.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';
import { nearest } from '../../recipe/source/problems.ts';
import { type LoadedVariant, placeIn } from '../../recipe/variant.ts';
import { optionPath } from './option-path.ts';

/** Collects what the programs of planned points would refuse of their command lines, each line once. */
export class OptionWarnings {
  readonly #variant: LoadedVariant;
  readonly #tables: Tables;
  readonly #lines = new Set<string>();
  readonly #unchecked = new Set<string>();
  /** The first spec of each deployment that was looked at: points with the same deployment share it. */
  readonly #looked = new WeakSet<ProcessSpec>();

  constructor(variant: LoadedVariant, tables: Tables) {
    this.#variant = variant;
    this.#tables = tables;
  }

  get lines(): string[] {
    return [...this.#lines];
  }

  /** Programs whose options were not checked, and why. */
  get unchecked(): string[] {
    return [...this.#unchecked];
  }

  /** Checks a point. Processes of one kind have the same options, so one of each kind is enough. */
  readonly look = ({ recipe, processes, endpointProcesses }: PlannedPoint): void => {
    const [first] = processes;
    if (!first || this.#looked.has(first)) return;
    this.#looked.add(first);
    const looked = new Set<string>();
    const follows = new Map(endpointProcesses.map((rank) => [workerId(rank), rank.rank > 0]));
    for (const process of processes) {
      const kind = `${process.role} ${follows.get(process.id) ?? ''}`;
      if (looked.has(kind)) continue;
      looked.add(kind);
      this.#check(recipe, process);
    }
  };

  #check(recipe: Recipe, { argv, role, image }: ProcessSpec): void {
    const found = programOf(argv);
    if (!found) return;
    const { program, args } = found;
    const known = this.#known(program, hintsOf(recipe, image));
    if (!known) return;
    for (const complaint of checkOptions(args, known.options, program.dialect)) {
      const path = optionPath(recipe, role, complaint.option);
      const { file, line, path: where } = placeIn(this.#variant, path);
      const place = `${file}${line === undefined ? '' : `:${line}`}: ${where ?? ''}`;
      this.#lines.add(`${place}: ${known.name} ${complaint.text}${meant(complaint)}`);
    }
  }

  /** The options of a program's release, and the program with its releases for people. */
  #known(
    { name, tables }: KnownProgram,
    hints: Hints,
  ): { readonly options: Known; readonly name: string } | undefined {
    const releases = tables.map(({ framework }) => releaseOf(framework, hints, this.#tables));
    const all = tables.flatMap(({ table }, at) => this.#tables.known(table, releases[at] ?? '') ?? []);
    if (all.length < tables.length) {
      const missing = tables
        .map(({ framework }, at) => `${NAMES[framework]} ${releases[at] ?? 'of an unknown release'}`)
        .join(' and ');
      this.#unchecked.add(`${this.#variant.file}: no table has the options of ${name}: ${missing}`);
      return undefined;
    }
    const which = tables.map(({ framework }, at) => `${NAMES[framework]} ${releases[at]}`).join(', ');
    return {
      options: together(all),
      name: tables.length === 1 ? `${name} ${releases[0]}` : `${name} (${which})`,
    };
  }
}

const NAMES: Readonly<Record<Framework, string>> = {
  sglang: 'SGLang',
  vllm: 'vLLM',
  dynamo: 'Dynamo',
  'sglang-router': 'sglang-router',
  smg: 'smg',
  'vllm-router': 'vllm-router',
};

function hintsOf({ model, identity, dynamo }: Recipe, image: string | null): Hints {
  const { install, version, wheel, hash, top_of_tree: newest } = dynamo;
  return {
    image: image ?? model.container,
    frameworks: identity?.frameworks ?? {},
    dynamo: { install, version, wheel, commit: hash != null || newest },
  };
}

function meant({ instead }: Complaint): string {
  const near = instead && nearest(instead.of, instead.among);
  return near === undefined ? '' : ` (did you mean ${near}?)`;
}
