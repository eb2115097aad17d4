import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import * as z from 'zod';
import { FIRST_PORTS } from '../../recipe/values/ports.ts';

/**
 * Below the ports that Linux gives to outgoing connections (ip_local_port_range begins at 32768 by default), and below
 * the limit of Dynamo 1.6.1: DYN_SYSTEM_PORT is a signed number of 16 bits there, so the worker ends on port 32768.
 */
const RANGE = { from: 10_000, to: 32_768 } as const;
/**
 * Adjacent ports of the plan stay adjacent, in blocks of this size. The ranks of an endpoint count from its first port,
 * and an engine may use the ports after its own port.
 */
const BLOCK = 32;
/** Successive jobs begin far from one another: multiples of the golden ratio spread best, for any number of jobs. */
const GOLDEN = 0.618_034;

/** The first ports of the kinds of ports in a plan. A block begins at each of them. */
const ANCHORS = [...FIRST_PORTS].sort((a, b) => a - b);

const fileSchema = z.record(z.string(), z.number().int());

export interface LocalPortsOptions {
  /** The job's block of loopback addresses. No other job on the machine has this block. */
  readonly block: number;
  /** Gives each node its own ports, because real programs may listen on every address. */
  readonly perNode: boolean;
  /** Ports that the user has chosen, by the port of the plan. */
  readonly chosen: ReadonlyMap<number, number>;
  /** The job's directory (0700). It outlives a coordinator that is killed. */
  readonly home: string;
  /** Ports on which a process listens, on any address. */
  readonly taken?: () => ReadonlySet<number>;
}

/**
 * The ports of a job on this machine: for each port of the plan a port that was free on every address at the first
 * request for it. Later requests get the same port, also from a coordinator that takes over.
 */
export class LocalPorts {
  readonly #options: LocalPortsOptions;
  readonly #file: string;
  /** First port of each block that was given out. */
  readonly #given: Map<string, number>;
  #next: number;
  #unsaved = false;
  #seen: ReadonlySet<number> | undefined;

  constructor(options: LocalPortsOptions) {
    this.#options = options;
    this.#file = join(options.home, 'ports.json');
    this.#given = new Map(Object.entries(readGiven(this.#file)));
    this.#next = Math.floor(((options.block * GOLDEN) % 1) * blocks());
  }

  of(node: string, port: number): number {
    const chosen = this.#options.chosen.get(port);
    if (chosen !== undefined) return chosen;
    const anchor = ANCHORS.findLast((first) => first <= port) ?? 0;
    const index = Math.floor((port - anchor) / BLOCK);
    const key = `${this.#options.perNode ? node : ''} ${anchor + index * BLOCK}`;
    const first = this.#given.get(key) ?? this.#give(key);
    return first + ((port - anchor) % BLOCK);
  }

  #give(key: string): number {
    const taken = this.#taken();
    const used = new Set(this.#given.values());
    for (let step = 0; step < blocks(); step++) {
      const first = RANGE.from + ((this.#next + step) % blocks()) * BLOCK;
      if (used.has(first) || range(first).some((port) => taken.has(port))) continue;
      this.#next += step + 1;
      this.#given.set(key, first);
      this.#save();
      return first;
    }
    throw new Error(`no free ports are left between ${RANGE.from} and ${RANGE.to} of this machine`);
  }

  /** Looks once for all ports of a plan: on a busy machine the kernel takes 10 ms and more for its tables. */
  #taken(): ReadonlySet<number> {
    if (!this.#seen) queueMicrotask(() => (this.#seen = undefined));
    this.#seen ??= (this.#options.taken ?? listeningPorts)();
    return this.#seen;
  }

  /** Called once for all ports of a plan, before any of its processes is started. */
  #save(): void {
    if (this.#unsaved) return;
    this.#unsaved = true;
    queueMicrotask(() => {
      this.#unsaved = false;
      writeFileAtomic.sync(this.#file, JSON.stringify(Object.fromEntries(this.#given)), { mode: 0o600 });
    });
  }
}

const blocks = (): number => Math.floor((RANGE.to - RANGE.from) / BLOCK);

const range = (first: number): number[] => Array.from({ length: BLOCK }, (_, offset) => first + offset);

function readGiven(file: string): Record<string, number> {
  try {
    return fileSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return {};
  }
}

/** By Linux's tables of TCP sockets (proc(5)). */
function listeningPorts(): Set<number> {
  const ports = new Set<number>();
  for (const file of ['/proc/net/tcp', '/proc/net/tcp6'])
    for (const line of tableOf(file)) {
      const [, local = '', , state] = line.trim().split(/\s+/);
      if (state === '0A') ports.add(Number.parseInt(local.split(':')[1] ?? '', 16));
    }
  return ports;
}

function tableOf(file: string): string[] {
  try {
    return readFileSync(file, 'latin1').split('\n');
  } catch {
    return [];
  }
}
