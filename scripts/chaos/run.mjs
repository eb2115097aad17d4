// Causes random faults in whole runs on this machine, and checks the invariants. `make chaos SECONDS=120`, or `make
// chaos SEED=1234` to repeat one trial: the same fault, on the same component, at the same moment after the start.
// LAB=1: in the Slurm lab, as root, where nodes are also cut off and powered off. KIND=clock: only faults of this kind.
// KEEP=1: the directories of successful trials are kept too.
import { rmSync } from 'node:fs';
import { createDisk } from './disk.mjs';
import { chooseFault } from './faults.mjs';
import { startLab } from './lab.mjs';
import { randomOf } from './random.mjs';
import { runTrial } from './trial.mjs';

const seconds = Number(process.env.CHAOS_SECONDS || 120);
const only = process.env.SEED ? Number(process.env.SEED) : undefined;
const kind = process.env.KIND || undefined;
const until = performance.now() + seconds * 1_000;
const master = randomOf(Date.now() >>> 0);
let trials = 0;
const failing = [];
let disk;
let lab;
process.once('exit', () => {
  lab?.down();
  disk?.remove();
});
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
try {
  disk = createDisk();
} catch (error) {
  console.log(`no faults of the disk: ${error.message}`);
}
if (process.env.LAB) lab = startLab(3);

do {
  const seed = only ?? Math.floor(master() * 1_000_000_000);
  const fault = chooseFault(randomOf(seed), lab, kind);
  if (fault.onDisk && !disk) {
    console.log(`seed ${seed}: ${fault.what}: not here`);
    // Every further fault of this kind needs the disk too.
    if (kind) break;
    continue;
  }
  const { exitCode, tookMs, broken, outputs } = await runTrial(fault, { lab, disk });
  trials++;
  const verdict = broken.length === 0 ? 'holds' : `BROKEN\n  ${broken.join('\n  ')}\n  kept in ${outputs}`;
  console.log(
    `seed ${seed}: ${fault.what}; exit code ${exitCode} after ${(tookMs / 1000).toFixed(1)} s: ${verdict}`,
  );
  if (broken.length > 0) failing.push(seed);
  else if (!process.env.KEEP) rmSync(outputs, { recursive: true, force: true });
} while (only === undefined && performance.now() < until);

console.log(`${trials} trials, ${failing.length} failing`);
const how = `${kind ? ` KIND='${kind}'` : ''}${lab ? ' LAB=1' : ''}`;
for (const seed of failing) console.log(`again: make chaos SEED=${seed}${how}`);
process.exit(failing.length === 0 ? 0 : 1);
