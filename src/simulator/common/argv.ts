import { Fatal } from './fatal.ts';

/**
 * Options of a Python command line: `--name value…`, `--name=value`. The last occurrence of a repeated option
 * counts.
 */
export class Arguments {
  readonly #values = new Map<string, string[]>();
  /** Every occurrence in order, for options that may be repeated. */
  readonly #all: { name: string; values: string[] }[] = [];

  constructor(argv: readonly string[]) {
    let current: string[] = [];
    for (const text of argv) {
      if (!text.startsWith('--')) {
        current.push(text);
        continue;
      }
      const [, name = '', inline] = text.match(/^--([^=]+)(?:=(.*))?$/s) ?? [];
      current = inline === undefined ? [] : [inline];
      this.#values.delete(name);
      this.#values.set(name, current);
      this.#all.push({ name, values: current });
    }
  }

  has(...names: string[]): boolean {
    return names.some((name) => this.#values.has(name));
  }

  /** Value of an option with several spellings: the last one given counts. */
  text(...names: string[]): string | undefined {
    let found: string | undefined;
    for (const [name, [value]] of this.#values) if (names.includes(name)) found = value ?? found;
    return found;
  }

  integer(fallback: number, ...names: string[]): number {
    const text = this.text(...names);
    if (text === undefined) return fallback;
    const value = Number(text);
    if (!Number.isInteger(value))
      throw new Fatal(`error: argument --${names[0]}: invalid int value: '${text}'`, { exitCode: 2 });
    return value;
  }

  list(name: string): string[] {
    return this.#values.get(name) ?? [];
  }

  every(name: string): string[][] {
    return this.#all.filter((entry) => entry.name === name).map((entry) => entry.values);
  }

  /** The options in SRTCTL_SIM_UNKNOWN_OPTIONS, with their values, as Python's argparse prints them. */
  get unknown(): string[] {
    const names = (process.env.SRTCTL_SIM_UNKNOWN_OPTIONS ?? '').split(/\s+/);
    return this.#all.flatMap(({ name, values }) =>
      names.includes(`--${name}`) ? [`--${name}`, ...values] : [],
    );
  }

  /** Fails as argparse does for an option that this engine version lacks. */
  refuseUnknown(program: string): void {
    const { unknown } = this;
    if (unknown.length === 0) return;
    const usage = `usage: ${program} [-h] --model-path MODEL_PATH [--host HOST] [--port PORT]`;
    const error = `${program}: error: unrecognized arguments: ${unknown.join(' ')}`;
    throw new Fatal(`${usage}\n${error}`, { exitCode: 2 });
  }

  /** All options, for /get_server_info. */
  record(): Record<string, string | boolean | string[]> {
    return Object.fromEntries(
      [...this.#values].map(([name, values]) => [
        name.replaceAll('-', '_'),
        values.length === 0 ? true : values.length === 1 ? (values[0] ?? '') : values,
      ]),
    );
  }
}

/** A setting of the simulator alone (seconds, counts, switches), read from the environment. */
export function setting(name: string, fallback: number): number {
  const text = process.env[name];
  if (text === undefined || text === '') return fallback;
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0)
    throw new Fatal(`${name}=${text} is not a number from 0 on`, { exitCode: 2 });
  return value;
}

/**
 * The address that a server binds. `0.0.0.0` means every address of the node; a simulated node has one
 * loopback address, which the agent passes in the environment.
 */
export function bindAddress(host: string): string {
  return host === '0.0.0.0' || host === '::' ? (process.env.SRTCTL_NODE_ADDRESS ?? host) : host;
}
