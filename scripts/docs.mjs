// Writes docs/reference/config.md, bus.md and bus.schema.json from the schemas.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const scratch = mkdtempSync(join(tmpdir(), 'srtctl-docs-'));
try {
  const { configReference } = await bundled('config-reference');
  const { busReference, busSchema } = await bundled('bus-reference');
  const docs = join(root, 'docs/reference');
  writeFileSync(join(docs, 'config.md'), configReference());
  writeFileSync(join(docs, 'bus.md'), busReference());
  writeFileSync(join(docs, 'bus.schema.json'), busSchema());
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

async function bundled(name) {
  const outfile = join(scratch, `${name}.cjs`);
  await build({
    absWorkingDir: root,
    entryPoints: [`scripts/${name}.ts`],
    outfile,
    bundle: true,
    format: 'cjs',
    platform: 'node',
    logLevel: 'warning',
  });
  return import(pathToFileURL(outfile).href);
}
