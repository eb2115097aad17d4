// Bundles the command line, the agent, the coordinator, the load generator and the simulator into a directory.
import { chmodSync, cpSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/** Programs whose stand-in is the simulator with their name before their arguments. */
const PLAIN_STAND_INS = ['atomesh', 'envoy', 'epp', 'nginx', 'pd-sidecar', 'sgl-router', 'vllm-rs'];

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/**
 * zod has its messages in fifty languages. Errors of srtctl are English, and each agent would keep the messages in
 * memory.
 */
const englishOnly = {
  name: 'english-only',
  setup(esbuild) {
    esbuild.onLoad({ filter: /zod[\\/]v4[\\/]locales[\\/]index\.js$/ }, () => ({
      contents: "export { default as en } from './en.js';",
    }));
  },
};

/**
 * undici also has fetch, WebSocket, mocks, caches and proxies, which are two thirds of it. srtctl sends requests alone, and
 * each agent and coordinator would load the rest at its start.
 */
const requestsOnly = {
  name: 'requests-only',
  setup(esbuild) {
    esbuild.onLoad({ filter: /node_modules[\\/]undici[\\/]index\.js$/ }, () => ({
      contents: `Object.assign(require('./lib/dispatcher/dispatcher').prototype, require('./lib/api'));
        module.exports = { Client: require('./lib/dispatcher/client'), Pool: require('./lib/dispatcher/pool') };`,
    }));
  },
};

/**
 * string-width compiles patterns of all emoji when it is loaded, which takes as long as the rest of a short command. Text
 * is mostly ASCII and needs none of them.
 */
const widthsOnDemand = {
  name: 'widths-on-demand',
  setup(esbuild) {
    esbuild.onLoad({ filter: /node_modules[\\/]string-width[\\/]index\.js$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8');
      // cli-table3 has an older one, without such patterns.
      if (!text.includes('export default')) return undefined;
      const [, imports, body, name, rest] =
        /^((?:import [^\n]*\n)+)(.*)^export default function (\w+)(.*)$/ms.exec(text) ?? [];
      if (rest === undefined) throw new Error(`${path} has another shape: see widthsOnDemand`);
      return {
        contents: `${imports}
          function make() {${body} return function ${name}${rest}}
          let made;
          export default function (text, options) {
            if (/^[\\x20-\\x7e]*$/.test(text)) return text.length;
            return (made ??= make())(text, options);
          }`,
      };
    });
  },
};

/**
 * terminal-kit loads its parts by names that are only known when it runs, which cannot be bundled. srtctl uses its
 * terminal and its buffer of cells; the rest are menus, documents and images.
 */
const cellsOnly = {
  name: 'cells-only',
  setup(esbuild) {
    const kit = /node_modules[\\/]terminal-kit[\\/]lib[\\/]/.source;
    esbuild.onLoad({ filter: new RegExp(`${kit}termkit\\.js$`) }, () => ({
      contents: `const termkit = module.exports = { globalConfig: {} };
        Object.assign(termkit, require('./misc.js'), require('./detectTerminal.js'));
        termkit.tty = require('./tty.js');
        termkit.image = { load() { throw new Error('no images'); } };
        termkit.chroma = require('chroma-js');
        termkit.Palette = require('./Palette.js');
        termkit.Rect = require('./Rect.js');
        termkit.TextBuffer = require('./TextBuffer.js');
        termkit.ScreenBuffer = require('./ScreenBuffer.js');
        termkit.Terminal = require('./Terminal.js');
        termkit.createTerminal = termkit.Terminal.create;`,
    }));
    // Readme files beside the descriptions of terminals.
    esbuild.onLoad({ filter: new RegExp(`${kit}.*README$`) }, () => ({ contents: '' }));
  },
};

const common = {
  absWorkingDir: root,
  bundle: true,
  format: 'cjs',
  platform: 'node',
  target: 'node20',
  sourcemap: 'linked',
  // As modules, so that unused code is left out, because all bundled code is read at each start.
  alias: { yaml: join(root, 'node_modules/yaml/browser/dist/index.js') },
  plugins: [englishOnly, requestsOnly, widthsOnDemand],
  legalComments: 'none',
  logLevel: 'warning',
  outExtension: { '.js': '.cjs' },
  // start.cjs calls the function that the file is.
  banner: { js: '(function (require, moduleUrl, __filename, __dirname) {' },
  footer: { js: '})' },
  define: { 'import.meta.url': 'moduleUrl' },
  // Code from the compile cache cannot import; it can require.
  supported: { 'dynamic-import': false },
};

/** Programs that start.cjs runs, each from one file with code compiled here. */
const programs = {
  srtctl: 'src/cli/main.ts',
  coordinator: 'src/coordinator/main.ts',
  'node-agent': 'src/node-agent/main.ts',
  loadgen: 'src/benchmarks/loadgen/main.ts',
  accuracy: 'src/benchmarks/accuracy/main.ts',
  'stage-model': 'src/steps/main.ts',
  'doctor-node': 'src/doctor/node-main.ts',
  'telemetry-pack': 'src/telemetry/main.ts',
  reporter: 'src/reporting/main.ts',
  'status-server': 'src/reporting/server/main.ts',
  simulator: 'src/simulator/main.ts',
};

/** What the page of a report runs: the library of charts, and what draws them. Node loads it, too, for `--charts`. */
const page = {
  absWorkingDir: root,
  entryPoints: { report: 'src/report/browser/main.ts' },
  bundle: true,
  format: 'iife',
  globalName: 'srtctlReport',
  platform: 'browser',
  target: 'es2022',
  minify: true,
  legalComments: 'none',
  logLevel: 'warning',
  banner: { js: '/* Contains Apache ECharts (Apache-2.0) and zrender (BSD-3-Clause). */' },
  footer: { js: 'if(typeof module==="object")module.exports=srtctlReport;' },
};

/** The full screen of `srtctl watch`, which that command alone loads: other commands need not read a terminal library. */
const watch = {
  ...common,
  entryPoints: { watch: 'src/cli/watch/main.ts' },
  plugins: [...common.plugins, cellsOnly],
  banner: { js: "const moduleUrl = require('node:url').pathToFileURL(__filename).href;" },
  footer: {},
};

/** Bundles all programs, and copies the other files that they need, into the directory `dist`. */
export async function bundle(dist, { minify }) {
  const options = { ...common, outdir: dist, minifySyntax: minify, minifyWhitespace: minify };
  await Promise.all(
    Object.entries(programs).map(([name, entry]) =>
      build({ ...options, entryPoints: { [`programs/${name}`]: entry } }),
    ),
  );
  await build({ ...watch, outdir: dist, minifySyntax: minify, minifyWhitespace: minify });
  await build({ ...page, outdir: dist });
  // The directory of the package is one of modules.
  writeFileSync(join(dist, 'package.json'), '{ "type": "commonjs" }\n');
  for (const name of Object.keys(programs)) cpSync(join(root, 'src/os/start.cjs'), join(dist, `${name}.js`));

  // The agents' guard and keepers, steps and the simulator's stand-ins for PATH.
  for (const name of ['guard.sh', 'keeper.pl', 'keeper.py'])
    cpSync(join(root, 'src/os/processes', name), join(dist, name));
  // status-server looks for SQLite beside itself.
  cpSync(
    join(root, 'node_modules/node-sqlite3-wasm/dist/node-sqlite3-wasm.wasm'),
    join(dist, 'node-sqlite3-wasm.wasm'),
  );
  cpSync(join(root, 'src/why/signatures.yaml'), join(dist, 'signatures.yaml'));
  cpSync(join(root, 'src/engine-options/tables'), join(dist, 'engine-options'), { recursive: true });
  cpSync(join(root, 'src/static/library.sh'), join(dist, 'static.sh'));
  cpSync(join(root, 'src/steps'), join(dist, 'steps'), {
    recursive: true,
    filter: (path) => !path.endsWith('.ts'),
  });
  mkdirSync(join(dist, 'mock-bin'), { recursive: true });
  cpSync(join(root, 'src/simulator/bin'), join(dist, 'mock-bin'), { recursive: true });
  for (const name of PLAIN_STAND_INS)
    writeFileSync(
      join(dist, 'mock-bin', name),
      `#!/bin/sh\nhere=$(cd "\${0%/*}" && pwd)\nexec "$here/simulate" ${name} "$@"\n`,
    );
  for (const name of readdirSync(join(dist, 'mock-bin'))) chmodSync(join(dist, 'mock-bin', name), 0o755);
  chmodSync(join(dist, 'guard.sh'), 0o755);
  chmodSync(join(dist, 'srtctl.js'), 0o755);
}
