/** An error that ends the process with an engine's message. */
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
