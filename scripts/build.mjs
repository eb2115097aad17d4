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

/** Programs that start.mjs runs, each from one file with code that was compiled here. */
const programs = {
  srtctl: 'src/cli/main.ts',
  coordinator: 'src/coordinator/main.ts',
  'node-agent': 'src/node-agent/main.ts',
  loadgen: 'src/benchmarks/loadgen/main.ts',
  'stage-model': 'src/steps/main.ts',
  'doctor-node': 'src/doctor/node-main.ts',
};

await Promise.all([
  ...Object.entries(programs).map(([name, entry]) =>
    build({
      ...common,
      entryPoints: { [`programs/${name}`]: entry },
      outExtension: { '.js': '.cjs' },
      format: 'cjs',
      banner: {},
      define: { 'import.meta.url': 'moduleUrl' },
      // Compiled code that is read back cannot import; it can require.
      supported: { 'dynamic-import': false },
    }),
  ),
  // Of the simulator each stand-in needs a part.
  build({
    ...common,
    entryPoints: { simulator: 'src/simulator/main.ts' },
    splitting: true,
    chunkNames: 'chunks/[name]-[hash]',
  }),
]);
for (const name of Object.keys(programs)) cpSync(join(root, 'src/os/start.mjs'), join(dist, `${name}.js`));

// What is not JavaScript but belongs beside it: the agents' guard and keepers, steps and the simulator's stand-ins for PATH.
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

// What they compile on the way, for their next starts: the command line through a whole recipe, the others until they
// find that they are told nothing. Code fits only the options of Node with which it was compiled.
const quickstart = join(root, 'examples/quickstart.yaml');
const ways = [
  { argv: ['srtctl.js', 'dry-run', '-f', quickstart], endsWith: 0 },
  { argv: ['coordinator.js'], endsWith: 2 },
  { argv: ['node-agent.js'], flags: ['--max-semi-space-size=1'], endsWith: 2 },
  { argv: ['loadgen.js'], endsWith: 1 },
  { argv: ['stage-model.js'], endsWith: 2 },
];
for (const { argv, flags = [], endsWith } of ways) {
  const [program, ...args] = argv;
  const { status, stderr } = spawnSync(process.execPath, [...flags, join(dist, program), ...args], {
    cwd: tmpdir(),
    env: { ...process.env, SRTSLURM_CONFIG: '', SRTCTL_KEEP_COMPILED: '1' },
    encoding: 'utf8',
  });
  if (status !== endsWith) throw new Error(`${program} does not start (${status}): ${stderr}`);
}
