import type { Flags } from '../../recipe/values/flags.ts';
import type { Layout } from './layout.ts';

/** Options with which srtctl assigns ranks to processes; a recipe's values would contradict them. */
const OWN: Readonly<Record<Layout['kind'] | 'server', readonly string[]>> = {
  tensor: [],
  per_node: [
    'data-parallel-rpc-port',
    'data-parallel-size-local',
    'data-parallel-start-rank',
    'data-parallel-hybrid-lb',
    'headless',
  ],
  spanning: [
    'data-parallel-rpc-port',
    'data-parallel-size-local',
    'data-parallel-start-rank',
    'data-parallel-hybrid-lb',
    'headless',
  ],
  per_gpu: ['data-parallel-rpc-port'],
  server: ['host', 'port', 'nnodes', 'node-rank', 'master-addr', 'headless', 'device-ids', 'model'],
};

/** Options of vLLM's HTTP server, which a process without a server does not accept. */
const API_SERVER = new Set([
  'api-server-count',
  'api-key',
  'chat-template',
  'disable-log-requests',
  'enable-auto-tool-choice',
  'reasoning-parser',
  'root-path',
  'ssl-certfile',
  'ssl-keyfile',
  'tool-call-parser',
  'uvicorn-log-level',
]);

/** A recipe's options without those that srtctl sets. */
export function withoutLaunch(options: Flags, layout: Layout | 'server'): Flags {
  const own = new Set(['connector', ...OWN[layout === 'server' ? layout : layout.kind]]);
  return without(options, own);
}

export const withoutApiServer = (options: Flags): Flags => without(options, API_SERVER);

const without = (options: Flags, names: ReadonlySet<string>): Flags =>
  Object.fromEntries(Object.entries(options).filter(([name]) => !names.has(name)));
