import { existsSync, statSync } from 'node:fs';
import { parserOptions } from '../../engine-options/options.ts';
import { Arguments, bindAddress, setting } from '../common/argv.ts';
import { Fatal } from '../common/fatal.ts';
import type { EngineOptions } from '../engine/engine-options.ts';

const { vllm } = parserOptions;
/** Every spelling of every option, and its number of values. */
const ARITY: ReadonlyMap<string, 'none' | 'one' | 'some'> = new Map([
  ...vllm.flag.flat().map((name) => [name, 'none'] as const),
  ...vllm.negatable.flatMap(({ name }) => [[name, 'none'] as const, [`no-${name}`, 'none'] as const]),
  ...vllm.value.flat().map((name) => [name, 'one'] as const),
  ...vllm.values.flat().map((name) => [name, 'some'] as const),
]);

const refuse = (message: string): Fatal =>
  new Fatal(`usage: vllm serve [model_tag] [options]\nvllm serve: error: ${message}`, { exitCode: 2 });

/** The parser treats underscores as dashes, and accepts an unambiguous prefix. */
function optionOf(
  word: string,
): { name: string; arity: 'none' | 'one' | 'some'; inline: boolean } | undefined {
  const [, given = '', inline] = /^--([^=.]+)(?:\.[^=]*)?(=.*)?$/s.exec(word) ?? [];
  const name = given.replaceAll('_', '-');
  const whole = ARITY.get(name);
  if (whole !== undefined) return { name, arity: whole, inline: inline !== undefined };
  const longer = [...ARITY.keys()].filter((each) => each.startsWith(name));
  const [only] = longer;
  if (only === undefined || longer.length > 1) return undefined;
  return { name: only, arity: ARITY.get(only) ?? 'one', inline: inline !== undefined };
}

/** Fails as the real parser does for an unknown option; returns the words in one spelling. */
function checked(argv: readonly string[]): string[] {
  const unknown: string[] = [];
  const words: string[] = [];
  let open = 1;
  for (const word of argv) {
    if (!word.startsWith('--')) {
      // Short options (-tp) take one value.
      const short = /^-[a-z]/i.test(word);
      if (open > 0 || short) words.push(word);
      else unknown.push(word);
      open = short ? 1 : open - 1;
      continue;
    }
    const option = optionOf(word);
    if (!option) {
      unknown.push(word);
      open = 0;
      continue;
    }
    open =
      option.arity === 'none' || option.inline ? 0 : option.arity === 'one' ? 1 : Number.POSITIVE_INFINITY;
    words.push(`--${option.name}${/=.*/s.exec(word)?.[0] ?? ''}`);
  }
  if (unknown.length > 0) throw refuse(`unrecognized arguments: ${unknown.join(' ')}`);
  return words;
}

/** `vllm serve MODEL …`, and `python3 -m vllm.entrypoints.openai.api_server --model MODEL …`. */
export function vllmOptions(given: readonly string[]): EngineOptions & { readonly headless: boolean } {
  const args = new Arguments(checked(given));
  const tag = given[0]?.startsWith('-') ? undefined : given[0];
  const modelPath = args.text('model') ?? tag ?? 'Qwen/Qwen3-0.6B';
  const [unknown] = args.unknown;
  if (unknown !== undefined) throw refuse(`unrecognized arguments: ${args.unknown.join(' ')}`);
  if (modelPath.startsWith('/') && existsSync(modelPath) && !statSync(modelPath).isDirectory())
    throw new Fatal(`OSError: ${modelPath} is not a directory`, { traceback: true });
  const nnodes = args.integer(1, 'nnodes');
  const nodeRank = args.integer(0, 'node-rank');
  const master = { host: args.text('master-addr') ?? '127.0.0.1', port: args.integer(29_501, 'master-port') };
  return {
    modelPath,
    servedModel: args.text('served-model-name') ?? modelPath,
    host: bindAddress(args.text('host') ?? '0.0.0.0'),
    port: args.integer(8_000, 'port'),
    mode: 'agg',
    bootstrapPort: 0,
    nnodes,
    nodeRank,
    distInitAddr: nnodes > 1 ? master : null,
    contextLength: args.integer(131_072, 'max-model-len'),
    maxRunning: args.integer(256, 'max-num-seqs'),
    streamInterval: Math.max(1, args.integer(1, 'stream-interval')),
    dumpConfigTo: null,
    sglang: false,
    speed: setting('SRTCTL_SIM_SPEED', 1) || 1,
    loadMs: setting('SRTCTL_SIM_LOAD_MS', 2_000),
    hangAfterRequests: setting('SRTCTL_SIM_HANG_AFTER_REQUESTS', 0),
    record: args.record(),
    headless: args.has('headless') || nodeRank > 0,
  };
}
