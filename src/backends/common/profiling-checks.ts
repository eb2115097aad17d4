import { type Checks, VAIN, YET } from '../../model/checks.ts';

type NotDone = NonNullable<Checks['notDone']>;

/** For engines whose profiler starts on a request, which srtctl does not send. */
export const noStepsToProfile: NotDone = ({ profiling }) =>
  profiling.type === 'nsys'
    ? [
        {
          path: ['profiling', 'type'],
          text: `${YET}the engine is not told at which step to start, so Nsight Systems records nothing (nsys-time does)`,
        },
      ]
    : [];

/** For engines whose profiler starts and stops at given steps. */
export const stepsToProfile: NotDone = ({ profiling }) =>
  profiling.type === 'nsys' &&
  [profiling.prefill, profiling.decode, profiling.aggregated].every(
    (steps) => steps?.start_step == null || steps.stop_step == null,
  )
    ? [
        {
          path: ['profiling', 'type'],
          text: `${VAIN}Nsight Systems records between start_step and stop_step of a mode, and no mode has both`,
        },
      ]
    : [];
