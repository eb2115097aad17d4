import type { Known, KnownOption } from './table.ts';

/** Something in a command line that the program's parser refuses. */
export interface Complaint {
  /** The option as it is written, with its dashes and without `=value`. */
  readonly option: string;
  /** What follows the name of the program: `has no option --foo`. */
  readonly text: string;
  /** What is wrong, and what it could have been: an option or one of its values. */
  readonly instead?: { readonly of: string; readonly among: readonly string[] };
}

/** What a parser does beyond argparse. */
export interface Dialect {
  /** vLLM reads `--a_b` as `--a-b`, and `--a.b 1` as a key of the JSON of `--a` (utils/argparse_utils.py). */
  readonly vllm?: boolean;
  /** Options that begin so are taken, whatever follows. */
  readonly free?: string;
  /** With one of these, unknown options belong to another parser. */
  readonly openWith?: readonly string[];
  /** Choices that a program adds to those of the engine that it wraps. */
  readonly moreChoices?: Readonly<Record<string, readonly string[]>>;
}

const TYPES = {
  int: { looks: /^\s*[+-]?\d+(_\d+)*\s*$/, named: 'a whole number' },
  float: { looks: /^\s*[+-]?(\d[\d_]*\.?\d*|\.\d+|inf|infinity|nan)(e[+-]?\d+)?\s*$/i, named: 'a number' },
} as const;

/**
 * What argparse would refuse of the arguments `argv`, given the options that it knows (Python's argparse.py,
 * _parse_optional and _match_argument). Texts of a type or a choice that only the program itself can judge
 * are passed over.
 */
export function checkOptions(argv: readonly string[], known: Known, dialect: Dialect = {}): Complaint[] {
  const found: Complaint[] = [];
  const open = argv.some((token) => dialect.openWith?.includes(token.split('=')[0] ?? ''));
  for (let at = 0; at < argv.length; ) {
    const token = argv[at++] ?? '';
    if (token === '--') break;
    const read = readOption(token, known, dialect);
    if (read === null) continue;
    const values: string[] = [];
    while (at < argv.length && readOption(argv[at] ?? '', known, dialect) === null)
      values.push(argv[at++] ?? '');
    const { name, explicit, options } = read;
    const [option, ...others] = options;
    if (dialect.free !== undefined && name.startsWith(dialect.free)) continue;
    if (!option) found.push(...(open ? [] : [unknown(name, known)]));
    else if (others.length > 0) found.push(ambiguous(name, options));
    else found.push(...wrongValues(name, option, explicit, values, dialect.moreChoices?.[name]));
  }
  return found;
}

interface Read {
  readonly name: string;
  /** The value after `=`. */
  readonly explicit: string | undefined;
  /** None: unknown; several: the beginning of several options. */
  readonly options: readonly KnownOption[];
}

/** null: it is a value. */
function readOption(token: string, known: Known, { vllm }: Dialect): Read | null {
  if (!token.startsWith('-') || token.length === 1) return null;
  const equals = token.startsWith('--') ? token.indexOf('=') : -1;
  const written = equals < 0 ? token : token.slice(0, equals);
  const explicit = equals < 0 ? undefined : token.slice(equals + 1);
  const plain = vllm && written.startsWith('--') ? written.replaceAll('_', '-') : written;
  const dot = vllm ? plain.indexOf('.') : -1;
  const name = dot < 0 ? plain : plain.slice(0, dot);
  const exact = known.options.get(token) ?? known.options.get(name);
  if (exact) return { name: written, explicit, options: [exact] };
  // Options with one dash may have their value right behind them; recipes have none.
  if (!token.startsWith('--')) return null;
  const begun = known.abbreviates ? [...known.options].filter(([full]) => full.startsWith(name)) : [];
  if (begun.length > 0) {
    const options = [...new Set(begun.map(([, option]) => option))];
    return { name: written, explicit, options };
  }
  if (token.includes(' ')) return null;
  return { name: written, explicit, options: [] };
}

const unknown = (name: string, { options }: Known): Complaint => ({
  option: name,
  text: `has no option ${name}`,
  instead: { of: name, among: [...options.keys()].filter((each) => each.startsWith('--')) },
});

const ambiguous = (name: string, options: readonly KnownOption[]): Complaint => ({
  option: name,
  text: `cannot tell which option ${name} is: ${listed(options.map(({ names }) => `--${names[0] ?? ''}`))}`,
});

function wrongValues(
  option: string,
  known: KnownOption,
  explicit: string | undefined,
  following: readonly string[],
  moreChoices: readonly string[] = [],
): Complaint[] {
  const values = explicit === undefined ? following : [explicit];
  const wrong = wrongNumber(known.nargs, values.length, following.length, explicit !== undefined);
  if (wrong !== undefined) return [{ option, text: `${wrong} ${option}` }];
  const { type, choices } = known;
  return values.flatMap((value): Complaint[] => {
    if (type !== null && !TYPES[type].looks.test(value))
      return [{ option, text: `wants ${TYPES[type].named} for ${option}, not "${value}"` }];
    if (choices === null || choices.includes(value) || moreChoices.includes(value)) return [];
    return [
      {
        option,
        text: `has no ${option} "${value}": ${listed(choices)}`,
        instead: { of: value, among: choices },
      },
    ];
  });
}

/** What is wrong with the number of an option's values; undefined: nothing. */
function wrongNumber(
  nargs: KnownOption['nargs'],
  given: number,
  following: number,
  isExplicit: boolean,
): string | undefined {
  if (nargs === '...') return undefined;
  const least = nargs === '+' ? 1 : typeof nargs === 'number' ? nargs : 0;
  const most = nargs === '?' ? 1 : typeof nargs === 'number' ? nargs : Number.POSITIVE_INFINITY;
  if (given < least) return least === 1 ? 'wants a value for' : `wants ${least} values for`;
  if (given > most || (isExplicit && following > 0))
    return most === 0 ? 'takes no value for' : `takes ${most === 1 ? 'one value' : `${most} values`} for`;
  return undefined;
}

/** The most that a line shows. */
const MOST_LISTED = 12;

const listed = (texts: readonly string[]): string =>
  texts.length <= MOST_LISTED
    ? texts.join(', ')
    : `${texts.slice(0, MOST_LISTED).join(', ')} and ${texts.length - MOST_LISTED} more`;
