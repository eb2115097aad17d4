import type { Problem, ServingResult, Validity } from '../../../messages/job-directory/serving-result.ts';
import type { LimitName, ValiditySettings } from '../../../recipe/schema/validity.ts';
import { Histogram } from '../statistics/histogram.ts';
import type { PlainEvidence } from './evidence.ts';
import { changedLimits, type Limits, limitsOf } from './limits.ts';

/** Engines add a few tokens of their own, as one that begins a text, which matters for short prompts alone. */
const OWN_PROMPT_TOKENS = 2;
/** One late request says nothing about the rate: the time by which the last one may be late, ms. */
const LAST_LATE_MS = 100;
/**
 * Where other programs share the machine, the client counts as late only far beyond its limits, and only when that
 * is more than a tenth of the median TTFT.
 */
const SHARED_MACHINE = { times: 10, ofTtft: 0.1 };
/** Share of a core at which a client is late on any machine. */
const SATURATED = 0.95;

/** Where the load generator runs: alone on a node, on a machine with the engines, beside simulated engines. */
export type Place = 'node' | 'local' | 'mock';

export interface Judged {
  readonly result: ServingResult;
  readonly evidence: PlainEvidence;
  /** `Drift.slowStart`; null = too few requests. */
  readonly slowStart: number | null;
  readonly settings: ValiditySettings;
  readonly place: Place;
}

type Found = readonly [what: LimitName, value: number, text: string];

/** What the figures of one concurrency are worth: what is over its limit, and what could not be judged. */
export function judge(judged: Judged): Validity {
  const { result, settings } = judged;
  const limits = limitsOf(settings, result.itlMs.median);
  const problemOf = ([what, value, text]: Found): Problem[] => {
    const limit = limits[what];
    return limit !== null && value > limit ? [{ what, text, limit, value }] : [];
  };
  const found = [...ofRequests(judged), ...ofTokens(judged), ...ofTheRun(judged), ...ofTheClient(judged)];
  const over = found.flatMap(problemOf);
  const isInvalidHere = (problem: Problem): boolean => isInvalid(problem, judged);
  const problems = [...over.filter(isInvalidHere), ...nothingIn(result)];
  return {
    valid: problems.length === 0,
    problems,
    warnings: over.filter((problem) => !isInvalidHere(problem)),
    changed: changedLimits(settings),
    unknown: unknownOf(judged, limits),
  };
}

/** What a busy machine does to any run. */
const OF_THE_MACHINE: readonly string[] = [
  'loop_delay_ms',
  'send_lag_ms',
  'client_busy',
] satisfies LimitName[];

/** Beside other programs a late client is a warning; so is a drift beside simulated engines, which only warm up Node. */
function isInvalid({ what, value, limit }: Problem, { place, result }: Judged): boolean {
  const isOfTheMachine = OF_THE_MACHINE.includes(what);
  // A stalled client reads a whole answer of a fast simulated engine at once.
  if (place !== 'node' && what === 'at_once') return false;
  if (place === 'mock') return !isOfTheMachine && what !== 'slow_start';
  if (place === 'node' || !isOfTheMachine) return true;
  if (what === 'client_busy') return value > SATURATED;
  const { times, ofTtft } = SHARED_MACHINE;
  return value > Math.max(times * (limit ?? Infinity), ofTtft * result.ttftMs.median);
}

function nothingIn({ completed, outputTokens }: ServingResult): Problem[] {
  const none = (what: string, text: string): Problem[] => [{ what, text, limit: null, value: 0 }];
  if (completed === 0) return none('completed', 'no request was completed');
  return outputTokens === 0 ? none('output_tokens', 'no output token arrived') : [];
}

function ofRequests({ result, evidence: { counts, examples, errors } }: Judged): Found[] {
  const { requests, completed, failed, endedEarly, withoutUsage, contradicting, otherModel, atOnce } = counts;
  const of = (count: number, what: string): string => `${count} of ${requests} ${what}`;
  const failures = result.partial && failed === 1 ? 'a request failed' : of(failed, 'requests failed');
  return [
    ['max_failed', failed, `${failures}: ${errors[0] ?? ''}`],
    [
      'max_ended_early',
      endedEarly,
      `${of(endedEarly, 'answers ended early')}, for example after ${examples.endedEarly ?? ''}`,
    ],
    [
      'max_without_usage',
      withoutUsage,
      `${of(withoutUsage, 'answers have no usage')}, which alone tells the tokens of the prompt, and of chunks that may have several (${result.chunks ?? 0} chunks, ${counts.askedOutputTokens} tokens asked for)`,
    ],
    [
      'max_contradicting_usage',
      contradicting,
      `${of(contradicting, 'answers contradict themselves')}: ${examples.contradicting ?? ''}`,
    ],
    [
      'max_other_model',
      otherModel,
      `${of(otherModel, 'answers are of another model')}, ${examples.otherModel ?? ''}: another server may have answered`,
    ],
    [
      'at_once',
      completed > 0 ? atOnce / completed : 0,
      `${of(atOnce, 'answers arrived in one piece')}: the server, or a proxy before it, does not stream, so TTFT, TPOT and ITL are not those of the engine`,
    ],
  ];
}

function ofTokens({ evidence: { counts } }: Judged): Found[] {
  const { outputTokens, askedOutputTokens, knownPromptTokens, statedPromptTokens, comparedPrompts } = counts;
  const found: Found[] = [];
  const apart = (got: number, asked: number): number => (asked > 0 ? Math.abs(got - asked) / asked : 0);
  const share = (value: number): string => `${(value * 100).toFixed(1)} %`;
  const output = apart(outputTokens, askedOutputTokens);
  found.push([
    'output_tokens',
    output,
    `${outputTokens} output tokens arrived, ${share(output)} from the ${askedOutputTokens} asked for`,
  ]);
  const own = OWN_PROMPT_TOKENS * comparedPrompts;
  const prompt =
    Math.abs(statedPromptTokens - knownPromptTokens) <= own
      ? 0
      : apart(statedPromptTokens, knownPromptTokens);
  found.push([
    'prompt_tokens',
    prompt,
    `the engine counted ${statedPromptTokens} prompt tokens, ${share(prompt)} from the ${knownPromptTokens} that were sent`,
  ]);
  return found;
}

function ofTheRun({ result, evidence: { sent }, slowStart }: Judged): Found[] {
  const found: Found[] = [];
  const restarted = result.engine?.restarted ?? [];
  found.push([
    'max_engine_restarts',
    restarted.length,
    `engines started again while requests were measured: ${restarted.join(', ')}`,
  ]);
  if (result.requestRate !== null && sent) {
    const [intendedFrom, intendedTo, from, to] = sent;
    const [planned, took] = [intendedTo - intendedFrom, to - from];
    if (planned > 0)
      found.push([
        'rate',
        Math.max(took - planned - LAST_LATE_MS, 0) / planned,
        `the rate of ${result.requestRate} requests/s was not reached: sending took ${seconds(took)} in place of ${seconds(planned)}`,
      ]);
  }
  const first = slowStart ?? 0;
  found.push([
    'slow_start',
    first,
    `the first third of the requests was ${(first * 100).toFixed(0)} % slower than the last one: the warm-up was too short (benchmark.num_warmup_mult)`,
  ]);
  const { client } = result;
  if (client) {
    found.push([
      'client_frozen_ms',
      client.delayMaxMs,
      `the load generator stood still for ${seconds(client.delayMaxMs)}`,
    ]);
    found.push([
      'clock_step_ms',
      client.clockStepMs,
      `the clock of the machine was set by ${seconds(client.clockStepMs)} while requests were measured`,
    ]);
  }
  return found;
}

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;

function ofTheClient({ result, evidence: { lagMs } }: Judged): Found[] {
  const { client, requestRate } = result;
  if (!client) return [];
  const late = 'the times are partly those of the load generator';
  const found: Found[] = [
    [
      'loop_delay_ms',
      client.delayP99Ms,
      `the load generator came up to ${client.delayP99Ms.toFixed(1)} ms late to its sockets (99th percentile): ${late}`,
    ],
    [
      'client_busy',
      client.busy,
      `the load generator was busy for ${(client.busy * 100).toFixed(0)} % of the time: ${late}`,
    ],
  ];
  if (requestRate !== null) {
    const { p99 } = Histogram.from(lagMs).distribution();
    found.push(['send_lag_ms', p99, `requests were sent up to ${p99.toFixed(1)} ms late (99th percentile)`]);
  }
  return found;
}

function unknownOf({ result, evidence: { counts }, slowStart }: Judged, limits: Limits): Validity['unknown'] {
  const unknown: Validity['unknown'] = [];
  if (slowStart === null && limits.slow_start !== null)
    unknown.push({ what: 'slow_start', why: `${result.completed} requests are too few to see a drift` });
  if (counts.comparedPrompts === 0 && limits.prompt_tokens !== null)
    unknown.push({
      what: 'prompt_tokens',
      why: 'the exact length of the prompts is not known: no tokenizer and no token ids',
    });
  return unknown;
}
