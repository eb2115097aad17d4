import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const scripts = resolve(import.meta.dirname, '../../src/steps');
let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

/** Runs a step with the programs of `dir` first on its PATH. */
function run(command: string, args: string[], env: Record<string, string> = {}) {
  const PATH = `${dir}${delimiter}${process.env.PATH}`;
  return new Promise<{ code: number; out: string }>((settle) => {
    execFile(command, args, { env: { ...process.env, PATH, ...env } }, (error, stdout, stderr) =>
      settle({ code: typeof error?.code === 'number' ? error.code : 0, out: stdout + stderr }),
    );
  });
}

/** A stand-in for huggingface_hub: `HUB` lists the repositories, `FAILS` how often it fails. */
async function hub(): Promise<string> {
  const library = join(dir, 'py/huggingface_hub');
  await mkdir(library, { recursive: true });
  await writeFile(
    join(library, '__init__.py'),
    `import os
from . import constants
class LocalEntryNotFoundError(Exception): pass
class RepositoryNotFoundError(Exception): pass
def snapshot_download(repo, local_files_only=False):
    here = os.path.join(constants.HF_HUB_CACHE, "models--" + repo.replace("/", "--"), "snapshots", "1")
    if os.path.isdir(here): return here
    if local_files_only: raise LocalEntryNotFoundError(repo)
    if repo == "no/such": raise RepositoryNotFoundError("404")
    count = os.path.join(os.environ["HF_HOME"], "tries")
    tries = int(open(count).read()) if os.path.exists(count) else 0
    open(count, "w").write(str(tries + 1))
    if tries < int(os.environ.get("FAILS", "0")): raise ConnectionError("the network is away")
    os.makedirs(here)
    return here
`,
  );
  await writeFile(
    join(library, 'constants.py'),
    'import os\nHF_HUB_CACHE = os.path.join(os.environ["HF_HOME"], "hub")\nHF_HUB_OFFLINE = os.environ.get("HF_HUB_OFFLINE") == "1"\n',
  );
  return join(dir, 'py');
}

describe('fetch-model', () => {
  const fetch = async (repo: string, env: Record<string, string> = {}) =>
    run('python3', [join(scripts, 'fetch-model.py'), repo], {
      PYTHONPATH: await hub(),
      HF_HOME: join(dir, 'hf'),
      SRTCTL_FETCH_PAUSE: '0',
      ...env,
    });

  it('fetches a model once, and then finds it without the network', async () => {
    await mkdir(join(dir, 'hf'));
    expect(await fetch('org/name', { FAILS: '2' })).toMatchObject({ code: 0 });
    expect(await readFile(join(dir, 'hf/tries'), 'utf8')).toBe('3');
    const again = await fetch('org/name', { HF_HUB_OFFLINE: '1' });
    expect(again).toMatchObject({
      code: 0,
      out: expect.stringContaining('org/name is already in the cache'),
    });
    expect(await readFile(join(dir, 'hf/tries'), 'utf8')).toBe('3');
  });

  it('does not retry when the hub has no such model', async () => {
    await mkdir(join(dir, 'hf'));
    const { code, out } = await fetch('no/such');
    expect(code).toBe(1);
    expect(out).toContain('attempt 1 of 5: RepositoryNotFoundError');
    expect(out).not.toContain('attempt 2');
    expect(await fetch('org/name', { HF_HUB_OFFLINE: '1' })).toMatchObject({
      code: 1,
      out: expect.stringContaining('HF_HUB_OFFLINE forbids'),
    });
  });

  it('removes the locks of a killed download, and no others', async () => {
    const locks = join(dir, 'hf/hub/.locks/models--org--name');
    await mkdir(locks, { recursive: true });
    await writeFile(join(locks, 'old.lock'), '');
    await utimes(join(locks, 'old.lock'), 1, 1);
    await writeFile(join(locks, 'new.lock'), '');
    const { out } = await fetch('org/name');
    expect(out).toContain('old.lock');
    expect(out).not.toContain('new.lock');
  });
});

describe('Dynamo', () => {
  /**
   * A stand-in for python3: its pip records its arguments, and reports the packages that it was given last.
   */
  async function python(): Promise<void> {
    await writeFile(
      join(dir, 'python3'),
      `#!/usr/bin/env bash
if [[ $1 == -m && $2 == pip ]]; then
  echo "\${*:3}" >>"${dir}/pip"
  for word; do case $word in ai-dynamo==*) echo "\${word#*==}" >"${dir}/version" ;; esac; done
elif [[ $# -eq 3 ]]; then [[ -f "${dir}/version" && $(cat "${dir}/version") == "$3" ]]
else echo Dynamo
fi
`,
    );
    await chmod(join(dir, 'python3'), 0o755);
  }
  const pip = () => readFile(join(dir, 'pip'), 'utf8').catch(() => '');

  it('is installed once, in the requested version', async () => {
    await python();
    const install = () => run('bash', [join(scripts, 'install-dynamo.sh'), '1.2.0']);
    expect((await install()).code).toBe(0);
    expect(await pip()).toMatch(/^install .*ai-dynamo-runtime==1\.2\.0 ai-dynamo==1\.2\.0\n$/);
    expect(await install()).toMatchObject({ code: 0, out: 'Dynamo 1.2.0 is there\n' });
    expect((await pip()).split('\n')).toHaveLength(2);
  });

  it('is built once for a commit, with the requested dependencies replaced', async () => {
    await python();
    const own = async (name: string, text: string): Promise<void> => {
      await writeFile(join(dir, name), `#!/usr/bin/env bash\n${text}`);
      await chmod(join(dir, name), 0o755);
    };
    await own(
      'git',
      `case $1 in clone) mkdir -p "$5/lib/bindings/python"; printf '[dependencies]\\ntokens = "1"\\n' >"$5/Cargo.toml" ;; esac
echo "git $*" >>"${dir}/ran"`,
    );
    await own('cargo', '');
    await own('ldconfig', 'echo libclang');
    await own('maturin', `cat ../../../Cargo.toml >>"${dir}/ran"; touch "$4/runtime.whl"`);
    await writeFile(
      join(dir, 'python3'),
      `#!/usr/bin/env bash
if [[ $1 == - ]]; then exec "${await realPython()}" "$@"; fi
echo "pip \${*:3}" >>"${dir}/ran"
`,
    );
    const build = () =>
      run('bash', [join(scripts, 'build-dynamo.sh'), 'abc123', join(dir, 'own'), 'tokens = { git = "x" }']);
    const first = await build();
    expect(first.code, first.out).toBe(0);
    const ran = await readFile(join(dir, 'ran'), 'utf8');
    expect(ran).toContain('git checkout --quiet abc123');
    expect(ran).toContain('tokens = { git = "x" }');
    expect((await build()).out).toContain('is built');
    expect(await readFile(join(dir, 'ran'), 'utf8')).toBe(ran);
    const installed = await run('bash', [join(scripts, 'install-dynamo.sh'), '--built', join(dir, 'own')]);
    expect(installed.code, installed.out).toBe(0);
    expect(await readFile(join(dir, 'ran'), 'utf8')).toMatch(/pip install .*runtime\.whl/);
  });

  const realPython = async (): Promise<string> =>
    (await run('/bin/sh', ['-c', 'command -v python3'], { PATH: process.env.PATH ?? '' })).out.trim();
});
