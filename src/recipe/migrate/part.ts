import type { Document, YAMLMap } from 'yaml';
import type { Path } from '../source/problems.ts';
import type { Plain } from '../values/merge.ts';
import type { Anchors } from './anchors.ts';
import type { Role } from './taken.ts';

/** A recipe, `base` or an override. */
export interface Part {
  /** '' for a file without overrides. */
  readonly key: string;
  readonly kind: 'recipe' | 'override' | 'zip';
  readonly map: YAMLMap;
  /** As it is written, without aliases. */
  readonly value: Plain;
  /** The recipes that it makes: several for a zip_override. */
  readonly merged: readonly Plain[];
}

/** The file that is being migrated. */
export interface Migrating {
  readonly document: Document;
  readonly anchors: Anchors;
  readonly base: Plain;
  /** Roles that some variant has. */
  readonly roles: readonly Role[];
  /** Whether `engine` is a map in every part, because some part sets one of its knobs. */
  readonly engineIsMap: boolean;
  /** Notes what the second layout cannot say. `path` is inside the part. */
  refuse(part: Part, path: Path, message: string, hint?: string): void;
}
