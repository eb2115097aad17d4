import { execFileSync } from 'node:child_process';

/** Bundles once before any test: integration tests run what users run. */
export default function setup(): void {
  if (process.env.SRTCTL_SKIP_BUILD) return;
  execFileSync(process.execPath, ['scripts/build.mjs'], { stdio: 'inherit' });
}
