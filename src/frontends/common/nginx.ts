import type { ProbeStep } from '../../messages/spec/probe-spec.ts';
import type { ProcessSpec } from '../../messages/spec/process-spec.ts';
import type { Placement } from './placement.ts';
import { frontendProcess } from './process.ts';
import type { FrontendContext } from './protocol.ts';

/** The limit of open files with `nginx_raise_ulimit`. */
const OPEN_FILES = 1_048_576;

/**
 * How long a request waits for a host that drops connection requests, before the next router gets it. The
 * kernel retries after 1 and 3 seconds, which is enough for a queue that was full for a moment.
 */
const CONNECT_TIMEOUT = '5s';
/** A router with this many failed connections within this time gets no requests for as long. */
const MOST_FAILS = 3;
const REST = '10s';

/**
 * Raises the limit as far as possible, because containers without privileges have a lower one, and nginx also
 * works with that.
 */
const RAISE_LIMIT = `ulimit -n ${OPEN_FILES} 2>/dev/null || { ulimit -n "$(ulimit -Hn)"; echo "at most $(ulimit -n) open files, not ${OPEN_FILES}"; }; exec "$0" "$@"`;

/** nginx in front of several routers; [] when there is one. */
export function nginxProcesses(
  context: FrontendContext,
  { routers, nginx }: Placement,
  steps?: ProbeStep[],
): ProcessSpec[] {
  if (!nginx) return [];
  const { recipe, runtime } = context;
  const start = ['nginx', '-c', `${runtime.logDirInside}/nginx.conf`, '-g', 'daemon off;'];
  return [
    frontendProcess(context, {
      id: 'nginx',
      role: 'nginx',
      phase: 'proxy',
      node: nginx.node,
      port: nginx.port,
      // The shell raises the limit, and then becomes nginx.
      argv: recipe.frontend.nginx_raise_ulimit ? ['bash', '-c', RAISE_LIMIT, ...start] : start,
      env: {},
      image: runtime.containers ? recipe.frontend.nginx_container : null,
      path: '/health',
      ...(steps ? { steps } : {}),
      files: [{ path: `${runtime.logDir}/nginx.conf`, content: nginxConf(context, { routers, nginx }) }],
    }),
  ];
}

/**
 * A streamed answer must pass byte by byte, so nothing is buffered; a request under full load may wait long
 * for its first token, so nothing times out before an hour. The workers of nginx, one for each core, share
 * (`zone`) the number of requests and failures of each router; otherwise each worker would have to find out
 * itself. Everything nginx writes stays in the job's temporary directory.
 */
function nginxConf({ recipe, runtime }: FrontendContext, { routers, nginx }: Placement): string {
  const scratch = runtime.containers ? '/tmp' : runtime.tmpDir;
  const listen = `${nginx ? runtime.listenAddress(nginx.node) : '0.0.0.0'}:${nginx?.port ?? 0}`;
  const {
    nginx_session_affinity: affinity,
    nginx_session_affinity_header: header,
    nginx_keepalive_timeout: idle,
    nginx_raise_ulimit: raise,
  } = recipe.frontend;
  const session = `$http_${header.toLowerCase().replaceAll('-', '_')}`;
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `worker_processes auto;
pid ${scratch}/nginx.pid;
error_log stderr warn;
${raise ? `worker_rlimit_nofile ${OPEN_FILES};\n` : ''}events {
  worker_connections 16384;
}
http {
  access_log off;
${temporary.map((name) => `  ${name}_temp_path ${scratch}/nginx_${name};`).join('\n')}
${affinity ? sessionMap(session) : ''}  keepalive_timeout ${idle};
  upstream routers {
    zone routers 1m;
    ${affinity ? 'hash $session consistent' : 'least_conn'};
    keepalive 1024;
    keepalive_timeout ${idle};
${routers.map(({ node, port }) => `    server ${runtime.address(node)}:${port} max_fails=${MOST_FAILS} fail_timeout=${REST};`).join('\n')}
  }
  server {
    listen ${listen};
    client_max_body_size 0;
    location / {
      proxy_pass http://routers;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_buffering off;
      proxy_request_buffering off;
      proxy_connect_timeout ${CONNECT_TIMEOUT};
      proxy_send_timeout 1h;
      proxy_read_timeout 1h;
    }
  }
}
`;
}

/** A request without a session counts as a session of its own. */
const sessionMap = (header: string): string => `  map ${header} $session {
    default ${header};
    "" $request_id;
  }
`;
