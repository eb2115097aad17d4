import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';

/** A tool that has failed: its own last words say why. */
export class ToolFailure extends Error {}

interface ToolOptions {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  /** Hears each line of both outputs; a progress bar's states are lines of their own. */
  onLine(text: string): void;
  readonly signal: AbortSignal;
}

/**
 * Runs a tool to its end; its output is also this process's. Resolves when it has ended with exit code 0.
 * @throws ToolFailure when it cannot be started or ends otherwise
 */
export async function runTool(argv: readonly string[], options: ToolOptions): Promise<void> {
  const [command = '', ...args] = argv;
  const { cwd, env, signal, onLine } = options;
  const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const stop = (): void => void child.kill('SIGTERM');
  signal.addEventListener('abort', stop, { once: true });
  const ended = new Promise<string | undefined>((resolve) => {
    child.once('error', (error) => resolve(`could not be started: ${error.message}`));
    child.once('close', (code, by) =>
      resolve(code === 0 ? undefined : `ended ${by === null ? `with exit code ${code}` : `by ${by}`}`),
    );
  });
  passOn(child.stdout, process.stdout, onLine);
  passOn(child.stderr, process.stderr, onLine);
  const problem = await ended;
  signal.removeEventListener('abort', stop);
  if (problem !== undefined)
    throw new ToolFailure(`${args.slice(0, 2).join(' ').replace(/^-m /, '')} ${problem}`);
}

function passOn(from: Readable, to: NodeJS.WriteStream, onLine: (text: string) => void): void {
  let rest = '';
  from.setEncoding('utf8');
  from.on('data', (text: string) => {
    to.write(text);
    const lines = `${rest}${text}`.split(/[\r\n]+/);
    rest = lines.pop() ?? '';
    lines.forEach(onLine);
  });
  from.on('end', () => {
    if (rest !== '') onLine(rest);
  });
}
