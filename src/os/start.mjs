#!/usr/bin/env node
// Starts a program from one file, with the code that V8 compiled when it was built: Node 20 compiles everything
// anew at each start otherwise, and that is half of what a short command takes. Without the compiled code, or with that
// of another version of Node, it is compiled as ever.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Script } from 'node:vm';

const own = fileURLToPath(import.meta.url);
const directory = dirname(own);
const file = join(directory, 'programs', `${basename(own).replace(/\.m?js$/, '')}.cjs`);
const compiled = `${file}.v8`;

// V8 takes code of another build of the same V8 for its own, and crashes (20.19.6 with that of 20.20.2).
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
  // The line before the program's own is not counted, so that positions in a stack are those of the source map.
  lineOffset: -1,
  ...(cachedData ? { cachedData } : {}),
});

// Functions are compiled when they are first called: what a whole command has called is worth keeping.
if (process.env.SRTCTL_KEEP_COMPILED === '1') {
  process.on('exit', () => {
    writeFileSync(compiled, script.createCachedData());
    writeFileSync(`${compiled}.node`, builder);
  });
}
script.runInThisContext()(createRequire(import.meta.url), import.meta.url, file, directory);
