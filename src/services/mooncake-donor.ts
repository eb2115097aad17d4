import * as z from 'zod';
import { mooncakeOf } from '../backends/common/mooncake.ts';
import { shellQuote } from '../os/quote.ts';
import type { InstanceContext, ServiceProtocol } from './common/protocol.ts';
import { MASTER_ADDRESS_FILE } from './mooncake-master.ts';

const optionsSchema = z.strictObject({
  size: z.string().min(1).describe('memory of each node, such as 640GiB'),
  protocol: z.string().min(1).default('rdma').describe('how its memory is reached'),
});

/** Seconds that a donor waits for the master. */
const MASTER_TIMEOUT_S = 60;

const directoryOf = ({ runtime, instance }: InstanceContext): string =>
  `mooncake/donor-${runtime.host(instance.node)}`;

/**
 * Memory of decode nodes for TensorRT-LLM's Mooncake connector (srt-slurm 2.x, src/srtctl/services/mooncake_donor.py).
 * Never run here: no release of TensorRT-LLM on PyPI has the command.
 */
export const mooncakeDonor: ServiceProtocol = {
  type: 'mooncake-donor',
  summary: "memory of decode nodes for TensorRT-LLM's Mooncake connector",
  options: optionsSchema,
  hasCommand: true,
  placement: 'decode',
  placements: ['decode'],
  start: 'before_workers',
  critical: true,
  needs: ['mooncake-master'],
  engines: ['trtllm'],
  image: ({ recipe, runtime }) => mooncakeOf(recipe)?.container ?? runtime.image,
  command: (context) => {
    const { size, protocol } = optionsSchema.parse(context.service.options);
    const logs = context.runtime.logDirInside;
    return [
      ...[
        'trtllm-serve',
        'mooncake_donor',
        '--master_server_address',
        `file://${logs}/${MASTER_ADDRESS_FILE}`,
      ],
      ...[
        '--segment_size',
        size,
        '--protocol',
        protocol,
        '--ready_file',
        `${logs}/${directoryOf(context)}.ready`,
      ],
    ];
  },
  // TensorRT-LLM joins an MPI world wherever it finds one in the environment.
  preamble: (context) =>
    `mkdir -p ${shellQuote(`${context.runtime.logDirInside}/${directoryOf(context)}`)}\nunset "\${!PMIX_@}" "\${!PMI_@}" "\${!OMPI_@}"`,
  environment: (context) => ({
    TRTLLM_MOONCAKE_RUN_DIR: `${context.runtime.logDirInside}/${directoryOf(context)}`,
    TRTLLM_MOONCAKE_MASTER_TIMEOUT: String(masterTimeoutOf(context)),
    TLLM_LOG_LEVEL: 'INFO',
  }),
  probe: (context) => ({ kind: 'file', path: `${context.runtime.logDir}/${directoryOf(context)}.ready` }),
};

function masterTimeoutOf({ recipe }: InstanceContext): number {
  const master = recipe.services?.find(({ type }) => type === 'mooncake-master');
  const seconds = master?.options.master_timeout_s;
  return typeof seconds === 'number' ? seconds : MASTER_TIMEOUT_S;
}
