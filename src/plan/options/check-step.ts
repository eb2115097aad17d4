import { dirname } from 'node:path';
import { programOf } from '../../engine-options/programs.ts';
import { endingProcess } from '../../model/ending-process.ts';
import type { EndpointProcess, ProcessSpec, RuntimeContext } from '../../model/kinds.ts';
import { workerId } from '../../model/worker-id.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';
import type { Path } from '../../recipe/source/problems.ts';
import { optionPath } from './option-path.ts';

/** The import of an engine takes 10 to 60 s; what takes longer is not checked. */
const MOST_SECONDS = 300;
const END_TIMEOUT_MS = 2 * MOST_SECONDS * 1000;

const NAME = 'check-options';

/** Whether a process is the step that has engines parse their options. It runs in the image as engines see it. */
export const isOptionCheck = ({ id, role }: Pick<ProcessSpec, 'id' | 'role'>): boolean =>
  role === 'step' && id.startsWith(`${NAME}-`);

/** Where jobs of one outputs directory keep what parsers have answered. */
export const optionCacheOf = (jobDir: string): string => `${dirname(jobDir)}/.option-checks`;

/** An image without python3 has other programs; the check must not be what fails there. */
const RUN = 'command -v python3 >/dev/null 2>&1 || exit 0; exec python3 "$@"';

/** A command line to check, as src/steps/check-options.py reads it. */
interface Line {
  readonly program: string;
  readonly args: readonly string[];
  /** Place of its section in the recipe. */
  readonly place: string;
  /** Places of its options. */
  readonly places: Readonly<Record<string, string>>;
}

/**
 * The parsers of engines and routers parse their planned command lines, on one node for each image, before any
 * worker loads its model. Processes of one kind have the same options, so one of each kind is enough.
 */
export function optionChecks(
  recipe: Recipe,
  runtime: RuntimeContext,
  {
    engines,
    ranks,
  }: { readonly engines: readonly ProcessSpec[]; readonly ranks: readonly EndpointProcess[] },
  placeOf: (path: Path) => string,
): ProcessSpec[] {
  if (!runtime.checksOptions || !recipe.supervision.check_options) return [];
  const follows = new Map(ranks.map((rank) => [workerId(rank), rank.rank > 0]));
  const groups = new Map<string, { first: ProcessSpec; kinds: Set<string>; lines: Line[] }>();
  for (const process of engines) {
    const found = programOf(process.argv);
    if (!found) continue;
    const { image, srunOptions, role } = process;
    const key = JSON.stringify([image, srunOptions ?? null]);
    const group = groups.get(key) ?? { first: process, kinds: new Set(), lines: [] };
    groups.set(key, group);
    const kind = `${role} ${follows.get(process.id) ?? ''}`;
    if (group.kinds.has(kind)) continue;
    group.kinds.add(kind);
    group.lines.push(lineOf(recipe, runtime, process, found, placeOf));
  }
  return [...groups.values()].map(({ first, lines }, index) => {
    const { node, image, srunOptions, env } = first;
    const id = `${NAME}-${index}`;
    const file = `${runtime.jobDir}/${id}.json`;
    const content = { cache: optionCacheOf(runtime.jobDir), seconds: MOST_SECONDS, lines };
    return endingProcess({
      ...{ id, role: 'step', phase: 'before_workers', node },
      argv: ['sh', '-c', RUN, 'sh', `${runtime.distDir}/steps/check-options.py`, file],
      env: { ...env },
      files: [{ path: file, content: `${JSON.stringify(content)}\n` }],
      logFile: `${runtime.logDir}/${node}_${id}.out`,
      image,
      ...(srunOptions ? { srunOptions } : {}),
      endTimeoutMs: END_TIMEOUT_MS,
      unhealthyAfterMs: END_TIMEOUT_MS,
    });
  });
}

function lineOf(
  recipe: Recipe,
  runtime: RuntimeContext,
  { role }: ProcessSpec,
  { program, args }: NonNullable<ReturnType<typeof programOf>>,
  placeOf: (path: Path) => string,
): Line {
  const options = args.filter((word) => word.startsWith('--')).map((word) => word.split('=')[0] ?? word);
  const places = [...new Set(options)].map((option) => [option, placeOf(optionPath(recipe, role, option))]);
  return {
    program: program.tables[0].table,
    args: args.map((word, at) => steady(word, args[at - 1] ?? '', runtime)),
    place: placeOf(optionPath(recipe, role, '')),
    places: Object.fromEntries(places),
  };
}

/**
 * A word without what differs from job to job and means nothing to a parser: addresses, ports and the job's
 * directory. So the answer for the same options is found again.
 */
function steady(word: string, before: string, { jobDir, nodes, host, address }: RuntimeContext): string {
  const text = word.replaceAll(jobDir, '/job').replaceAll(/(0\.0\.0\.0|\*):\d+/g, '$1:1');
  if (/^--[\w-]*ports?=\d+$/.test(text)) return text.replace(/\d+$/, '1');
  if (/^--[\w-]*ports?$/.test(before) && /^[\d,]+$/.test(text)) return '1';
  if (text.startsWith('-')) return text;
  const names = [...new Set(nodes.flatMap((node) => [node, host(node), address(node)]))];
  if (/(?:host|addr|address)$/.test(before) && names.includes(text)) return 'node';
  // A name alone may be the value of any option; before a port it is an address.
  return text.replaceAll(/([\w.-]+):\d+/g, (all, name: string) => (names.includes(name) ? 'node:1' : all));
}
