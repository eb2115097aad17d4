import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { resolve } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JsonCount } from '../../src/messages/spec/probe-spec.ts';
import { countAll } from '../../src/node-agent/watch/count.ts';
import { shellQuote } from '../../src/os/quote.ts';

import { allocationsOf } from '../../src/plan/allocations.ts';
import { taskPatterns } from '../../src/platform/containers/task-environment.ts';
import type { LoadedVariant } from '../../src/recipe/load.ts';
import type { ClusterConfig } from '../../src/recipe/schema/cluster.ts';
import { createMarkers } from '../../src/static/markers.ts';
import { probeCommand } from '../../src/static/probe.ts';
import { processFunctions } from '../../src/static/process.ts';
import { staticScript } from '../../src/static/script.ts';
import { cluster, loadText } from '../recipe/write.ts';
import { specOf } from '../support/spec.ts';
import { FakeSlurm } from './fake-slurm.ts';

const library = readFileSync(resolve('src/static/library.sh'), 'utf8');
const taskVariables = `task_variables=${shellQuote(taskPatterns.task)} job_variables=${shellQuote(taskPatterns.job)}`;

function scriptOf(
  text: string,
  config: Partial<ClusterConfig> = {},
  more: { setupScript?: string; variant?: LoadedVariant | undefined } = {},
) {
  const whole = cluster(config);
  const variant = more.variant ?? loadText(text, { cluster: whole })[0];
  if (!variant) throw new Error('no variant');
  return staticScript({
    variant,
    cluster: whole,
    directives: [],
    log: 'x.log',
    warningS: 120,
    outputs: '/shared/out puts',
    distDir: '/opt/srtctl/dist',
    runtimes: { x86_64: '/opt/node' },
    programs: { natsServer: '/opt/bin/nats-server', etcd: '/opt/bin/etcd' },
    programDirs: ['/opt/bin'],
    mock: false,
    containers: true,
    setupScript: more.setupScript ?? null,
    env: {},
    exists: () => true,
    library,
  });
}

const recipe = (frontend: string, more = '') => `name: "it's a test"
model: {path: /models/m, container: "repo/image:1", precision: fp8}
resources: {gpu_type: h100, gpus_per_node: 8, agg_nodes: 2, agg_workers: 2}
frontend: {type: ${frontend}, nginx_container: "repo/nginx:1"}
backend: {sglang_config: {aggregated: {served-model-name: m, tensor-parallel-size: 8}}}
benchmark: {type: manual}
${more}`;

const isBash = (script: string): void => {
  const { status, stderr } = spawnSync('bash', ['-n'], { input: script, encoding: 'utf8' });
  expect(status, stderr).toBe(0);
};

describe('the script', () => {
  it('is bash, for a router of SGLang and for Dynamo', () => {
    isBash(scriptOf(recipe('sglang')));
    isBash(scriptOf(recipe('dynamo')));
  });

  it('names its points by their numbers in the recipe, which may have gaps', () => {
    const text = recipe('sglang', 'environment: {A: "{n}"}\nsweep: {allocation: per-point, n: [1, 2, 3]}\n');
    const [variant] = loadText(text);
    const last = allocationsOf(variant as LoadedVariant).variants[2];
    const script = scriptOf(text, {}, { variant: last });
    expect(script).toMatch(/^point_names=\(\[2\]=.+\)$/m);
    expect(script).toMatch(/^run_point 2$/m);
    const { stdout } = spawnSync(
      'bash',
      [
        '-c',
        `${/^point_names=.*$/m.exec(script)?.[0]}; ${/^for point in .*$/m.exec(script)?.[0]}; echo "\${!point_states[@]} \${point_states[*]}"`,
      ],
      { encoding: 'utf8' },
    );
    expect(stdout).toBe('2 planned\n');
  });

  it('starts nats-server and etcd for Dynamo, and only for it', () => {
    const script = scriptOf(recipe('dynamo'));
    expect(script).toMatch(/\/opt\/bin\/nats-server -a 0\.0\.0\.0 -p 4222 -js -sd "\$tmp_dir"\/nats/);
    expect(script).toMatch(/\/opt\/bin\/etcd --name srtctl/);
    expect(script).toMatch(
      /phase infra.*\n.*launch nats 0 .* serves 5\n.*launch etcd 0 .* serves 5\n.*await_ready nats etcd/,
    );
    expect(scriptOf(recipe('sglang'))).not.toContain('nats-server');
  });

  it('gives pyxis the image, the mounts and the names of the environment', () => {
    const script = scriptOf(recipe('sglang', 'environment: {MY_TOKEN: x}\n'));
    expect(script).toContain('--container-image=repo/image:1');
    expect(script).toContain('--container-image=repo/nginx:1');
    expect(script).toMatch(/--container-mounts=\/models\/m:\/model,"\$job_dir"\/logs:\/logs/);
    expect(script).toMatch(/--container-env=\S*MY_TOKEN/);
    expect(script).toContain('export MY_TOKEN=x');
    expect(script).not.toContain('--container-writable');
  });

  it('runs steps that change a container in the container of each engine, before the engine', () => {
    const dynamo = 'dynamo: {install: true, version: "1.2.3"}\n';
    const script = scriptOf(recipe('dynamo', dynamo), {}, { setupScript: 'echo hello\n' });
    const engine = /p0\.agg-0-0\(\) \{[\s\S]*?\n\}/.exec(script)?.[0] ?? '';
    expect(engine).toMatch(
      /2 bash "\$job_dir"\/setup_script\.sh 3 bash \S*install-dynamo\.sh 1\.2\.3 0 python3 -m dynamo\.sglang/,
    );
    expect(script).not.toMatch(/launch (setup|install)/);
    expect(engine).toContain('--container-writable --container-remap-root');
    isBash(script);
  });

  it('makes files with passwords private, and puts no value into a command line', () => {
    const script = scriptOf(
      recipe('sglang', 'environment: {HF_TOKEN: hf_abc, https_proxy: "http://u:secret@p"}\n'),
    );
    expect(script).toContain('(umask 077 && write_file "$point_dir/config.yaml"');
    expect(script).toMatch(/export https_proxy=.*secret/);
    for (const line of script.split('\n'))
      if (/run_on|run_mpi|\benv\b.*=/.test(line)) expect(line).not.toMatch(/secret|hf_abc/);
    expect(scriptOf(recipe('sglang', 'environment: {MAX_TOKENS: "5"}\n'))).not.toContain(
      'umask 077 && write_file',
    );
    isBash(script);
  });

  it('has no marker left, whatever the recipe contains', () => {
    const hostile = 'environment: {A: "@srt-node-0@", B: "@srt1-job-id@"}\n';
    const script = scriptOf(recipe('sglang', hostile));
    expect(script).toContain('export A=@srt-node-0@');
    expect(script).not.toContain('@srt2-');
    expect(script).toContain('B: "@srt1-job-id@"');
  });
});

const text = fc.oneof(
  fc.string({ unit: 'binary' }).map((each) => each.replaceAll('\0', '')),
  fc.constantFrom(
    '$(touch x)',
    '`id`',
    "'",
    '"',
    '\n',
    '\\',
    '$HOME',
    '!!',
    '~',
    '*',
    '--',
    '',
    'ü€😀',
    '@srt-',
  ),
);

it('a command and its environment survive rendering unchanged', async () => {
  const slurm = new FakeSlurm(1);
  const names = fc.constantFrom(
    'A',
    'PATH_TO',
    'lower',
    'with-dash',
    'UID',
    'CUDA_VISIBLE_DEVICES',
    'SLURM_PROCID',
    'PMIX_RANK',
    'MASTER_ADDR',
    'IFS',
    'id',
  );
  try {
    fc.assert(
      fc.property(fc.array(text), fc.dictionary(names, text), text, (words, env, content) => {
        const around = JSON.stringify([words, env, content]);
        const markers = createMarkers(around, '/out');
        const file = `${slurm.dir}/file`;
        const show =
          'my $nul = chr 0; print "$_$nul" for @ARGV; print $nul; print "$_=$ENV{$_}$nul" for keys %ENV';
        const spec = specOf({
          id: 'p',
          node: markers.node(0),
          env: { ...env, HOST: `${markers.address(0)}:1` },
          argv: ['perl', '-e', show, '--', ...words, `${markers.node(0)}!`],
          files: [{ path: file, content: `${content}${markers.jobId}` }],
        });
        const context = { markers, ordinal: 0, mounts: [], srunOptions: {}, distDir: '/dist', before: [] };
        const script = `outputs=${slurm.dir}/out point_names=(x)
${taskVariables}
${library}
nodes=('node 1') addresses=(10.0.0.1) job_id="it's" run_dir=${slurm.dir} tmp_dir= id=p
${processFunctions(spec, context)}
p0.p`;
        const ran = spawnSync('bash', ['-c', script], { env: slurm.env, encoding: 'utf8' });
        expect(ran.status, ran.stderr).toBe(0);
        const [seen, environment] = split(ran.stdout, words.length + 1);
        expect(seen).toBe([...words, 'node 1!'].map((word) => `${word}\0`).join(''));
        for (const [name, value] of Object.entries(env))
          expect(`\0${environment}`).toContain(`\0${name}=${value}\0`);
        expect(environment).toContain('HOST=10.0.0.1:1\0');
        expect(readFileSync(file, 'utf8')).toBe(`${content}it's`);
      }),
      { numRuns: 40 },
    );
  } finally {
    await slurm.destroy();
  }
}, 60_000);

it("a rank keeps Slurm's task variables, an engine none of them, a command of the recipe those of the job", async () => {
  const slurm = new FakeSlurm(1);
  try {
    const around = {
      ...{
        SLURM_JOB_ID: '7',
        SLURM_PROCID: '1',
        SLURM_NTASKS: '2',
        PMIX_RANK: '1',
        OMPI_COMM_WORLD_RANK: '1',
      },
      ...{
        RANK: '1',
        WORLD_SIZE: '2',
        MASTER_ADDR: 'n1',
        MASTER_PORT: '29500',
        CUDA_VISIBLE_DEVICES: '4,5,6,7',
      },
    };
    const markers = createMarkers('', '/out');
    const seen = (over: Parameters<typeof specOf>[0]): Record<string, string> => {
      const show = 'my $nul = chr 0; print "$_=$ENV{$_}$nul" for keys %ENV';
      const spec = specOf({ node: markers.node(0), argv: ['perl', '-e', show], ...over });
      const context = { markers, ordinal: 0, mounts: [], srunOptions: {}, distDir: '/dist', before: [] };
      const script = `outputs=${slurm.dir}/out point_names=(x)
${taskVariables}
${library}
nodes=('node 1') addresses=(10.0.0.1) job_id=7 run_dir=${slurm.dir} tmp_dir= id=p
export task_variables job_variables
${processFunctions(spec, context)}
p0.p`;
      const ran = spawnSync('bash', ['-c', script], { env: { ...slurm.env, ...around }, encoding: 'utf8' });
      expect(ran.status, ran.stderr).toBe(0);
      const pairs = ran.stdout.split('\0').map((pair): [string, string] => {
        const [name = '', ...value] = pair.split('=');
        return [name, value.join('=')];
      });
      return Object.fromEntries(pairs);
    };
    const left = (env: Record<string, string>) =>
      Object.keys(env).filter((name) => /^(SLURM|PMI|OMPI|RANK|WORLD|MASTER|task_|job_|srtctl_)/.test(name));
    const engine = seen({ id: 'p', role: 'agg', gpus: [1, 2], env: { CUDA_VISIBLE_DEVICES: '1,2' } });
    expect(left(engine)).toEqual([]);
    expect(engine.CUDA_VISIBLE_DEVICES).toBe('5,6');
    const own = seen({ id: 'p', role: 'agg', env: { MASTER_ADDR: 'mine', CUDA_VISIBLE_DEVICES: '3' } });
    expect(own).toMatchObject({ MASTER_ADDR: 'mine', CUDA_VISIBLE_DEVICES: '3' });
    expect(left(own)).toEqual(['MASTER_ADDR']);
    const command = seen({ id: 'p', role: 'benchmark' });
    expect(command).toMatchObject({ SLURM_JOB_ID: '7' });
    expect(left(command).filter((name) => !/^SLURM(_JOB_|D_NODENAME)/.test(name))).toEqual([]);
    const rank = seen({ id: 'p', role: 'agg', mpi: { tasks: 2, nodes: [markers.node(0)] } });
    expect(rank).toMatchObject({ SLURM_PROCID: '1', PMIX_RANK: '1', OMPI_COMM_WORLD_RANK: '1' });
  } finally {
    await slurm.destroy();
  }
});

/** The first `count` words, and the text after the empty word that ends them. */
function split(said: string, count: number): [string, string] {
  let at = 0;
  for (let word = 0; word < count; word++) at = said.indexOf('\0', at) + 1;
  return [said.slice(0, at), said.slice(at + 1)];
}

it('no command of the script has two substitutions, because bash 5.2 loses a signal during the first one', () => {
  const commands = library
    .replaceAll(/'[^'\n]*'/g, "''")
    .replaceAll('\\\n', '')
    .split(/\n|; /)
    .filter((line) => !/^\s*#/.test(line));
  expect(commands.filter((command) => (command.match(/\$\((?!\()|<\(/g) ?? []).length > 1)).toEqual([]);
});

it('handles a signal that arrives while it writes state.json', async () => {
  const slurm = new FakeSlurm(1);
  try {
    const script = `outputs=${slurm.dir} point_names=(x) job_id=job
mkdir -p ${slurm.dir}/job
${library}
job_name='it is "x"' job_dir=${slurm.dir}/job
date() { sleep 0.3; echo now; }
trap 'stop_code=143' TERM
(sleep 0.1; kill -TERM $$) &
save_state
exit $stop_code`;
    const ran = spawnSync('bash', ['-c', script], { env: slurm.env, encoding: 'utf8' });
    expect([ran.status, ran.stderr]).toEqual([143, '']);
    expect(JSON.parse(readFileSync(`${slurm.dir}/job/state.json`, 'utf8'))).toMatchObject({
      name: 'it is "x"',
      updatedAt: 'now',
    });
  } finally {
    await slurm.destroy();
  }
});

describe('readiness', () => {
  const counts: JsonCount[] = [
    { at: ['workers'], where: { type: 'prefill', ok: true }, count: 2, label: 'prefill workers' },
  ];
  const worker = fc.record({
    type: fc.constantFrom('prefill', 'decode'),
    ok: fc.constantFrom<unknown>(true, false, 1),
  });

  const inLibrary = (commands: string, dir: string) =>
    spawnSync('bash', ['-c', `outputs=/x point_names=(x)\n${library}\nrun_dir=${dir}\n${commands}`], {
      encoding: 'utf8',
    }).status === 0;

  it('with python3 counts addresses and runs further steps as agents do', async () => {
    const slurm = new FakeSlurm(1);
    const server = createServer((request, response) => {
      request.resume();
      response.end(JSON.stringify(request.url === '/v1/models' ? { data: [{ id: 'm' }] } : { choices: [1] }));
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const { port } = server.address() as AddressInfo;
    const byAddress: JsonCount = {
      at: ['instances'],
      where: { endpoint: ['generate'] },
      count: 2,
      address: { field: ['transport', 'tcp'], among: ['1.1.1.1:1', '1.1.1.1:2'], each: 1 },
      label: 'workers',
    };
    const isReady = async (ports: readonly number[], last: string): Promise<boolean> => {
      const instances = ports.map((each) => ({
        endpoint: 'generate',
        transport: { tcp: `1.1.1.1:${each}/x` },
      }));
      slurm.write('answer', JSON.stringify({ instances }));
      const command = probeCommand(
        {
          ...{ kind: 'http', host: '127.0.0.1', port, path: '/health', expect: [byAddress] },
          steps: [
            { label: 'model', path: '/v1/models', take: { model: ['data', '0', 'id'] } },
            { label: 'answer', path: '/', body: { model: '{model}' }, take: { choice: ['choices', last] } },
          ],
        },
        createMarkers('', '/o'),
      );
      const { code } = await slurm.start(
        slurm.write(
          'ask.sh',
          `outputs=/x point_names=(x)\n${library}\nrun_dir=${slurm.dir}\nhttp_get() { true; }\n${command}`,
        ),
      ).ended;
      return code === 0;
    };
    try {
      expect(await isReady([1, 2], '0')).toBe(true);
      expect(await isReady([1, 2, 3], '0')).toBe(false);
      expect(await isReady([1, 1, 2], '0')).toBe(false);
      expect(await isReady([1], '0')).toBe(false);
      expect(await isReady([1, 2], '1')).toBe(false);
    } finally {
      server.close();
      await slurm.destroy();
    }
  });

  it.each(['true', 'command() { return 1; }'])(
    'asks a router that has no /workers for its bare list (%s)',
    async (before) => {
      const slurm = new FakeSlurm(1);
      const address = { field: [], others: ['1.1.1.1:1', '1.1.1.1:2'] };
      const one = (among: string) => ({
        ...{ at: ['urls'], where: {} },
        address: { ...address, among: [among] },
      });
      const command = probeCommand(
        {
          ...{ kind: 'http', host: 'h', port: 1, path: '/workers' },
          older: {
            path: '/list_workers',
            expect: [
              { ...one('1.1.1.1:1'), count: 1, label: 'prefill workers' },
              { ...one('1.1.1.1:2'), count: 1, label: 'decode workers' },
            ],
          },
        },
        createMarkers('', '/o'),
      );
      const http = 'http_get() { http_status=404; [ "$3" = /list_workers ] && http_status=200; }';
      const isReady = (urls: readonly string[]): boolean => {
        slurm.write('answer', JSON.stringify({ urls }));
        return inLibrary(`${http}\n${before}\n${command}`, slurm.dir);
      };
      try {
        expect(isReady(['http://1.1.1.1:1', 'http://1.1.1.1:2@0', 'http://1.1.1.1:2@1'])).toBe(true);
        expect(isReady(['http://1.1.1.1:1'])).toBe(false);
        expect(isReady(['http://1.1.1.1:1', 'http://1.1.1.1:21'])).toBe(false);
      } finally {
        await slurm.destroy();
      }
    },
  );

  it('accepts a status whose body says that the process is ready', async () => {
    const slurm = new FakeSlurm(1);
    const command = probeCommand(
      {
        ...{ kind: 'http', host: 'h', port: 1, path: '/health' },
        accept: { status: 503, at: ['endpoints', 'generate'], is: 'ready' },
      },
      createMarkers('', '/o'),
    );
    const isReady = (body: string): boolean => {
      slurm.write('answer', body);
      return inLibrary(`http_get() { http_status=503; false; }\n${command}`, slurm.dir);
    };
    try {
      expect(isReady('{"endpoints": {"generate": "ready"}}')).toBe(true);
      expect(isReady('{"endpoints": {"generate": "notready"}}')).toBe(false);
    } finally {
      await slurm.destroy();
    }
  });

  it('counts as agents do, with python3 and without', async () => {
    const slurm = new FakeSlurm(1);
    try {
      fc.assert(
        fc.property(fc.array(worker, { maxLength: 5 }), (workers) => {
          const answer = JSON.stringify({ workers });
          slurm.write('answer', answer);
          const expected = countAll(answer, counts).ok;
          const asText = probeCommand(
            { kind: 'http', host: 'h', port: 1, path: '/', expect: counts },
            createMarkers('', '/o'),
          );
          const withPython = `http_get() { true; }\n${asText}`;
          const without = `http_get() { true; }\ncommand() { return 1; }\n${asText}`;
          expect([inLibrary(withPython, slurm.dir), inLibrary(without, slurm.dir)]).toEqual([
            expected,
            expected,
          ]);
        }),
        { numRuns: 12 },
      );
    } finally {
      await slurm.destroy();
    }
  }, 60_000);

  it.each(['true', 'command() { return 1; }'])(
    'asks over HTTP with curl and without (%s)',
    async (before) => {
      const slurm = new FakeSlurm(1);
      const server = createServer((request, response) => {
        response.statusCode = request.url === '/health' ? 200 : 503;
        response.end('{"a":1}\n');
      });
      await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
      const { port } = server.address() as AddressInfo;
      const ask = async (path: string): Promise<{ code: number | null }> =>
        slurm.start(
          slurm.write(
            'ask.sh',
            `outputs=/x point_names=(x)\n${before}\n${library}\nrun_dir=${slurm.dir}\nhttp_ready 127.0.0.1 ${port} ${path}`,
          ),
        ).ended;
      try {
        expect((await ask('/health')).code).toBe(0);
        expect(readFileSync(`${slurm.dir}/answer`, 'utf8')).toBe('{"a":1}\n');
        expect((await ask('/other')).code).toBe(1);
        expect(inLibrary('tcp_ready 127.0.0.1 1', slurm.dir)).toBe(false);
      } finally {
        server.close();
        await slurm.destroy();
      }
    },
  );
});
