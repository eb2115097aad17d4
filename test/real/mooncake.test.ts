import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { until } from '../support/bus.ts';
import { describeReal, mooncakeLibraries } from './support/programs.ts';
import { type RealJob, useRealJobs } from './support/real-jobs.ts';

const RUN_MS = 120_000;

/** Puts a value into the store and takes it out again, and asks the metadata server for a key that it does not have. */
const CLIENT = `import sys, time, urllib.error, urllib.request
from mooncake.store import MooncakeDistributedStore
host, metadata, master, wait = sys.argv[1:]
try:
    urllib.request.urlopen(metadata + '?key=nothing')
except urllib.error.HTTPError as error:
    print('metadata', error.code, flush=True)
store = MooncakeDistributedStore()
assert store.setup(host, metadata, 0, 16 << 20, 'tcp', '', master) == 0
assert store.put('a', b'b' * 4096) == 0
print('stored', len(store.get('a')), flush=True)
time.sleep(float(wait))
store.close()
`;

/** The output of the client, which may not have started. */
const said = async (job: RealJob): Promise<string> =>
  readFile(join(await job.jobDir(), 'logs/service_client.out'), 'utf8').catch(() => '');

describeReal("Mooncake's master and store", ['mooncake', 'debian'], () => {
  const jobs = useRealJobs({ python: 'mooncake', env: { LD_LIBRARY_PATH: mooncakeLibraries } });
  let client = '';
  beforeAll(async () => {
    client = join(jobs.dir, 'client.py');
    await writeFile(client, CLIENT);
  });

  /** The store offers the memory, so that the client has to reach it as the master says. */
  const recipe = (waitS: number) => ({
    schema: 2,
    name: 'real-mooncake',
    model: { path: jobs.dir, container: 'none', precision: 'fp8' },
    resources: { gpu_type: 'h100', gpus_per_node: 1 },
    frontend: { type: 'none' },
    services: [
      { name: 'mooncake-master', type: 'mooncake-master' },
      {
        name: 'store',
        type: 'mooncake-store',
        env: { MOONCAKE_GLOBAL_SEGMENT_SIZE: String(64 << 20), MOONCAKE_LOCAL_BUFFER_SIZE: String(16 << 20) },
        readiness: { http: { port: 8080, path: '/api/exist/nothing' } },
      },
      {
        ...{ name: 'client', nodes: 1, terminal: true, env: { MC_TCP_BIND_ADDRESS: '{node_ip}' } },
        command: [
          ...['python3', client, '{node_ip}', 'http://{infra_ip}:{metadata_port}/metadata'],
          ...['{infra_ip}:{master_port}', String(waitS)],
        ],
      },
    ],
  });

  it(
    'keep what a client of another node puts there, found by the addresses of the recipe',
    async () => {
      const job = await jobs.apply(recipe(0));
      expect(await job.ended(), job.said).toBe(0);
      expect(await said(job)).toMatch(/^metadata 404$[\s\S]*^stored 4096$/m);
      await job.nothingLeft();
    },
    RUN_MS,
  );

  it(
    'end the job when the master is killed, which the cause names',
    async () => {
      const job = await jobs.apply(recipe(600));
      await until('a stored value', async () => /^stored/m.test(await said(job)));
      await job.hurt(/mooncake_master --rpc_port/, 'SIGKILL');
      expect(await job.ended(), job.said).not.toBe(0);
      const [point] = await job.results();
      expect(point?.cause).toMatchObject({ process: 'mooncake-master', signal: 'SIGKILL' });
      await job.nothingLeft();
    },
    RUN_MS,
  );
});
