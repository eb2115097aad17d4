import { CausedError } from '../../machines/point.ts';
import type { JobSpec, JobState, StateChange } from '../../messages/job-directory/job-files.ts';
import type { Cause } from '../../messages/job-directory/result.ts';
import type { ProcessSpec } from '../../messages/spec/process-spec.ts';
import type { PlannedHostSetup, SweepPlan } from '../../model/kinds.ts';
import { COMMAND_MARK } from '../../plan/host-setup.ts';
import type { Roster } from '../agents/roster.ts';
import type { Fleet } from '../fleet/fleet.ts';

/** Time beyond the limit of the commands for agents that must start, end and report them, ms. */
const REPORT_MS = 60_000;
/** More nodes than this are counted in a message. */
const MOST_NODES = 8;

export interface HostSetupOptions {
  readonly spec: Pick<JobSpec, 'hostSetup'>;
  readonly fleet: Pick<Fleet, 'deploy' | 'hasEnded' | 'ended' | 'agentOf' | 'withTail'>;
  readonly roster: Pick<Roster, 'until' | 'stateOf'>;
  readonly record: {
    readonly state: Pick<JobState, 'hostSetup'>;
    save(change: StateChange): void;
    saved(): Promise<void>;
    warn(text: string): void;
  };
  readonly bus: { readonly isOpen: boolean; readonly isGone: boolean };
}

/**
 * The recipe's `host_setup`: its commands run once in the job, before the first point, and its teardown runs once all
 * processes have ended, however the run ends. state.json says how far this is, for a coordinator that takes over.
 */
export class HostSetup {
  readonly #options: HostSetupOptions;
  #plan: PlannedHostSetup | null = null;

  constructor(options: HostSetupOptions) {
    this.#options = options;
  }

  /** Runs the commands, unless a previous coordinator has. Throws the cause when they fail on a node. */
  async begin(plan: Pick<SweepPlan, 'hostSetup'>, signal: AbortSignal): Promise<void> {
    const { spec, record } = this.#options;
    this.#plan = spec.hostSetup === true ? plan.hostSetup() : null;
    const done = record.state.hostSetup;
    if (!this.#plan || done === 'done' || done === 'over') return;
    const { commands, ignoresFailure } = this.#plan;
    record.save({ hostSetup: 'begun' });
    await record.saved();
    const failures = await this.#run(commands, signal);
    const cause = together('host_setup', failures);
    if (cause && !ignoresFailure) throw new CausedError(cause);
    if (cause) record.warn(`${cause.summary} (ignore_failure: the run goes on)`);
    record.save({ hostSetup: 'done' });
    await record.saved();
  }

  /** Runs the teardown, if the commands have begun. A failure is a warning, because the results are there. */
  async end(): Promise<void> {
    const { record, bus } = this.#options;
    const done = record.state.hostSetup;
    if (done === undefined || done === 'over' || this.#plan?.teardown.length === 0) return;
    if (!this.#plan || !bus.isOpen || bus.isGone) {
      record.warn('the teardown of host_setup did not run, because agents cannot be reached');
      return;
    }
    const { teardown } = this.#plan;
    const failures = await this.#run(teardown, new AbortController().signal).catch((error: unknown) => [
      { summary: String(error) },
    ]);
    const cause = together('the teardown of host_setup', failures);
    if (cause) record.warn(cause.summary);
    record.save({ hostSetup: 'over' });
  }

  /** Resolves with the cause on each node where the commands failed, or may not have run to their end. */
  async #run(specs: readonly ProcessSpec[], signal: AbortSignal): Promise<Cause[]> {
    const { fleet, roster } = this.#options;
    if (specs.length === 0) return [];
    const longest = Math.max(...specs.map(({ endTimeoutMs = 0, graceMs }) => endTimeoutMs + graceMs));
    const late = AbortSignal.timeout(longest + REPORT_MS);
    const given = AbortSignal.any([signal, late]);
    const isLost = (spec: ProcessSpec): boolean =>
      ['lost', 'left'].includes(roster.stateOf(fleet.agentOf(spec)) ?? 'left');
    let refusal: Cause | undefined;
    const refused = (spec: ProcessSpec): boolean => refusal?.node === fleet.agentOf(spec);
    const isOver = (spec: ProcessSpec): boolean => fleet.hasEnded(spec.id) || isLost(spec) || refused(spec);
    // A lost agent does not answer; the others do, and are waited for.
    fleet.deploy(specs, 'step', given).catch((error: unknown) => {
      if (error instanceof CausedError) refusal = error.causeOf;
    });
    await roster.until(() => specs.every(isOver), given).catch(() => undefined);
    signal.throwIfAborted();
    const ended = specs.filter(({ id }) => fleet.hasEnded(id));
    const failed = await fleet.ended(
      ended.map(({ id }) => id),
      given,
    );
    const why = (spec: ProcessSpec): string =>
      refusal && refused(spec) ? refusal.summary : `the agent of ${spec.node} did not report its end`;
    return Promise.all([
      ...failed.map(async (cause) => told(await fleet.withTail(cause))),
      ...specs
        .filter(({ id }) => !fleet.hasEnded(id))
        .map(async (spec) => ({ node: spec.node, summary: why(spec) })),
    ]);
  }
}

/** Names the command and the last line of its output in place of the process. */
function told(cause: Cause): Cause {
  const { summary, logTail = [] } = cause;
  const at = logTail.findLastIndex((line) => line.startsWith(COMMAND_MARK));
  const command = at < 0 ? undefined : logTail[at]?.slice(COMMAND_MARK.length);
  const last = logTail.slice(at + 1).findLast((line) => line.trim() !== '');
  const how = summary.replace(/^.*? (?:failed|was stopped): /, '');
  const where = command === undefined ? '' : `, in "${command}"`;
  return { ...cause, summary: `${how}${where}${last === undefined ? '' : `: ${last.trim()}`}` };
}

/** One cause for all nodes: that of the first one, with the names of the others. */
function together(what: string, [first, ...others]: readonly Cause[]): Cause | undefined {
  if (!first) return undefined;
  const nodes = others.slice(0, MOST_NODES).flatMap(({ node }) => node ?? []);
  const more = others.length > MOST_NODES ? ` and ${others.length - MOST_NODES} more` : '';
  const also = others.length === 0 ? '' : `; it failed on ${nodes.join(', ')}${more}, too`;
  return { ...first, summary: `${what} failed on ${first.node}: ${first.summary}${also}` };
}
