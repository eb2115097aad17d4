#!/usr/bin/env node
// Starts a program from one file, with the code that V8 compiled at build time. Otherwise Node 20 compiles
// everything at each start, which is half the time of a short command. Without the compiled code, or with
// that of another version of Node, V8 compiles as usual.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Script } from 'node:vm';

const own = fileURLToPath(import.meta.url);
const directory = dirname(own);
const file = join(directory, 'programs', `${basename(own).replace(/\.m?js$/, '')}.cjs`);
const compiled = `${file}.v8`;

// V8 accepts code of another build of the same V8, and then crashes (20.19.6 with that of 20.20.2).
const builder = `${process.version} ${process.arch}`;

function read() {
  try {
    return readFileSync(`${compiled}.node`, 'utf8') === builder ? readFileSync(compiled) : undefined;
  } catch {
    return undefined;
  }
}

const wrapped = `(function (require, moduleUrl, __filename, __dirname) {\n${readFileSync(file, 'utf8')}\n})`;
const cachedData = read();
const script = new Script(wrapped, {
  filename: file,
  // Does not count the line before the program's own, so that positions in a stack match the source map.
  lineOffset: -1,
  ...(cachedData ? { cachedData } : {}),
});

// V8 compiles functions when they are first called, so the code is saved after a whole command has run.
if (process.env.SRTCTL_KEEP_COMPILED === '1') {
  process.on('exit', () => {
    writeFileSync(compiled, script.createCachedData());
    writeFileSync(`${compiled}.node`, builder);
  });
}
script.runInThisContext()(createRequire(import.meta.url), import.meta.url, file, directory);
