import { lstat, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { writeJson } from '../../messages/job-directory/files.ts';

const processNameSchema = z.object({ pid: z.number().int().positive(), startedAt: z.string() });
const keyPairSchema = z.object({ seed: z.string(), publicKey: z.string() });

/**
 * The data that a coordinator needs, besides state.json, to take over the job of a killed coordinator. Secret: a file
 * with mode 0600 in the job's node-local directory (0700), removed with the job. Jobs of earlier releases have the same
 * file.
 */
export const handoverSchema = z.object({
  v: z.literal(1),
  jobId: z.string(),
  /** Offset of the job's clock (SteadyClock). */
  clockOffsetMs: z.number(),
  /** The mark (owner-mark.ts) of nats-server and local agents; left out when none could be set. */
  mark: z.string().regex(/^\d+$/).optional(),
  nats: processNameSchema.extend({ port: z.number().int() }),
  infraPorts: z.object({ nats: z.number(), etcdClient: z.number(), etcdPeer: z.number() }),
  /** The platform's block of loopback addresses. */
  claim: z.number().int().nullable(),
  /** Addresses of the agents that have said hello. */
  addresses: z.record(z.string(), z.string()),
  /** Nodes that the job goes on without. */
  without: z.array(z.string()),
  keys: z.object({
    coordinator: keyPairSchema,
    operator: keyPairSchema,
    system: keyPairSchema,
    // Jobs of earlier releases have no readers.
    reader: keyPairSchema.optional(),
    librarian: keyPairSchema.optional(),
    agents: z.array(z.tuple([z.string(), keyPairSchema])),
    tls: z.object({ ca: z.string(), cert: z.string(), key: z.string() }).optional(),
  }),
  /** Agents, or sruns that hold several agents. */
  launched: z.array(processNameSchema.extend({ agents: z.array(z.string()).readonly() })),
});
export type Handover = z.infer<typeof handoverSchema>;

/** The hand-over file in a job's directory. Jobs of earlier versions have it under this name. */
export const handoverFile = (home: string): string => join(home, 'lifeline.json');

/** undefined when there is no file, or another user may have made it: its path comes from a file that others can read. */
export async function readHandover(home: string, jobId: string): Promise<Handover | undefined> {
  try {
    const own = process.getuid?.();
    const [directory, file] = await Promise.all([lstat(home), lstat(handoverFile(home))]);
    const isPrivate = [directory, file].every(({ uid, mode }) => uid === own && (mode & 0o077) === 0);
    if (!directory.isDirectory() || !file.isFile() || !isPrivate) return undefined;
    const found = handoverSchema.safeParse(JSON.parse(await readFile(handoverFile(home), 'utf8'))).data;
    return found?.jobId === jobId ? found : undefined;
  } catch {
    return undefined;
  }
}

/** Keeps the file up to date. Several changes at once become one write. */
export class HandoverFile {
  readonly #home: string;
  readonly #content: () => Handover;
  readonly #onError: (error: unknown) => void;
  #saving: Promise<void> = Promise.resolve();
  #unsaved = false;

  readonly #mayWrite: () => void;

  constructor(
    home: string,
    content: () => Handover,
    onError: (error: unknown) => void,
    mayWrite: () => void,
  ) {
    this.#mayWrite = mayWrite;
    this.#home = home;
    this.#content = content;
    this.#onError = onError;
  }

  /** Resolves when the file is up to date. */
  save(): Promise<void> {
    if (this.#unsaved) return this.#saving;
    this.#unsaved = true;
    this.#saving = this.#saving
      .then(async () => {
        this.#unsaved = false;
        this.#mayWrite();
        await writeJson(handoverFile(this.#home), this.#content(), { secret: true });
      })
      .catch(this.#onError);
    return this.#saving;
  }
}
