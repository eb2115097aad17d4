import { describe, expect, it } from 'vitest';
import { small } from '../recipe/write.ts';
import { option, processOf } from '../support/plan.ts';

const profiled = (keys: string) => `${small}profiling:\n  type: nsys\n${keys}`;

describe('Nsight Systems around a worker', () => {
  it('traces, ends and follows forks as the recipe says', () => {
    const keys = '  nsys_trace: cuda-sw,osrt\n  capture_range_end: repeat\n  trace_fork_before_exec: true\n';
    const { argv } = processOf(profiled(keys), 'prefill-0-0');
    expect(option(argv, '-t')).toContain('cuda-sw,osrt');
    expect(argv.slice(argv.indexOf('--capture-range-end')).slice(0, 2)).toEqual([
      '--capture-range-end',
      'repeat',
    ]);
    expect(argv).toContain('--trace-fork-before-exec=true');
    const off = processOf(profiled('  trace_fork_before_exec: false\n'), 'prefill-0-0').argv;
    expect(off).not.toContain('--trace-fork-before-exec=true');
  });

  it('is around the selected process alone', () => {
    const two = small.replace('prefill_workers: 1', 'prefill_workers: 2\n  gpus_per_prefill: 4');
    const text = two.concat('profiling: {type: nsys, prefill: {capture_scope: selected, worker_index: 1}}\n');
    expect(processOf(text, 'prefill-1-0').argv[0]).toBe('nsys');
    expect(processOf(text, 'prefill-0-0').argv[0]).not.toBe('nsys');
    expect(processOf(text, 'decode-0-0').argv[0]).toBe('nsys');
  });

  it('finds its libraries before those of the image', () => {
    const { argv } = processOf(profiled('  nsys_library_paths: [/a b, /c]\n'), 'prefill-0-0');
    expect(argv.slice(0, 2)).toEqual(['bash', '-c']);
    expect(argv.slice(3, 7)).toEqual(['bash', '/a b:/c', 'nsys', 'profile']);
  });
});
