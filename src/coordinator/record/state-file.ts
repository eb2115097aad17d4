import { open, readdir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { writeJson } from '../../messages/job-directory/files.ts';
import {
  type JobState,
  jobStateSchema,
  STATE_CHANGES,
  type StateChange,
  stateChangeSchema,
} from '../../messages/job-directory/job-files.ts';

/** Limits the share of time that writing takes to 1 / (1 + …). A caller that waits for a write is not delayed. */
const REST = 4;

/** With more points than this, state.json is not rewritten for each change. */
const MOST_WHOLE = 500;

/**
 * Keeps state.json up to date. The file is complete at any moment, and several changes at once become one write. For a
 * sweep of many points only the changes are written, into a separate file that state.json names, until that file is as
 * long as state.json. So a point costs as much in a sweep of thousands as in a sweep of ten. When the job has finished,
 * state.json contains everything.
 */
export class StateFile {
  readonly #path: string;
  readonly #state: JobState;
  readonly #onError: (error: unknown) => void;
  readonly #places: ReadonlyMap<number, number>;
  #saving: Promise<void> = Promise.resolve();
  /** Unsaved changes; only the changed points are in it. */
  #unsaved: StateChange | undefined;
  /**
   * The file of changes, its length, and the length of state.json when the file was begun; none: state.json is written
   * next.
   */
  #changes: { readonly name: string; size: number; readonly most: number } | undefined;
  #wholes = 0;
  /** How long the last write took, and when it ended (monotonic ms). */
  #tookMs = 0;
  #endedAt = 0;
  #isUrgent = false;
  #hurry: () => void = () => undefined;

  readonly #mayWrite: () => void;

  constructor(
    path: string,
    state: JobState,
    onError: (error: unknown) => void,
    mayWrite: () => void = () => undefined,
  ) {
    this.#path = path;
    this.#mayWrite = mayWrite;
    this.#state = { ...state, points: [...state.points] };
    this.#places = placesOf(state);
    this.#onError = onError;
  }

  get current(): JobState {
    return this.#state;
  }

  /** `points`: only the changed ones. */
  save(change: StateChange): void {
    const { points = [], ...others } = change;
    const updated = { ...others, updatedAt: new Date().toISOString() };
    Object.assign(this.#state, updated);
    put(points, this.#state, this.#places);
    const before = this.#unsaved;
    this.#unsaved = { ...before, ...updated, points: [...(before?.points ?? []), ...points] };
    if (before) return;
    this.#saving = this.#saving.then(() => this.#rest()).then(() => this.#write());
  }

  async #write(): Promise<void> {
    const beganAt = performance.now();
    const change = this.#unsaved ?? {};
    this.#unsaved = undefined;
    this.#isUrgent = false;
    try {
      this.#mayWrite();
      const changes = this.#changes;
      if (changes && changes.size < changes.most && this.#state.sweep !== 'finished')
        changes.size += await append(join(dirname(this.#path), changes.name), change);
      else await this.#writeWhole();
    } catch (error) {
      // Only the last line can be torn, because the next save writes state.json.
      this.#changes = undefined;
      this.#onError(error);
    }
    this.#endedAt = performance.now();
    this.#tookMs = this.#endedAt - beganAt;
  }

  async #writeWhole(): Promise<void> {
    const { points, sweep, epoch } = this.#state;
    const directory = dirname(this.#path);
    const isMuch = points.length > MOST_WHOLE && sweep !== 'finished';
    // Each coordinator has its own files, because a late write of an earlier one belongs to no state.json of this one.
    const name = `state.changes-${epoch}-${++this.#wholes}.jsonl`;
    // The file exists before state.json names it, so a reader that does not find the file knows that state.json has
    // changed.
    if (isMuch) await (await open(join(directory, name), 'w', 0o644)).close();
    const size = await writeJson(this.#path, isMuch ? { ...this.#state, changes: name } : this.#state);
    this.#changes = isMuch ? { name, size: 0, most: size } : undefined;
    if (points.length <= MOST_WHOLE) return;
    const old = (await readdir(directory)).filter((each) => STATE_CHANGES.test(each) && each !== name);
    await Promise.all(
      (isMuch ? old : [...old, name]).map((each) => rm(join(directory, each), { force: true })),
    );
  }

  #rest(): Promise<void> {
    const ms = this.#endedAt + REST * this.#tookMs - performance.now();
    if (ms <= 1 || this.#isUrgent) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#hurry = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Resolves when all that was saved is on disk. */
  saved(): Promise<void> {
    this.#isUrgent = true;
    this.#hurry();
    return this.#saving;
  }
}

/** Returns the number of bytes written. */
async function append(path: string, change: StateChange): Promise<number> {
  const line = Buffer.from(`${JSON.stringify(change)}\n`);
  const file = await open(path, 'a');
  try {
    await file.writeFile(line);
    await file.datasync();
  } finally {
    await file.close();
  }
  return line.length;
}

/** state.json with the later changes; undefined when it does not exist (yet) or is invalid. */
export async function readStateFile(path: string): Promise<JobState | undefined> {
  try {
    let state: JobState | undefined;
    // When the file of changes is gone, state.json has been rewritten meanwhile.
    for (let attempts = 0; attempts < 5; attempts++) {
      state = jobStateSchema.safeParse(JSON.parse(await readFile(path, 'utf8'))).data;
      if (state?.changes === undefined) return state;
      const lines = await readFile(join(dirname(path), state.changes), 'utf8').catch(() => undefined);
      if (lines !== undefined) return withChanges(state, lines);
    }
    return state;
  } catch {
    return undefined;
  }
}

/** Text after the last line end is still being written; so may be an invalid line, as over NFS. */
function withChanges({ changes: _, ...state }: JobState, text: string): JobState {
  const places = placesOf(state);
  for (const line of text.split('\n').slice(0, -1)) {
    const change = changeIn(line);
    if (!change) break;
    const { points = [], ...others } = change;
    Object.assign(state, others);
    put(points, state, places);
  }
  return state;
}

function changeIn(line: string): StateChange | undefined {
  try {
    return stateChangeSchema.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}

const placesOf = ({ points }: Pick<JobState, 'points'>): Map<number, number> =>
  new Map(points.map(({ ordinal }, at) => [ordinal, at]));

function put(
  changed: JobState['points'],
  { points }: Pick<JobState, 'points'>,
  places: ReadonlyMap<number, number>,
): void {
  for (const point of changed) {
    const at = places.get(point.ordinal);
    if (at !== undefined) points[at] = point;
  }
}
