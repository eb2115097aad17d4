// Bundles everything into dist/, and compiles there the code that each program needs at its start.
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundle, root } from './bundle.mjs';

const dist = join(root, 'dist');
rmSync(dist, { recursive: true, force: true });
await bundle(dist, { minify: true });

// Runs the programs once to keep the compiled code for their next starts: the command line through a whole recipe, the
// others until they notice that they have no arguments. Compiled code fits only the options of Node that compiled it.
const quickstart = join(root, 'examples/quickstart.yaml');
const ways = [
  { argv: ['srtctl.js', 'dry-run', '-f', quickstart], endsWith: 0 },
  { argv: ['coordinator.js'], endsWith: 2 },
  { argv: ['node-agent.js'], flags: ['--max-semi-space-size=1'], endsWith: 2 },
  { argv: ['loadgen.js'], endsWith: 1 },
  { argv: ['accuracy.js'], endsWith: 1 },
  { argv: ['stage-model.js'], endsWith: 2 },
  { argv: ['reporter.js'], endsWith: 2 },
  { argv: ['telemetry-pack.js'], endsWith: 2 },
  { argv: ['simulator.js', '-m', 'sglang.launch_server'], flags: ['--max-semi-space-size=4'], endsWith: 2 },
];
for (const { argv, flags = [], endsWith } of ways) {
  const [program, ...args] = argv;
  const { status, stderr } = spawnSync(process.execPath, [...flags, join(dist, program), ...args], {
    cwd: tmpdir(),
    env: { ...process.env, SRTSLURM_CONFIG: '', SRTCTL_KEEP_COMPILED: '1' },
    encoding: 'utf8',
  });
  if (status !== endsWith) throw new Error(`${program} does not start (${status}): ${stderr}`);
}
