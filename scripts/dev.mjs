#!/usr/bin/env node
// Runs srtctl from its sources: `npm run dev -- apply -f examples/quickstart.yaml --local --mock`. The coordinator and
// the agents are separate programs, so the sources are bundled (in half a second) into a directory that is named after
// the state of the sources. A job that still runs keeps the programs with which it began.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { bundle, root } from './bundle.mjs';

/** How many bundles of earlier states of the sources are kept. */
const KEPT = 5;

const cache = join(root, 'dist/dev');

function stateOfSources() {
  const hash = createHash('sha256');
  const add = (path) => {
    const { mtimeMs, size } = statSync(join(root, path));
    hash.update(`${path} ${mtimeMs} ${size}\n`);
  };
  for (const entry of readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).sort())
    add(join('src', entry));
  for (const path of ['package-lock.json', 'scripts/bundle.mjs']) add(path);
  return hash.digest('hex').slice(0, 16);
}

async function bundled() {
  const dist = join(cache, stateOfSources());
  if (!existsSync(dist)) {
    mkdirSync(cache, { recursive: true });
    const scratch = mkdtempSync(join(cache, 'new-'));
    await bundle(scratch, { minify: false });
    try {
      renameSync(scratch, dist);
    } catch (error) {
      // Another `npm run dev` with the same state was faster.
      rmSync(scratch, { recursive: true, force: true });
      if (!existsSync(dist)) throw error;
    }
  }
  const now = new Date();
  utimesSync(dist, now, now);
  return dist;
}

function removeOld() {
  const byAge = readdirSync(cache)
    .filter((name) => !name.startsWith('new-'))
    .map((name) => ({ path: join(cache, name), usedMs: statSync(join(cache, name)).mtimeMs }))
    .sort((a, b) => b.usedMs - a.usedMs);
  for (const { path } of byAge.slice(KEPT)) rmSync(path, { recursive: true, force: true });
}

const dist = await bundled();
removeOld();
const child = spawn(process.execPath, [join(dist, 'srtctl.js'), ...process.argv.slice(2)], {
  stdio: 'inherit',
});
// Ctrl-C reaches the whole foreground group; the command decides when it ends.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
