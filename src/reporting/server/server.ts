import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import * as z from 'zod';
import { jobCreateSchema, jobUpdateSchema } from '../status/contract.ts';
import { listPage } from './page.ts';
import type { JobStore } from './store.ts';

/** Bytes of a request. */
const MOST_BYTES = 4 * 1024 * 1024;
/** How long a client may take to send its request. */
const REQUEST_MS = 10_000;
/** Jobs of a page of the list, as in srt-slurm's status-api-spec.md. */
const PER_PAGE = 50;
const MOST_PER_PAGE = 100;

interface Reply {
  readonly status: number;
  readonly body: unknown;
}

const number = (most: number, preset: number) => z.coerce.number().int().min(1).max(most).catch(preset);
const querySchema = z.object({
  page: number(1_000_000, 1),
  per_page: number(MOST_PER_PAGE, PER_PAGE),
  status: z.string().min(1).optional(),
  cluster: z.string().min(1).optional(),
});

const ERROR = (status: number, detail: string): Reply => ({ status, body: { detail } });

/**
 * The status API of srt-slurm (docs/status-api-spec.md there), and the list of jobs as a page at `/`.
 * @param token every request must have it (`Authorization: Bearer`, or the password of Basic for browsers); undefined: none
 */
export function statusServer(store: JobStore, token: string | undefined): Server {
  const server = createServer((request, response) => {
    void answer(store, token, request)
      .catch((error: unknown) => ERROR(500, error instanceof Error ? error.message : String(error)))
      .then((reply) => send(response, reply));
  });
  server.requestTimeout = REQUEST_MS;
  return server;
}

async function answer(store: JobStore, token: string | undefined, request: IncomingMessage): Promise<Reply> {
  if (token !== undefined && !isAllowed(request.headers.authorization, token))
    return ERROR(401, 'the token is missing or wrong');
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://status-server');
  const { page, per_page: perPage, status, cluster } = querySchema.parse(Object.fromEntries(searchParams));
  const list = () => store.list({ page, perPage, status, cluster });
  if (pathname === '/' && request.method === 'GET') return { status: 200, body: listPage(list()) };
  if (pathname === '/api/jobs') {
    if (request.method === 'GET') return { status: 200, body: list() };
    if (request.method === 'POST') return create(store, await bodyOf(request));
  }
  const jobId = /^\/api\/jobs\/([^/]+)$/.exec(pathname)?.[1];
  if (jobId !== undefined) {
    const id = decoded(jobId);
    if (request.method === 'GET') {
      const job = store.get(id);
      return job ? { status: 200, body: job } : ERROR(404, 'Job not found');
    }
    if (request.method === 'PUT') return update(store, id, await bodyOf(request));
  }
  return ERROR(404, 'there is no such path: see /api/jobs');
}

function create(store: JobStore, body: unknown): Reply {
  const { data: job, error } = jobCreateSchema.safeParse(body);
  if (!job) return ERROR(422, z.prettifyError(error));
  store.create(job);
  return { status: 201, body: { job_id: job.job_id, status: store.get(job.job_id)?.status } };
}

function update(store: JobStore, id: string, body: unknown): Reply {
  const { data: change, error } = jobUpdateSchema.safeParse(body);
  if (!change) return ERROR(422, z.prettifyError(error));
  return store.update(id, change, new Date().toISOString())
    ? { status: 200, body: { job_id: id, status: change.status } }
    : ERROR(404, 'Job not found');
}

/** The JSON of a request; undefined for other text, or too much of it. */
async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > MOST_BYTES) return undefined;
    pieces.push(piece);
  }
  try {
    return JSON.parse(Buffer.concat(pieces).toString('utf8')) as unknown;
  } catch {
    return undefined;
  }
}

/** Compared by their hashes, so that the time that it takes says nothing about the token. */
function isAllowed(header: string | undefined, token: string): boolean {
  const [kind = '', value = ''] = (header ?? '').split(' ');
  const told =
    kind.toLowerCase() === 'basic'
      ? (Buffer.from(value, 'base64').toString('utf8').split(':')[1] ?? '')
      : value;
  const hash = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(hash(told), hash(token));
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function send(response: ServerResponse, { status, body }: Reply): void {
  const isPage = typeof body === 'string';
  response.writeHead(status, {
    'content-type': isPage ? 'text/html; charset=utf-8' : 'application/json',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...(isPage ? { 'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'" } : {}),
    ...(status === 401 ? { 'www-authenticate': 'Basic realm="srtctl status-server"' } : {}),
  });
  response.end(isPage ? body : JSON.stringify(body));
}
