// A server of completions whose schedule is known exactly, and that writes down when it really sent what:
// `node exact-server.mjs [--ttft MS] [--itl MS] [--chunks-a-write N]`. It prints its port. The prompt's first
// token id is the request's number. With an ITL of 0 chunks leave as fast as they are taken. `GET /log` returns
// `[{ index, arrivedAt, sentAt: [] }]`, in ms of the clock of process.hrtime, which all processes share, and forgets it.
import { createServer } from 'node:net';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    ttft: { type: 'string', default: '50' },
    itl: { type: 'string', default: '10' },
    'chunks-a-write': { type: 'string', default: '1' },
  },
});
const [ttftMs, itlMs, together] = [values.ttft, values.itl, values['chunks-a-write']].map(Number);
const TICK_MS = 1;

const now = () => Number(process.hrtime.bigint()) / 1e6;
const HEAD =
  'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n';
const chunked = (text) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
const event = (content) => chunked(`data: ${JSON.stringify(content)}\n\n`);

let log = [];
const streams = new Set();

/** As vLLM 0.32 writes it. */
const tokenOf = (id) =>
  event({
    ...{ id, object: 'text_completion', created: 1_764_000_000, model: 'served' },
    choices: [{ index: 0, text: ' token', logprobs: null, finish_reason: null, stop_reason: null }],
    usage: null,
  });

function begin(socket, { prompt, max_tokens: tokens, stream_options: { include_usage: wantsUsage } = {} }) {
  const arrivedAt = now();
  const index = Array.isArray(prompt) ? prompt[0] : -1;
  const entry = { index, arrivedAt, sentAt: [] };
  log.push(entry);
  const id = `cmpl-${index}-0123456789abcdef0123456789abcdef`;
  const usage = {
    prompt_tokens: prompt.length,
    completion_tokens: tokens,
    total_tokens: tokens + prompt.length,
  };
  const stream = {
    ...{ socket, entry, tokens, left: tokens, nextAt: arrivedAt + ttftMs },
    token: Buffer.from(tokenOf(id)),
    end: `${wantsUsage ? event({ id, model: 'served', choices: [], usage }) : ''}${chunked('data: [DONE]\n\n')}0\r\n\r\n`,
  };
  stream.several = Buffer.concat(Array(together).fill(stream.token));
  socket.write(`${HEAD}\r\n`);
  if (itlMs === 0) pour(stream);
  else streams.add(stream);
}

function pour(stream) {
  while (stream.left > 0) {
    const count = Math.min(together, stream.left);
    stream.left -= count;
    const bytes = count === together ? stream.several : Buffer.concat(Array(count).fill(stream.token));
    if (!stream.socket.write(bytes) && stream.left > 0) {
      stream.socket.once('drain', () => pour(stream));
      return;
    }
  }
  stream.socket.write(stream.end);
}

setInterval(() => {
  for (const stream of streams) {
    const at = now();
    if (at < stream.nextAt) continue;
    stream.entry.sentAt.push(at);
    stream.socket.write(stream.token);
    stream.nextAt += itlMs;
    if (--stream.left > 0) continue;
    stream.socket.write(stream.end);
    streams.delete(stream);
  }
}, TICK_MS);

const server = createServer((socket) => {
  socket.setNoDelay(true);
  socket.on('error', () => undefined);
  let text = '';
  let closes = false;
  socket.on('data', (bytes) => {
    text += bytes.toString('latin1');
    const head = text.indexOf('\r\n\r\n');
    if (head < 0) return;
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(text.slice(0, head))?.[1] ?? 0);
    if (text.length < head + 4 + length) return;
    const body = text.slice(head + 4, head + 4 + length);
    closes ||= /\r\nconnection: *close/i.test(text.slice(0, head));
    if (text.startsWith('GET /log')) {
      const answer = JSON.stringify(log);
      log = [];
      socket.end(`HTTP/1.1 200 OK\r\nContent-Length: ${answer.length}\r\nConnection: close\r\n\r\n${answer}`);
    } else if (text.startsWith('GET /v1/models')) answer(socket, 200, { data: [{ id: 'served' }] });
    else if (!text.startsWith('POST /v1/completions')) answer(socket, 404, {});
    else begin(closes ? closing(socket) : socket, JSON.parse(body));
    text = '';
  });
});

function answer(socket, status, content) {
  const body = JSON.stringify(content);
  const head = `HTTP/1.1 ${status} x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}`;
  socket.end(`${head}\r\nConnection: close\r\n\r\n${body}`);
}

/** Closes with the end of the answer, as servers do that were asked to. */
function closing(socket) {
  const write = socket.write.bind(socket);
  socket.write = (bytes) => {
    const isTaken = write(bytes);
    if (typeof bytes === 'string' && bytes.endsWith('0\r\n\r\n')) socket.end();
    return isTaken;
  };
  return socket;
}
server.listen({ port: 0, host: '127.0.0.1', backlog: 4_096 }, () => console.log(server.address().port));
process.on('disconnect', () => process.exit(0));
