import { setTimeout as sleep } from 'node:timers/promises';
import { Arguments, bindAddress, setting } from '../common/argv.ts';
import { Fatal } from '../common/fatal.ts';
import { pathOf, sendJson, serve } from '../common/http.ts';
import type { EngineOptions } from '../engine/engine-options.ts';

/**
 * `atom.entrypoints.openai_server`: a server of the same API as vLLM's. Made from its source (ROCm/ATOM at 003e556), and
 * never compared with the real one.
 */
export function atomOptions(argv: readonly string[]): EngineOptions & { readonly headless: boolean } {
  const args = new Arguments(argv);
  args.refuseUnknown('openai_server.py');
  const modelPath = args.text('model') ?? 'Qwen/Qwen3-0.6B';
  return {
    modelPath,
    servedModel: args.text('served-model-name') ?? modelPath,
    host: bindAddress(args.text('host') ?? '0.0.0.0'),
    port: args.integer(8_000, 'server-port'),
    ...{ mode: 'agg', bootstrapPort: 0, nnodes: 1, nodeRank: 0, distInitAddr: null },
    contextLength: args.integer(131_072, 'max-model-len'),
    maxRunning: args.integer(512, 'max-num-seqs'),
    ...{ streamInterval: 1, dumpConfigTo: null, sglang: false },
    speed: setting('SRTCTL_SIM_SPEED', 1) || 1,
    loadMs: setting('SRTCTL_SIM_LOAD_MS', 2_000),
    hangAfterRequests: setting('SRTCTL_SIM_HANG_AFTER_REQUESTS', 0),
    record: args.record(),
    headless: false,
  };
}

/**
 * `tilert.pd_vllm.decode_server`: it is healthy when its model is loaded. It decodes nothing, because the simulated router
 * sends it no request (router/tilert-router.ts).
 */
export async function runTilertDecode(argv: readonly string[]): Promise<void> {
  const args = new Arguments(argv);
  if (args.text('engine') !== 'tilert')
    throw new Fatal('decode_server.py: error: argument --engine: this stand-in is for tilert', {
      exitCode: 2,
    });
  process.on('SIGTERM', () => process.exit(0));
  await sleep(setting('SRTCTL_SIM_LOAD_MS', 2_000));
  const port = args.integer(5557, 'http-port');
  for (const own of [args.integer(5556, 'ctrl-port'), port])
    await serve(bindAddress('::'), own, (request, response) =>
      own === port && pathOf(request) === '/health'
        ? sendJson(response, 200, { status: 'ok' })
        : sendJson(response, 404, { detail: 'Not Found' }),
    );
  process.stdout.write(`pd_vllm.decode_server decode server on :${port}\n`);
}
