// Bundles the command line, the agent, the coordinator, the load generator and the simulator into a directory.
import { chmodSync, cpSync, mkdirSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

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

const common = {
  absWorkingDir: root,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  sourcemap: 'linked',
  // As modules, so that unused code is left out, because all bundled code is read at each start.
  alias: { yaml: join(root, 'node_modules/yaml/browser/dist/index.js') },
  plugins: [englishOnly, requestsOnly],
  legalComments: 'none',
  logLevel: 'warning',
  // Bundled CommonJS packages call require() for Node's own modules, and use their own path.
  banner: {
    js: "import{createRequire as __cr}from'node:module';import{fileURLToPath as __fp}from'node:url';const require=__cr(import.meta.url),__filename=__fp(import.meta.url),__dirname=__fp(new URL('.',import.meta.url));",
  },
};

/** Programs that start.mjs runs, each from one file with code compiled here. */
const programs = {
  srtctl: 'src/cli/main.ts',
  coordinator: 'src/coordinator/main.ts',
  'node-agent': 'src/node-agent/main.ts',
  loadgen: 'src/benchmarks/loadgen/main.ts',
  'stage-model': 'src/steps/main.ts',
  'doctor-node': 'src/doctor/node-main.ts',
};

/** Bundles all programs, and copies the other files that they need, into the directory `dist`. */
export async function bundle(dist, { minify }) {
  const options = { ...common, outdir: dist, minifySyntax: minify, minifyWhitespace: minify };
  await Promise.all([
    ...Object.entries(programs).map(([name, entry]) =>
      build({
        ...options,
        entryPoints: { [`programs/${name}`]: entry },
        outExtension: { '.js': '.cjs' },
        format: 'cjs',
        banner: {},
        define: { 'import.meta.url': 'moduleUrl' },
        // Code from the compile cache cannot import; it can require.
        supported: { 'dynamic-import': false },
      }),
    ),
    // Each stand-in needs one part of the simulator.
    build({
      ...options,
      entryPoints: { simulator: 'src/simulator/main.ts' },
      splitting: true,
      chunkNames: 'chunks/[name]-[hash]',
    }),
  ]);
  for (const name of Object.keys(programs)) cpSync(join(root, 'src/os/start.mjs'), join(dist, `${name}.js`));

  // The agents' guard and keepers, steps and the simulator's stand-ins for PATH.
  for (const name of ['guard.sh', 'keeper.pl', 'keeper.py'])
    cpSync(join(root, 'src/os/processes', name), join(dist, name));
  cpSync(join(root, 'src/why/signatures.yaml'), join(dist, 'signatures.yaml'));
  cpSync(join(root, 'src/static/library.sh'), join(dist, 'static.sh'));
  cpSync(join(root, 'src/steps'), join(dist, 'steps'), {
    recursive: true,
    filter: (path) => !path.endsWith('.ts'),
  });
  mkdirSync(join(dist, 'mock-bin'), { recursive: true });
  cpSync(join(root, 'src/simulator/bin'), join(dist, 'mock-bin'), { recursive: true });
  for (const name of readdirSync(join(dist, 'mock-bin'))) chmodSync(join(dist, 'mock-bin', name), 0o755);
  chmodSync(join(dist, 'guard.sh'), 0o755);
  chmodSync(join(dist, 'srtctl.js'), 0o755);
}
