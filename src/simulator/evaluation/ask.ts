import { setTimeout } from 'node:timers/promises';
import { setting } from '../common/argv.ts';

/** Answers of a stand-in are short: only that requests arrive matters, and simulated engines use all tokens that they may. */
const MOST_TOKENS = 32;
const MOST_TRIALS = 6;

export interface Question {
  readonly prompt: string;
  readonly api: 'chat' | 'completion';
}

interface Asking {
  /** Without `/v1`. */
  readonly url: string;
  readonly model: string;
  readonly threads: number;
  readonly maxTokens: number;
  /** Further members of each request's JSON. */
  readonly sampling: Readonly<Record<string, unknown>>;
  onDone(done: number): void;
}

export interface Answer {
  readonly text: string;
  /** undefined: it was answered. */
  readonly error?: string;
  /** It was refused: HTTP 400. */
  readonly refused?: boolean;
  readonly tokens: number;
}

/** Sends each question to the deployment, `threads` at once, as the real tools do. */
export async function askAll(questions: readonly Question[], asking: Asking): Promise<Answer[]> {
  const answers: Answer[] = [];
  let next = 0;
  let done = 0;
  const work = async (): Promise<void> => {
    for (let at = next++; at < questions.length; at = next++) {
      answers[at] = await ask(questions[at] as Question, asking);
      asking.onDone(++done);
    }
  };
  await Promise.all(Array.from({ length: Math.min(asking.threads, questions.length) }, work));
  return answers;
}

async function ask({ prompt, api }: Question, asking: Asking): Promise<Answer> {
  const { url, model, maxTokens, sampling } = asking;
  const isChat = api === 'chat';
  const body = {
    ...{ model, max_tokens: Math.min(maxTokens, MOST_TOKENS), ...sampling },
    ...(isChat ? { messages: [{ role: 'user', content: prompt }] } : { prompt }),
  };
  let error = '';
  for (let trial = 0; trial < MOST_TRIALS; trial++) {
    const response = await fetch(`${url}${isChat ? '/v1/chat/completions' : '/v1/completions'}`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${process.env.OPENAI_API_KEY ?? ''}`,
      },
      body: JSON.stringify(body),
    }).catch((problem: unknown) => String((problem as Error).cause ?? problem));
    if (typeof response === 'string') error = response;
    else if (response.ok) return answerOf(await response.json());
    else error = `${response.status} ${await response.text()}`;
    if (typeof response !== 'string' && response.status === 400)
      return { text: '', error, refused: true, tokens: 0 };
    // The real ones wait a hundred times as long.
    await setTimeout(10 * 2 ** trial);
  }
  return { text: '', error, tokens: 0 };
}

interface Body {
  readonly choices?: readonly { readonly text?: string; readonly message?: { readonly content?: string } }[];
  readonly usage?: { readonly completion_tokens?: number };
}

const answerOf = (body: unknown): Answer => {
  const { choices = [], usage } = body as Body;
  const [choice] = choices;
  return { text: choice?.text ?? choice?.message?.content ?? '', tokens: usage?.completion_tokens ?? 0 };
};

/**
 * Simulated engines know no answers, so a share of them counts as right: SRTCTL_SIM_ACCURACY, 0.9 by default. The same
 * questions in every run; `seed` shifts them.
 */
export function isRight(at: number, seed = 0): boolean {
  const share = setting('SRTCTL_SIM_ACCURACY', 0.9);
  // The golden ratio's multiples are spread evenly, so that few questions have nearly this share, too.
  const place = ((at + 1 + seed * 7) * 0.618_033_988_749_895) % 1;
  return place < share;
}

/** A progress bar's state, as tqdm writes it. */
export const bar = (done: number, total: number): string => {
  const percent = total === 0 ? 100 : Math.floor((100 * done) / total);
  return `${String(percent).padStart(3)}%|${'█'.repeat(Math.floor(percent / 10)).padEnd(10)}| ${done}/${total} [00:01<00:00, 10.00it/s]`;
};
