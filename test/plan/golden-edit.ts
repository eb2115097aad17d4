import {
  ABSENT,
  ANY,
  type Difference,
  differences,
  type GoldenPlan,
  type GoldenProcess,
} from './golden-differences.ts';

/** A process of one of srtctl's plans, as `dry-run --json` prints it. */
interface OurProcess {
  readonly role: string;
  readonly node: string;
  readonly log: string;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}
interface OurPoint {
  readonly params: GoldenPlan['params'];
  readonly processes: readonly OurProcess[];
}
type OurLine = { readonly file: string; readonly variant: string; readonly points?: readonly OurPoint[] };

/** The expected plans after the edits, and the differences that some process shows. */
export function edited(golden: readonly GoldenPlan[], ours: readonly string[], list = differences) {
  const used = new Set<Difference>();
  const points = pointsOf(ours);
  const edit = (plan: GoldenPlan, kind: Difference['process'], process: GoldenProcess) => {
    const mine = points.get(keyOf(plan.file, plan.variant, plan.params))?.processes.find(same(kind, process));
    if (!mine) return process;
    return list.reduce((now, difference) => {
      if (!concerns(difference, plan, kind, process)) return now;
      const next = apply(difference, now, mine);
      if (next) used.add(difference);
      return next ?? now;
    }, process);
  };
  const plans = golden.map((plan) => ({
    ...plan,
    ...(plan.workers && { workers: plan.workers.map((each) => edit(plan, 'worker', each)) }),
    ...(plan.frontends && { frontends: plan.frontends.map((each) => edit(plan, 'frontend', each)) }),
  }));
  return { plans, used };
}

const concerns = (
  { process: of, backend, frontend, where }: Difference,
  plan: GoldenPlan,
  kind: Difference['process'],
  process: GoldenProcess,
): boolean =>
  of === kind &&
  (backend === undefined || backend === plan.backend) &&
  (frontend === undefined || frontend === plan.frontend) &&
  (where === undefined || where(process, plan));

/** The golden process with the difference; undefined when golden and ours do not match the entry. */
function apply(difference: Difference, golden: GoldenProcess, ours: OurProcess): GoldenProcess | undefined {
  if ('variable' in difference) {
    const { variable, golden: theirs, ours: own } = difference;
    const [before, after] = [golden.env[variable], ours.env[variable]];
    if (!isAs(theirs, before) || !isAs(own, after) || before === after) return undefined;
    const { [variable]: _, ...rest } = golden.env;
    return { ...golden, env: after === undefined ? rest : { ...rest, [variable]: after } };
  }
  const place = placeOf(golden.argv, difference.option);
  const before = place?.values.join(' ');
  if ('renamed' in difference) {
    const { option, renamed } = difference;
    if (!place || ours.argv.includes(option) || !ours.argv.includes(renamed)) return undefined;
    return { ...golden, argv: golden.argv.toSpliced(place.from, place.length, renamed, ...place.values) };
  }
  const after = placeOf(ours.argv, difference.option)?.values;
  if (!isAs(difference.golden, before) || !isAs(difference.ours, after?.join(' '))) return undefined;
  if (before === after?.join(' ')) return undefined;
  const put = after === undefined ? [] : [difference.option, ...after];
  const { from, length } = place ?? { from: golden.argv.length, length: 0 };
  return { ...golden, argv: golden.argv.toSpliced(from, length, ...put) };
}

function isAs(wanted: string | symbol, value: string | undefined): boolean {
  if (wanted === ABSENT) return value === undefined;
  return wanted === ANY ? value !== undefined : wanted === value;
}

/** The position of an option and its values, up to the next option. */
function placeOf(argv: readonly string[], option: string) {
  // The last occurrence of a repeated option counts.
  const from = argv.findLastIndex((each) => each === option || each.startsWith(`${option}=`));
  if (from < 0) return undefined;
  const inline = argv[from]?.startsWith(`${option}=`) ? [argv[from].slice(option.length + 1)] : [];
  const rest = argv.slice(from + 1);
  const next = rest.findIndex((each) => each.startsWith('--'));
  const values = rest.slice(0, next < 0 ? rest.length : next);
  return { from, length: 1 + values.length, values: [...inline, ...values] };
}

const same =
  (kind: Difference['process'], golden: GoldenProcess) =>
  (mine: OurProcess): boolean =>
    golden.nodes.includes(mine.node) &&
    (kind === 'frontend' ? mine.role === 'frontend' : mine.log === golden.log);

function pointsOf(lines: readonly string[]): Map<string, OurPoint> {
  const points = new Map<string, OurPoint>();
  for (const line of lines) {
    const { file, variant, points: all = [] } = JSON.parse(line) as OurLine;
    for (const point of all) points.set(keyOf(file, variant, point.params), point);
  }
  return points;
}

/** Parameters are compared as text, in any order; a file by its path below the recipes. */
function keyOf(file: string, variant: string | null, params: GoldenPlan['params']): string {
  const values = Object.entries(params ?? {}).map(([name, value]) => `${name}=${value}`.toLowerCase());
  return [file.replace(/^.*?(?:shared\/)?recipes\//, ''), variant ?? '', ...values.sort()].join(' ');
}
