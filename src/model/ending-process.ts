import type { ProcessSpec } from '../messages/spec/process-spec.ts';

/** The process is ready when it runs, so this only limits the spawn. */
const START_TIMEOUT_MS = 60_000;
const GRACE_MS = 5_000;

const common = () =>
  ({
    gpus: [],
    ports: {},
    probe: { kind: 'running' },
    critical: true,
    terminates: true,
    startTimeoutMs: START_TIMEOUT_MS,
    graceMs: GRACE_MS,
    unhealthyAfterMs: START_TIMEOUT_MS,
  }) satisfies Partial<ProcessSpec>;

type Common = keyof ReturnType<typeof common>;

/** A process without GPUs and ports that is expected to end with exit code 0: a step, a build, a benchmark. */
export const endingProcess = (
  own: Omit<ProcessSpec, Common> & Partial<Pick<ProcessSpec, Common>>,
): ProcessSpec => ({ ...common(), ...own });
