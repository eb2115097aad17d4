// Takes pictures of a report in a headless Chromium, to look at after a change of the page: wide and narrow, light and
// dark. node scripts/report-pictures.mjs REPORT.html DIRECTORY; needs Debian's package `chromium`, or CHROMIUM=PROGRAM.
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const [page, directory] = process.argv.slice(2);
if (directory === undefined) {
  console.error('usage: node scripts/report-pictures.mjs REPORT.html DIRECTORY');
  process.exit(2);
}
mkdirSync(directory, { recursive: true });
const program = process.env.CHROMIUM ?? 'chromium';

for (const [width, height] of [
  [1440, 6000],
  [390, 9000],
])
  for (const scheme of ['light', 'dark']) {
    const picture = resolve(join(directory, `${width}-${scheme}.png`));
    const { status, error, stderr } = spawnSync(
      program,
      [
        ...['--headless', '--hide-scrollbars', '--virtual-time-budget=3000', `--screenshot=${picture}`],
        ...[
          `--window-size=${width},${height}`,
          `--blink-settings=preferredColorScheme=${scheme === 'dark' ? 0 : 1}`,
        ],
        // Chromium's sandbox does not start as root. The page is our own, and it may load nothing.
        ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
        pathToFileURL(resolve(page)).href,
      ],
      { encoding: 'utf8' },
    );
    if (status !== 0) {
      console.error(`${program} took no picture: ${error?.message ?? stderr}`);
      process.exit(1);
    }
    console.log(picture);
  }
