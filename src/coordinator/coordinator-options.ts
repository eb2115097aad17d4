import type { Logger } from 'pino';
import type { JobSpec } from '../messages/job-files.ts';
import type { PointResult } from '../messages/result.ts';
import type { SweepPlan } from '../plan/kinds.ts';
import type { Recipe } from '../recipe/schema.ts';
import type { SweepSettings } from '../recipe/sweep-settings.ts';
import type { AgentPlace, Platform } from '../slurm/launcher.ts';
import type { SteadyClock } from '../steady-clock.ts';
import type { AgentExtras } from './credentials.ts';
import type { Fence } from './fence.ts';
import type { JobKeys } from './keys.ts';
import type { NatsServer } from './nats-server.ts';
import type { Supervision } from './roster.ts';
import type { Before } from './tenure.ts';

export interface CoordinatorOptions {
  readonly spec: JobSpec;
  /** The agents that are to join: one on each node, and one more for each further image. */
  readonly agents: readonly AgentPlace[];
  readonly agentExtras: AgentExtras;
  readonly points: readonly { readonly ordinal: number; readonly name: string }[];
  readonly sweep: SweepSettings;
  /** Results that are there before this coordinator begins: points with a valid one are not run again. */
  readonly results: readonly PointResult[];
  /** Plans the points when the addresses of the nodes are known. */
  readonly plan: (addresses: ReadonlyMap<string, string>, without: readonly string[]) => SweepPlan;
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
  readonly fence: Fence;
  /** What a coordinator that was killed has left. */
  readonly before: Before | null;
  /** Told of what the plan is made for, before it is. Resolves when another coordinator could know it. */
  readonly onNodes: (addresses: ReadonlyMap<string, string>, without: readonly string[]) => Promise<void>;
  /** The catalogue of known failures. */
  readonly signatures: string;
  readonly log: Logger;
}
