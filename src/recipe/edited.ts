import { numberMaps } from '../backends/index.ts';
import type { SourcePlace } from '../os/errors.ts';
import { writtenSchemaOf } from './layouts/read.ts';
import { type Edit, EditProblem, editOf, withValue } from './source/edits.ts';
import { floatsOf, scalarIn } from './source/floats.ts';
import { unknownIn } from './source/known-paths.ts';
import { type Path, type Problem, pathText, RecipeProblems } from './source/problems.ts';
import { isListAt } from './source/schema-keys.ts';
import { readValue, type Source } from './source/source.ts';
import type { Plain } from './values/merge.ts';
import type { RawVariant } from './variants.ts';

/**
 * A recipe with the edits of the command line, one after the other.
 * @throws RecipeProblems for paths that no recipe has, all at once
 */
export function editedRecipe(value: Plain, edits: readonly Edit[], file: string): Plain {
  const problems: Problem[] = [];
  const writtenSchema = writtenSchemaOf(value);
  let edited: Plain = value;
  for (const { path, yaml, option } of edits) {
    const unknown = unknownIn(writtenSchema, path, edited);
    if (unknown) {
      const hint = unknown.meant === undefined ? undefined : `did you mean "${unknown.meant}"?`;
      problems.push({ message: 'unknown key', place: { file, option, path: pathText(unknown.at) }, hint });
      continue;
    }
    const isList = (at: Path) => isListAt(writtenSchema, at, edited);
    const made =
      yaml === undefined ? undefined : readValue(yaml, path, floatsOf(numberMaps, scalarIn(edited)));
    try {
      edited = withValue(edited, path, made, isList) as Plain;
    } catch (error) {
      if (!(error instanceof EditProblem)) throw error;
      problems.push({ message: error.message, place: { file, option } });
    }
  }
  if (problems.length > 0) throw new RecipeProblems(problems);
  return edited;
}

/** Where a variant's value stands: in its file, or in an option of the command line. */
export function placesIn(
  source: Source,
  raw: RawVariant,
  edits: readonly Edit[],
): (path: Path) => SourcePlace {
  return (path) => {
    const { file } = source;
    const edit = editOf(edits, path);
    if (edit) return { file, option: edit.option, path: pathText(path) };
    const origins = raw.origins(path);
    const origin = origins.find((each) => source.has(each)) ?? origins.at(-1) ?? path;
    return { ...source.place(origin), path: pathText(path) };
  };
}
