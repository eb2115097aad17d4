import { readFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { bindAddress } from '../common/argv.ts';
import { Fatal } from '../common/fatal.ts';
import { readBody, sendText, serve } from '../common/http.ts';
import { type Policy, policyOf, type Target } from './policy.ts';
import { passedOn, pipe, send, whenGone } from './upstream.ts';

/** A directive of nginx.conf with its words and its block, if any. */
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

/**
 * nginx in front of several routers: a reverse proxy for each `server`, with its `proxy_pass` to an
 * `upstream`.
 */
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

/** One `server` block: its address, and the upstream of its requests. */
async function listen(server: Directive, conf: readonly Directive[]): Promise<void> {
  const [, address = ''] = all(server.block, 'listen')[0]?.words ?? [];
  const [, host = '0.0.0.0', port = address] = address.match(/^(.+):(\d+)$/) ?? [];
  const [, pass = ''] = all(server.block, 'proxy_pass')[0]?.words ?? [];
  const name = pass.replace(/^https?:\/\//, '').replace(/\/.*$/, '');
  const upstream = all(conf, 'upstream').find((each) => each.words[1] === name);
  const servers = upstream ? all(upstream.block, 'server').map((each) => each.words) : [['server', name]];
  const targets = servers.map((words) => new Peer(words));
  const choose = choiceOf(upstream?.block ?? []);
  await serve(bindAddress(host), Number(port), async (request, response) => {
    const body = await readBody(request);
    const signal = whenGone(response);
    const headers = passedOn(request.headers);
    const sent = { method: request.method ?? 'GET', path: request.url ?? '/', body, signal, headers };
    const asked = new Set<Peer>();
    // As with proxy_next_upstream: skips an upstream that takes no connection.
    for (;;) {
      const live = targets.filter((each) => !asked.has(each) && each.isLive());
      const target = choose(live, request.socket.remoteAddress ?? '');
      if (!target) break;
      asked.add(target);
      const free = occupy(target, response);
      try {
        const answer = await send({ ...sent, url: target.url });
        target.answered();
        return pipe(answer, response, passedOn(answer.headers));
      } catch (error) {
        free();
        if (!signal.aborted) target.failed();
        if ((error as NodeJS.ErrnoException).code !== 'ECONNREFUSED') break;
      }
    }
    sendText(response, 502, '<html><body><h1>502 Bad Gateway</h1></body></html>', 'text/html');
  });
}

/** A server of an upstream. After `max_fails` failures it gets no request for `fail_timeout`. */
class Peer implements Target {
  readonly url: URL;
  load = 0;
  readonly #mostFails: number;
  readonly #restMs: number;
  #fails = 0;
  #failedAt = 0;

  constructor([, address = '', ...options]: readonly string[]) {
    this.url = new URL(`http://${address}`);
    const option = (name: string): string | undefined =>
      options.find((each) => each.startsWith(`${name}=`))?.slice(name.length + 1);
    this.#mostFails = Number(option('max_fails') ?? 1);
    const [, rest = '10', unit] = /^(\d+)(m?s)?$/.exec(option('fail_timeout') ?? '') ?? [];
    this.#restMs = Number(rest) * (unit === 'ms' ? 1 : 1_000);
  }

  /** Called before each request. */
  isLive(): boolean {
    if (this.#mostFails === 0 || this.#fails < this.#mostFails) return true;
    return performance.now() - this.#failedAt > this.#restMs;
  }

  failed(): void {
    const now = performance.now();
    this.#fails = now - this.#failedAt > this.#restMs && this.#fails < this.#mostFails ? 1 : this.#fails + 1;
    this.#failedAt = now;
  }

  answered(): void {
    this.#fails = 0;
  }
}

/** Counts as load until the answer is complete, or until the caller frees it. */
function occupy(target: Target, response: ServerResponse): () => void {
  target.load++;
  const free = (): void => {
    target.load--;
    response.off('close', free);
  };
  response.once('close', free);
  return free;
}

function choiceOf(upstream: readonly Directive[]): Policy {
  if (all(upstream, 'least_conn').length > 0) return policyOf('least_load');
  if (all(upstream, 'ip_hash').length === 0) return policyOf('round_robin');
  return (targets, client) => {
    const hash = [...client].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 65_521, 0);
    return targets[hash % targets.length];
  };
}
