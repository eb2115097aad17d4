/**
 * The intended differences between srtctl's plans and those of the reference implementation, with their reasons. The
 * golden test edits the golden plans by this list before the comparison, and fails for an entry that no plan needs any
 * more.
 *
 * `option` and `variable` name the difference in the command line or the environment of a process. `golden` is the
 * value of the reference and `ours` is that of srtctl: text (the values of an option, separated by blanks), ABSENT, or
 * ANY (any value). `renamed` is srtctl's name for the option, with the same values. An entry counts only for processes
 * where both sides match it, so a process with another difference still fails.
 */
export const ABSENT = Symbol('not there');
export const ANY = Symbol('any value');

type Value = string | typeof ABSENT | typeof ANY;

export interface GoldenProcess {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly nodes: readonly string[];
  readonly log?: string;
  readonly mode?: string;
}

export interface GoldenPlan {
  readonly file: string;
  readonly variant: string;
  readonly params: Readonly<Record<string, unknown>> | null;
  readonly backend: string;
  readonly frontend: string;
  readonly workers: readonly GoldenProcess[];
  readonly frontends: readonly GoldenProcess[];
}

export type Difference = {
  /** Why a real run needs it. */
  readonly reason: string;
  readonly process: 'worker' | 'frontend';
  /** Only in plans of this engine, of this frontend. */
  readonly backend?: string;
  readonly frontend?: string;
  /** Only for some of these processes. */
  readonly where?: (process: GoldenProcess, plan: GoldenPlan) => boolean;
} & (
  | { readonly option: string; readonly golden: Value; readonly ours: Value }
  | { readonly option: string; readonly renamed: string }
  | { readonly variable: string; readonly golden: Value; readonly ours: Value }
);

export const differences: readonly Difference[] = [
  {
    process: 'worker',
    backend: 'trtllm',
    variable: 'TRTLLM_EPLB_SHM_NAME',
    golden: ANY,
    ours: ANY,
    reason:
      'The reference draws the name at random for each worker. Ours follows from the endpoint, because a plan that is made again has to be the same.',
  },
  {
    process: 'worker',
    frontend: 'dynamo',
    variable: 'DYN_TCP_RPC_HOST',
    golden: ABSENT,
    ours: ANY,
    reason:
      'Workers register with the address of network_interface, by which the frontend knows the planned ones. Dynamo takes the first address of the machine.',
  },
  {
    process: 'worker',
    frontend: 'dynamo',
    variable: 'DYN_TCP_RPC_PORT',
    golden: ABSENT,
    ours: ANY,
    reason:
      'Workers register with a planned port, so that what an ended worker left is told apart. Dynamo 0.7 needs it anyway: all take port 9999.',
  },
  ...(['worker', 'frontend'] as const).flatMap((process): Difference[] => [
    {
      process,
      frontend: 'dynamo',
      variable: 'DYN_EVENT_PLANE_HOST',
      golden: ABSENT,
      ours: ANY,
      reason: 'KV events come from the address of network_interface.',
    },
  ]),
  {
    process: 'frontend',
    frontend: 'dynamo',
    variable: 'DYN_LOG',
    golden: ABSENT,
    ours: ANY,
    reason: 'At info Dynamo 1.6.1 writes 3 KB for each request.',
  },
  {
    process: 'worker',
    backend: 'trtllm',
    frontend: 'trtllm_serve',
    option: '--config',
    renamed: '--extra_llm_api_options',
    reason: 'trtllm-serve knows --config as another name for it since 1.2 only.',
  },
  {
    process: 'frontend',
    frontend: 'trtllm_serve',
    option: '--config',
    renamed: '-c',
    reason: 'trtllm-serve disaggregated has no --config: its option is -c or --config_file.',
  },
  ...(['--server_start_timeout', '--request_timeout'] as const).map(
    (option): Difference => ({
      process: 'frontend',
      frontend: 'trtllm_serve',
      option,
      golden: ABSENT,
      ours: ANY,
      reason: 'By default it gives up on its servers and on a request after 180 s.',
    }),
  ),
  {
    process: 'worker',
    backend: 'vllm',
    variable: 'VLLM_PORT',
    golden: ANY,
    ours: ABSENT,
    reason:
      'The parts of one engine on several nodes agree on their ports; a first port for each contradicts them.',
  },
  {
    process: 'frontend',
    frontend: 'sglang',
    option: '--worker-startup-timeout-secs',
    golden: ABSENT,
    ours: ANY,
    reason:
      'sglang-router gives its workers up after 30 minutes of its own. It waits as long as the recipe lets workers take.',
  },
  {
    process: 'frontend',
    frontend: 'sglang',
    option: '--worker-startup-check-interval',
    golden: ABSENT,
    ours: '1',
    reason:
      'sglang-router looks for its workers every 30 seconds, so a run is idle for up to 30 seconds after they are ready.',
  },
  {
    process: 'worker',
    backend: 'sglang',
    frontend: 'sglang',
    option: '--disaggregation-bootstrap-port',
    golden: '31000',
    ours: '7200',
    reason:
      "A recipe's own bootstrap port came after ours and won, while the router sends decode workers to ours: every request failed.",
  },
];
