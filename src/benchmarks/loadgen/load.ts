import type { LoadgenConfig } from './config.ts';
import type { PromptSource } from './workload/prompt.ts';

/** What is sent, and to which model. */
export interface Load {
  readonly config: LoadgenConfig;
  readonly model: string;
  readonly source: PromptSource;
}
