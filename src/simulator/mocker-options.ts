import { basename } from 'node:path';
import { type Arguments, bindAddress, setting } from './argv.ts';
import type { EngineOptions } from './engine-options.ts';
import { Fatal } from './fatal.ts';

/** `python3 -m dynamo.mocker`, of which a process has one worker or several. */
export interface MockerOptions {
  readonly engine: EngineOptions;
  readonly workers: number;
}

export function mockerOptions(args: Arguments): MockerOptions {
  const fail = (message: string): Fatal => new Fatal(`dynamo.mocker: error: ${message}`, { exitCode: 2 });
  args.refuseUnknown('dynamo.mocker');
  const modelPath = args.text('model-path');
  if (modelPath === undefined) throw fail('the following arguments are required: --model-path');
  const mode = args.text('disaggregation-mode') ?? 'agg';
  if (!['agg', 'prefill', 'decode'].includes(mode))
    throw fail(`argument --disaggregation-mode: invalid choice: '${mode}'`);
  const workers = args.integer(1, 'num-workers');
  const ports = (args.text('bootstrap-ports') ?? '').split(',').filter((port) => port !== '');
  if (ports.length > 0 && ports.length !== workers)
    throw new Fatal(
      `ValueError: --bootstrap-ports must have exactly --num-workers (${workers}) ports, got ${ports.length}`,
      { traceback: true },
    );
  return {
    workers,
    engine: {
      modelPath,
      servedModel: args.text('model-name') ?? basename(modelPath),
      host: bindAddress('0.0.0.0'),
      port: 0,
      mode: mode === 'prefill' || mode === 'decode' ? mode : 'agg',
      bootstrapPort: Number(ports[0] ?? 0),
      nnodes: 1,
      nodeRank: 0,
      distInitAddr: null,
      contextLength: args.integer(131_072, 'max-model-len'),
      maxRunning: args.integer(256, 'max-num-seqs'),
      streamInterval: 1,
      dumpConfigTo: null,
      speed: (setting('SRTCTL_SIM_SPEED', 1) || 1) * Number(args.text('speedup-ratio') ?? 1),
      healthGenerates: false,
    loadMs: Number(args.text('startup-time') ?? 0) * 1_000,
      hangAfterRequests: setting('SRTCTL_SIM_HANG_AFTER_REQUESTS', 0),
      record: args.record(),
    },
  };
}
