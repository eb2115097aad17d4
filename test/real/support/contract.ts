import { type Answer, type Ask, ask } from './answer.ts';
import type { Shape } from './shape.ts';

/**
 * Checks a stand-in against its real program: one table of requests and faults runs against both. Each
 * difference is either in the list of known differences, with its reason, or a failure.
 */
export interface Side {
  /** Its address: `http://127.0.0.1:8000`. */
  readonly url: string;
}

/** A request whose answers are compared, or an action on both sides: a fault, a wait. */
export type Step<S extends Side> =
  | (Ask & {
      readonly name: string;
      /**
       * The request is repeated until the answer satisfies this, for at most `withinMs`; then that time is
       * compared as well.
       */
      readonly until?: (answer: Answer) => boolean;
      readonly withinMs?: number;
      /** Times are not compared here. */
      readonly timing?: false;
    })
  | { readonly name: string; readonly act: (side: S) => Promise<unknown> };

export interface KnownDifference {
  /** The step's name, or a pattern for it. */
  readonly step: string | RegExp;
  /** Place: `status`, `headers.allow`, `body`, `body.data[].id`, `time`. It includes everything below it. */
  readonly at: string;
  readonly reason: string;
}

interface Difference {
  readonly step: string;
  readonly at: string;
  readonly real: unknown;
  readonly standIn: unknown;
}

/**
 * Two times differ when one is more than four times the other and more than half a second away from it (two
 * seconds where a repeated request would change later answers).
 */
const TIMES = 4;
const LEAST_APART_MS = 500;
const LEAST_APART_ONCE_MS = 2_000;
/** A busy machine is late now and then; a slow program is slow each time. */
const MOST_ASKED = 3;
const AGAIN_MS = 100;

/**
 * Runs the table against each side. Returns a line for each unknown difference, and for each known one that
 * does not occur: a test expects none.
 */
export async function contract<S extends Side>(
  sides: { readonly real: S; readonly standIn: S },
  steps: readonly Step<S>[],
  known: readonly KnownDifference[] = [],
): Promise<string[]> {
  const [real, standIn] = await Promise.all([answers(sides.real, steps), answers(sides.standIn, steps)]);
  const differences = steps.flatMap((step): Difference[] => {
    const [one, other] = [real.get(step.name), standIn.get(step.name)];
    if (!one || !other || 'act' in step) return [];
    const found = [
      ...differing('status', one.status, other.status),
      ...differing('headers', one.headers, other.headers),
      ...differing('body', one.body, other.body),
      ...(step.timing === false ? [] : apart(one, other, isRepeatable(step))),
    ];
    return found.map((each) => ({ step: step.name, ...each }));
  });
  const isKnown = (entry: KnownDifference, { step, at }: Difference): boolean =>
    (typeof entry.step === 'string' ? entry.step === step : entry.step.test(step)) &&
    (at === entry.at || (at.startsWith(entry.at) && /^[.[]/.test(at.slice(entry.at.length))));
  return [
    ...differences.filter((each) => !known.some((entry) => isKnown(entry, each))).map(lineOf),
    ...known
      .filter((entry) => !differences.some((each) => isKnown(entry, each)))
      .map(({ step, at, reason }) => `${step}: ${at} is listed as different and is not (${reason})`),
  ];
}

async function answers<S extends Side>(
  side: S,
  steps: readonly Step<S>[],
): Promise<ReadonlyMap<string, Answer>> {
  const given = new Map<string, Answer>();
  for (const step of steps) {
    if ('act' in step) await step.act(side);
    else if (given.has(step.name)) throw new Error(`two steps are named ${step.name}`);
    else given.set(step.name, await answerTo(side, step));
  }
  return given;
}

async function answerTo<S extends Side>(
  { url }: S,
  step: Exclude<Step<S>, { act: unknown }>,
): Promise<Answer> {
  const begin = performance.now();
  for (;;) {
    const answer = await ask(url, step);
    const ms = performance.now() - begin;
    if (!step.until) return isRepeatable(step) ? leastOf(url, step, answer) : answer;
    if (step.until(answer)) return { ...answer, firstMs: ms, ms };
    if (ms > (step.withinMs ?? 30_000))
      throw new Error(
        `${step.name}: ${url} has not answered as awaited for ${Math.round(ms)} ms: ${answer.status} ${answer.text.slice(0, 500)}`,
      );
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}

const isRepeatable = ({ method = 'GET', body }: Ask): boolean => method === 'GET' && body === undefined;

async function leastOf(url: string, request: Ask, first: Answer): Promise<Answer> {
  let { firstMs } = first;
  for (let asked = 1; asked < MOST_ASKED && firstMs > LEAST_APART_MS; asked++)
    firstMs = Math.min(firstMs, (await ask(url, request)).firstMs);
  return { ...first, firstMs };
}

type Place = Omit<Difference, 'step'>;

/** The innermost places at which two shapes differ. */
function differing(at: string, real: Shape | number, standIn: Shape | number): Place[] {
  if (JSON.stringify(real) === JSON.stringify(standIn)) return [];
  if (isObject(real) && isObject(standIn))
    return [...new Set([...Object.keys(real), ...Object.keys(standIn)])].flatMap((key) =>
      differing(`${at}.${key}`, real[key] ?? 'absent', standIn[key] ?? 'absent'),
    );
  if (Array.isArray(real) && Array.isArray(standIn) && real.length === 1 && standIn.length === 1)
    return differing(`${at}[]`, real[0] as Shape, standIn[0] as Shape);
  return [{ at, real, standIn }];
}

const isObject = (shape: Shape | number): shape is { readonly [key: string]: Shape } =>
  typeof shape === 'object' && !Array.isArray(shape);

function apart(real: Answer, standIn: Answer, repeatable: boolean): Place[] {
  const leastApart = repeatable ? LEAST_APART_MS : LEAST_APART_ONCE_MS;
  const [least, most] = [Math.min(real.firstMs, standIn.firstMs), Math.max(real.firstMs, standIn.firstMs)];
  if (most < TIMES * least || most - least < leastApart) return [];
  return [
    { at: 'time', real: `${Math.round(real.firstMs)} ms`, standIn: `${Math.round(standIn.firstMs)} ms` },
  ];
}

const shown = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

const lineOf = ({ step, at, real, standIn }: Difference): string =>
  `${step}: ${at}: real ${shown(real)}, stand-in ${shown(standIn)}`;
