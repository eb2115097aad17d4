import { createHash } from 'node:crypto';
import { lstatSync, realpathSync, statSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { execa } from 'execa';
import writeFileAtomic from 'write-file-atomic';
import * as z from 'zod';
import { type Finding, type Found, fail, ok, warn } from './finding.ts';
import { runStep, stepArgs } from './step.ts';
import type { OptionCheck, World } from './world.ts';

/** How long a step may take: containers are made, and engines imported. */
const MINUTES = 10;

/** The last line of src/steps/check-options.py. */
const answerSchema = z.object({
  refused: z.array(z.tuple([z.string(), z.string()])),
  unchecked: z.array(z.tuple([z.string(), z.string()])),
});
type Answer = z.infer<typeof answerSchema>;

function answerIn(lines: readonly string[]): Answer | undefined {
  for (const line of lines.toReversed()) {
    if (!line.startsWith('{"refused"')) continue;
    try {
      return answerSchema.parse(JSON.parse(line));
    } catch {
      // A line of the engine that only begins like the answer.
    }
  }
  return undefined;
}

const CORRECT = 'correct the option in the recipe';

/** What the programs answer that this machine's python3 has; what it has not is passed over. */
export async function checkOptionsHere(world: World): Promise<Finding[]> {
  const found: Found[] = [];
  for (const check of world.optionChecks) {
    const answer = await inDirectory(check, async () => {
      const argv = [join(world.distDir, 'steps/check-options.py'), join(check.directory, check.file)];
      const env = { ...world.env, ...check.env };
      const options = { reject: false, stdin: 'ignore', timeout: MINUTES * 60_000 } as const;
      const { stdout } = await execa('python3', argv, { ...options, env, extendEnv: false });
      return answerIn((stdout ?? '').split('\n'));
    });
    if (!answer) continue;
    const { refused, unchecked } = answer;
    const absent = new Set(unchecked.map(([program]) => program));
    const parsed = check.programs.filter((program) => !absent.has(program));
    const where = check.image === null ? '' : ' of this machine, which may be another than that of the image';
    if (refused.length === 0 && parsed.length > 0)
      found.push(ok(`${parsed.join(', ')}${where}: take${parsed.length > 1 ? '' : 's'} the planned options`));
    for (const [place, message] of refused)
      found.push(
        check.image === null
          ? fail(`${place}: ${message}`, CORRECT)
          : warn(`${place}: ${message} (the program${where})`, `${CORRECT}, or ask the image: --on-nodes`),
      );
  }
  return found.map((each) => ({ check: 'options', where: 'login', ...each }));
}

/** The same in the images, on one of the nodes. */
export async function checkOptionsOn(
  world: World,
  [node]: readonly string[],
  waitS: number,
): Promise<Finding[]> {
  if (node === undefined) return [];
  const found: Found[] = [];
  for (const check of world.optionChecks) found.push(...(await onNode(world, check, node, waitS)));
  return found.map((each) => ({ check: 'options', where: node, ...each }));
}

async function onNode(world: World, check: OptionCheck, node: string, waitS: number): Promise<Found[]> {
  const name = check.image ?? `python3 of ${node}`;
  const kept = cacheFile(check);
  const known = kept && (await readKept(kept));
  if (known) return judged(known, name, check.programs);
  const lines: string[] = [];
  const said = await inDirectory(check, () =>
    runStep([...stepArgs(world, [node], { waitS, minutes: MINUTES }), ...check.srun, ...check.argv], {
      env: world.env,
      own: check.env,
      limitMs: (waitS + MINUTES * 60) * 1_000,
      take: (line) => lines.push(line),
    }),
  );
  const answer = answerIn(lines);
  if (!answer) {
    const why = said === '' ? 'the image has no python3' : said;
    return [
      warn(`${name}: options were not checked: ${why}`, 'the job checks them before its workers start'),
    ];
  }
  // What an image does not have, it never has; another import may fail for want of a driver, or of time.
  const lasts = answer.unchecked.every(([, why]) => why.startsWith('ModuleNotFoundError'));
  if (kept && lasts) await writeFileAtomic(kept, JSON.stringify(answer)).catch(() => {});
  return judged(answer, name, check.programs);
}

function judged({ refused, unchecked }: Answer, name: string, programs: readonly string[]): Found[] {
  const left = new Set(unchecked.map(([program]) => program));
  const parsed = programs.filter((program) => !left.has(program));
  return [
    ...(refused.length === 0 && parsed.length > 0
      ? [ok(`${name}: ${parsed.join(', ')} take${parsed.length > 1 ? '' : 's'} the planned options`)]
      : []),
    ...refused.map(([place, message]) => fail(`${place}: ${message}`, CORRECT)),
    ...unchecked.map(([program, why]) =>
      warn(
        `${name}: the options of ${program} were not checked: ${why}`,
        'the job checks them, where it can',
      ),
    ),
  ];
}

/** The directory with the lines, for as long as they are read. */
async function inDirectory<T>(
  { directory, file, content, cache }: OptionCheck,
  run: () => Promise<T>,
): Promise<T> {
  await mkdir(join(directory, 'logs'), { recursive: true });
  await mkdir(join(directory, 'tmp-node'), { recursive: true });
  await mkdir(cache, { mode: 0o755 }).catch(() => {});
  await writeFile(join(directory, file), content);
  try {
    return await run();
  } finally {
    await rm(directory, { recursive: true, force: true }).catch(() => {});
  }
}

/** Where the answer for an image that cannot change is kept; undefined for a tag, which moves. */
function cacheFile({ image, content, cache }: OptionCheck): string | undefined {
  const digest = image === null ? undefined : digestOf(image);
  if (digest === undefined || !isOwn(cache)) return undefined;
  const key = createHash('sha256')
    .update(JSON.stringify([digest, content]))
    .digest('hex');
  return join(cache, `image-${key}.json`);
}

/** A registry's digest, or the file that an image is. */
function digestOf(image: string): string | undefined {
  const registry = /@(sha256:[0-9a-f]{64})$/.exec(image)?.[1];
  if (registry !== undefined || !isAbsolute(image)) return registry;
  try {
    const { size, mtimeMs } = statSync(image);
    return `${realpathSync(image)} ${size} ${mtimeMs}`;
  } catch {
    return undefined;
  }
}

/** Another user's answers are not used. */
function isOwn(directory: string): boolean {
  const found = lstatSync(directory, { throwIfNoEntry: false });
  return found === undefined || (found.isDirectory() && found.uid === process.getuid?.());
}

async function readKept(file: string): Promise<Answer | undefined> {
  try {
    return answerSchema.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch {
    return undefined;
  }
}
