import { randomUUID } from 'node:crypto';
import { SrtctlError } from '../../os/errors.ts';
import { type Answer, slurm } from './commands.ts';
import { findSubmitted, isUncertain, type Patience } from './find-submitted.ts';

const SET_TIME = 'set slurm.time_limit in the recipe or default_time_limit in srtslurm.yaml, as HH:MM:SS';

/** What sbatch's errors mean for the author of a recipe. The first match counts. */
const HINTS: readonly [RegExp, string][] = [
  [
    /QOSMaxSubmit|QOSMaxJobs|AssocMaxSubmit|AssocMaxJobs|MaxSubmitJobs|job submit limit exceeded/i,
    'you have as many jobs in the queue as the limit allows: wait for some to end or cancel them (squeue --me), or change qos in sbatch_directives, or slurm.account',
  ],
  [
    /MaxWall|wall ?clock|requested time limit is invalid|time limit .*(longer|exceeds)/i,
    'the time limit is longer than allowed: set slurm.time_limit in the recipe or default_time_limit in srtslurm.yaml, or change qos in sbatch_directives',
  ],
  [
    /(QOS|Assoc)(Max|Grp)\w*(Node|TRES|GRES|Cpu|Mem)/i,
    'the job asks for more nodes or GPUs than allowed: change resources, or qos in sbatch_directives; `sacctmgr show qos` lists the limits',
  ],
  [
    /accounting\/QOS policy/i,
    'the job is over a limit of its account or QOS: change slurm.time_limit, resources, slurm.account, or qos in sbatch_directives; `sacctmgr show qos` lists the limits',
  ],
  [
    /account\/partition|account .{0,40}partition/i,
    'set slurm.account in the recipe or default_account in srtslurm.yaml, or slurm.partition to one that the account may use; `sacctmgr show associations user=$USER` lists yours',
  ],
  [/time limit/i, SET_TIME],
  [
    /topology|segment/i,
    'the nodes cannot be had within one segment: use fewer nodes, or set use_segment_sbatch_directive to false in srtslurm.yaml',
  ],
  [
    /partition/i,
    'set slurm.partition in the recipe or default_partition in srtslurm.yaml; `sinfo -s` lists the partitions',
  ],
  [
    /account/i,
    'set slurm.account in the recipe or default_account in srtslurm.yaml; `sacctmgr show associations user=$USER` lists yours',
  ],
  [/qos/i, 'change qos in sbatch_directives'],
  [/\btime\b/i, SET_TIME],
  [/reservation/i, 'change reservation in sbatch_directives; `scontrol show reservation` lists them'],
  [
    /feature|constraint/i,
    'change constraint in sbatch_directives; `sinfo -o "%N %f"` lists the features of nodes',
  ],
  [/specify a type/i, 'name the type of the GPUs with gpus-per-node in sbatch_directives, such as "h100:8"'],
  [
    /gres|generic resource|trackable resource/i,
    'the nodes have other or fewer GPUs: change resources.gpus_per_node, or use_gpus_per_node_directive in srtslurm.yaml',
  ],
  [/memory|mem_per_/i, 'change mem in sbatch_directives'],
  [/cpu count/i, 'change cpus-per-task in sbatch_directives, or resources'],
  [/node name|nodelist|node list/i, 'change nodelist or exclude in sbatch_directives'],
  [/licen[sc]e/i, 'change licenses in sbatch_directives'],
  [/dependency/i, 'change dependency in sbatch_directives'],
  [/wckey/i, 'change wckey in sbatch_directives'],
  [/i\/o error writing/i, 'the disk of slurmctld is full or broken: tell the staff of the cluster'],
  [
    /authentication|credential/i,
    'this node is not known to slurmctld (munge, or its clock): tell the staff of the cluster',
  ],
  [
    /unrecognized option|invalid option/i,
    'change sbatch_directives, in the recipe or the default_sbatch_directives of srtslurm.yaml',
  ],
  [
    /node (configuration|count)|more (processors|nodes)/i,
    'the partition has no such nodes: change resources or slurm.partition; `sinfo -N -l` lists the nodes',
  ],
  [/contact|connect|timed out/i, 'slurmctld does not answer: try again later; nothing was submitted'],
];

/** sbatch's error in one line, with a hint. */
export function submitError({ stderr, stdout }: Answer): SrtctlError {
  const lines = (stderr.trim() || stdout.trim())
    .split('\n')
    .map((line) => line.replace(/^sbatch: (error: )?/, '').trim())
    .filter((line) => line !== '' && !line.startsWith('Try "sbatch --help"'));
  const text = lines.join('; ') || 'it says nothing';
  const hint = HINTS.find(([pattern]) => pattern.test(text))?.[1];
  return new SrtctlError(
    'sbatch-failed',
    `sbatch refused the job: ${text}`,
    hint === undefined ? {} : { hint },
  );
}

/** Directives that only newer releases of Slurm know, and without which a job can run. */
const DISPENSABLE = ['segment'] as const;

export interface Submitted {
  readonly jobId: string;
  /** The script that sbatch accepted. */
  readonly script: string;
  /** Directives that this Slurm does not know. */
  readonly leftOut: readonly string[];
}

/**
 * Submits a script, held, because the name of the job's directory contains the job id, and the directory must exist
 * before the job starts.
 * @throws SrtctlError with sbatch's own message and a hint
 */
export async function submitHeld(script: string, cwd: string, patience?: Patience): Promise<Submitted> {
  const leftOut: string[] = [];
  const mark = `srtctl-${randomUUID()}`;
  // Programs of the site may read the user's own comment, so it stays.
  const hasComment = /^#SBATCH --comment\b/m.test(script);
  const line = `# Submission ${mark}`;
  const options = ['--parsable', '--hold', `--chdir=${cwd}`, ...(hasComment ? [] : [`--comment=${mark}`])];
  let text = hasComment ? `${script.trimEnd()}\n${line}\n` : script;
  for (;;) {
    const answer = await slurm('sbatch', options, { input: text });
    const jobId = /^(\d+)/m.exec(answer.stdout)?.[1];
    if (answer.exitCode === 0 && jobId !== undefined) return { jobId, script: text, leftOut };
    if (isUncertain(answer)) {
      process.stderr.write('srtctl: sbatch had no answer in time: looking for the job in the queue\n');
      const found = await findSubmitted(hasComment ? { line } : { comment: mark }, patience);
      if (found !== undefined) return { jobId: found, script: text, leftOut };
      throw new SrtctlError(
        'sbatch-failed',
        'sbatch had no answer in time, and the job is not in the queue: nothing was submitted',
        { hint: 'slurmctld is busy: try again later' },
      );
    }
    const unknown = DISPENSABLE.find(
      (name) =>
        !leftOut.includes(name) && new RegExp(`unrecognized option '--${name}\\b`).test(answer.stderr),
    );
    if (unknown === undefined) throw submitError(answer);
    leftOut.push(unknown);
    text = without(text, unknown);
  }
}

const without = (script: string, directive: string): string =>
  script
    .split('\n')
    .filter((line) => !line.startsWith(`#SBATCH --${directive}=`))
    .join('\n');

/**
 * A script that somebody else submits, without the directives that this Slurm does not know. Where there is no sbatch,
 * the script stays as it is.
 */
export async function forThisSlurm(script: string): Promise<Pick<Submitted, 'script' | 'leftOut'>> {
  const { exitCode, stdout } = await slurm('sbatch', ['--help']).catch((error: unknown) => {
    if (error instanceof SrtctlError && error.code === 'no-slurm') return { exitCode: 127, stdout: '' };
    throw error;
  });
  const leftOut =
    exitCode === 0
      ? DISPENSABLE.filter((name) => !stdout.includes(`--${name}`) && script.includes(`--${name}=`))
      : [];
  return { script: leftOut.reduce(without, script), leftOut };
}

/** Releases a held job. */
export async function release(jobId: string): Promise<void> {
  const answer = await slurm('scontrol', ['release', jobId]);
  if (answer.exitCode === 0) return;
  throw new SrtctlError('release-failed', `Slurm job ${jobId} cannot be released: ${answer.stderr.trim()}`, {
    hint: `scontrol release ${jobId}`,
  });
}

/**
 * Refuses a job with more nodes than its partition, because the job would wait forever.
 * @throws SrtctlError when the job asks for more nodes
 */
export async function refuseTooLarge(
  nodes: number,
  partition: string | undefined,
  place: string,
): Promise<void> {
  const { exitCode, stdout } = await slurm('sinfo', [
    '--noheader',
    '--format=%P|%D',
    ...(partition ? [`--partition=${partition}`] : []),
  ]);
  if (exitCode !== 0) return;
  const sizes = new Map<string, number>();
  for (const line of stdout.split('\n')) {
    const [name = '', count = ''] = line.split('|');
    if (name !== '') sizes.set(name, (sizes.get(name) ?? 0) + Number(count));
  }
  const [name, size] = [...sizes].find(([each]) => partition !== undefined || each.endsWith('*')) ?? [];
  if (name === undefined || size === undefined || nodes <= size) return;
  throw new SrtctlError(
    'too-few-nodes',
    `the recipe needs ${nodes} nodes, and partition ${name.replace('*', '')} has ${size}`,
    {
      place: { file: place, path: 'resources' },
      hint: 'change resources, or name a larger one with slurm.partition',
    },
  );
}
