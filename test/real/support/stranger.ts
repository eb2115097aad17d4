import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Environment that makes the command `srtctl` itself also listen on a port of the run's network. It is a
 * foreign server that answers each request as a ready vLLM answers for its models.
 * @param begins when it starts: at once, or as soon as a process runs whose command line matches
 */
export async function strangerOn(
  port: number,
  directory: string,
  begins: RegExp | 'at once' = 'at once',
): Promise<Record<string, string>> {
  const file = join(directory, `stranger-${port}-${begins === 'at once' ? 'now' : 'later'}.cjs`);
  await writeFile(
    file,
    `const { readdirSync, readFileSync, readlinkSync } = require('node:fs');
const models = JSON.stringify({ object: 'list', data: [{ id: 'tiny', object: 'model' }] });
const listen = () =>
  require('node:http')
    .createServer((_, answer) => answer.setHeader('content-type', 'application/json').end(models))
    .on('error', () => undefined)
    .listen(${port}, '0.0.0.0')
    .unref();
const network = readlinkSync('/proc/self/ns/net');
const runs = (title) =>
  readdirSync('/proc').some((pid) => {
    try {
      const words = readFileSync('/proc/' + pid + '/cmdline', 'latin1').replaceAll('\\0', ' ');
      return title.test(words) && readlinkSync('/proc/' + pid + '/ns/net') === network;
    } catch {
      return false;
    }
  });
if (/srtctl/.test(process.argv[1] ?? '')) {
  ${
    begins === 'at once'
      ? 'listen();'
      : `const timer = setInterval(() => { if (runs(${begins})) { clearInterval(timer); listen(); } }, 50);
  timer.unref();`
  }
}
`,
  );
  return { NODE_OPTIONS: `--require ${file}` };
}
