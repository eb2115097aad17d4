import { RecipeError } from '../../os/errors.ts';
import { nearest, RecipeProblems } from './problems.ts';
import type { Source } from './source.ts';

/** The selected variants of a file: a name as in `recipe.yaml:name`, or a pattern for names. */
export interface Selector {
  readonly text: string;
  /** For a pattern: whether it matches a name. */
  readonly matches?: ((name: string) => boolean) | undefined;
  /** It applies to several files, and files without such a variant are skipped. */
  readonly filter?: boolean | undefined;
}

/** The fields of a variant that a selector reads. */
interface Named {
  /** `x` of override_x, `x_0` for the first of zip_override_x. */
  readonly variant: string;
  /** `override_x`, `zip_override_x`; '' for a file without overrides. */
  readonly key: string;
  /** In a zip_override, the index of the variant. */
  readonly index?: number | undefined;
}

/** No variant of a file matches its selector. `known` are the possible names. */
export class NoVariant extends RecipeProblems {
  readonly known: readonly string[];

  constructor(source: Source, selector: Selector, all: readonly Named[]) {
    const known = all.filter(({ key }) => key !== '').map(wholeName);
    const has = known.length > 0 ? `it has base, ${listed(known)}` : 'it has no overrides';
    const meant = nearest(selector.text, [...known, ...all.map(({ variant }) => variant)]);
    super(
      [
        {
          message: `no variant "${selector.text}" in this recipe: ${has}`,
          place: { file: source.file },
          hint: meant ? `did you mean "${meant}"?` : undefined,
        },
      ],
      'no-variant',
    );
    this.known = known;
  }
}

/**
 * The variants that a selector matches, by its most exact meaning with a match: a whole key (`override_x`,
 * `zip_override_x`), one of a zip_override (`zip_override_x[1]`), a variant's name (`x`, `x_1`), the name
 * without its kind (`x` of zip_override_x), and last a pattern.
 */
export function choose<T extends Named>(all: readonly T[], selector: Selector): readonly T[] {
  const { text, matches } = selector;
  const meanings: ((each: Named) => boolean)[] = [
    ({ key }) => key === text,
    (each) => wholeName(each) === text,
    ({ variant }) => variant === text,
    ({ key, index }) =>
      index !== undefined && [`${key}_${index}`, `${shortName(key)}[${index}]`].includes(text),
    ({ key, index }) => index !== undefined && shortName(key) === text,
    (each) => matches !== undefined && [each.key, wholeName(each), each.variant].some(matches),
  ];
  const named = all.filter(({ key }) => key !== '');
  for (const meaning of meanings) {
    const chosen = named.filter(meaning);
    if (chosen.length > 0) return chosen;
  }
  return [];
}

/** A selector for this variant and no other of its file. */
export const wholeName = ({ key, index }: Named): string => (index === undefined ? key : `${key}[${index}]`);

const shortName = (key: string): string => key.replace(/^(zip_)?override_/, '');

const MOST_NAMES = 24;

/** Names in a sentence, limited to a readable number. */
export function listed(names: readonly string[]): string {
  const more = names.length - MOST_NAMES;
  return names.slice(0, MOST_NAMES).join(', ') + (more > 0 ? ` and ${more} more` : '');
}

/** Selectors for several files that have not matched in any file yet. */
export class PendingSelectors {
  readonly #known = new Map<Selector, Set<string>>();
  readonly #done = new Set<Selector>();

  /** Whether this error only means that the file has no such variant, because another file may have it. */
  passesOver({ selector }: { readonly selector?: Selector | undefined }, error: unknown): boolean {
    if (!(error instanceof NoVariant) || !selector?.filter) return false;
    const known = this.#known.get(selector) ?? new Set();
    this.#known.set(selector, known);
    for (const name of error.known) known.add(name);
    return true;
  }

  took({ selector }: { readonly selector?: Selector | undefined }): void {
    if (selector) this.#done.add(selector);
  }

  /**
   *
   * @throws RecipeError when a selector matched nothing
   */
  end(): void {
    for (const [selector, known] of this.#known) {
      if (this.#done.has(selector)) continue;
      const has = known.size > 0 ? `they have ${listed([...known].sort())}` : 'they have no overrides';
      throw new RecipeError('no-variant', `no variant "${selector.text}" in any of these recipes: ${has}`);
    }
  }
}
