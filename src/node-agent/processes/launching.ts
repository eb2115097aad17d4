import type { ProcessEvent } from '../../machines/process.ts';
import type { ProcessSpec } from '../../messages/spec/process-spec.ts';
import { segments } from '../leftovers/shared-memory.ts';
import { prepareFiles } from '../start/prepare.ts';
import type { Spawned, SpawnListener } from '../start/spawn.ts';
import { forgetBeyond } from './ending.ts';
import type { Entry, TableOptions } from './entry.ts';

/** Creates the files of a process that is about to start, and opens its log. */
export async function openLog(
  entry: Entry | undefined,
  spec: ProcessSpec,
  signal: AbortSignal,
): Promise<void> {
  const log = await prepareFiles(spec);
  // The process was stopped in the meantime.
  if (!entry || signal.aborted) return log.close();
  entry.log = log;
  entry.logFrom = log.size;
}

export function closeLog(entry: Entry): void {
  entry.log?.close();
  entry.log = undefined;
}

/**
 * Starts an entry's process. Calls `onExit` when its main process has ended. When the process has ranks on
 * other nodes, `onExit` comes with a function, to be called when no part is left there, and the end is only
 * published then.
 */
export function spawnProcess(
  options: TableOptions,
  entry: Entry,
  planned: ProcessSpec,
  sendBack: (event: ProcessEvent) => void,
  onExit: (onNothingBeyond?: () => void) => void,
): void {
  const { words = {} } = options;
  const spec = { ...planned, argv: planned.argv.map((word) => words[word] ?? word) };
  const env = {
    ...options.environment,
    ...spec.env,
    SRTCTL_AGENT: options.agentMark,
    SRTCTL_AGENT_ID: options.agentId,
    SRTCTL_PROCESS: entry.mark,
  };
  const { owner } = options;
  const locks = owner && { soft: owner.hard - BigInt(entry.number), hard: owner.hard };
  let spawned: Spawned | undefined;
  try {
    const {
      beyond,
      env: inner,
      ...launched
    } = options.launcher?.launch(spec, env, entry.mark, locks) ?? {
      argv: spec.argv,
      cwd: spec.cwd,
      env,
    };
    entry.beyond = beyond;
    const listener: SpawnListener = {
      exited: (exitCode, signal) => {
        const oomKills = signal === 'SIGKILL' ? (options.oomKills?.() ?? 0) : 0;
        const exited = () => sendBack({ type: 'process.exited', exitCode, signal, oomKills });
        // Ranks on other nodes can outlive their srun, and the next process may belong to an agent that
        // cannot see them.
        if (!spec.mpi) exited();
        onExit(spec.mpi && exited);
      },
      failed: (error) => {
        forgetBeyond(entry);
        sendBack({ type: 'process.spawnFailed', error });
      },
    };
    if (!entry.log) throw new Error('its log is not open');
    entry.segments = segments();
    const mark = owner && ((argv: string[]) => owner.marker(owner.hard, entry.number, argv));
    spawned = options.spawner.spawn({ ...spec, ...launched }, inner, listener, entry.log, mark);
  } catch (error) {
    forgetBeyond(entry);
    const reason = error instanceof Error ? error.message : String(error);
    queueMicrotask(() => sendBack({ type: 'process.spawnFailed', error: `cannot start: ${reason}` }));
    return;
  }
  closeLog(entry);
  if (!spawned) return;
  entry.group = spawned.pid;
  entry.pid = spawned.pid;
  options.guard.began(spawned.pid);
  sendBack({ type: 'process.spawned', pid: spawned.pid });
}
