import { type PatientGuard, startGuard } from '../../os/processes/guard.ts';
import { epochFile } from './epoch-lock.ts';

/** How long a coordinator that was killed may take to be started again, s. What ends jobs earlier is a lease. */
export const RESTART_PATIENCE_S = 10;

/**
 * Should the coordinator be killed, and nobody take over its job in time, its guard ends nats-server and the local
 * agents, whose own guards end the rest, and removes `home`.
 */
export const startCoordinatorGuard = (options: {
  readonly script: string;
  readonly home: string;
  readonly epoch: number;
  readonly mark: string;
  readonly limits: string | undefined;
  /** What a predecessor has left running. */
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
