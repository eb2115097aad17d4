import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inOwnNetwork } from '../support/alone.ts';
import { findMarked } from '../support/marked.ts';
import { endIfThere } from '../support/signal.ts';

/** Slurm's commands on one machine: srun becomes its command, and its pid is the number of the step. */
const COMMANDS: Readonly<Record<string, string>> = {
  srun: `printf '%s\\0' "$@" >>"$FAKE_DIR/srun.log"
nodes=()
while [[ $1 = --* ]]; do
  case $1 in --nodelist=*) IFS=, read -ra nodes <<<"\${1#*=}" ;; esac
  shift
done
if [ \${#nodes[@]} -eq 0 ]; then
  for node in $FAKE_NODES; do SLURMD_NODENAME=$node "$@" || exit; done
  exit
fi
export SLURMD_NODENAME=\${nodes[0]} SLURM_STEP_ID=$$
exec "$@"`,
  scontrol: `printf '%s\\n' $FAKE_NODES`,
  scancel: `signal=KILL
while [[ $1 = --* ]]; do
  case $1 in --signal=*) signal=\${1#*=} ;; esac
  shift
done
for step; do kill -s "$signal" "\${step#*.}"; done`,
  getent: `[ "$1" = ahostsv4 ] && echo "127.0.$FAKE_BLOCK.\${2#node} STREAM $2"`,
};

export class FakeSlurm {
  readonly dir = mkdtempSync(join(tmpdir(), 'srtctl-static-'));
  readonly env: NodeJS.ProcessEnv;
  readonly #running = new Set<ChildProcess>();
  readonly #jobId = `7${process.pid}`;

  readonly #network: readonly string[];

  /** With `ownNetwork` scripts take the ports that the plan names, as they may on the nodes of a job. */
  constructor(nodes = 2, { ownNetwork = false } = {}) {
    this.#network = ownNetwork ? inOwnNetwork : [];
    const bin = join(this.dir, 'bin');
    mkdirSync(bin);
    for (const [name, text] of Object.entries(COMMANDS)) {
      writeFileSync(join(bin, name), `#!/bin/bash\n${text}\n`);
      chmodSync(join(bin, name), 0o755);
    }
    const names = Array.from({ length: nodes }, (_, index) => `node${index + 1}`);
    this.env = {
      ...process.env,
      PATH: `${bin}:${process.env.PATH}`,
      FAKE_DIR: this.dir,
      FAKE_NODES: names.join(' '),
      FAKE_BLOCK: String(1 + (process.pid % 250)),
      SLURM_JOB_ID: this.#jobId,
      SLURM_JOB_NODELIST: `node[1-${nodes}]`,
      SRTCTL_STATIC_POLL_SECONDS: '0.1',
      SRTCTL_SIM_LOAD_MS: '0',
      SRTCTL_SIM_SPEED: '20',
      SRTCTL_OUTPUT: join(this.dir, 'out'),
    };
  }

  get jobDir(): string {
    return join(this.dir, 'out', this.#jobId);
  }

  write(name: string, text: string): string {
    writeFileSync(join(this.dir, name), text);
    return join(this.dir, name);
  }

  /** Starts a script; `ended` resolves with its exit code and its output. */
  start(script: string, more: NodeJS.ProcessEnv = {}) {
    const [program = '', ...args] = [...this.#network, 'bash', script];
    const child = spawn(program, args, {
      env: { ...this.env, ...more },
      cwd: this.dir,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#running.add(child);
    let said = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (data: Buffer) => {
        said += data;
      });
    const ended = new Promise<{ code: number | null; said: string }>((settle) =>
      child.once('close', (code) => {
        this.#running.delete(child);
        settle({ code, said });
      }),
    );
    return { child, ended, said: () => said };
  }

  /** All command lines of srun, in order. */
  sruns(): string[] {
    return readFileSync(join(this.dir, 'srun.log'), 'utf8').split('\0');
  }

  /** Processes of the job that still run. */
  async left(): Promise<number[]> {
    const mark = `SRTCTL_JOB=${this.#jobId}`;
    return (await findMarked([mark])).get(mark) ?? [];
  }

  async destroy(): Promise<void> {
    for (const child of this.#running) child.kill('SIGKILL');
    for (const pid of await this.left()) endIfThere(pid);
    // The last processes may still write files.
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
}
