/** What is looked at. A job's pages name it, so that another job can be opened beside it. */
export type Page =
  | { readonly kind: 'jobs' }
  /** `node`: only what runs there. */
  | { readonly kind: 'job'; readonly jobId: string; readonly node?: string }
  | { readonly kind: 'nodes'; readonly jobId: string }
  | { readonly kind: 'events'; readonly jobId: string; readonly node?: string }
  | { readonly kind: 'process'; readonly jobId: string; readonly process: string };

/** The lower half of a process's page. */
export const PANES = ['log', 'history', 'command'] as const;
export type Pane = (typeof PANES)[number];

/** A page, and what the user did on it. */
export interface Level {
  readonly page: Page;
  /** The item under the cursor, by its id: it stays there when the list is sorted anew. */
  readonly cursor: string | null;
  /** Where the cursor was, for when its item has gone. */
  readonly at: number;
  /** First row on the screen. */
  readonly offset: number;
  /** Only items with this text; in a log, what is searched. */
  readonly filter: string;
  /** Number of the order in the page's list of orders. */
  readonly sort: number;
  /** Stays at the newest line, or at the first item. */
  readonly follow: boolean;
  readonly pane: Pane;
}

export type Prompt =
  | { readonly kind: 'filter'; readonly text: string }
  | { readonly kind: 'cancel'; readonly jobId: string };

export interface Ui {
  /** From the first page to the one that is shown; never empty. */
  readonly levels: readonly Level[];
  readonly prompt: Prompt | null;
  readonly isHelp: boolean;
  /** What the last key did, when the screen does not show it. */
  readonly note: string | null;
}

export const levelOf = (page: Page): Level => ({
  page,
  cursor: null,
  at: 0,
  offset: 0,
  filter: '',
  sort: 0,
  follow: true,
  pane: 'log',
});

export const uiOf = (page: Page): Ui => ({
  levels: [levelOf(page)],
  prompt: null,
  isHelp: false,
  note: null,
});

/** The page that is shown. Throws when there is none, which cannot be. */
export function topOf({ levels }: Ui): Level {
  const top = levels.at(-1);
  if (!top) throw new TypeError('no page is open');
  return top;
}

/** The job whose page is shown; null on the list of jobs. */
export function openJob(ui: Ui): string | null {
  const { page } = topOf(ui);
  return page.kind === 'jobs' ? null : page.jobId;
}

/** The orders of a page's list, by name; the first one is used until another is chosen. */
export const ORDERS = {
  jobs: ['newest', 'name', 'state'],
  job: ['trouble', 'node', 'name', 'newest'],
  nodes: ['trouble', 'name'],
  events: ['time'],
  process: ['time'],
} as const satisfies Record<Page['kind'], readonly string[]>;

export const orderOf = ({ page, sort }: Level): string => {
  const orders: readonly string[] = ORDERS[page.kind];
  return orders[sort % orders.length] ?? '';
};
