import { execFileSync } from 'node:child_process';

/** Bundles once, before the first test that needs it, because such tests run the programs that users run. */
export default function setup(): void {
  if (process.env.SRTCTL_SKIP_BUILD) return;
  process.env.SRTCTL_SKIP_BUILD = '1';
  execFileSync(process.execPath, ['scripts/build.mjs'], { stdio: 'inherit' });
}
