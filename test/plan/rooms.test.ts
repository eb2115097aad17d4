import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const src = resolve(import.meta.dirname, '../../src');

/** Which rooms a room may import from: those below it. What is not named here is the room itself. */
const below: Readonly<Record<string, readonly string[]>> = {
  messages: [],
  recipe: ['engines'],
  engines: [],
  simulator: ['engines', 'messages'],
  launch: ['messages'],
  steps: [],
  why: ['messages'],
  backends: ['engines', 'recipe', 'messages'],
  frontends: ['backends', 'engines', 'recipe', 'messages'],
  benchmarks: ['recipe', 'messages'],
  machines: ['messages'],
  plan: ['backends', 'frontends', 'benchmarks', 'recipe', 'messages'],
  'node-agent': ['machines', 'launch', 'messages'],
  slurm: ['plan', 'backends', 'why', 'launch', 'recipe', 'messages'],
  static: ['slurm', 'launch', 'plan', 'frontends', 'recipe', 'messages'],
  coordinator: [
    'why',
    'slurm',
    'launch',
    'machines',
    'plan',
    'frontends',
    'benchmarks',
    'recipe',
    'messages',
  ],
  doctor: ['coordinator', 'slurm', 'plan', 'backends', 'recipe', 'messages'],
  cli: [
    'doctor',
    'why',
    'launch',
    'coordinator',
    'static',
    'slurm',
    'machines',
    'plan',
    'frontends',
    'benchmarks',
    'backends',
    'recipe',
    'messages',
  ],
};

/** What anyone may import: the words of planning, and the small files that belong to no room. */
const forAll = (path: string): boolean => path === 'plan/kinds.ts' || !path.includes('/');

const IMPORT = /(?:from|import\()\s*['"](\.[^'"]+)['"]/g;

const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts'));

describe('the rooms of the source', () => {
  it('are all known to this test', () => {
    const rooms = new Set(files.filter((path) => path.includes('/')).map((path) => path.split('/')[0]));
    expect([...rooms].filter((room) => room === undefined || !(room in below))).toEqual([]);
  });

  it('are imported downwards only', () => {
    const upwards = files.flatMap((path) => {
      const room = path.includes('/') ? path.split('/')[0] : undefined;
      return importsOf(path)
        .filter((target) => {
          const other = target.split('/')[0] ?? '';
          if (forAll(target) || other === room) return false;
          return room === undefined || !below[room]?.includes(other);
        })
        .map((target) => `${path} imports ${target}`);
    });
    expect(upwards).toEqual([]);
  });
});

function importsOf(path: string): string[] {
  const text = readFileSync(join(src, path), 'utf8');
  return [...text.matchAll(IMPORT)].map((match) =>
    relative(src, resolve(src, dirname(path), match[1] ?? '')),
  );
}
