import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { freePort } from '../../src/platform/local/local-platform.ts';
import { exists, until } from '../support/bus.ts';
import type { RunningJob } from '../support/job.ts';
import { useJobs } from '../support/jobs.ts';
import { signal } from '../support/signal.ts';

const jobs = useJobs();

const HEAD = `name: e2e-services
model: {path: test-model, container: test-image, precision: fp8}
resources: {gpu_type: h100, gpus_per_node: 4, agg_nodes: 1, agg_workers: 2, gpus_per_agg: 2}
frontend: {type: sglang, enable_multiple_frontends: false}
backend: {type: sglang, sglang_config: {aggregated: {served-model-name: test/model, tensor-parallel-size: 2}}}
`;
/** A job of services alone. */
const ALONE = `name: e2e-services
model: {path: test-model, container: test-image, precision: fp8}
resources: {gpu_type: h100, gpus_per_node: 4}
frontend: {type: none}
`;

let written = 0;
async function run(text: string): Promise<RunningJob> {
  const file = join(jobs.dir, `services-${written++}.yaml`);
  await writeFile(file, text);
  return jobs.apply(file);
}

const custom = (command: string): string =>
  `benchmark: {type: custom, command: ${JSON.stringify(command)}}\n`;

const logOf = async (job: RunningJob, name: string): Promise<string> =>
  readFile(join(await job.jobDir(), 'logs', name), 'utf8');

const benchmarkOf = async (job: RunningJob): Promise<string> => {
  const points = join(await job.jobDir(), 'points');
  const [first = ''] = await readdir(points);
  return readFile(join(points, first, 'benchmark.out'), 'utf8');
};

describe('services beside workers', () => {
  it('run on their nodes, and a custom benchmark finds them', async () => {
    const job = await run(`${HEAD}services:
  - {name: train, command: [sleep, infinity], nodes: 2}
  - {name: nap, command: [sleep, infinity], nodes: 1}
  - {name: watcher, command: [sh, -c, "echo on {node} of {pool_nodes} {other}; exec sleep infinity"], placement: {pool: train}, readiness: {log: {pattern: '^on '}}}
  - {name: beside, command: [sh, -c, 'echo gpus $CUDA_VISIBLE_DEVICES of {worker_role} {worker_index}; exec sleep infinity'], placement: {node: agg, per: worker}}
${custom('echo "train $SRT_SERVICE_TRAIN_NODES $SRT_SERVICE_TRAIN_NODE_COUNT of $SRT_GPUS_PER_NODE"; echo "nap $SRT_SERVICE_NAP_IPS"')}`);
    expect(await job.ended(), job.said).toBe(0);
    const said = await benchmarkOf(job);
    const [, nodes = ''] = /train (\S+) 2 of 4/.exec(said) ?? [];
    expect(nodes.split(',')).toHaveLength(2);
    expect(await logOf(job, 'service_watcher_node2.out')).toBe(
      `on ${nodes.split(',')[0]} of ${nodes} {other}\n`,
    );
    expect(await logOf(job, 'service_beside_agg_1_node1.out')).toBe('gpus 2,3 of agg 1\n');
    await job.nothingLeft();
  }, 120_000);

  it('are ready by port, request, line of the log or file, each before the next one starts', async () => {
    const port = await freePort('127.0.0.1');
    const job = await run(
      `${HEAD}services:
  - {name: web, command: [python3, -u, -m, http.server, '${port}', --bind, '{node_ip}'], start: before_workers, readiness: {http: {port: ${port}, path: /, status: 200}}}
  - {name: asks, command: [sh, -c, "python3 -c 'import urllib.request as u; print(u.urlopen(\\"http://{node_ip}:${port}/\\").status)' && echo ready && exec sleep infinity"], start: before_workers, readiness: {log: {pattern: ^ready$}}}
  - {name: marks, command: [sh, -c, 'echo x > "$0" && exec sleep infinity', '{mark}'], env: {MARK: x}}
  - {name: last, command: [sh, -c, 'exec sleep infinity'], readiness: {port: ${port}}, placement: {node: agg}, enabled: false}
${custom('true')}`.replace(
        "'{mark}'], env: {MARK: x}}",
        `${JSON.stringify(join(jobs.dir, 'mark'))}], readiness: {file: {path: ${JSON.stringify(join(jobs.dir, 'mark'))}}}}`,
      ),
    );
    expect(await job.ended(), job.said).toBe(0);
    expect(await logOf(job, 'service_asks.out')).toBe('200\nready\n');
    const [ready] = (await job.transitions('service-asks-0')).filter(({ to }) => to === 'ready');
    expect(ready?.why).toContain('its log says: ready');
    const [file] = (await job.transitions('service-marks-0')).filter(({ to }) => to === 'ready');
    expect(file?.why).toContain('mark exists');
  }, 120_000);

  it('that are not critical may die: the run goes on, and says so', async () => {
    const job = await run(`${HEAD}services:
  - {name: frail, command: [sh, -c, 'exit 7'], start: before_workers}
  - {name: brief, command: ['true'], start: before_workers}
${custom('true')}`);
    expect(await job.ended(), job.said).toBe(0);
    const [result] = await job.results();
    expect(result).toMatchObject({ status: 'done', lost: [{ process: 'service-frail-0', exitCode: 7 }] });
  }, 120_000);

  it('that are critical, or do not become ready, fail the point', async () => {
    const dies = await run(`${HEAD}services:
  - {name: vital, command: [sh, -c, 'sleep 0.2; exit 7'], critical: true}
${custom('sleep 600')}`);
    expect(await dies.ended(), dies.said).toBe(1);
    expect((await dies.results())[0]?.cause).toMatchObject({ process: 'service-vital-0', exitCode: 7 });
    const never = await run(`${HEAD}services:
  - {name: silent, command: [sleep, infinity], readiness: {log: {pattern: never}, timeout_seconds: 1}}
${custom('true')}`);
    expect(await never.ended(), never.said).toBe(1);
    expect((await never.results())[0]?.cause?.summary).toContain(
      'not ready after 1 s: no line of its log says',
    );
    const early = await run(`${HEAD}services:
  - {name: early, command: ['true'], readiness: {log: {pattern: never}}}
${custom('true')}`);
    expect(await early.ended(), early.said).toBe(1);
    expect((await early.results())[0]?.cause?.summary).toContain(
      'ended with exit code 0 before it was ready',
    );
  }, 180_000);
});

describe('a job of services alone', () => {
  it('ends with its terminal services, and stops those beside them', async () => {
    const job = await run(`${ALONE}services:
  - {name: train, command: [sh, -c, 'echo rank {index} of {pool_node_count} at {pool_ip}'], nodes: 2, terminal: true}
  - {name: helper, command: [sleep, infinity], placement: {pool: train}}
`);
    expect(await job.ended(), job.said).toBe(0);
    expect((await job.results())[0]).toMatchObject({
      status: 'done',
      benchmark: { type: 'manual', valid: null },
    });
    expect(await logOf(job, 'service_train_node2.out')).toMatch(/^rank 1 of 2 at 127/);
    await job.nothingLeft();
  }, 120_000);

  it('ends with the worst exit code of its terminal services, when all of them have ended', async () => {
    const job = await run(`${ALONE}services:
  - {name: a, command: [sh, -c, 'exit 5'], nodes: 1, terminal: true}
  - {name: b, command: [sh, -c, 'sleep 1; exit 9'], nodes: 1, terminal: true}
`);
    expect(await job.ended(), job.said).toBe(9);
    expect((await job.results())[0]?.cause).toMatchObject({ process: 'service-b-0', exitCode: 9 });
    expect(await job.state()).toMatchObject({ exitCode: 9 });
  }, 120_000);

  it('is driven by a custom benchmark', async () => {
    const job = await run(`${ALONE}services:
  - {name: train, command: [sleep, infinity], nodes: 2}
${custom('echo "workers [$SRT_WORKER_NODES] url [$SRT_FRONTEND_URL]"')}`);
    expect(await job.ended(), job.said).toBe(0);
    expect(await benchmarkOf(job)).toBe('workers [] url []\n');
  }, 120_000);
});

describe('services of a coordinator that is killed', () => {
  const killed = async (job: RunningJob): Promise<void> => {
    const { coordinatorPid } = await job.state();
    signal(coordinatorPid, 'SIGKILL');
    await until('the next coordinator', async () => (await job.state()).epoch === 2);
  };

  it('go on under the next one, which ends them with the run', async () => {
    const end = join(jobs.dir, 'end');
    const job = await run(`${HEAD}services:
  - {name: base, command: [sh, -c, 'echo up; exec sleep infinity'], start: before_workers, readiness: {log: {pattern: ^up$}}}
  - {name: beside, command: [sleep, infinity], placement: {node: agg, per: worker}}
  - {name: after, command: [sleep, infinity], nodes: 1, critical: false}
${custom(`until test -e ${end}; do sleep 0.1; done`)}`);
    await job.reached('benchmark', 'ready');
    const ids = ['service-base-0', 'service-beside-0', 'service-beside-1', 'service-after-0'];
    const pids = await Promise.all(ids.map((id) => job.pidOf(id)));
    await killed(job);
    await writeFile(end, '');
    expect(await job.ended(), job.said).toBe(0);
    for (const id of ids) {
      const moves = await job.transitions(id);
      expect(moves.filter(({ from }) => from === 'preparing')).toHaveLength(1);
    }
    expect(new Set(pids).size).toBe(4);
    await job.nothingLeft();
  }, 120_000);

  it('that are the run give it their exit code, also when they end while there is no coordinator', async () => {
    const end = join(jobs.dir, 'end-of-terminal');
    const job = await run(`${ALONE}services:
  - {name: a, command: [sh, -c, 'until test -e ${end}; do sleep 0.1; done; exit 7'], nodes: 1, terminal: true}
`);
    await job.reached('service-a-0', 'ready');
    signal(job.child.pid, 'SIGSTOP');
    const { coordinatorPid } = await job.state();
    const pid = await job.pidOf('service-a-0');
    signal(coordinatorPid, 'SIGKILL');
    await writeFile(end, '');
    await until('the end of the service', () => !exists(pid));
    signal(job.child.pid, 'SIGCONT');
    expect(await job.ended(), job.said).toBe(7);
    await job.nothingLeft();
  }, 120_000);
});

describe('services with programs of other people', () => {
  it('are etcd and NATS also without Dynamo', async () => {
    const client = `import os, socket, urllib.parse, urllib.request
at = urllib.parse.urlparse(os.environ['NATS_SERVER'])
info = socket.create_connection((at.hostname, at.port)).recv(65536).decode()
print('etcd', urllib.request.urlopen(os.environ['ETCD_ENDPOINTS'] + '/version').status)
print('nats', '"max_payload":8388608' in info)
`;
    const file = join(jobs.dir, 'client.py');
    await writeFile(file, client);
    const job = await run(`${ALONE}services:
  - {name: etcd, type: etcd}
  - {name: nats, type: nats, options: {max_payload_mb: 8}}
  - {name: client, command: [python3, ${JSON.stringify(file)}], nodes: 1, terminal: true}
`);
    expect(await job.ended(), job.said).toBe(0);
    expect(await logOf(job, 'service_client.out')).toBe('etcd 200\nnats True\n');
  }, 120_000);

  const nginx = resolve('.srtctl/real/debian/usr/sbin/nginx');
  it.skipIf(!existsSync(nginx))(
    'is nginx with a configuration of its own',
    async () => {
      const port = await freePort('127.0.0.1');
      const conf = join(jobs.dir, 'nginx.conf');
      const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
        .map((name) => `${name}_temp_path ${jobs.dir}/${name};`)
        .join(' ');
      await writeFile(
        conf,
        `pid ${jobs.dir}/nginx.pid; error_log stderr; events {} http { access_log off; ${temporary} server { listen 127.0.0.1:${port}; return 200 "hello\\n"; } }\n`,
      );
      const job = await run(`${ALONE}services:
  - {name: web, command: [${nginx}, -c, ${conf}, -g, 'daemon off;'], nodes: 1, readiness: {log: {pattern: never}}, enabled: false}
  - {name: proxy, command: [${nginx}, -c, ${conf}, -g, 'daemon off;'], nodes: 1, start: before_workers}
${custom(`until curl -sf http://127.0.0.1:${port}/; do sleep 0.2; done`)}`);
      expect(await job.ended(), job.said).toBe(0);
      expect(await benchmarkOf(job)).toContain('hello');
      await job.nothingLeft();
    },
    120_000,
  );

  const exporters = resolve('.srtctl/real/debian/usr/bin');
  it.skipIf(!existsSync(join(exporters, 'prometheus-node-exporter')))(
    'is Prometheus’ exporter of each node',
    async () => {
      const file = join(jobs.dir, 'exporter.yaml');
      await writeFile(
        file,
        `${ALONE}services:
  - {name: pool, command: [sleep, infinity], nodes: 1}
  - {name: metrics, type: node-exporter, placement: {pool: pool}}
${custom('sleep 1')}`,
      );
      const job = await jobs.apply(file, { env: { PATH: `${exporters}:${process.env.PATH}` } });
      expect(await job.ended(), job.said).toBe(0);
      expect((await job.results())[0]?.lost).toBeUndefined();
      expect(await logOf(job, 'service_metrics.out')).toContain('Listening on');
    },
    120_000,
  );
});

describe('services without their programs, in a simulated job', () => {
  it('have stand-ins of each kind, which are ready as the recipe wants it', async () => {
    const job = await run(`name: stand-ins
model: {path: test-model, container: test-image, precision: fp8}
resources: {gpu_type: h100, gpus_per_node: 4, prefill_nodes: 1, prefill_workers: 1, decode_nodes: 1, decode_workers: 1}
frontend: {type: trtllm_serve, enable_multiple_frontends: false}
backend: {type: trtllm, trtllm_config: {prefill: {tensor_parallel_size: 4}, decode: {tensor_parallel_size: 4}}}
services:
  - {name: mooncake-master, type: mooncake-master, start: with_workers, options: {eviction_ratio: 0.05}}
  - {name: donor, type: mooncake-donor, start: with_workers, options: {size: 4GiB}, readiness: {file: {path: 'mooncake/donor-{node}.ready'}}}
  - {name: store, type: mooncake-store, placement: {node: decode}}
  - {name: train, type: ray, nodes: 2}
  - {name: lm, type: lmcache-server}
  - {name: gpus, type: dcgm-exporter}
  - {name: all, type: process-exporter, options: {binary: /no/such/exporter}}
  - {name: own, command: [/no/such/program], critical: true, preamble: exit 3, readiness: {log: {pattern: 'up .*'}}}
${custom('true')}`);
    expect(await job.ended(), job.said).toBe(0);
    expect((await job.results())[0]?.lost).toBeUndefined();
    expect(await logOf(job, 'service_own.out')).toContain('stand-in for /no/such/program');
    await job.nothingLeft();
  }, 180_000);
});

describe('a service with a repository', () => {
  it('is fetched and built before it starts, once, and runs in its directory', async () => {
    const repository = join(jobs.dir, 'repository');
    mkdirSync(join(repository, 'sub'), { recursive: true });
    await writeFile(join(repository, 'sub', 'words'), 'from the tag');
    const git = (...args: string[]) =>
      execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@b', ...args], { cwd: repository });
    git('init', '--quiet');
    git('add', '.');
    git('commit', '--quiet', '-m', 'first');
    git('tag', 'v1');
    await writeFile(join(repository, 'sub', 'words'), 'later');
    git('commit', '--quiet', '-a', '-m', 'second');
    const file = join(jobs.dir, 'source.yaml');
    const model = ALONE.replace('path: test-model', `path: ${jobs.dir}`);
    await writeFile(
      file,
      `${model}services:
  - name: built
    nodes: 1
    terminal: true
    source: {git: 'file://${repository}', rev: v1, path: sub}
    build_command: [sh, -c, 'tr a-z A-Z < words > built']
    command: [cat, built]
`,
    );
    const job = await jobs.start(['apply', '-f', file, '--local']);
    expect(await job.ended(), job.said).toBe(0);
    expect(await logOf(job, 'service_built.out')).toBe('FROM THE TAG');
  }, 120_000);
});
