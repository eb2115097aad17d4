/** Where a job stands, in a word. */
export const OUTCOMES = ['queued', 'running', 'done', 'failed', 'stopped'] as const;
export type Outcome = (typeof OUTCOMES)[number];
