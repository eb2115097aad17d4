import type { Logger } from 'pino';
import type { JobSpec } from '../messages/job-directory/job-files.ts';
import type { PointResult } from '../messages/job-directory/result.ts';
import type { Epoch } from '../messages/spec/counters.ts';
import type { SteadyClock } from '../os/steady-clock.ts';
import type { AgentPlace, Platform } from '../platform/launch/launcher.ts';
import type { Recipe } from '../recipe/schema/schema.ts';
import type { SweepSettings } from '../recipe/values/sweep-settings.ts';
import type { Supervision } from './agents/roster.ts';
import type { AgentExtras } from './bus-server/credentials.ts';
import type { JobKeys } from './bus-server/keys.ts';
import type { NatsServer } from './bus-server/nats-server.ts';
import type { PlansNodes } from './sweep/planning.ts';
import type { EpochLock } from './takeover/epoch-lock.ts';
import type { FoundRun } from './takeover/find-run.ts';

export interface CoordinatorOptions extends PlansNodes {
  readonly spec: JobSpec;
  /** The agents that have to join: one on each node, and one more for each further image. */
  readonly agents: readonly AgentPlace[];
  readonly agentExtras: AgentExtras;
  readonly points: readonly { readonly ordinal: number; readonly name: string }[];
  readonly sweep: SweepSettings;
  /** Results from before this coordinator. A point with a valid result is not run again. */
  readonly results: readonly PointResult[];
  readonly pointDir: (ordinal: number, name: string) => string;
  /** A line for each recipe option that srtctl does not support. */
  readonly notDone: (recipe: Recipe) => readonly string[];
  readonly platform: Platform;
  readonly nats: NatsServer;
  readonly keys: JobKeys;
  readonly supervision: Supervision;
  readonly joinTimeoutMs: number;
  readonly relaunchAgents: boolean;
  /** How many nodes the job has beyond what the plan needs. */
  readonly spareNodes: number;
  /** The clock of all times of the job. */
  readonly clock: SteadyClock;
  /** When the allocation ends, ms since the epoch. */
  readonly endsAt: number | null;
  readonly epoch: Epoch;
  /** The job's node-local directory. */
  readonly home: string;
  readonly epochLock: EpochLock;
  /** The previous run, whose coordinator was killed; null for a job that starts. */
  readonly found: FoundRun | null;
  /** The catalogue of known failures. */
  readonly signatures: string;
  readonly log: Logger;
}
