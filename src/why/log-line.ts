/** Severity of a line according to its program; `none`: the line has no level. */
export type Level = 'info' | 'warn' | 'error' | 'none';

/** A line of a log, split into the logger's prefix and the message. */
export interface LogLine {
  readonly text: string;
  readonly level: Level;
  /**
   * The process that wrote the line to a shared log, as in `EngineCore_DP0 pid=412` or `TP4`; '' when
   * unknown.
   */
  readonly source: string;
  /** The line has no logger's prefix. */
  readonly bare: boolean;
}

const LEVELS: Readonly<Record<string, Level>> = {
  0: 'error',
  1: 'error',
  2: 'warn',
  3: 'info',
  4: 'info',
  5: 'info',
  trace: 'info',
  trc: 'info',
  trac: 'info',
  debug: 'info',
  debu: 'info',
  dbg: 'info',
  d: 'info',
  v: 'info',
  info: 'info',
  inf: 'info',
  i: 'info',
  notice: 'info',
  note: 'info',
  n: 'info',
  diag: 'info',
  req: 'info',
  version: 'info',
  warn: 'warn',
  warning: 'warn',
  wrn: 'warn',
  w: 'warn',
  error: 'error',
  err: 'error',
  erro: 'error',
  e: 'error',
  crit: 'error',
  critical: 'error',
  c: 'error',
  alert: 'error',
  emerg: 'error',
  panic: 'error',
  dpanic: 'error',
  fatal: 'error',
  fata: 'error',
  ftl: 'error',
  f: 'error',
};
const WORD = '(?<level>TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|CRITICAL|FATAL)';

/**
 * Prefixes of loggers. Each is tried repeatedly at the start of the remaining line, so they may stand in any
 * order (Slurm's label, mpirun's tag, vLLM's process, its level). Every pattern is anchored and has bounded
 * parts, because a log may hold anything.
 */
const PREFIXES: readonly RegExp[] = [
  // docker compose; mpirun --tag-output; srun --label; exception groups of Python
  /^[\w.-]{1,60}\s{1,20}\| /,
  /^\[\d+,\d+\]<std(?:err|out)>:\s?/,
  /^\d{1,5}: (?=\S)/,
  /^\s{0,12}\| /,
  // vLLM and Ray: the process
  /^\((?<source>[\w .:-]{1,60}pid=\d+(?:, ip=[\d.a-f:]+)?)\)\s?/,
  // vLLM: `ERROR 11-20 09:05:03 [core.py:842] `, before 0.9 without brackets
  new RegExp(
    `^${WORD} \\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d(?:\\.\\d+)? (?:\\[[^\\]]{1,200}\\]|[\\w./]{1,100}:\\d+\\])\\s?`,
  ),
  // SGLang: `[2026-11-20 09:14:41 TP4] `
  /^\[\d{4}-\d\d-\d\d(?: \d\d:\d\d:\d\d(?:[.,]\d+)?)?(?:\s(?<source>[A-Z]{2,5}\d+(?: [A-Z]{2,5}\d+){0,4}))?\]\s?/,
  // torchrun and PyTorch: `[rank1]: `, `[rank1]:[E1124 10:02:00.1 ProcessGroupNCCL.cpp:632] `
  /^\[(?<source>(?:rank|default)\d{1,6})\]:\s?/,
  /^\[(?<level>[IWEF])\d{4} \d\d:\d\d:\d\d[^\]]{0,120}\]\s?/,
  // glog: Mooncake, PyTorch's C++
  /^(?<level>[IWEF])\d{4,8} \d\d:\d\d:\d\d\.\d+\s+\d+ [\w./-]{1,100}:\d+\]\s?/,
  // Rust's tracing (Dynamo, the routers), loguru, Python's logging with a date
  new RegExp(
    `^\\d{4}-\\d\\d-\\d\\d[T ]\\d\\d:\\d\\d:\\d\\d(?:[.,]\\d+)?(?:Z|[+-]\\d\\d:?\\d\\d)?\\s{1,4}(?:[-|]\\s{1,3})?${WORD}\\b(?:\\s{1,8}[-|])?\\s{0,4}`,
  ),
  // Python's logging: `2026-11-20 09:14:41,123 - name - ERROR - `; etcd 3.4: `2026-11-20 09:14:41.26 I | embed: `
  new RegExp(`^\\d{4}-\\d\\d-\\d\\d[T ]\\d\\d:\\d\\d:\\d\\d(?:[.,]\\d+)? - [\\w.<>-]{1,80} - ${WORD} - `),
  /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ (?<level>[CEWNIDT]) \| /,
  // TensorRT-LLM: `[11/20/2026-09:20:11] [TRT-LLM] [RANK 0] [E] `, `[TensorRT-LLM][ERROR] `
  /^\[\d\d\/\d\d\/\d{4}-\d\d:\d\d:\d\d\]\s?/,
  /^\[TRT(?:-LLM)?\]\s?/,
  /^\[(?<source>RANK \d{1,6})\]\s?/,
  /^\[(?<level>[IWEFVD])\]\s?/,
  /^\[TensorRT-LLM\]\[(?<level>[A-Z]+)\]\s?/,
  // sglang-router before 0.1.5
  new RegExp(`^\\[Router \\(Rust\\)\\] \\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d - ${WORD} - `),
  // ROCm: `:1:hip_code_object.cpp  :624 : 52938 us: [pid:9 tid:0x7f] `; level 0 comes before an abort
  /^:(?<level>[0-5]):[\w.]{1,60}\s{0,40}:\s?\d+\s{0,4}:\s{0,4}\d+d? us:\s{1,4}(?:\[pid:[^\]]{1,60}\]\s)?/,
  // nats-server, nginx, etcd's raft
  /^\[\d+\] \d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d\.\d+ \[(?<level>INF|WRN|ERR|FTL|DBG|TRC)\]\s?/,
  /^\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d \[(?<level>debug|info|notice|warn|error|crit|alert|emerg)\] \d+#\d+:\s?/,
  new RegExp(`^raft\\d{4}/\\d\\d/\\d\\d \\d\\d:\\d\\d:\\d\\d ${WORD}: `),
  // Slurm, pyxis, enroot, containers
  /^(?:slurmstepd|srun|sbatch|slurmd)(?:-[\w.]{1,60})?: (?<level>error|fatal|info|warning)?(?:: )?/,
  /^pyxis: (?:\s{4})?/,
  new RegExp(`^\\[\\s?${WORD}\\s?\\]\\s?`, 'i'),
  // uvicorn, Python's logging without configuration, shells
  new RegExp(`^${WORD}:\\s{0,9}(?:[\\w.]{1,60}:(?=\\S))?`),
  new RegExp(`^${WORD}\\s+(?=\\[|[\\w:]+:\\s)`),
  // A time alone, as in `[12:00:00.123] ` or `2026-11-20 09:14:41,123 `
  /^\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?Z?\]?\s(?:\d+ )?/,
];
const MOST_PREFIXES = 8;
/** The prefixes of NCCL and UCX stay, because they name the node, the process, the GPU and the file. */
const KEPT =
  /^(?:\[[^\]]{1,40}\] )?(?:\S{1,100}:\d+:\d+ )?(?:\[\d+\] )?(?:\S{1,80}:\d+ )?NCCL (?<nccl>INFO|WARN|TRACE|version)\b|^\[\d+\.\d+\] \[[^\]]{1,100}\]\s{1,12}\S{1,60}:\d+\s+UCX {1,2}(?<ucx>[A-Z]{3,5})\b/;
const JSON_LEVEL = /"(?:level|severity|lvl)":\s?"(?<level>\w{1,10})"/;
/** `launch_server.py: error: …` from argparse; `bash: line 1: …`. */
const PROGRAM_SAYS = /^[\w./@ -]{1,80}: (?:error|fatal): |^enroot-\w{1,20}: failed /i;
const PYTHON_WARNING = /^\S{1,300}\.pyx?:\d+: \w*Warning: /;

/** Splits a line into level, source and message. */
export function parseLine(raw: string): LogLine {
  let text = raw;
  let level: Level = 'none';
  let source = '';
  for (let count = 0; count < MOST_PREFIXES; count++) {
    const { nccl, ucx } = KEPT.exec(text.slice(0, 300))?.groups ?? {};
    // NCCL logs a warning before it fails, so a warning counts as an error.
    if (nccl !== undefined) return { text, level: nccl === 'WARN' ? 'error' : 'info', source, bare: false };
    if (ucx !== undefined) return { text, level: levelOf(ucx) ?? 'info', source, bare: false };
    const found = PREFIXES.map((prefix) => prefix.exec(text)).find((match) => match && match[0] !== '');
    if (!found) break;
    const { level: word, source: writer } = found.groups ?? {};
    level = levelOf(word) ?? level;
    source = writer ?? source;
    text = text.slice(found[0].length);
  }
  if (text.startsWith('{')) {
    const { level: word } = JSON_LEVEL.exec(text)?.groups ?? {};
    level = levelOf(word) ?? level;
  } else if (level === 'none' && PYTHON_WARNING.test(text)) level = 'warn';
  else if (level === 'none' && PROGRAM_SAYS.test(text)) level = 'error';
  return { text, level, source, bare: text === raw };
}

const levelOf = (word: string | undefined): Level | undefined =>
  word === undefined ? undefined : LEVELS[word.toLowerCase()];
