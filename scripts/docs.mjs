// Writes docs/reference/config.md from the schemas.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const scratch = mkdtempSync(join(tmpdir(), 'srtctl-docs-'));
try {
  const outfile = join(scratch, 'config-reference.cjs');
  await build({
    absWorkingDir: root,
    entryPoints: ['scripts/config-reference.ts'],
    outfile,
    bundle: true,
    format: 'cjs',
    platform: 'node',
    logLevel: 'warning',
  });
  const { configReference } = await import(pathToFileURL(outfile).href);
  writeFileSync(join(root, 'docs/reference/config.md'), configReference());
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
