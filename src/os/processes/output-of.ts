export interface OutputOptions {
  readonly timeoutMs: number;
  /** The command's whole environment, in place of this process's; its PATH is searched for the command. */
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * The standard output of a command that is run for what it says. Rejects when the command is missing (`code` ENOENT),
 * fails (its standard error is `stderr`), or takes longer than `timeoutMs`. Processes that srtctl supervises are spawned.
 */
export async function outputOf(
  command: string,
  args: readonly string[],
  { timeoutMs, env }: OutputOptions,
): Promise<string> {
  // Loaded when it is needed, because most agents and commands ask no other program.
  const { execa } = await import('execa');
  const { stdout } = await execa(command, [...args], {
    stdin: 'ignore',
    timeout: timeoutMs,
    ...(env === undefined ? {} : { env, extendEnv: false }),
  });
  return stdout;
}
