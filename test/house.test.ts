import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const src = resolve(import.meta.dirname, '../src');

/** All folders, from the ground up. A file may import from its own folder and from earlier ones in this list. */
const FLOORS = [
  'os',
  'os/files',
  'os/processes',
  'messages/spec',
  'messages/job-directory',
  'messages/events',
  'messages/bus',
  'other-clients',
  'engine-options',
  'recipe/values',
  'recipe/source',
  'recipe/schema/benchmarks',
  'recipe/schema',
  'model',
  ...[
    'backends/common',
    'backends/mocker',
    'backends/sglang',
    'backends/trtllm',
    'backends/vllm',
    'backends',
  ],
  ...['frontends/common', 'frontends/dynamo', 'frontends/llm-d', 'frontends'],
  ...['services/common', 'services'],
  ...[
    'benchmarks/common',
    'benchmarks/loadgen/statistics',
    'benchmarks/loadgen/figures',
    'benchmarks/loadgen/workload',
    'benchmarks/loadgen/pace',
    'benchmarks/loadgen/wire',
    'benchmarks/loadgen/answer',
    'benchmarks/loadgen/request',
    'benchmarks/loadgen/threads',
    'benchmarks/loadgen/outside',
    'benchmarks/loadgen/group',
    'benchmarks/loadgen',
    'benchmarks/accuracy',
    'benchmarks',
  ],
  ...['recipe/layouts', 'recipe', 'recipe/migrate', 'recipe/checks'],
  'machines',
  'why',
  'telemetry',
  ...['plan/options', 'plan'],
  ...['platform/containers', 'platform/launch', 'platform/local', 'platform/slurm', 'platform'],
  ...[
    'node-agent/start',
    'node-agent/leftovers',
    'node-agent/ports',
    'node-agent/watch',
    'node-agent/telemetry',
  ],
  ...['node-agent/processes', 'node-agent/exec', 'node-agent'],
  ...[
    'coordinator/record',
    'coordinator/workers',
    'coordinator/takeover',
    'coordinator/bus-server',
    'coordinator/agents',
  ],
  ...['coordinator/fleet', 'coordinator/sweep', 'coordinator'],
  'static',
  'doctor',
  'steps',
  ...['report/model', 'report/foreign', 'report/charts', 'report/compare', 'report/text'],
  ...['report/page', 'report/browser'],
  ...[
    'reporting/common',
    'reporting/status',
    'reporting/traces',
    'reporting/server',
    'reporting/prometheus',
    'reporting',
  ],
  ...[
    'simulator/common',
    'simulator/engine',
    'simulator/router',
    'simulator/dynamo',
    'simulator/llm-d',
    'simulator/vllm',
    'simulator/evaluation',
    'simulator',
  ],
  ...[
    'cli/terminal',
    'cli/dry-run',
    'cli/jobs',
    'cli/logs',
    'cli/nodes',
    'cli/completion',
    'cli/view',
    ...['cli/watch/model', 'cli/watch/views', 'cli/watch/sources', 'cli/watch'],
    'cli/submit',
    'cli/render',
    'cli/report',
    'cli/commands/figures',
    'cli/bench',
    'cli/commands/jobs',
    'cli/commands/node',
    'cli/commands/shell',
    'cli/commands/watching',
    'cli/commands',
    'cli',
  ],
];

/** Folders that may know less than the folders below them. */
const KNOWS_ONLY: Readonly<Record<string, readonly string[]>> = {
  messages: ['os'],
  model: ['messages', 'recipe'],
  machines: ['messages'],
  why: ['messages', 'os'],
  steps: ['os'],
  simulator: ['engine-options'],
  telemetry: ['messages', 'os'],
  'node-agent': ['machines', 'messages', 'os', 'platform/containers', 'telemetry'],
  'other-clients': ['messages'],
  report: ['messages', 'other-clients', 'recipe/values'],
  reporting: ['messages', 'os', 'other-clients', 'recipe/schema', 'report/model', 'telemetry'],
  doctor: ['messages', 'os', 'platform', 'recipe'],
  static: ['benchmarks', 'frontends', 'messages', 'model', 'os', 'plan', 'platform', 'recipe', 'services'],
};

/** In folders with more files than this, files are hard to find. */
const MOST_FILES = 16;

const IMPORT = /(?:from|import\()\s*['"](\.[^'"]+)['"]/g;

const all = readdirSync(src, { recursive: true, encoding: 'utf8', withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map(({ parentPath, name }) => relative(src, join(parentPath, name)));
const files = all.filter((path) => path.endsWith('.ts'));

const roomOf = (path: string): string => path.split('/')[0] ?? '';

const floorOf = (path: string): string => dirname(path);

function importsOf(path: string): string[] {
  const text = readFileSync(join(src, path), 'utf8');
  return [...text.matchAll(IMPORT)].map((match) =>
    relative(src, resolve(src, dirname(path), match[1] ?? '')),
  );
}

describe('the folders of the source', () => {
  it('are all known to this test, and no file lies outside them', () => {
    const unknown = files.filter((path) => !FLOORS.includes(floorOf(path)));
    expect(unknown).toEqual([]);
    expect(all.filter((path) => !path.includes('/'))).toEqual([]);
  });

  it(`have at most ${MOST_FILES} files each`, () => {
    const filesIn = (folder: string) => all.filter((path) => dirname(path) === folder);
    expect(FLOORS.filter((folder) => filesIn(folder).length > MOST_FILES)).toEqual([]);
  });

  it('are imported downwards only', () => {
    const upwards = files.flatMap((path) =>
      importsOf(path)
        .filter((target) => {
          const [from, to] = [floorOf(path), floorOf(target)];
          return from !== to && FLOORS.indexOf(to) > FLOORS.indexOf(from);
        })
        .map((target) => `${path} imports ${target}`),
    );
    expect(upwards).toEqual([]);
  });

  it('know only the folders that they may know', () => {
    const tooMuch = files.flatMap((path) => {
      const known = KNOWS_ONLY[roomOf(path)];
      if (!known) return [];
      return importsOf(path)
        .filter((target) => roomOf(target) !== roomOf(path))
        .filter((target) => !known.some((folder) => target.startsWith(`${folder}/`)))
        .map((target) => `${path} imports ${target}`);
    });
    expect(tooMuch).toEqual([]);
  });
});

describe('the command line', () => {
  /** Packages that every command needs. */
  const NEEDED: readonly string[] = ['commander', 'string-width'];
  /** The first line that is no import. */
  const BODY = /^(?:export (?![{*])|const |interface |type |(?:async )?function |class )/m;
  const STATIC = /^(?:import|export)\s+(?!type\b)(?:[^'"`;]*?\sfrom\s+)?'([^']+)';$/gm;

  it('loads no more than it needs before it knows the command, because each start would pay for it', () => {
    const loaded = new Map<string, string>([['cli/main.ts', '']]);
    const packages: string[] = [];
    for (const [path] of loaded) {
      const text = readFileSync(join(src, path), 'utf8');
      for (const [, target = ''] of text.slice(0, text.search(BODY)).matchAll(STATIC)) {
        if (target.startsWith('.')) {
          const file = relative(src, resolve(src, dirname(path), target));
          if (!loaded.has(file)) loaded.set(file, path);
        } else if (!target.startsWith('node:') && !NEEDED.includes(target)) {
          packages.push(`${path}, which ${loaded.get(path)} imports, imports ${target}`);
        }
      }
    }
    expect(packages).toEqual([]);
  });
});
