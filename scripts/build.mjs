// Bundles the command line, the agent, the coordinator, the load generator and the simulator into dist/.
import { chmodSync, cpSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, 'dist');
rmSync(dist, { recursive: true, force: true });

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
  legalComments: 'none',
  logLevel: 'warning',
  // Bundled CommonJS packages call require() for Node's own modules.
  banner: { js: "import { createRequire as __cr } from 'node:module';const require = __cr(import.meta.url);" },
});

// What is not JavaScript but belongs beside it: the agents' guard and the simulator's stand-ins for PATH.
cpSync(join(root, 'src/guard.sh'), join(dist, 'guard.sh'));
mkdirSync(join(dist, 'mock-bin'), { recursive: true });
cpSync(join(root, 'src/simulator/bin'), join(dist, 'mock-bin'), { recursive: true });
for (const name of readdirSync(join(dist, 'mock-bin'))) chmodSync(join(dist, 'mock-bin', name), 0o755);
chmodSync(join(dist, 'guard.sh'), 0o755);
chmodSync(join(dist, 'srtctl.js'), 0o755);
