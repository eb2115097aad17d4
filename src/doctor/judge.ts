import { gib } from './file-system.ts';
import { type Finding, type Found, fail, ok, warn } from './finding.ts';
import type { NodeReport } from './node-report.ts';

/**
 * `srtctl why` counts ends within 1.5 s as one event; a clock error above half of that changes their order.
 */
const CLOCK_WARN_MS = 750;
const CLOCK_FAIL_MS = 5_000;
const TMP_WARN = 10 * 2 ** 30;
const TMP_FAIL = 2 ** 30;
/** An idle GPU has some hundred MiB in use. */
const IDLE_MIB = 2_048;

export interface Expected {
  readonly gpus: number | undefined;
  readonly srtctl: string | null;
  /** Jobs that Slurm reports as running; their processes are no leftovers. */
  readonly runningJobs: ReadonlySet<string>;
  readonly outputs: string;
}

/** Turns a node's report into findings. Pure. */
export function judge(report: NodeReport, clockAheadMs: number | undefined, expected: Expected): Finding[] {
  const checks: Readonly<Record<string, readonly Found[]>> = {
    runtime: [ok(`Node runs, on ${report.machine}`)],
    'same srtctl': [sameSrtctl(report, expected)],
    output_dir: [outputDir(report, expected)],
    GPUs: gpus(report, expected),
    clock: clock(clockAheadMs),
    ports: [ports(report)],
    leftovers: leftovers(report, expected),
    ownership: [ownership(report)],
    paths: report.missing.map((path) =>
      fail(`${path} does not exist`, 'name an image or a directory of mounts that every node has'),
    ),
    models: report.models.map(({ path, problem }) =>
      problem === null
        ? ok(`${path} can be read`)
        : fail(
            `${path}: ${problem}`,
            'put the model on a file system that every node has, and make it readable for you',
          ),
    ),
    'free space': [freeSpace(report)],
    programs: report.programs.map(({ name, problem }) =>
      problem === null
        ? ok(`${name} is there`)
        : fail(
            problem,
            `put ${name} at the same path on every node, or on the shared file system (.srtctl/bin beside srtctl)`,
          ),
    ),
    network:
      report.interfaceProblem === null
        ? []
        : [
            warn(
              report.interfaceProblem,
              'correct network_interface in srtslurm.yaml; without it srtctl uses the interface that reaches the head node',
            ),
          ],
  };
  return Object.entries(checks).flatMap(([check, found]) =>
    found.map((each) => ({ check, where: report.node, ...each })),
  );
}

function sameSrtctl({ srtctl }: NodeReport, expected: Expected): Found {
  if (srtctl.version === expected.srtctl) return ok('the same as here');
  const advice = 'run srtctl from a file system that every node has';
  return fail(
    srtctl.version === null
      ? 'cannot be read'
      : `another version: ${srtctl.version}, here ${expected.srtctl}`,
    advice,
  );
}

function outputDir({ outputs }: NodeReport, expected: Expected): Found {
  const advice = 'set output_dir in srtslurm.yaml to a directory of yours on a shared file system';
  if (!outputs.seesToken) return fail(`does not see a file just written to ${expected.outputs}`, advice);
  if (outputs.writeProblem !== null) return fail(outputs.writeProblem, advice);
  return ok(`${expected.outputs} is shared and can be written`);
}

function gpus({ gpus: cards, gpuError, visibleDevices }: NodeReport, expected: Expected): Found[] {
  const wanted = expected.gpus;
  if (gpuError !== null)
    return [
      fail(
        `nvidia-smi: ${gpuError}`,
        'the node is broken: report it to the staff of the cluster, and exclude it (sbatch_directives.exclude)',
      ),
    ];
  if (cards === null) {
    const given = (visibleDevices ?? '').split(',').filter((each) => each !== '').length;
    if (given > 0)
      return [
        warn(`no nvidia-smi; Slurm gave ${given} GPUs`, 'nothing to do where the nodes have no NVIDIA GPUs'),
      ];
    return [
      warn(
        'no nvidia-smi, and no GPUs from Slurm',
        'nothing to do for --mock; else name a partition with GPUs',
      ),
    ];
  }
  const busy = cards.filter(({ usedMib }) => usedMib > IDLE_MIB);
  const count = `${cards.length} × ${cards[0]?.name ?? 'GPU'}`;
  return [
    wanted !== undefined && cards.length < wanted
      ? fail(
          `${count}, but the job needs ${wanted}`,
          'correct gpus_per_node, or exclude the node (sbatch_directives.exclude)',
        )
      : ok(count),
    ...busy.map(({ index, usedMib }) =>
      warn(
        `GPU ${index} has ${gib(usedMib * 2 ** 20)} in use`,
        'check leftovers and other programs on the node (nvidia-smi); use_exclusive_sbatch_directive keeps other jobs away',
      ),
    ),
  ];
}

function clock(aheadMs: number | undefined): Found[] {
  if (aheadMs === undefined) return [];
  const off = Math.abs(aheadMs);
  const text = `${(off / 1_000).toFixed(1)} s ${aheadMs > 0 ? 'ahead of' : 'behind'} this machine`;
  const advice = 'the node’s clock is not synchronised (NTP, chrony): report it to the staff of the cluster';
  if (off > CLOCK_FAIL_MS) return [fail(text, advice)];
  if (off > CLOCK_WARN_MS) return [warn(text, advice)];
  return [ok('agrees with this machine’s')];
}

function ports({ portsTaken }: NodeReport): Found {
  if (portsTaken.length === 0) return ok('are free');
  const list = portsTaken.slice(0, 8).join(', ');
  return warn(
    `taken: ${list}${portsTaken.length > 8 ? ` and ${portsTaken.length - 8} more` : ''}`,
    'another job or user is on the node: use_exclusive_sbatch_directive in srtslurm.yaml keeps others away; check leftovers',
  );
}

function leftovers({ leftovers: all }: NodeReport, { runningJobs }: Expected): Found[] {
  const runs = (job: string): boolean => runningJobs.has(job) || runningJobs.has(job.split('-')[0] ?? job);
  const left = all.filter(({ job }) => job === null || !runs(job));
  if (left.length === 0) return [ok('none')];
  return [...new Set(left.map(({ job }) => job))].map((job) => {
    const processes = left.filter((each) => each.job === job);
    return fail(
      `${processes.length} of ${job === null ? 'a job that is over' : `job ${job}`}: ${processes[0]?.command ?? ''}`,
      `kill ${processes.map(({ pid }) => pid).join(' ')} on the node`,
    );
  });
}

function ownership({ ownership: { mark, keeper } }: NodeReport): Found {
  if (!mark)
    return warn(
      'cannot mark processes permanently: no prlimit, and no shell that can set the limit',
      'install util-linux on the node; until then only the process group finds a process that clears its environment',
    );
  if (keeper === null)
    return warn(
      'an agent has no keeper without perl or python3: a process that forks repeatedly may outlive it',
      'install perl-base or python3 on the node, or in the image',
    );
  return ok(`processes are marked, and kept by ${keeper}`);
}

function freeSpace({ tmp: { path, freeBytes } }: NodeReport): Found {
  const text = `${gib(freeBytes)} in ${path}`;
  const advice = `free space in ${path}, which holds engine logs and files of the job`;
  if (freeBytes < TMP_FAIL) return fail(text, advice);
  return freeBytes < TMP_WARN ? warn(text, advice) : ok(`enough in ${path}`);
}
