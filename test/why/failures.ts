/**
 * Failures as logs show them, each with the process, the node and the words that a person would name as the
 * cause. They imitate the output of engines, CUDA, NCCL and Slurm; the processes are those of a small
 * deployment.
 */
export interface Failure {
  readonly name: string;
  /** Log of each process by its name; `at`: ms after the first failure, null: it ran until it was stopped. */
  readonly logs: Readonly<
    Record<
      string,
      {
        log: string;
        at: number | null;
        signal?: string;
        exitCode?: number;
        why?: string;
        /** Since when it was degraded. */
        unwellAt?: number;
      }
    >
  >;
  readonly lost?: { readonly node: string; readonly at: number; readonly certain?: boolean };
  readonly cause: { readonly process: string | null; readonly node: string; readonly line: RegExp | null };
  readonly signature: string | null;
}

export const nodeOf: Readonly<Record<string, string>> = {
  'prefill-0-0': 'node1',
  'prefill-0-1': 'node2',
  'decode-0-0': 'node3',
  'frontend-0': 'node1',
  benchmark: 'node1',
  etcd: 'node1',
  'setup-0': 'node1',
};

const start = `[2026-11-24 10:00:00] server_args=ServerArgs(model_path='/model', log_level='error', trust_remote_code=True)
[2026-11-24 10:00:00] server_args={"ignore_errors":"0","trust_remote_code":true,"on_error":"failed"}
[2026-11-24 10:00:01] WARNING: Failed to import deep_gemm, falling back to triton.
[2026-11-24 10:00:09 TP0] Load weight begin. avail mem=78.50 GB
`;
const serving = `${start}[2026-11-24 10:01:00 TP0] Decode batch. #running-req: 8, #token: 512, gen throughput (token/s): 410.2
[2026-11-24 10:01:05] INFO: 127.0.0.1:5000 - "GET /health HTTP/1.1" 200 OK
`;
const traceback = (error: string, prefix = ''): string =>
  [
    'Traceback (most recent call last):',
    '  File "/sgl/scheduler.py", line 2100, in run_scheduler_process',
    '    scheduler = Scheduler(server_args, port_args)',
    '                ^^^^^^^^^^^^^^^^^^^^^^^^',
    '  File "/sgl/model_runner.py", line 300, in load_model',
    '    raise RuntimeError("Failed to load")',
    error,
  ]
    .map((line) => `${prefix}${line}\n`)
    .join('');
const sigquit =
  '[2026-11-24 10:00:20] Received sigquit from a child process. It usually means the child failed.\n';
const peerGone = `[rank1]:[E1124 10:02:00.1 ProcessGroupNCCL.cpp:632] [Rank 1] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=88, OpType=ALLREDUCE, Timeout(ms)=600000)
${traceback('torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:2210, remote process exited or there was a network error', '[rank1]: ')}`;
const refused = `${traceback('aiohttp.client_exceptions.ClientConnectorError: Cannot connect to host node3:6100 ssl:default [Connection refused]')}`;

const alone = (
  name: string,
  process: string,
  log: string,
  line: RegExp,
  signature: string | null,
  more: { exitCode?: number; signal?: string } = {},
): Failure => ({
  name,
  logs: { [process]: { log, at: 0, exitCode: 1, ...more } },
  cause: { process, node: nodeOf[process] ?? '', line },
  signature,
});

export const failures: readonly Failure[] = [
  alone(
    'an exception of the engine',
    'prefill-0-0',
    start +
      traceback('ValueError: rope_scaling must be a dictionary, got list', '[2026-11-24 10:00:19 TP0] ') +
      sigquit,
    /^ValueError: rope_scaling/,
    null,
  ),
  alone(
    'a GPU out of memory while weights load',
    'decode-0-0',
    start +
      traceback(
        'torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.50 GiB. GPU 3 has a total capacity of 79.10 GiB',
        '[2026-11-24 10:00:19 TP3] ',
      ) +
      sigquit,
    /CUDA out of memory/,
    'cuda-out-of-memory',
  ),
  alone(
    'no room for the KV cache',
    'decode-0-0',
    start +
      traceback(
        'RuntimeError: Not enough memory. Please try to increase --mem-fraction-static. self.server_args.mem_fraction_static=0.5',
      ) +
      sigquit,
    /Not enough memory/,
    'kv-cache-too-small',
  ),
  alone(
    'no room for the KV cache in vLLM',
    'decode-0-0',
    `(EngineCore pid=77) ${traceback('ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization`', '(EngineCore pid=77) ')}RuntimeError: Engine core initialization failed. See root cause above.\n`,
    /No available memory/,
    'kv-cache-too-small',
  ),
  alone(
    'the kernel kills for memory',
    'prefill-0-0',
    `${start}slurmstepd: error: Detected 1 oom_kill event in StepId=812.0. Some of the step tasks have been OOM Killed.\n`,
    /oom_kill/,
    'host-out-of-memory',
    { signal: 'SIGKILL' },
  ),
  alone('a kill without a line in the log', 'prefill-0-0', serving, /./, null, { signal: 'SIGKILL' }),
  alone(
    'a port in use',
    'frontend-0',
    `INFO starting router\n${traceback("OSError: [Errno 98] error while attempting to bind on address ('0.0.0.0', 8000): address already in use")}`,
    /address already in use/,
    'port-in-use',
  ),
  alone(
    'a port in use, in the words of a Rust router',
    'frontend-0',
    'INFO listening\nError: Os { code: 98, kind: AddrInUse, message: "Address already in use" }\n',
    /Address already in use/,
    'port-in-use',
  ),
  alone(
    'an option that the engine does not know',
    'decode-0-0',
    'usage: launch_server.py [-h] --model-path MODEL_PATH\nlaunch_server.py: error: unrecognized arguments: --enable-flux-mode\n',
    /unrecognized arguments: --enable-flux-mode/,
    'wrong-option',
    { exitCode: 2 },
  ),
  alone(
    'an option that the engine does not know, and whose name looks like harmless words',
    'check-options-0',
    'ERROR r.yaml:7: backend.vllm_config.aggregated.disable-log-requests: the engine refuses its command line: unrecognized arguments: --disable-log-requests\n',
    /^ERROR r\.yaml:7: .*--disable-log-requests/,
    'wrong-option',
    { exitCode: 1 },
  ),
  alone(
    'a value that the engine does not know',
    'decode-0-0',
    "usage: launch_server.py\nlaunch_server.py: error: argument --attention-backend: invalid choice: 'fa9'\n",
    /invalid choice: 'fa9'/,
    'wrong-option',
    { exitCode: 2 },
  ),
  alone(
    'a package that is missing',
    'prefill-0-0',
    traceback("ModuleNotFoundError: No module named 'deep_ep'"),
    /No module named 'deep_ep'/,
    'module-missing',
  ),
  alone(
    'libraries that do not fit',
    'prefill-0-0',
    traceback('ImportError: /usr/lib/libsgl_kernel.so: undefined symbol: _ZN3c105ErrorC2E'),
    /undefined symbol/,
    'library-missing',
  ),
  alone(
    'an image that cannot be fetched',
    'setup-0',
    'slurmstepd: error: pyxis: failed to import docker image\nslurmstepd: error: pyxis: [ERROR] Could not process JSON input\n',
    /failed to import docker image/,
    'container-import',
  ),
  alone(
    'an image that is not there',
    'setup-0',
    "pyxis: importing docker image: nvcr.io/x:1\nslurmstepd: error: pyxis: couldn't start container\nslurmstepd: error: pyxis: No such file or directory: /images/x.sqsh\n",
    /No such file or directory: \/images\/x\.sqsh/,
    'image-missing',
  ),
  alone(
    'a directory to mount that is not there',
    'setup-0',
    'slurmstepd: error: pyxis: container start failed with error code: 1\nenroot-mount: failed to mount: /lustre/none at /data: No such file or directory\n',
    /enroot-mount: failed to mount/,
    'mount-missing',
  ),
  alone(
    'a full disk',
    'prefill-0-0',
    `${start}${traceback("OSError: [Errno 28] No space left on device: '/root/.triton/cache/x.cubin'")}`,
    /No space left on device/,
    'disk-full',
  ),
  alone(
    'a broken file of the model',
    'decode-0-0',
    start +
      traceback(
        'safetensors_rust.SafetensorError: Error while deserializing header: HeaderTooLarge',
        '[2026-11-24 10:00:30 TP1] ',
      ) +
      sigquit,
    /HeaderTooLarge/,
    'model-files',
  ),
  alone(
    'a directory without a model',
    'decode-0-0',
    traceback('OSError: /model does not appear to have a file named config.json.'),
    /does not appear to have a file named/,
    'model-files',
  ),
  alone(
    'a model without access',
    'setup-0',
    'fetching org/secret to /hf/hub\nfetch-model: try 1 of 5: GatedRepoError: 403 Client Error. Access to model org/secret is restricted\n',
    /GatedRepoError/,
    'model-gated',
  ),
  alone(
    'a parallelism that does not divide',
    'decode-0-0',
    traceback('AssertionError: 61 is not divisible by 8') + sigquit,
    /not divisible/,
    'does-not-divide',
  ),
  alone(
    'a crash in a kernel',
    'decode-0-0',
    `${serving}${traceback('torch.AcceleratorError: CUDA error: an illegal memory access was encountered', '[2026-11-24 10:03:00 TP5] ')}${sigquit}`,
    /illegal memory access/,
    'cuda-crash',
  ),
  alone(
    'a crash without a Python exception',
    'prefill-0-0',
    `${serving}Fatal Python error: Segmentation fault\n\nThread 0x00007f (most recent call first):\n  File "/sgl/x.py", line 3 in run\n`,
    /Segmentation fault/,
    'crash',
    { signal: 'SIGSEGV' },
  ),
  alone(
    'a driver that is too old',
    'prefill-0-0',
    traceback(
      'RuntimeError: The NVIDIA driver on your system is too old: CUDA driver version is insufficient for CUDA runtime version',
    ),
    /driver version is insufficient/,
    'driver-mismatch',
  ),
  alone(
    'no GPU at all',
    'prefill-0-0',
    traceback('RuntimeError: No CUDA GPUs are available'),
    /No CUDA GPUs/,
    'no-gpu',
  ),
  alone(
    'a setup script',
    'setup-0',
    'Collecting flashinfer\nERROR: No matching distribution found for flashinfer==9.9\n',
    /No matching distribution/,
    null,
  ),
  alone(
    'too many open files',
    'frontend-0',
    `${serving}accept: Too many open files (os error 24)\n`,
    /Too many open files/,
    'too-many-files',
  ),
  {
    name: 'a rank that dies takes its worker with it, and is the last to be noticed',
    logs: {
      'prefill-0-0': { log: serving + peerGone + sigquit, at: 0, exitCode: 1 },
      'prefill-0-1': {
        log: `${serving}${traceback('torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 9.00 GiB.', '[TP9] ')}`,
        at: 900,
        exitCode: 1,
      },
      'frontend-0': { log: refused, at: null },
    },
    cause: { process: 'prefill-0-1', node: 'node2', line: /out of memory/ },
    signature: 'cuda-out-of-memory',
  },
  {
    name: 'a rank that has an error and hangs is found, although other ranks that waited for it end first',
    logs: {
      'prefill-0-0': { log: serving + peerGone, at: 0, exitCode: 1 },
      'prefill-0-1': {
        log: `${serving}CUDA error: uncorrectable NVLink error detected during the execution\n`,
        at: null,
      },
    },
    cause: { process: 'prefill-0-1', node: 'node2', line: /uncorrectable NVLink/ },
    signature: 'gpu-lost',
  },
  {
    name: 'the benchmark cannot go on without a worker that crashed',
    logs: {
      benchmark: { log: refused, at: 0, exitCode: 1 },
      'decode-0-0': {
        log: `${serving}${traceback('RuntimeError: CUDA error: device-side assert triggered')}`,
        at: 200,
        exitCode: 1,
      },
    },
    cause: { process: 'decode-0-0', node: 'node3', line: /device-side assert/ },
    signature: 'cuda-crash',
  },
  {
    name: 'a node that lost its power',
    logs: {
      'prefill-0-0': { log: serving + peerGone, at: 0, exitCode: 1 },
      benchmark: { log: refused, at: 300, exitCode: 1 },
    },
    lost: { node: 'node2', at: 2_900 },
    cause: { process: null, node: 'node2', line: null },
    signature: null,
  },
  {
    name: 'a worker that was killed, which others notice first',
    logs: {
      benchmark: { log: refused, at: 0, exitCode: 1 },
      'decode-0-0': { log: serving, at: 40, signal: 'SIGKILL' },
    },
    cause: { process: 'decode-0-0', node: 'node3', line: /./ },
    signature: null,
  },
  {
    name: 'etcd that is gone',
    logs: {
      etcd: {
        log: '{"level":"info","msg":"serving client traffic"}\n{"level":"fatal","msg":"wal: no space left on device"}\n',
        at: 0,
        exitCode: 1,
      },
      'decode-0-0': {
        log: `${serving}ERROR dynamo_runtime: etcdserver: lease not found\n`,
        at: 700,
        exitCode: 1,
      },
    },
    cause: { process: 'etcd', node: 'node1', line: /no space left/ },
    signature: 'disk-full',
  },
  {
    name: 'a node that lost its power, which ranks on other nodes notice by their connections',
    logs: {
      'decode-0-0': {
        log: `${serving}${traceback('RuntimeError: NCCL error: remote process exited or there was a network error', '[TP9] ')}${sigquit}`,
        at: 0,
        exitCode: 1,
      },
      'prefill-0-0': {
        log: `${serving}gpu01:10:11 [0] misc/socket.cc:915 NCCL WARN socketProgress: Connection closed by remote peer node2<41222>\n`,
        at: 40,
        exitCode: 1,
      },
    },
    lost: { node: 'node2', at: -48 },
    cause: { process: null, node: 'node2', line: null },
    signature: null,
  },
  {
    name: 'a node that is silent when the point ends, before it counts as lost',
    logs: { 'decode-0-0': { log: serving + peerGone, at: 0, exitCode: 1 } },
    lost: { node: 'node2', at: 900, certain: false },
    cause: { process: null, node: 'node2', line: null },
    signature: null,
  },
  {
    name: 'a process that failed by itself while a node was briefly silent',
    logs: {
      'decode-0-0': {
        log: `${serving}${traceback('RuntimeError: CUDA error: an illegal memory access was encountered')}`,
        at: 0,
        exitCode: 1,
      },
    },
    lost: { node: 'node2', at: -500, certain: false },
    cause: { process: 'decode-0-0', node: 'node3', line: /illegal memory access/ },
    signature: 'cuda-crash',
  },
  {
    name: 'a frozen worker that its frontend reports missing',
    logs: {
      'frontend-0': {
        log: 'INFO dynamo_runtime: lease expired\n',
        at: 0,
        signal: 'SIGTERM',
        why: 'unhealthy for 30 s: 1 of 2 agg workers',
      },
      'prefill-0-0': { log: serving, at: null },
      'decode-0-0': {
        log: serving,
        at: null,
        unwellAt: -9_000,
        why: '/health does not answer within 10000 ms',
      },
    },
    cause: { process: 'decode-0-0', node: 'node3', line: /./ },
    signature: null,
  },
  {
    name: 'the only worker, which its frontend reports missing',
    logs: {
      'frontend-0': {
        log: 'INFO ok\n',
        at: 0,
        signal: 'SIGTERM',
        why: 'unhealthy for 30 s: 0 of 1 decode workers',
      },
      'decode-0-0': { log: serving, at: null },
    },
    cause: { process: 'decode-0-0', node: 'node3', line: /./ },
    signature: null,
  },
  {
    name: 'a benchmark whose requests fail, because a worker does not answer',
    logs: {
      benchmark: { log: 'loadgen: 12 of 64 requests failed: HTTP 503\n', at: 0, exitCode: 1 },
      'decode-0-0': { log: serving, at: null, unwellAt: -2_000, why: '/health answers HTTP 503' },
    },
    cause: { process: 'decode-0-0', node: 'node3', line: /./ },
    signature: null,
  },
];
