import * as z from 'zod';

export const processStateSchema = z.enum([
  'waiting',
  'preparing',
  'starting',
  'ready',
  'degraded',
  'stopping',
  'stopped',
  'failed',
]);
export type ProcessState = z.infer<typeof processStateSchema>;

export const agentStateSchema = z.enum(['expected', 'joined', 'suspect', 'lost', 'left']);
export type AgentState = z.infer<typeof agentStateSchema>;

export const pointStateSchema = z.enum([
  'planned',
  'deploying',
  'warming',
  'benchmarking',
  'collecting',
  'cleaning',
  'done',
  'failed',
  'interrupted',
]);
export type PointState = z.infer<typeof pointStateSchema>;

export const sweepStateSchema = z.enum(['booting', 'running', 'cleaning', 'finishing', 'finished']);
export type SweepState = z.infer<typeof sweepStateSchema>;

/** Whether a process no longer exists. */
export const hasEnded = (state: ProcessState): boolean => state === 'stopped' || state === 'failed';

/** Signals that an experiment may send to a worker. STOP freezes a process. */
export const KILL_SIGNALS = ['KILL', 'TERM', 'INT', 'ABRT', 'SEGV', 'STOP'] as const;
