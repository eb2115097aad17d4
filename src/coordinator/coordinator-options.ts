import type { Logger } from 'pino';
import type { JobSpec } from '../messages/job-directory/job-files.ts';
import type { PointResult } from '../messages/job-directory/result.ts';
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
  /** The agents that are to join: one on each node, and one more for each further image. */
  readonly agents: readonly AgentPlace[];
  readonly agentExtras: AgentExtras;
  readonly points: readonly { readonly ordinal: number; readonly name: string }[];
  readonly sweep: SweepSettings;
  /** Results that are there before this coordinator begins: points with a valid one are not run again. */
  readonly results: readonly PointResult[];
  readonly pointDir: (ordinal: number, name: string) => string;
  /** What a recipe asks for and srtctl does not do; a line for each. */
  readonly notDone: (recipe: Recipe) => readonly string[];
  readonly platform: Platform;
  readonly nats: NatsServer;
  readonly keys: JobKeys;
  readonly supervision: Supervision;
  readonly joinTimeoutMs: number;
  readonly relaunchAgents: boolean;
  /** Nodes beyond what the plan needs. */
  readonly spareNodes: number;
  /** What all times of the job are by. */
  readonly clock: SteadyClock;
  /** When the allocation ends, ms since the epoch. */
  readonly endsAt: number | null;
  readonly epoch: number;
  /** Its node-local directory. */
  readonly home: string;
  readonly epochLock: EpochLock;
  /** The previous run, whose coordinator was killed; null for a job that starts. */
  readonly found: FoundRun | null;
  /** The catalogue of known failures. */
  readonly signatures: string;
  readonly log: Logger;
}
