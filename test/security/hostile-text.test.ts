import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { SrtctlError } from '../../src/os/errors.ts';
import { batchScript } from '../../src/platform/slurm/batch-script.ts';
import { directiveValue, sbatchDirectives } from '../../src/platform/slurm/sbatch.ts';
import { clusterConfigSchema } from '../../src/recipe/schema/cluster.ts';
import { RecipeProblems } from '../../src/recipe/source/problems.ts';
import { staticScript } from '../../src/static/script.ts';
import { lineOf, loadText } from '../recipe/write.ts';
import { directiveWords, shapeOf } from '../support/script-shape.ts';

type Parts = Record<string, unknown>;
type Path = readonly (string | number)[];

const engine = (type: string, config: string): string => `name: a run
model: {path: /models/m, container: repo/image:1, precision: fp8, stage_dir: /nvme/models}
resources: {gpu_type: h100, gpus_per_node: 8, prefill_nodes: 1, prefill_workers: 1, decode_nodes: 1, decode_workers: 1}
slurm: {account: acct, partition: part, time_limit: "01:00:00"}
frontend: {type: ${type === 'sglang' ? 'sglang' : 'dynamo'}, nginx_container: repo/nginx:1, args: {policy: word}, env: {FRONTEND: word}}
backend:
  type: ${type}
  prefill_environment: {PREFILL: word}
  decode_environment: {DECODE: word}
  ${config}
environment: {A_NAME: word, other: word, TMPDIR: word, OPTARG: word}
sbatch_directives: {constraint: word, comment: a comment}
srun_options: {export: word}
extra_mount: ["/data:/data"]
container_mounts: {/site: /opt/site}
setup_script: setup.sh
benchmark: {type: custom, command: run me, env: {BENCH: word}}
identity: {model: {repo: word}}
`;

const RECIPES: Readonly<Record<string, string>> = {
  sglang: engine(
    'sglang',
    'sglang_config: {prefill: {served-model-name: m, tensor-parallel-size: 8, json: {a: word}}, decode: {tensor-parallel-size: 8, list: [word, word]}}',
  ),
  vllm: engine(
    'vllm',
    'vllm_config: {prefill: {tensor-parallel-size: 8}, decode: {tensor-parallel-size: 8}}',
  ),
  trtllm: engine(
    'trtllm',
    'trtllm_config: {prefill: {tensor_parallel_size: 8, free: word}, decode: {tensor_parallel_size: 8}}',
  ),
};

const CLUSTER = `cluster: word
default_account: word
default_partition: word
default_time_limit: "01:00:00"
default_sbatch_directives: {reservation: word}
default_gpu_type: word
network_interface: word
srtctl_root: /opt/srtctl
output_dir: /shared/out
model_paths: {word: /models/other}
containers: {word: /images/other.sqsh}
default_mounts: {/word: /word}
hf_home: /shared/hf
default_bash_preamble: a preamble
runtime: {x86_64: /opt/node}
`;

/** Text that hostile or careless people write into a field. */
const PARTS = [
  ...[
    '\n',
    '\r\n',
    '\n#SBATCH --wrap=id\n',
    "'\nid\n'",
    '\nEOF\nid\n',
    '\u2028',
    '\t',
    ' ',
    '\u0000',
    '\u001b[2J',
  ],
  ...[
    "'",
    '"',
    '`id`',
    '$(id)',
    '$HOME',
    '${x}',
    ';id;',
    '&&id',
    '|id',
    '>out',
    '#',
    '\\',
    '*',
    '~',
    '!',
    '%j',
  ],
  ...['-', '--', '-S id ', '--wrap=id', '=', ':', ',', 'word'],
];
const hostile = fc
  .array(fc.constantFrom(...PARTS), { minLength: 1, maxLength: 6 })
  .map((parts) => parts.join(''));

const stringsOf = (value: unknown, at: Path = []): Path[] => {
  if (typeof value === 'string') return [at];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, below]) =>
    stringsOf(below, [...at, Array.isArray(value) ? Number(key) : key]),
  );
};

/** A copy with another text at the end of a path; with `asKey` the text replaces the key. */
function changed(source: Parts, path: Path, text: string, asKey = false): Parts {
  const copy = structuredClone(source);
  const parent = path.slice(0, -1).reduce<Parts>((part, key) => part[key] as Parts, copy);
  const key = String(path.at(-1));
  if (!asKey) parent[key] = text;
  else {
    const old = parent[key];
    delete parent[key];
    Object.defineProperty(parent, text, { value: old, enumerable: true, configurable: true, writable: true });
  }
  return copy;
}

/**
 * The scripts of a recipe, without the words that all of them share; undefined where the recipe is refused.
 */
function scriptsOf(recipe: Parts, config: Parts): string[] | undefined {
  try {
    const cluster = clusterConfigSchema.parse(config);
    const [variant] = loadText(stringify(recipe), { cluster });
    const first = variant?.points[0]?.recipe;
    if (!variant || !first) throw new Error('no variant');
    const common = {
      directives: sbatchDirectives({ ...first, name: variant.name }, cluster, 2),
      warningS: 120,
      outputs: '/shared/out',
      distDir: '/opt/srtctl/dist',
      runtimes: cluster.runtime ?? {},
    };
    return [
      batchScript({ ...common, name: variant.name }),
      staticScript({
        ...common,
        ...{ variant, cluster, log: 'x.log', mock: false, containers: true, setupScript: null, env: {} },
        programs: { natsServer: '/opt/bin/nats-server', etcd: '/opt/bin/etcd' },
        programDirs: ['/opt/bin'],
        exists: () => true,
        library: '',
      }),
    ];
  } catch (error) {
    if (error instanceof RecipeProblems || error instanceof SrtctlError) return undefined;
    if (error instanceof Error && error.name === 'ZodError') return undefined;
    throw error;
  }
}

const plain = new Map<string, string[] | undefined>();

/** The same, cached for repeated calls. */
function plainScriptsOf(recipe: Parts, config: Parts): string[] | undefined {
  const key = JSON.stringify([recipe, config]);
  if (!plain.has(key)) plain.set(key, scriptsOf(recipe, config));
  return plain.get(key);
}

function keepsShape(recipe: Parts, config: Parts, [wholeRecipe, wholeConfig]: [Parts, Parts]): boolean {
  const scripts = scriptsOf(recipe, config);
  if (!scripts) return false;
  const benign = plainScriptsOf(wholeRecipe, wholeConfig);
  expect(benign, 'the same with a plain word').toBeDefined();
  for (const [index, script] of scripts.entries()) {
    expect(script).not.toContain('\u0000');
    expect(shapeOf(script), script).toEqual(shapeOf(benign?.[index] ?? ''));
  }
  return true;
}

describe('text of a recipe or of srtslurm.yaml', () => {
  const config = parse(CLUSTER) as Parts;
  const recipes = Object.values(RECIPES).map((text) => parse(text) as Parts);
  const fields = recipes.flatMap((recipe) => stringsOf(recipe).map((path) => ({ recipe, path })));

  it('gives scripts that bash can parse', () => {
    for (const recipe of recipes)
      for (const script of scriptsOf(recipe, config) ?? expect.fail('refused'))
        expect(spawnSync('bash', ['-n'], { input: script, encoding: 'utf8' }).stderr).toBe('');
  });

  it('adds no line and no word to a script, whatever the text is', () => {
    let taken = 0;
    fc.assert(
      fc.property(fc.constantFrom(...fields), hostile, ({ recipe, path }, text) => {
        const plain = changed(recipe, path, 'plain');
        // A field with a fixed set of words accepts none of these texts.
        if (!plainScriptsOf(plain, config)) return;
        if (keepsShape(changed(recipe, path, text), config, [plain, config])) taken++;
      }),
      { numRuns: 300 },
    );
    expect(taken).toBeGreaterThan(50);
  }, 120_000);

  it('of srtslurm.yaml adds none either', () => {
    const [recipe] = recipes;
    if (!recipe) throw new Error('no recipe');
    fc.assert(
      fc.property(fc.constantFrom(...stringsOf(config)), hostile, (path, text) => {
        const plain = changed(config, path, 'plain');
        if (!plainScriptsOf(recipe, plain)) return;
        keepsShape(recipe, changed(config, path, text), [recipe, plain]);
      }),
      { numRuns: 150 },
    );
  }, 120_000);

  it('adds none as the name of an option, a variable or a mount', () => {
    const maps = /environment|env|directives|options|mounts|args|_config$/;
    const named = recipes.flatMap((recipe) =>
      stringsOf(recipe)
        .filter((path) => maps.test(String(path.at(-2))))
        .map((path) => ({ recipe, path })),
    );
    fc.assert(
      fc.property(fc.constantFrom(...named), hostile, ({ recipe, path }, text) => {
        const plain = changed(recipe, path, 'plain', true);
        if (!plainScriptsOf(plain, config)) return;
        keepsShape(changed(recipe, path, text, true), config, [plain, config]);
      }),
      { numRuns: 200 },
    );
  }, 120_000);
});

describe('a line of a batch script', () => {
  it('gives sbatch one word back, for every value of one line', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), (value) => {
        fc.pre(!/\p{Cc}/u.test(value));
        expect(directiveWords(`#SBATCH --comment=${directiveValue(value)}`)).toEqual([`--comment=${value}`]);
      }),
    );
  });

  it.each([
    ['name: "a\\n#SBATCH --wrap=id"', 'name'],
    ['slurm: {account: "a\\nid"}', 'slurm.account'],
    ['slurm: {partition: "a\\nid"}', 'slurm.partition'],
    ['sbatch_directives: {comment: "a\\nid"}', 'sbatch_directives.comment'],
    ['sbatch_directives: {"comment=a b": x}', 'sbatch_directives'],
    ['srun_options: {export: "a\\nid"}', 'srun_options.export'],
    ['environment: {"-S touch X": "1"}', 'environment'],
  ])('is refused with its place: %s', (line, path) => {
    const recipe = { ...(parse(RECIPES.sglang ?? '') as Parts), ...(parse(line) as Parts) };
    expect(lineOf(stringify(recipe))).toMatch(new RegExp(`^recipe\\.yaml:\\d+.*${path}`));
  });
});
