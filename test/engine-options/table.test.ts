import { describe, expect, it } from 'vitest';
import { Tables } from '../../src/engine-options/table.ts';
import { writeFiles } from '../recipe/write.ts';

const table = {
  program: 'p',
  abbreviates: true,
  releases: ['0.1', '0.2', '0.2.post1', '0.3'],
  options: [
    { names: 'old', in: '-0.1' },
    { names: 'gone-and-back', in: '-0.1 0.3-', nargs: 0 },
    { names: 'number n', in: '-0.2', type: 'int' },
    { names: 'number n', in: '0.2.post1-', short: ['-n'] },
    { names: 'kind', choices: ['a', 'b  0.2-', 'c  0.2-0.2.post1'] },
  ],
};

describe('a table of options', () => {
  const tables = new Tables(writeFiles({ 'sglang.json': JSON.stringify(table) }));
  const namesIn = (release: string) => [...(tables.known('sglang', release)?.options.keys() ?? [])];

  it('has the options of each release', () => {
    expect(namesIn('0.1')).toEqual(['--old', '--gone-and-back', '--number', '--n', '--kind']);
    expect(namesIn('0.2')).toEqual(['--number', '--n', '--kind']);
    expect(namesIn('0.3')).toEqual(['--gone-and-back', '--number', '--n', '-n', '--kind']);
  });

  it('has the kind and the choices of an option in each release', () => {
    const of = (release: string) => tables.known('sglang', release)?.options;
    expect(of('0.2')?.get('--n')?.type).toBe('int');
    expect(of('0.3')?.get('--n')?.type).toBeNull();
    expect(of('0.1')?.get('--kind')?.choices).toEqual(['a']);
    expect(of('0.2.post1')?.get('--kind')?.choices).toEqual(['a', 'b', 'c']);
  });

  it('knows nothing of another release', () => {
    expect(tables.known('sglang', '0.2.1')).toBeUndefined();
  });
});
