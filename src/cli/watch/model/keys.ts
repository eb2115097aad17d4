import { type Level, levelOf, ORDERS, openJob, PANES, type Page, topOf, type Ui } from './ui.ts';

/** What a key needs to know of the page. */
export interface Facts {
  /** Ids of the items of the list, in its order; of a log or the events, nothing. */
  readonly ids: readonly string[];
  /** Rows of the page that scroll, and how many of them are on the screen. */
  readonly count: number;
  readonly height: number;
  /** Rows of a log with the text that is searched. */
  readonly matches: readonly number[];
}

/** What the terminal is to do. */
export type Effect =
  | { readonly kind: 'quit' }
  | { readonly kind: 'cancel'; readonly jobId: string }
  | { readonly kind: 'copy' }
  | null;

interface Step {
  readonly ui: Ui;
  readonly effect: Effect;
}

/** Pages with lines of text, which scroll without a cursor. */
const isText = ({ kind }: Page): boolean => kind === 'process' || kind === 'events';

const BACK: ReadonlySet<string> = new Set(['ESCAPE', 'LEFT', 'BACKSPACE', 'h']);
const MOVES: Readonly<Record<string, (height: number, count: number) => number>> = {
  UP: () => -1,
  k: () => -1,
  DOWN: () => 1,
  j: () => 1,
  PAGE_UP: (height) => -height,
  PAGE_DOWN: (height) => height,
  ' ': (height) => height,
  HOME: (_, count) => -count,
  g: (_, count) => -count,
  END: (_, count) => count,
  G: (_, count) => count,
};

/** What the screen is after a key, as terminal-kit names keys. Pure. */
export function press(ui: Ui, key: string, facts: Facts): Step {
  if (key === 'CTRL_C') return { ui, effect: { kind: 'quit' } };
  if (ui.prompt?.kind === 'cancel') return answered(ui, key, ui.prompt.jobId);
  if (ui.prompt) return typed(ui, key, ui.prompt.text);
  if (ui.isHelp) return still({ ...ui, isHelp: false });
  const quiet = { ...ui, note: null };
  if (key === 'q' && ui.levels.length === 1) return { ui: quiet, effect: { kind: 'quit' } };
  if (key === 'q' || BACK.has(key)) return still(back(quiet));
  const move = MOVES[key];
  if (move) return still(moved(quiet, move(Math.max(1, facts.height), facts.count), facts));
  return onPage(quiet, key, facts);
}

const still = (ui: Ui): Step => ({ ui, effect: null });

function onPage(ui: Ui, key: string, facts: Facts): Step {
  const top = topOf(ui);
  const { page } = top;
  const jobId = page.kind === 'jobs' ? top.cursor : page.jobId;
  switch (key) {
    case '?':
      return still({ ...ui, isHelp: true });
    case '/':
      return still({ ...ui, prompt: { kind: 'filter', text: '' } });
    case 's':
      return still(changed(ui, { sort: (top.sort + 1) % ORDERS[page.kind].length }));
    case 'f':
      return still(changed(ui, { follow: !top.follow, ...(isText(page) ? {} : { cursor: null, at: 0 }) }));
    case 'c':
      return jobId === null ? still(ui) : still({ ...ui, prompt: { kind: 'cancel', jobId } });
    case 'ENTER':
    case 'RIGHT':
    case 'l':
      return still(opened(ui));
    case 'n':
    case 'N':
      if (page.kind === 'process' && top.filter !== '') return still(found(ui, key === 'n' ? -1 : 1, facts));
      return key === 'n' && page.kind === 'job'
        ? still(pushed(ui, { kind: 'nodes', jobId: page.jobId }))
        : still(ui);
    case 'e':
      return page.kind === 'job' ? still(pushed(ui, eventsOf(page))) : still(ui);
    case 'TAB': {
      const next = PANES[(PANES.indexOf(top.pane) + 1) % PANES.length] ?? 'log';
      return page.kind === 'process'
        ? still(changed(ui, { pane: next, offset: 0, follow: next === 'log' }))
        : still(ui);
    }
    case 'y':
      return page.kind === 'process' ? { ui, effect: { kind: 'copy' } } : still(ui);
    default:
      return still(ui);
  }
}

const eventsOf = ({ jobId, node }: Extract<Page, { kind: 'job' }>): Page =>
  node === undefined ? { kind: 'events', jobId } : { kind: 'events', jobId, node };

function answered(ui: Ui, key: string, jobId: string): Step {
  const closed = { ...ui, prompt: null };
  if (key === 'y' || key === 'Y')
    return { ui: { ...closed, note: `cancelling ${jobId} …` }, effect: { kind: 'cancel', jobId } };
  return still({ ...closed, note: `${jobId} goes on` });
}

/** The filter works while it is typed. */
function typed(ui: Ui, key: string, text: string): Step {
  if (key === 'ENTER') return still({ ...ui, prompt: null });
  if (key === 'ESCAPE') return still(changed({ ...ui, prompt: null }, { filter: '' }));
  const next = key === 'BACKSPACE' ? text.slice(0, -1) : [...key].length === 1 ? text + key : text;
  return still(changed({ ...ui, prompt: { kind: 'filter', text: next } }, { filter: next, offset: 0 }));
}

/** One page back; a filter goes first. */
function back(ui: Ui): Ui {
  if (topOf(ui).filter !== '') return changed(ui, { filter: '' });
  return ui.levels.length === 1 ? ui : { ...ui, levels: ui.levels.slice(0, -1) };
}

function moved(ui: Ui, by: number, { ids, count, height }: Facts): Ui {
  const { page, offset, follow, cursor, at } = topOf(ui);
  if (isText(page)) {
    const last = Math.max(0, count - height);
    const next = Math.min(last, Math.max(0, (follow ? last : offset) + by));
    return changed(ui, { offset: next, follow: next === last && by > 0 });
  }
  const from = cursor === null ? at : indexOf(ids, cursor, at);
  const next = Math.max(0, Math.min(ids.length - 1, from + by));
  return changed(ui, { cursor: ids[next] ?? null, at: next, follow: false });
}

/** The next line before (-1) or after (1) the first one on the screen that has the text. */
function found(ui: Ui, direction: number, { matches, count, height }: Facts): Ui {
  const { offset, follow } = topOf(ui);
  const from = follow ? Math.max(0, count - height) : offset;
  const next = direction < 0 ? matches.findLast((at) => at < from) : matches.find((at) => at > from);
  if (next === undefined) return { ...ui, note: 'no further line has this text' };
  return changed(ui, { offset: next, follow: false });
}

function opened(ui: Ui): Ui {
  const { page, cursor } = topOf(ui);
  if (cursor === null) return ui;
  if (page.kind === 'jobs') return pushed(ui, { kind: 'job', jobId: cursor });
  const jobId = openJob(ui) ?? '';
  if (page.kind === 'job') return pushed(ui, { kind: 'process', jobId, process: cursor });
  return page.kind === 'nodes' ? pushed(ui, { kind: 'job', jobId, node: cursor }) : ui;
}

const pushed = (ui: Ui, page: Page): Ui => ({ ...ui, levels: [...ui.levels, levelOf(page)] });

const changed = (ui: Ui, to: Partial<Level>): Ui => ({
  ...ui,
  levels: [...ui.levels.slice(0, -1), { ...topOf(ui), ...to }],
});

/** Where an item is now; where it was, when it has gone. */
export function indexOf(ids: readonly string[], cursor: string, at: number): number {
  if (ids[at] === cursor) return at;
  const found = ids.indexOf(cursor);
  return found >= 0 ? found : Math.max(0, Math.min(ids.length - 1, at));
}

/** The page after its list was made anew: the cursor is on an item, and the window where it was drawn. */
export function settled(ui: Ui, { ids }: Pick<Facts, 'ids'>, offset: number): Ui {
  const { page, cursor, at, follow } = topOf(ui);
  if (isText(page)) return changed(ui, { offset });
  const next = cursor === null || follow ? 0 : indexOf(ids, cursor, at);
  return changed(ui, { cursor: ids[next] ?? null, at: next, offset });
}
