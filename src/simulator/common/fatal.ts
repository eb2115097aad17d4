/** An end with a message as an engine gives it. */
export class Fatal extends Error {
  override readonly name = 'Fatal';
  readonly exitCode: number;
  readonly traceback: boolean;
  constructor(message: string, options: { exitCode?: number; traceback?: boolean } = {}) {
    super(message);
    this.exitCode = options.exitCode ?? 1;
    this.traceback = options.traceback ?? false;
  }
}
