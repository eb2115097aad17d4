import * as z from 'zod';

/** The request to a node's check. */
export const nodeRequestSchema = z.object({
  cwd: z.string(),
  /**
   * A directory that the login node and the nodes should share, and a file that the login node has just
   * written there.
   */
  outputs: z.string(),
  token: z.string(),
  distDir: z.string(),
  models: z.array(z.string()),
  paths: z.array(z.string()).default([]),
  ports: z.array(z.number()),
  programs: z.array(z.string()),
  networkInterface: z.string().nullable(),
});
export type NodeRequest = z.infer<typeof nodeRequestSchema>;

const gpuSchema = z.object({
  index: z.string(),
  name: z.string(),
  usedMib: z.number(),
  totalMib: z.number(),
});
export type Gpu = z.infer<typeof gpuSchema>;

/** A node's report; the login node turns it into findings. */
export const nodeReportSchema = z.object({
  node: z.string(),
  machine: z.string(),
  /** null: the node has no nvidia-smi. */
  gpus: z.array(gpuSchema).nullable(),
  gpuError: z.string().nullable(),
  /** CUDA_VISIBLE_DEVICES, which Slurm sets. */
  visibleDevices: z.string().nullable(),
  portsTaken: z.array(z.number()),
  /** `job` is null for a process that has cleared its environment; its owner has ended. */
  leftovers: z.array(z.object({ pid: z.number(), job: z.string().nullable(), command: z.string() })),
  /**
   * What ties processes to their agent on the node: a mark that they cannot lose, and a keeper that is their
   * parent.
   */
  ownership: z.object({ mark: z.boolean(), keeper: z.enum(['perl', 'python3']).nullable() }),
  models: z.array(z.object({ path: z.string(), problem: z.string().nullable() })),
  /** Images and host directories of mounts that are missing. */
  missing: z.array(z.string()).default([]),
  tmp: z.object({ path: z.string(), freeBytes: z.number() }),
  /** Digest of the agent's code; null when it cannot be read. */
  srtctl: z.object({ version: z.string().nullable() }),
  outputs: z.object({ seesToken: z.boolean(), writeProblem: z.string().nullable() }),
  /** nats-server and container runtimes; `problem` is null for a program that was found. */
  programs: z.array(z.object({ name: z.string(), problem: z.string().nullable() })),
  interfaceProblem: z.string().nullable(),
});
export type NodeReport = z.infer<typeof nodeReportSchema>;

/**
 * Lines of a node's report. Slurm keeps lines of up to 1,024 bytes whole and interleaves those of nodes, so a
 * report is sent in numbered pieces. A clock line is sent as soon as it is made; its arrival shows the offset
 * of the node's clock.
 */
const REPORT = 'SRTCTL-DOCTOR';
const CLOCK = 'SRTCTL-CLOCK';
const FAILED = 'SRTCTL-FAILED';
const PIECE = 600;

export const clockLine = (node: string, nowMs: number): string => `${CLOCK} ${node} ${nowMs}`;

export function reportLines(report: NodeReport): string[] {
  const text = Buffer.from(JSON.stringify(report)).toString('base64');
  const count = Math.ceil(text.length / PIECE);
  return Array.from(
    { length: count },
    (_, index) =>
      `${REPORT} ${report.node} ${index + 1} ${count} ${text.slice(index * PIECE, (index + 1) * PIECE)}`,
  );
}

/** Assembles the reports of the nodes from their lines. */
export class ReportReader {
  readonly reports = new Map<string, NodeReport>();
  /** Nodes whose check could not start, and why. */
  readonly failed = new Map<string, string>();
  /** How far a node's clock is ahead of this machine's, ms; the transport delay makes it less. */
  readonly clockAheadMs = new Map<string, number>();
  readonly #pieces = new Map<string, string[]>();

  take(line: string, nowMs: number): void {
    const [kind, node = '', ...rest] = line.trim().split(' ');
    if (kind === CLOCK) {
      const ahead = Number(rest[0]) - nowMs;
      // The fastest line of several is the most accurate.
      if (Number.isFinite(ahead))
        this.clockAheadMs.set(node, Math.max(ahead, this.clockAheadMs.get(node) ?? ahead));
    } else if (kind === FAILED) this.failed.set(node, rest.join(' '));
    else if (kind === REPORT) this.#takePiece(node, rest);
  }

  #takePiece(node: string, [at = '', count = '', text = '']: string[]): void {
    const pieces = this.#pieces.get(node) ?? [];
    pieces[Number(at) - 1] = text;
    this.#pieces.set(node, pieces);
    if (pieces.filter((piece) => piece !== undefined).length < Number(count)) return;
    try {
      const json: unknown = JSON.parse(Buffer.from(pieces.join(''), 'base64').toString());
      this.reports.set(node, nodeReportSchema.parse(json));
    } catch (error) {
      this.failed.set(
        node,
        `its report cannot be read: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }
}

/**
 * srun starts this on each node: it finds the Node runtime for the node's architecture and becomes the check.
 * Arguments: the program, the request, then pairs of architecture and node binary.
 */
const LAUNCHER = `program=$1 request=$2
shift 2
fail() {
  echo "${FAILED} $SLURMD_NODENAME $1"
  exit 0
}
arch=$(uname -m)
while [ $# -gt 1 ] && [ "$1" != "$arch" ]; do shift 2; done
[ $# -gt 1 ] || fail "no Node runtime for $arch: add runtime.$arch to srtslurm.yaml"
[ -x "$2" ] || fail "the Node runtime $2 does not exist: put it on a file system that every node has, or set runtime.$arch in srtslurm.yaml"
[ -r "$program" ] || fail "srtctl's $program does not exist: put it on a file system that every node has"
"$2" "$program" "$request" || fail "the Node runtime $2 does not run on this node (exit code $?): set runtime.$arch in srtslurm.yaml to one that does"`;

export const nodeCommand = (
  program: string,
  request: NodeRequest,
  runtimes: Readonly<Record<string, string>>,
): string[] => [
  ...['/bin/sh', '-c', LAUNCHER, 'srtctl-doctor', program, JSON.stringify(request)],
  ...Object.entries(runtimes).flat(),
];
