import * as z from 'zod';
import { readUnfinished } from '../../coordinator/record/unfinished-points.ts';
import { heartbeatSchema } from '../../messages/events/control.ts';
import type { WorkerRestartEvent } from '../../messages/events/events.ts';
import { subjectsOf } from '../../messages/events/subjects.ts';
import type { JobState } from '../../messages/job-directory/job-files.ts';
import type { QueueEntry } from '../../platform/slurm/queue-entry.ts';
import { silenceOf } from './coordinator-silence.ts';
import { isOver, type JobOnDisk, readEvents, readState, slurmStateOf } from './job-dir.ts';
import { JobModel } from './job-model.ts';
import { connectOperator } from './operator-bus.ts';

/** A heartbeat arrives each second; an agent that was silent for this long is shown without one. */
const LISTEN_MS = 1_300;

/** `edits` of a variant, without the schema of recipes, which takes time to load. */
const editsSchema = z.object({ edits: z.array(z.string()).optional().catch(undefined) }).catch({});

export type JobStatus = Awaited<ReturnType<typeof jobStatus>>;

/** The state of a job from its files; with `live` also from its agents' next heartbeats. */
export async function jobStatus(job: JobOnDisk, options: { live: boolean }) {
  const { spec, jobId, jobDir } = job;
  const [state, events, over] = await Promise.all([readState(job), readEvents(job), isOver(job)]);
  const model = new JobModel();
  for (const event of events) model.take(event);
  if (options.live && !over) await listen(job, model);
  const points = await withPartial(state?.points ?? [], options.live ? jobDir : undefined);
  // For a finished job its files are enough.
  const asks = options.live || state?.sweep !== 'finished';
  const inSlurm = job.spec.mode === 'slurm' && asks ? await slurmStateOf(job) : undefined;
  const silence = over ? null : await silenceOf(job);
  const names = spec.nodes.length > 0 ? spec.nodes : [...model.agents.keys()];
  return {
    jobId,
    name: spec.name,
    jobDir,
    mode: spec.mode,
    submittedAt: spec.submittedAt,
    tags: spec.tags,
    edits: editsSchema.parse(spec.variant).edits ?? [],
    state: silence ? 'silent' : stateOf(state?.sweep, over, inSlurm),
    exitCode: state?.exitCode ?? null,
    points,
    progress: state?.progress ?? null,
    pointsDone: points.filter((point) => point.status === 'done').length,
    slurm: inSlurm ? { state: inSlurm.state, reason: inSlurm.reason } : null,
    nodes: names.map((node) => ({
      node,
      state: model.agents.get(node) ?? ('expected' as const),
      pulse: model.pulses.get(node) ?? null,
      clock: model.clocks.get(node) ?? null,
    })),
    processes: [...model.processes.values()],
    restarts: [...model.restarts.values()].map(restartOf),
    warnings: model.warnings,
    cause: state?.cause ?? model.cause ?? silence,
    over,
  };
}

/** A point without a result already has partial figures on disk. */
async function withPartial(points: JobState['points'], jobDir: string | undefined) {
  if (jobDir === undefined || points.every(({ status }) => status !== null)) return points;
  const found = new Map(
    (await readUnfinished(jobDir)).map(({ ordinal, benchmark }) => [ordinal, benchmark.serving.length]),
  );
  return points.map((point) => {
    const partialFigures = found.get(point.ordinal);
    return point.status !== null || partialFigures === undefined ? point : { ...point, partialFigures };
  });
}

/** `dead`: the coordinator is gone without having finished, so its state is outdated. */
function stateOf(sweep: string | undefined, over: boolean, inSlurm: QueueEntry | undefined): string {
  if (sweep === undefined && inSlurm) return inSlurm.state.toLowerCase();
  if (over && sweep !== 'finished') return 'dead';
  return sweep ?? 'starting';
}

async function listen(job: JobOnDisk, model: JobModel): Promise<void> {
  const bus = await connectOperator(job, 'status');
  if (!bus) return;
  const awaited = new Set([...model.agents].filter(([, state]) => state === 'joined').map(([node]) => node));
  let timer: NodeJS.Timeout | undefined;
  await new Promise<void>((resolve) => {
    timer = setTimeout(resolve, LISTEN_MS);
    bus.subscribe(subjectsOf(job.jobId).heartbeat('*'), heartbeatSchema, ({ message }) => {
      model.takeHeartbeat(message);
      awaited.delete(message.node);
      if (awaited.size === 0) resolve();
    });
  });
  clearTimeout(timer);
  await bus.close(500);
}

/** The last restart of a worker, without what makes it an event. */
const restartOf = ({ v: _, source: __, seq: ___, kind: ____, at: _____, ...restart }: WorkerRestartEvent) =>
  restart;
