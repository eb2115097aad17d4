import * as z from 'zod';
import { gmsDirectory } from '../backends/common/gms.ts';
import type { InstanceContext, ServiceProtocol } from './common/protocol.ts';

const READY = 'GMS ready:';
const START_TIMEOUT_S = 120;
/** Each server binds one socket for weights and one for KV caches. */
const SOCKETS_PER_GPU = 2;

/**
 * Starts a server for each GPU of the worker ($2 of them, sockets in $1), says so when all sockets are there, and ends
 * with an error when any of them ends. Their directory goes with them when they are stopped.
 */
const SERVERS = `dir=$1 gpus=$2 sockets=$3
mkdir -p "$dir" && rm -f "$dir"/gms_*.sock || exit 1
pids=()
for ((gpu = 0; gpu < gpus; gpu++)); do
  python3 -m gpu_memory_service --device "$gpu" &
  pids+=($!)
done
stopping=
stop() { stopping=yes; kill -TERM "\${pids[@]}" 2>/dev/null; }
trap stop TERM INT
until [ "$(find "$dir" -maxdepth 1 -name 'gms_*.sock' | wc -l)" -ge "$sockets" ]; do
  for pid in "\${pids[@]}"; do
    kill -0 "$pid" 2>/dev/null || { echo "the server with pid $pid ended while it started" >&2; stop; wait; exit 1; }
  done
  [ -z "$stopping" ] || break
  sleep 0.5
done
[ -n "$stopping" ] || echo "${READY} $gpus GPUs, sockets in $dir"
wait -n "\${pids[@]}"
code=$?
if [ -n "$stopping" ]; then
  wait
  rm -rf -- "$dir"
  rmdir -- "\${dir%/*}" 2>/dev/null
  exit 0
fi
echo "a server ended with exit code $code" >&2
stop
wait
exit $((code == 0 ? 1 : code))`;

/**
 * Dynamo's GPU Memory Service beside each vLLM worker: it holds the weights, which outlive an engine. One for each
 * worker, because it names its sockets by NVML's devices while an engine chooses them by CUDA's, and the two agree only
 * within the devices of one worker (srt-slurm 2.x, src/srtctl/services/gms.py).
 */
export const gms: ServiceProtocol = {
  type: 'gms',
  summary: 'holds the weights of a vLLM worker, which engine.failover implies',
  options: z.strictObject({}),
  hasCommand: true,
  placement: 'workers',
  placements: ['workers', 'prefill', 'decode', 'agg'],
  perWorker: true,
  start: 'before_workers',
  critical: true,
  engines: ['vllm'],
  needsSetting: 'failover',
  module: 'gpu_memory_service',
  command: (context) => {
    const gpus = context.instance.worker?.gpus.length ?? 0;
    return [
      'bash',
      '-c',
      SERVERS,
      'bash',
      directoryOf(context),
      String(gpus),
      String(gpus * SOCKETS_PER_GPU),
    ];
  },
  ownEnvironment: (context) => ({ GMS_SOCKET_DIR: directoryOf(context) }),
  probe: () => ({ kind: 'log', pattern: READY }),
  startTimeoutS: START_TIMEOUT_S,
};

const directoryOf = ({ recipe, runtime, instance }: InstanceContext): string =>
  gmsDirectory(recipe, runtime, instance.worker ?? { role: 'worker', index: 0 });
