import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { alone } from './lock.ts';
import { gigabytes, stageModel } from './stage.ts';

const PARALLEL = 8;
const TELL_EVERY_MS = 5_000;

const say = (text: string): boolean => process.stdout.write(`${text}\n`);

/** `node stage-model.js SOURCE TARGET`: copies a model to a disk of this node, and logs its progress. */
async function main(): Promise<void> {
  const [source, target] = process.argv.slice(2);
  if (source === undefined || target === undefined) {
    process.stderr.write('usage: stage-model SOURCE TARGET\n');
    process.exit(2);
  }
  const startedAt = performance.now();
  let toldAt = startedAt;
  await mkdir(dirname(target), { recursive: true });
  const { files, bytes, copiedBytes } = await alone(
    `${target}.lock.d`,
    () => say(`another process is copying to ${target}: waiting for it`),
    () =>
      stageModel(source, target, {
        parallel: PARALLEL,
        onProgress(done, all) {
          if (performance.now() - toldAt < TELL_EVERY_MS) return;
          toldAt = performance.now();
          say(`${gigabytes(done)} of ${gigabytes(all)} (${Math.floor((100 * done) / all)} %)`);
        },
      }),
  );
  const seconds = (performance.now() - startedAt) / 1000;
  if (copiedBytes === 0) say(`${target} is complete: ${files} files, ${gigabytes(bytes)}; nothing to copy`);
  else say(`${gigabytes(copiedBytes)} of ${gigabytes(bytes)} copied to ${target} in ${seconds.toFixed(1)} s`);
}

main().catch((error: unknown) => {
  process.stderr.write(`stage-model: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
