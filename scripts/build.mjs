// Bundles the command line, the agent, the coordinator, the load generator and the simulator into dist/.
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, 'dist');
rmSync(dist, { recursive: true, force: true });

/** zod brings its messages in fifty languages; errors here are English, and an agent's memory is a node's. */
const englishOnly = {
  name: 'english-only',
  setup(esbuild) {
    esbuild.onLoad({ filter: /zod[\\/]v4[\\/]locales[\\/]index\.js$/ }, () => ({
      contents: "export { default as en } from './en.js';",
    }));
  },
};

const common = {
  absWorkingDir: root,
  outdir: dist,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  sourcemap: 'linked',
  minifySyntax: true,
  minifyWhitespace: true,
  // As modules, so that what nobody uses is left out: all that is bundled is read at each start.
  alias: { yaml: join(root, 'node_modules/yaml/browser/dist/index.js') },
  plugins: [englishOnly],
  legalComments: 'none',
  logLevel: 'warning',
  // Bundled CommonJS packages call require() for Node's own modules, and ask where they are.
  banner: {
    js: "import{createRequire as __cr}from'node:module';import{fileURLToPath as __fp}from'node:url';const require=__cr(import.meta.url),__filename=__fp(import.meta.url),__dirname=__fp(new URL('.',import.meta.url));",
  },
};

const programs = {
  coordinator: 'src/coordinator/main.ts',
  'node-agent': 'src/node-agent/main.ts',
  loadgen: 'src/benchmarks/loadgen/main.ts',
  simulator: 'src/simulator/main.ts',
};

await Promise.all([
  // Each has files of its own: what they have in common would be cut into many small ones, and each costs time at a start.
  ...Object.entries(programs).map(([name, entry]) =>
    build({
      ...common,
      entryPoints: { [name]: entry },
      splitting: true,
      chunkNames: `chunks/${name}-[name]-[hash]`,
    }),
  ),
  // The command line is one file, which start.mjs runs.
  build({
    ...common,
    entryPoints: { 'programs/srtctl': 'src/cli/main.ts' },
    outExtension: { '.js': '.cjs' },
    format: 'cjs',
    banner: {},
    define: { 'import.meta.url': 'moduleUrl' },
    // Compiled code that is read back cannot import; it can require.
    supported: { 'dynamic-import': false },
  }),
]);
cpSync(join(root, 'src/cli/start.mjs'), join(dist, 'srtctl.js'));

// What is not JavaScript but belongs beside it: the agents' guard and the simulator's stand-ins for PATH.
cpSync(join(root, 'src/guard.sh'), join(dist, 'guard.sh'));
mkdirSync(join(dist, 'mock-bin'), { recursive: true });
cpSync(join(root, 'src/simulator/bin'), join(dist, 'mock-bin'), { recursive: true });
for (const name of readdirSync(join(dist, 'mock-bin'))) chmodSync(join(dist, 'mock-bin', name), 0o755);
chmodSync(join(dist, 'guard.sh'), 0o755);
chmodSync(join(dist, 'srtctl.js'), 0o755);

// What the command line compiles on the way through a recipe, for its next starts.
const { status, stderr } = spawnSync(
  process.execPath,
  [join(dist, 'srtctl.js'), 'dry-run', '-f', join(root, 'examples/quickstart.yaml')],
  {
    cwd: tmpdir(),
    env: { ...process.env, SRTSLURM_CONFIG: '', SRTCTL_KEEP_COMPILED: '1' },
    encoding: 'utf8',
  },
);
if (status !== 0) throw new Error(`srtctl does not start: ${stderr}`);
