import type { Epoch } from '../../messages/spec/counters.ts';
import { type PatientGuard, startGuard } from '../../os/processes/guard.ts';
import { epochFile } from './epoch-lock.ts';

/** How long a killed coordinator may take to be started again, s. A lease that expires ends a job earlier. */
export const RESTART_PATIENCE_S = 10;

/**
 * When the coordinator is killed and no successor takes over its job in time, the guard ends nats-server and the local
 * agents, whose own guards end the rest, and removes `home`.
 */
export const startCoordinatorGuard = (options: {
  readonly script: string;
  readonly home: string;
  readonly epoch: Epoch;
  readonly mark: string;
  readonly limits: string | undefined;
  /** Process groups of the previous run that still run. */
  readonly groups: readonly number[];
  readonly onLost: (why: string) => void;
}): PatientGuard =>
  startGuard({
    script: options.script,
    mark: options.mark,
    limits: options.limits,
    groups: options.groups,
    directory: options.home,
    patience: { seconds: RESTART_PATIENCE_S, epochFile: epochFile(options.home), epoch: options.epoch },
    onLost: options.onLost,
  });
