#!/usr/bin/env node
// Starts a program from one file, with the code that V8 compiled at build time. Otherwise Node 20 compiles
// everything at each start, which is half the time of a short command. Without the compiled code, or with
// that of another version of Node, V8 compiles as usual. CommonJS, because Node's loader of modules takes 5 ms.
const { readFileSync, writeFileSync } = require('node:fs');
const { basename, join } = require('node:path');
const { pathToFileURL } = require('node:url');
const { setFlagsFromString } = require('node:v8');
const { Script } = require('node:vm');

const file = join(__dirname, 'programs', `${basename(__filename).replace(/\.c?js$/, '')}.cjs`);
const compiled = `${file}.v8`;

// V8 optimises a function once it has run for a while. For a program that ends after a tenth of a second that is too
// early: optimising takes a tenth of its CPU time. The load generator computes from its start. Newer releases of Node
// refuse this flag, and print so.
if (process.version.startsWith('v20.') && !file.endsWith('loadgen.cjs')) {
  setFlagsFromString('--interrupt-budget=2000000');
}

// V8 accepts code of another build of the same V8, and then crashes (20.19.6 with that of 20.20.2).
const builder = `${process.version} ${process.arch}`;

function read() {
  try {
    return readFileSync(`${compiled}.node`, 'utf8') === builder ? readFileSync(compiled) : undefined;
  } catch {
    return undefined;
  }
}

// esbuild writes ASCII, which needs no decoding this way. The file is a function of four parameters.
const source = readFileSync(file, 'latin1');
const cachedData = read();
const script = new Script(source, { filename: file, ...(cachedData ? { cachedData } : {}) });

// V8 compiles functions when they are first called, so the code is saved after a whole command has run.
if (process.env.SRTCTL_KEEP_COMPILED === '1') {
  process.on('exit', () => {
    writeFileSync(compiled, script.createCachedData());
    writeFileSync(`${compiled}.node`, builder);
  });
}
script.runInThisContext()(require, pathToFileURL(__filename).href, file, __dirname);
