// Bundles the command line, the agent, the coordinator, the load generator and the simulator into dist/.
import { chmodSync, cpSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
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

await build({
  absWorkingDir: root,
  entryPoints: {
    srtctl: 'src/cli/main.ts',
    coordinator: 'src/coordinator/main.ts',
    'node-agent': 'src/node-agent/main.ts',
    loadgen: 'src/benchmarks/loadgen/main.ts',
    simulator: 'src/simulator/main.ts',
  },
  outdir: dist,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  chunkNames: 'chunks/[name]-[hash]',
  sourcemap: 'linked',
  minifySyntax: true,
  minifyWhitespace: true,
  plugins: [englishOnly],
  legalComments: 'none',
  logLevel: 'warning',
  // Bundled CommonJS packages call require() for Node's own modules, and ask where they are.
  banner: {
    js: "import{createRequire as __cr}from'node:module';import{fileURLToPath as __fp}from'node:url';const require=__cr(import.meta.url),__filename=__fp(import.meta.url),__dirname=__fp(new URL('.',import.meta.url));",
  },
});

// What is not JavaScript but belongs beside it: the agents' guard and the simulator's stand-ins for PATH.
cpSync(join(root, 'src/guard.sh'), join(dist, 'guard.sh'));
mkdirSync(join(dist, 'mock-bin'), { recursive: true });
cpSync(join(root, 'src/simulator/bin'), join(dist, 'mock-bin'), { recursive: true });
for (const name of readdirSync(join(dist, 'mock-bin'))) chmodSync(join(dist, 'mock-bin', name), 0o755);
chmodSync(join(dist, 'guard.sh'), 0o755);
chmodSync(join(dist, 'srtctl.js'), 0o755);
