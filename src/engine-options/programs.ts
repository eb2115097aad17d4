import { basename } from 'node:path';
import type { Dialect } from './check.ts';
import type { TableName } from './table.ts';

/** Frameworks whose releases have tables. */
export type Framework = 'sglang' | 'vllm' | 'dynamo' | 'sglang-router' | 'smg' | 'vllm-router';

/** A table, and whose release it is of. */
interface TableOf {
  readonly table: TableName;
  readonly framework: Framework;
}

/** A program whose options have tables. */
export interface KnownProgram {
  /** For people. */
  readonly name: string;
  /** Whether a command line runs it from this word on, and how many words come before its arguments. */
  readonly words: (argv: readonly string[], at: number) => number;
  /** It takes the options of all of them. */
  readonly tables: readonly [TableOf, ...TableOf[]];
  readonly dialect?: Dialect;
}

const module =
  (name: string): KnownProgram['words'] =>
  (argv, at) =>
    argv[at] === '-m' && argv[at + 1] === name ? 2 : 0;

const vllmServe: KnownProgram['words'] = (argv, at) =>
  basename(argv[at] ?? '') === 'vllm' && argv[at + 1] === 'serve' ? 2 : 0;

const sglang: TableOf = { table: 'sglang', framework: 'sglang' };
const own = <Name extends TableName & Framework>(name: Name): [TableOf] => [{ table: name, framework: name }];
const dynamo = (table: TableName): TableOf => ({ table, framework: 'dynamo' });

const programs: readonly KnownProgram[] = [
  { name: 'SGLang', words: module('sglang.launch_server'), tables: [sglang] },
  { name: 'vLLM', words: vllmServe, tables: own('vllm'), dialect: { vllm: true } },
  {
    name: "Dynamo's SGLang worker",
    words: module('dynamo.sglang'),
    tables: [dynamo('dynamo.sglang'), sglang],
    // It adds this choice to SGLang's (dynamo/sglang/args.py, from 0.9 to 1.6).
    dialect: { moreChoices: { '--load-format': ['gms'] } },
  },
  {
    name: "Dynamo's vLLM worker",
    words: module('dynamo.vllm'),
    tables: [dynamo('dynamo.vllm'), { table: 'vllm.engine', framework: 'vllm' }],
    dialect: { vllm: true, moreChoices: { '--load-format': ['gms'] } },
  },
  {
    name: "Dynamo's TensorRT-LLM worker",
    words: module('dynamo.trtllm'),
    tables: [dynamo('dynamo.trtllm')],
    // `--trtllm.kv_cache_config.KEY VALUE` (dynamo/trtllm/dynamic_flags.py, 1.3 and newer).
    dialect: { free: '--trtllm.' },
  },
  { name: "Dynamo's mocker", words: module('dynamo.mocker'), tables: [dynamo('dynamo.mocker')] },
  {
    name: "Dynamo's frontend",
    words: module('dynamo.frontend'),
    tables: [dynamo('dynamo.frontend')],
    // With a chat processor of an engine, it takes that engine's options, too (dynamo/frontend/main.py).
    dialect: { openWith: ['--dyn-chat-processor', '--chat-processor'] },
  },
  { name: 'the SGLang router', words: module('sglang_router.launch_router'), tables: own('sglang-router') },
  { name: 'smg', words: module('smg.launch_router'), tables: own('smg') },
  { name: 'the vLLM router', words: module('vllm_router.launch_router'), tables: own('vllm-router') },
];

/** The program that a command line runs, and its arguments; undefined for programs without a table. */
export function programOf(
  argv: readonly string[],
): { readonly program: KnownProgram; readonly args: readonly string[] } | undefined {
  for (const [at] of argv.entries())
    for (const program of programs) {
      const words = program.words(argv, at);
      if (words > 0) return { program, args: argv.slice(at + words) };
    }
  return undefined;
}
