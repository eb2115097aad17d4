/** Colours of charts. Names of states are those of model/timeline.ts. */
export interface Theme {
  readonly name: 'light' | 'dark';
  readonly text: string;
  readonly muted: string;
  readonly line: string;
  readonly surface: string;
  /** Told apart with every kind of colour vision (after Okabe and Ito). */
  readonly series: readonly string[];
  readonly bad: string;
  readonly states: Readonly<Record<string, string>>;
}

const LIGHT_SERIES = ['#0067a5', '#c2500a', '#00795a', '#a34a86', '#8a6200', '#2f7fb3', '#6a51a3', '#555555'];
const DARK_SERIES = ['#5cb8f0', '#ff9a57', '#3fd0a4', '#f09bd0', '#f0c04a', '#9ad1f5', '#b9a5f2', '#bdbdbd'];

export const LIGHT: Theme = {
  name: 'light',
  ...{ text: '#1b1f24', muted: '#59636e', line: '#d5dae0', surface: '#ffffff' },
  series: LIGHT_SERIES,
  bad: '#b3261e',
  states: {
    queue: '#c9ced6',
    booting: '#a9b4c2',
    running: '#7fa8c9',
    finishing: '#a9b4c2',
    'wait for nodes': '#c9ced6',
    'deploy and load': '#8fb7dc',
    'router and flush': '#e2bf62',
    'warm-up and measure': '#76b39b',
    'warm-up': '#e08a3c',
    measure: '#2f9e78',
    collect: '#8c7cc0',
    cleanup: '#c08a6a',
    cleaning: '#c08a6a',
    waiting: '#dfe3e8',
    preparing: '#c9ced6',
    starting: '#8fb7dc',
    load: '#8fb7dc',
    step: '#8c7cc0',
    ready: '#7fc4a8',
    degraded: '#e08a3c',
    stopping: '#c08a6a',
  },
};

export const DARK: Theme = {
  name: 'dark',
  ...{ text: '#e8ebef', muted: '#a3adb8', line: '#39414b', surface: '#171b21' },
  series: DARK_SERIES,
  bad: '#ff8a80',
  states: {
    ...LIGHT.states,
    queue: '#4c545f',
    'wait for nodes': '#4c545f',
    waiting: '#343b45',
    preparing: '#4c545f',
    booting: '#5d6a79',
    finishing: '#5d6a79',
    running: '#3f6f94',
    'deploy and load': '#3a75a8',
    starting: '#3a75a8',
    load: '#3a75a8',
    ready: '#2d7b5f',
    'warm-up and measure': '#4f8f78',
    measure: '#39b98d',
    'router and flush': '#b8963c',
  },
};

/** The colour of the n-th series; they begin again after the last. */
export const colourOf = ({ series }: Theme, at: number): string => series[at % series.length] ?? '#888888';

const SYMBOLS = ['circle', 'rect', 'triangle', 'diamond', 'roundRect', 'pin'] as const;
/** Sources differ by symbol, too. */
export const symbolOf = (at: number): string => SYMBOLS[at % SYMBOLS.length] ?? 'circle';
