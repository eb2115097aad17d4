import { submitError } from '../platform/slurm/submit.ts';
import { timeLimitMs } from '../recipe/values/time-limit.ts';
import { type Found, fail, ok, warn } from './finding.ts';
import type { Check, World } from './world.ts';

/** Checks of Slurm from the machine where srtctl is called. Without Slurm only the first one runs. */
export const SLURM_CHECKS: readonly [Check, ...Check[]] = [
  {
    id: 'slurm',
    async run(world) {
      const answer = await world.run('sinfo', ['--version']);
      if (!answer) {
        const text = 'no Slurm here: sinfo is not in PATH';
        const advice = 'run srtctl on a login node; `srtctl apply --local` needs no Slurm';
        return [world.needsSlurm ? fail(text, advice) : warn(text, advice)];
      }
      const controller = await world.run('sinfo', ['--noheader', '--format=%P']);
      if (controller?.exitCode !== 0)
        return [
          fail(
            `slurmctld does not answer: ${words(controller)}`,
            "try again later, or ask the cluster's staff",
          ),
        ];
      return [ok(answer.stdout.trim())];
    },
  },
  { id: 'partition', run: async (world) => partition(world) },
  {
    id: 'sbatch',
    async run(world) {
      const answer = await world.run('sbatch', ['--test-only'], world.wanted.script);
      if (answer?.exitCode === 0) return [ok('accepts a job with these defaults')];
      const error = submitError(answer ?? { exitCode: undefined, stdout: '', stderr: '', timedOut: true });
      return [fail(error.message, error.hint ?? 'change the defaults in srtslurm.yaml, or the recipe')];
    },
  },
  {
    id: 'containers',
    async run(world) {
      const runtime = world.cluster.container_runtime;
      if (runtime === 'none') return [ok('none: engines run on the nodes themselves')];
      if (runtime != null && runtime !== 'pyxis') return [];
      const answer = await world.run('srun', ['--help']);
      if (answer?.stdout.includes('--container-image')) return [ok('srun knows --container-image (pyxis)')];
      const advice = 'set container_runtime in srtslurm.yaml (none: engines on the nodes themselves)';
      const text = 'srun does not know --container-image: pyxis is not installed';
      return [runtime === 'pyxis' ? fail(text, advice) : warn(`${text}; only --mock runs`, advice)];
    },
  },
  {
    id: 'ownership',
    async run(world) {
      const answer = await world.run('scontrol', ['show', 'config']);
      const kind = /^ProctrackType\s*=\s*(\S+)/m.exec(answer?.stdout ?? '')?.[1];
      if (kind === undefined)
        return [
          warn(
            'scontrol does not show how Slurm tracks the processes of a step',
            'run `scontrol show config` on a login node, and check ProctrackType',
          ),
        ];
      return [
        kind === 'proctrack/cgroup'
          ? ok(`proof: Slurm ends all processes of a step when it ends (${kind})`)
          : ok(`search: srtctl finds leftover processes by its marks, because Slurm does not (${kind})`),
      ];
    },
  },
  {
    id: 'accounting',
    async run(world) {
      const answer = await world.run('sacct', ['--noheader', '--allocations', '--jobs=1']);
      if (answer?.exitCode === 0) return [ok('sacct answers')];
      // No problem, because the coordinator writes how a job ended into the job's directory.
      return [ok('sacct does not answer: Slurm shows how a job ended only while squeue lists it')];
    },
  },
];

/** Checks the partition of the job: it exists, is up, and allows the job's time limit. */
async function partition({ run, wanted }: World): Promise<Found[]> {
  const answer = await run('sinfo', ['--noheader', '--format=%P|%a|%l|%F']);
  const rows = (answer?.stdout ?? '').split('\n').flatMap((line) => {
    const [name = '', up = '', limit = '', counts = ''] = line.trim().split('|');
    const [, idle = 0, , total = 0] = counts.split('/').map(Number);
    return name === ''
      ? []
      : [{ name: name.replace(/\*$/, ''), isDefault: name.endsWith('*'), up, limit, idle, total }];
  });
  const of =
    wanted.partition?.split(',') ?? rows.filter(({ isDefault }) => isDefault).map(({ name }) => name);
  const advice = `set default_partition in srtslurm.yaml, or slurm.partition in the recipe; partitions: ${rows.map(({ name }) => name).join(', ') || 'none'}`;
  if (of.length === 0) return [fail('no partition is set, and the cluster has no default', advice)];
  return of.map((name): Found => {
    const row = rows.find((each) => each.name === name);
    if (!row) return fail(`the cluster has no partition ${name}`, advice);
    if (row.up !== 'up') return fail(`partition ${name} is ${row.up}`, advice);
    const [asked, most] = [timeLimitMs(wanted.timeLimit ?? ''), timeLimitMs(row.limit)];
    if (asked !== null && most !== null && asked > most)
      return fail(
        `time limit ${wanted.timeLimit} is longer than the ${row.limit} of partition ${name}`,
        'set default_time_limit in srtslurm.yaml, or slurm.time_limit in the recipe',
      );
    if (wanted.timeLimit === undefined)
      return warn(
        `${name}: ${row.total} nodes, ${row.idle} idle; no time limit is set`,
        'set default_time_limit in srtslurm.yaml',
      );
    return ok(`${name}: ${row.total} nodes, ${row.idle} idle, at most ${row.limit}`);
  });
}

const words = (answer: { stderr: string; timedOut: boolean } | undefined): string =>
  answer?.timedOut ? 'no answer' : (answer?.stderr.trim().split('\n')[0] ?? '') || 'no answer';
