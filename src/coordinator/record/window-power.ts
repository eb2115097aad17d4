import type { Bus } from '../../messages/bus/bus.ts';
import { WIRE_VERSION } from '../../messages/events/events.ts';
import type { Subjects } from '../../messages/events/subjects.ts';
import { powerReplySchema, type WindowPower } from '../../messages/events/telemetry.ts';
import type { BenchmarkResult } from '../../messages/job-directory/result.ts';
import type { PowerFigures, ServingResult } from '../../messages/job-directory/serving-result.ts';
import type { EndpointProcess } from '../../model/kinds.ts';

/** How long an agent may take to answer, ms. */
const ANSWER_MS = 3_000;

interface Asked {
  readonly bus: Pick<Bus, 'request'>;
  readonly subjects: Pick<Subjects, 'telemetryPower'>;
  /** The agent that reads the machine of a node. */
  readonly readerOf: (node: string) => string;
}

type Workers = readonly Pick<EndpointProcess, 'node' | 'gpus'>[];

/**
 * A result with the power of the workers' GPUs and nodes in each of its measured windows, as their agents have sampled it.
 * Never rejects: what no source states is null, with the reason.
 */
export async function withPower(
  asked: Asked,
  workers: Workers,
  result: BenchmarkResult,
): Promise<BenchmarkResult> {
  const windows = result.serving.flatMap(({ window }) => (window ? [window] : []));
  if (windows.length === 0) return result;
  const readers = [...new Set(workers.map(({ node }) => asked.readerOf(node)))];
  const answers = new Map(
    await Promise.all(
      readers.map(async (reader) => {
        const request = { v: WIRE_VERSION, windows };
        const reply = await asked.bus
          .request(asked.subjects.telemetryPower(reader), request, powerReplySchema, ANSWER_MS)
          .catch(() => undefined);
        return [reader, reply?.windows] as const;
      }),
    ),
  );
  let at = 0;
  const serving = result.serving.map((one) => {
    if (!one.window) return one;
    const index = at++;
    const ofReader = (reader: string) => answers.get(reader)?.[index];
    return { ...one, power: figuresOf(one, workers, asked.readerOf, ofReader) };
  });
  return { ...result, serving };
}

/** Pure. Exported for its test. */
export function figuresOf(
  { window, outputTokens, completed }: Pick<ServingResult, 'window' | 'outputTokens' | 'completed'>,
  workers: Workers,
  readerOf: (node: string) => string,
  powerOf: (reader: string) => WindowPower | undefined,
): PowerFigures {
  const readers = [...new Set(workers.map(({ node }) => readerOf(node)))].sort();
  const nodes = readers.flatMap((node) => {
    const power = powerOf(node)?.node;
    return power ? [{ node, ...power }] : [];
  });
  const gpus: PowerFigures['gpus'] = [];
  let silent: string | undefined;
  for (const node of readers) {
    const own = workers.filter((worker) => readerOf(worker.node) === node);
    for (const gpu of [...new Set(own.flatMap((worker) => worker.gpus))].sort((a, b) => a - b)) {
      const power = powerOf(node)?.gpus.find((each) => each.gpu === gpu);
      if (power) gpus.push({ node, ...power });
      else silent ??= `GPU ${gpu} of ${node}`;
    }
  }
  const none = { meanW: null, joules: null, joulesPerOutputToken: null, joulesPerRequest: null };
  const missing = { ...none, outputTokensPerJoule: null };
  if (gpus.length === 0) return { gpus, nodes, ...missing, why: 'no GPU of the workers says its power' };
  if (silent !== undefined) return { gpus, nodes, ...missing, why: `${silent} does not say its power` };
  const meanW = gpus.reduce((sum, power) => sum + power.meanW, 0);
  const joules = window ? (meanW * (window.to - window.from)) / 1_000 : 0;
  const share = (count: number) => (count > 0 ? joules / count : null);
  return {
    ...{ gpus, nodes, meanW, joules },
    joulesPerOutputToken: share(outputTokens),
    joulesPerRequest: share(completed),
    // Tokens a second for each watt are tokens for each joule.
    outputTokensPerJoule: joules > 0 ? outputTokens / joules : null,
  };
}
