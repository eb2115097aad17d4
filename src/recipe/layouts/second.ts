import { recipeMode } from '../../backends/common/protocol.ts';
import type { Path } from '../source/problems.ts';
import { isPlain, type Plain } from '../values/merge.ts';
import { type Canonical, Moves } from './moves.ts';
import { RENAMED } from './second-schema.ts';

const ROLES = ['prefill', 'decode', 'agg'] as const;
type Role = (typeof ROLES)[number];

/** A section of the canonical recipe while it is made, and its path. */
class Section {
  readonly value: Plain;
  readonly #at: Path;
  readonly #moves: Moves;

  constructor(at: Path, value: Plain, moves: Moves) {
    this.value = value;
    this.#at = at;
    this.#moves = moves;
  }

  /** Sets what was written at `from`, unless nothing was. */
  set(key: string, value: unknown, from: Path): void {
    if (value === undefined) return;
    this.value[key] = value;
    this.#moves.add([...this.#at, key], from);
  }

  /** The section below this one. */
  below(key: string): Section {
    const there = this.value[key];
    const value: Plain = isPlain(there) ? { ...there } : {};
    this.value[key] = value;
    return new Section([...this.#at, key], value, this.#moves);
  }
}

/**
 * A recipe of the second layout as a canonical one. It changes names and places alone: a value of a wrong kind is passed
 * on, and the schema of the canonical recipe refuses it.
 */
export function fromSecond({ schema: _, engine, roles, backend, ...rest }: Plain): Canonical {
  const moves = new Moves();
  const recipe = new Section([], { ...rest }, moves);
  const isTransitional = engine === undefined && backend !== undefined;
  const common = engineOf(isTransitional ? backend : engine, [isTransitional ? 'backend' : 'engine']);
  const own = new Map<Role, Engine>();
  const given = isPlain(roles) ? roles : {};
  for (const role of ROLES) {
    const spec = given[role];
    const each = isPlain(spec) ? engineOf(spec.engine, ['roles', role, 'engine']) : undefined;
    if (each) own.set(role, each);
  }
  // Where each role has its own engine, that of the workers that answer stands for the recipe.
  const main = common ?? own.get('agg') ?? own.get('decode') ?? own.get('prefill');
  const section = main && writeEngine(recipe, 'backend', main);
  for (const role of ROLES) {
    const spec = given[role];
    if (!isPlain(spec)) continue;
    const each = own.get(role);
    const at: Path = ['roles', role];
    const engineSection =
      each === undefined || each === main
        ? (section ?? recipe.below('backend'))
        : writeEngine(recipe.below('roles').below(role), 'engine', each);
    writeRole(recipe, engineSection, { role, spec, at, type: (each ?? main)?.type ?? 'sglang' });
  }
  if (common?.gpuType !== undefined)
    recipe.below('resources').set('gpu_type', common.gpuType, ['engine', 'gpu_type']);
  writeDynamo(recipe, rest.dynamo);
  return { value: recipe.value, moves };
}

interface Engine {
  readonly type: string | undefined;
  readonly knobs: Plain;
  readonly gpuType?: unknown;
  readonly at: Path;
}

/** `engine: sglang`, or its map. */
function engineOf(written: unknown, at: Path): Engine | undefined {
  if (written === undefined || written === null) return undefined;
  if (!isPlain(written)) return { type: String(written), knobs: {}, at };
  const { type, gpu_type: gpuType, ...knobs } = written;
  return { type: typeof type === 'string' ? type : undefined, knobs, gpuType, at };
}

function writeEngine(parent: Section, key: string, { type, knobs, at }: Engine): Section {
  parent.set(key, {}, at);
  const section = parent.below(key);
  if (type !== undefined) section.value.type = type;
  for (const [name, value] of Object.entries(knobs)) section.set(RENAMED[name] ?? name, value, [...at, name]);
  return section;
}

interface WrittenRole {
  readonly role: Role;
  readonly spec: Plain;
  readonly at: Path;
  /** Its engine's. */
  readonly type: string;
}

function writeRole(recipe: Section, engine: Section, { role, spec, at, type }: WrittenRole): void {
  const mode = recipeMode(role);
  const resources = recipe.below('resources');
  const from = (key: string): Path => [...at, key];
  const nodes = spec.nodes === 'colocate' ? 0 : spec.nodes;
  resources.set(`${role}_nodes`, nodes, from('nodes'));
  resources.set(`${role}_workers`, spec.workers, from('workers'));
  resources.set(`gpus_per_${role}`, spec.gpus, from('gpus'));
  resources.set(`${role}_nodes_per_worker`, spec.nodes_per_worker, from('nodes_per_worker'));
  engine.set(`${mode}_environment`, spec.env, from('env'));
  if (spec.args != null) engine.below(`${type}_config`).set(mode, spec.args, from('args'));
  if (!isEmpty(spec.extra_args)) engine.set(`${mode}_extra_args`, spec.extra_args, from('extra_args'));
  if (spec.kv_events != null) engine.below('kv_events_config').set(mode, spec.kv_events, from('kv_events'));
  if (spec.sidecar === true) recipe.below('dynamo').set('engine_mode', 'sidecar', from('sidecar'));
  if (spec.critical != null)
    recipe.below('supervision').below('critical').set(role, spec.critical, from('critical'));
  const { nodes: _n, workers: _w, gpus: _g, nodes_per_worker: _p, env: _e, args: _a, ...left } = spec;
  const { extra_args: _x, kv_events: _k, sidecar: _s, critical: _c, engine: _i, ...own } = left;
  if (Object.keys(own).length > 0) {
    const section = recipe.below('roles').below(role);
    for (const [key, value] of Object.entries(own)) section.set(key, value, from(key));
  }
}

const isEmpty = (list: unknown): boolean => list == null || (Array.isArray(list) && list.length === 0);

function writeDynamo(recipe: Section, written: unknown): void {
  if (!isPlain(written)) return;
  const { source, sidecar, ...dynamo } = written;
  const before = recipe.value.dynamo;
  recipe.value.dynamo = { ...(isPlain(before) ? before : {}), ...dynamo };
  const section = recipe.below('dynamo');
  delete section.value.source;
  delete section.value.sidecar;
  if (sidecar === true) section.set('engine_mode', 'sidecar', ['dynamo', 'sidecar']);
  if (!isPlain(source)) return;
  const from = (key: string): Path => ['dynamo', 'source', key];
  section.set('version', source.pypi, from('pypi'));
  section.set('wheel', source.wheel, from('wheel'));
  section.set('hash', source.sha ?? source.rev, from(source.sha == null ? 'rev' : 'sha'));
  section.set('git', source.git, from('git'));
  section.set('cargo_patches', source.patches, from('patches'));
}
