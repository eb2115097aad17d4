import { execFileSync } from 'node:child_process';

/** Bundles once, before the first test of any kind that needs it: such tests run what users run. */
export default function setup(): void {
  if (process.env.SRTCTL_SKIP_BUILD) return;
  process.env.SRTCTL_SKIP_BUILD = '1';
  execFileSync(process.execPath, ['scripts/build.mjs'], { stdio: 'inherit' });
}
