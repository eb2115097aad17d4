import { readFile } from 'node:fs/promises';
import { bindAddress } from './argv.ts';
import { Fatal } from './fatal.ts';
import { readBody, sendText, serve } from './http.ts';
import { policyOf, type Target } from './policy.ts';
import { pipe, send, whenGone } from './upstream.ts';

/** A directive of nginx.conf with its words, and its block where it has one. */
interface Directive {
  readonly words: string[];
  readonly block: Directive[];
}

/** Parses the grammar of nginx.conf: `words… ;` or `words… { … }`, comments and quotes. */
export function parseConf(text: string): Directive[] {
  const tokens = text.match(/#[^\n]*|"[^"]*"|'[^']*'|[{};]|[^\s{};"']+/g) ?? [];
  let at = 0;
  const block = (): Directive[] => {
    const found: Directive[] = [];
    let words: string[] = [];
    while (at < tokens.length) {
      const token = tokens[at++] ?? '';
      if (token.startsWith('#')) continue;
      if (token === '}') return found;
      if (token === ';' || token === '{') {
        found.push({ words, block: token === '{' ? block() : [] });
        words = [];
      } else words.push(token.replaceAll(/^["']|["']$/g, ''));
    }
    return found;
  };
  return block();
}

const all = (directives: readonly Directive[], name: string): Directive[] =>
  directives.flatMap((each) => [...(each.words[0] === name ? [each] : []), ...all(each.block, name)]);

/** nginx in front of several routers: reverse proxy for each `server`, with its `proxy_pass` to an `upstream`. */
export async function runNginx(argv: readonly string[]): Promise<void> {
  const file = argv[argv.indexOf('-c') + 1];
  if (!argv.includes('-c') || file === undefined) throw new Fatal('nginx: option "-c" requires file name');
  const text = await readFile(file, 'utf8').catch(() => {
    throw new Fatal(`nginx: [emerg] open() "${file}" failed (2: No such file or directory)`);
  });
  const conf = parseConf(text);
  process.on('SIGTERM', () => process.exit(0));
  process.on('SIGQUIT', () => process.exit(0));
  const servers = all(conf, 'server').filter((each) => each.block.length > 0);
  for (const server of servers) await listen(server, conf);
  if (servers.length === 0) throw new Fatal('nginx: [emerg] no server in the configuration');
}

async function listen(server: Directive, conf: readonly Directive[]): Promise<void> {
  const [, address = ''] = all(server.block, 'listen')[0]?.words ?? [];
  const [, host = '0.0.0.0', port = address] = address.match(/^(.+):(\d+)$/) ?? [];
  const [, pass = ''] = all(server.block, 'proxy_pass')[0]?.words ?? [];
  const name = pass.replace(/^https?:\/\//, '').replace(/\/.*$/, '');
  const upstream = all(conf, 'upstream').find((each) => each.words[1] === name);
  const targets: Target[] = (
    upstream ? all(upstream.block, 'server').map((each) => each.words[1] ?? '') : [name]
  ).map((text) => ({ url: new URL(`http://${text}`), load: 0 }));
  const leastConnections = upstream !== undefined && all(upstream.block, 'least_conn').length > 0;
  const inTurn = policyOf('round_robin');
  const choose = (): Target | undefined =>
    leastConnections
      ? targets.reduce<Target | undefined>(
          (best, each) => (best && best.load <= each.load ? best : each),
          undefined,
        )
      : inTurn(targets, '');
  await serve(bindAddress(host), Number(port), async (request, response) => {
    const target = choose();
    if (!target) return sendText(response, 502, '502 Bad Gateway');
    target.load++;
    response.once('close', () => target.load--);
    const signal = whenGone(response);
    const body = await readBody(request);
    try {
      const upstreamAnswer = await send({
        url: target.url,
        method: request.method ?? 'GET',
        path: request.url ?? '/',
        body,
        signal,
      });
      pipe(upstreamAnswer, response);
    } catch {
      if (!signal.aborted) sendText(response, 502, '502 Bad Gateway');
    }
  });
}
