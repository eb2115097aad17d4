import type { EndpointMode, RuntimeContext } from '../../model/kinds.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';
import type { WorkerContext } from './protocol.ts';

const GRPC_PORT = 50_051;
const START_TIMEOUT_S = 3600;

const BESIDE = 'beside:';

/**
 * Starts the engine ($1: its name), waits until it listens at $2:$3 ($4: how many seconds at most), starts the sidecar, and
 * ends both when either ends. The words up to BESIDE are the engine's. In an MPI launch the first task alone has a sidecar.
 */
const COUPLED = `name=$1 host=$2 port=$3 seconds=$4 engine=()
shift 4
while [ "$1" != ${BESIDE} ]; do engine+=("$1"); shift; done
shift
sidecar=("$@")
main= side= stopping=
end() {
  for pid in $side $main; do
    kill -TERM "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
  done
}
stop() { stopping=yes; end; exit 0; }
trap stop TERM INT
"\${engine[@]}" &
main=$!
if [ "\${SLURM_PROCID:-0}" != 0 ]; then
  wait "$main"
  exit $?
fi
until (exec 3<>"/dev/tcp/$host/$port") 2>/dev/null; do
  kill -0 "$main" 2>/dev/null || { wait "$main"; code=$?; echo "$name ended with exit code $code before it took gRPC" >&2; exit $((code == 0 ? 1 : code)); }
  ((SECONDS < seconds)) || { echo "$name does not take gRPC on $host:$port after $seconds s (dynamo.sidecar_startup_timeout)" >&2; end; exit 1; }
  sleep 0.2
done
"\${sidecar[@]}" &
side=$!
wait -n "$main" "$side"
code=$?
[ -z "$stopping" ] || exit 0
kill -0 "$main" 2>/dev/null && ended="the sidecar of $name" || ended=$name
echo "$ended ended with exit code $code" >&2
end
exit $((code == 0 ? 1 : code))`;

/** Whether engines run as servers of their own, each with a Dynamo sidecar that registers it. */
export const hasSidecar = ({ frontend, dynamo }: Recipe): boolean =>
  frontend.type === 'dynamo' && dynamo.engine_mode === 'sidecar';

/** The engine's gRPC port, at which its sidecar finds it. */
export const grpcPort = ({ recipe, runtime, process, all }: WorkerContext): number =>
  runtime.port(process.node, (recipe.dynamo.sidecar_port ?? GRPC_PORT) + all.indexOf(process));

/** The address that an engine binds for its sidecar alone. */
export function besideAddress(runtime: RuntimeContext, node: string): string {
  const address = runtime.listenAddress(node);
  return address === '0.0.0.0' ? '127.0.0.1' : address;
}

/** One process that runs an engine and its sidecar (ai-dynamo 1.6.1, `python3 -m dynamo.ENGINE.sidecar --help`). */
export function withSidecar(
  context: WorkerContext,
  engine: { readonly name: string; readonly module: string; readonly argv: readonly string[] },
  options: readonly string[],
): string[] {
  const { recipe, runtime, process } = context;
  const { sidecar_binary: binary, sidecar_args: more, sidecar_startup_timeout: seconds } = recipe.dynamo;
  const host = besideAddress(runtime, process.node);
  const port = String(grpcPort(context));
  const limit = String(seconds ?? START_TIMEOUT_S);
  return [
    ...['bash', '-c', COUPLED, 'bash', engine.name, host, port, limit],
    ...engine.argv,
    BESIDE,
    ...(binary == null ? ['python3', '-m', engine.module] : [binary]),
    ...['--grpc-endpoint', `${host}:${port}`],
    ...options,
    ...(more ?? []),
  ];
}

/** Options that say which half of the work is the sidecar's, where its engine does not know it. */
export const halfOf = (mode: EndpointMode): string[] => [
  ...(mode === 'agg' ? [] : ['--disaggregation-mode', mode]),
  ...(mode === 'prefill' ? ['--component', 'prefill'] : []),
];
