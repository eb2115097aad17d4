import { chmod, mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { useJobs } from '../support/jobs.ts';
import { writeRecipe } from './recipe.ts';

const jobs = useJobs();

async function trtllmRecipe(frontend: 'dynamo' | 'trtllm_serve', requests = 4): Promise<string> {
  const file = join(await mkdtemp(join(jobs.dir, 'r-')), 'recipe.yaml');
  const options = 'tensor_parallel_size: 2, max_batch_size: 64, max_seq_len: 4096, stream_interval: 4';
  await writeFile(
    file,
    `name: trt
model: {path: test-model, container: repo/image:1, precision: fp8}
resources: {gpu_type: gb200, gpus_per_node: 2, prefill_nodes: 1, prefill_workers: 1, decode_nodes: 2, decode_workers: 1}
frontend: {type: ${frontend}, enable_multiple_frontends: false}
backend:
  type: trtllm
  trtllm_config:
    prefill: {${options}}
    decode: {${options.replace('size: 2', 'size: 4')}}
benchmark: {type: sa-bench, isl: 64, osl: 32, concurrencies: "2", num_prompts_mult: ${requests}, num_warmup_mult: 1}
`,
  );
  return file;
}

describe('TensorRT-LLM, whose ranks are started by MPI', () => {
  it.each(['dynamo', 'trtllm_serve'] as const)(
    'runs behind %s to a valid result and leaves nothing',
    async (frontend) => {
      const job = await jobs.apply(await trtllmRecipe(frontend));
      expect(await job.ended(), job.said).toBe(0);
      const [result] = await job.results();
      expect(result).toMatchObject({ status: 'done', benchmark: { valid: true } });
      expect(result?.benchmark?.serving[0]).toMatchObject({ completed: 8, failed: 0 });
      const log = await readFile(join(await job.jobDir(), 'logs/node2_decode_w0.out'), 'utf8');
      for (const rank of [1, 2, 3]) expect(log).toContain(`rank ${rank} waits for rank 0`);
      await job.nothingLeft();
    },
    90_000,
  );

  it("fails on a line of a rank's log that TensorRT-LLM lists as fatal, although all its processes keep running", async () => {
    const says =
      '[11/20/2026-09:20:11] [TRT-LLM] [RANK 3] [E] Executor loop crashed on this rank; hard-killing all 4 ranks in 10s';
    const faults = [
      { do: 'say', process: 'decode', request: 3, says },
      { do: 'stall', process: 'decode', request: 3 },
    ];
    const job = await jobs.apply(await trtllmRecipe('trtllm_serve', 4_000), {
      env: { SRTCTL_SIM_FAULTS: JSON.stringify(faults) },
    });
    expect(await job.ended()).toBe(1);
    const [result] = await job.results();
    expect(result?.cause).toMatchObject({ process: 'decode-0-0' });
    expect(result?.cause?.summary).toContain('Executor loop crashed on this rank');
    await job.nothingLeft();
  }, 90_000);

  it('ends with its first rank, wherever the other ranks are', async () => {
    const job = await jobs.apply(await trtllmRecipe('trtllm_serve', 4_000), {
      env: { SRTCTL_SIM_CRASH_AFTER_MS: '4000' },
    });
    expect(await job.ended()).toBe(1);
    expect(job.said).toContain('CUDA error: an illegal memory access');
    await job.nothingLeft();
  }, 90_000);
});

/**
 * A stand-in for a container runtime: records its command line, and runs the command on the machine itself.
 */
const RUNTIME = `#!/bin/bash
{ printf '%s\\n' "\${0##*/} $*"; } >>"$SRTCTL_TEST_CALLS"
[ "$1" = rm ] && exit 0
while [ $# -gt 0 ]; do
  case $1 in --pwd | --workdir) cd "$2" || exit ;; esac
  case $1 in *test-image*) shift; exec "$@" ;; *) shift ;; esac
done
exit 125
`;

describe('containers that agents start', () => {
  it.each([
    [
      'apptainer',
      /^apptainer exec --nv --writable-tmpfs --home \S+ .*docker:\/\/repo\/test-image:1 [\s\S]*?python3/m,
    ],
    ['enroot', /^enroot start --root --rw --rc \S+\/run-command\.sh .*repo#test-image:1 [\s\S]*?python3/m],
    ['docker', /^docker run --rm --init --name srtctl-\S+-prefill-0-0-\S+ .*--gpus all [\s\S]*?python3/m],
    ['podman', /^podman run --rm --init --name srtctl-\S+-prefill-0-0-\S+ [\s\S]*?python3/m],
  ])(
    '%s: a whole job runs in them, including the setup script',
    async (runtime, expected) => {
      const own = await mkdtemp(join(jobs.dir, 'c-'));
      await mkdir(join(own, 'bin'));
      await writeFile(join(own, 'bin', runtime), RUNTIME);
      await chmod(join(own, 'bin', runtime), 0o755);
      await writeFile(join(own, 'srtslurm.yaml'), `container_runtime: ${runtime}\n`);
      await writeFile(join(own, 'setup.sh'), `echo "$SRTCTL_PROCESS" >>${own}/prepared\n`);
      const recipe = await writeRecipe(own, { frontend: 'sglang' });
      await writeFile(recipe, (await readFile(recipe, 'utf8')).replace('test-image', 'repo#test-image:1'));
      const job = await jobs.apply(recipe, {
        args: ['--setup-script', join(own, 'setup.sh')],
        env: {
          PATH: `${own}/bin:${process.env.PATH}`,
          SRTSLURM_CONFIG: join(own, 'srtslurm.yaml'),
          SRTCTL_TEST_CALLS: join(own, 'calls'),
          HF_TOKEN: 'hidden-token',
        },
      });
      expect(await job.ended(), job.said).toBe(0);
      expect((await job.results())[0]).toMatchObject({ status: 'done', benchmark: { valid: true } });
      const calls = await readFile(join(own, 'calls'), 'utf8');
      expect(expected.test(calls)).toBe(true);
      expect(calls).toContain(`${await job.jobDir()}/logs`);
      expect(calls).not.toContain('hidden-token');
      // Runs before each command of the engines' image: three workers and the router.
      const prepared = (await readFile(join(own, 'prepared'), 'utf8')).trim().split('\n');
      expect(prepared.map((mark) => mark.split('/')[2]).sort()).toEqual([
        ...['decode-0-0', 'decode-1-0', 'frontend-0', 'prefill-0-0'],
      ]);
      await job.nothingLeft();
    },
    90_000,
  );
});
