import { describe, expect, it } from 'vitest';
import { merged } from '../../src/doctor/finding.ts';
import { type Expected, judge } from '../../src/doctor/judge.ts';
import { type NodeReport, ReportReader, reportLines } from '../../src/doctor/node-report.ts';

const GIB = 2 ** 30;
const healthy: NodeReport = {
  node: 'gpu1',
  machine: 'x64',
  gpus: [{ index: '0', name: 'H100', usedMib: 4, totalMib: 81_559 }],
  gpuError: null,
  visibleDevices: '0',
  portsTaken: [],
  leftovers: [],
  ownership: { mark: true, keeper: 'perl' },
  models: [{ path: '/models/m', problem: null }],
  missing: [],
  tmp: { path: '/tmp', freeBytes: 100 * GIB },
  srtctl: { version: 'abc' },
  outputs: { seesToken: true, writeProblem: null },
  programs: [{ name: 'nats-server', problem: null }],
  interfaceProblem: null,
};
const expected: Expected = { gpus: 1, srtctl: 'abc', runningJobs: new Set(['7']), outputs: '/out' };

const bad = (change: Partial<NodeReport>, aheadMs = 0) =>
  judge({ ...healthy, ...change }, aheadMs, expected)
    .filter(({ status }) => status !== 'ok')
    .map(({ check, status, text }) => `${status} ${check}: ${text}`);

describe("a node's report", () => {
  it('of a healthy node gives no advice', () => {
    expect(bad({})).toEqual([]);
    expect(judge(healthy, 3, expected).every(({ advice }) => advice === null)).toBe(true);
  });

  it.each<[string, Partial<NodeReport>, RegExp]>([
    ['a missing image', { missing: ['/images/a.sqsh'] }, /^fail paths: \/images\/a.sqsh does not exist/],
    ['fewer GPUs than asked for', { gpus: [] }, /^fail GPUs: .*the job needs 1/],
    ['a driver that fails', { gpus: [], gpuError: 'no devices' }, /^fail GPUs: nvidia-smi: no devices/],
    [
      'a GPU that another program uses',
      { gpus: [{ index: '0', name: 'H100', usedMib: 40_960, totalMib: 81_559 }] },
      /^warn GPUs: GPU 0 has 40 GiB in use/,
    ],
    ['ports in use', { portsTaken: [8000] }, /^warn ports: taken: 8000/],
    [
      'leftovers of an earlier job',
      { leftovers: [{ pid: 9, job: '3', command: 'python3 -m sglang' }] },
      /^fail leftovers: 1 of job 3: python3 -m sglang/,
    ],
    [
      'a process that cleared its environment',
      { leftovers: [{ pid: 9, job: null, command: 'sglang::scheduler' }] },
      /^fail leftovers: 1 of a job that is over: sglang::scheduler/,
    ],
    ['no mark', { ownership: { mark: false, keeper: 'perl' } }, /^warn ownership: cannot mark/],
    [
      'no keeper',
      { ownership: { mark: true, keeper: null } },
      /^warn ownership: an agent has no keeper without perl or python3/,
    ],
    [
      'a model that cannot be read',
      { models: [{ path: '/m', problem: 'EACCES' }] },
      /^fail models: \/m: EACCES/,
    ],
    ['a full disk', { tmp: { path: '/tmp', freeBytes: GIB / 2 } }, /^fail free space: 0.5 GiB in \/tmp/],
    ['another srtctl', { srtctl: { version: 'other' } }, /^fail same srtctl: another version/],
    ['no srtctl', { srtctl: { version: null } }, /^fail same srtctl: cannot be read/],
    [
      'a directory that is not shared',
      { outputs: { seesToken: false, writeProblem: null } },
      /^fail output_dir: does not see/,
    ],
    [
      'a missing program',
      { programs: [{ name: 'podman', problem: 'podman is not in PATH' }] },
      /^fail programs: podman/,
    ],
    ['a missing interface', { interfaceProblem: 'the node has no interface ib0' }, /^warn network: .*ib0/],
  ])('%s: gives a finding with advice', (_what, change, line) => {
    expect(bad(change)).toEqual([expect.stringMatching(line)]);
    const unwell = judge({ ...healthy, ...change }, 0, expected).filter(({ status }) => status !== 'ok');
    expect(unwell.every(({ advice }) => advice !== null && advice !== '')).toBe(true);
  });

  it('counts no process of a running job as a leftover', () => {
    expect(bad({ leftovers: [{ pid: 9, job: '7', command: 'x' }] })).toEqual([]);
    expect(bad({ leftovers: [{ pid: 9, job: '7-2', command: 'x' }] })).toEqual([]);
  });

  it('reports a wrong clock, and by how much', () => {
    expect(bad({}, 300)).toEqual([]);
    expect(bad({}, -1_400)).toEqual(['warn clock: 1.4 s behind this machine']);
    expect(bad({}, 60_000)).toEqual(['fail clock: 60.0 s ahead of this machine']);
  });

  it('is read whole from pieces that lines of other nodes interrupt', () => {
    const models = Array.from({ length: 100 }, (_, index) => ({ path: `/models/${index}`, problem: 'ü' }));
    const reports = ['a', 'b'].map((node) => ({ ...healthy, node, models }));
    const [first = [], second = []] = reports.map(reportLines);
    expect(Math.max(...first.map((line) => line.length))).toBeLessThan(1_000);
    const reader = new ReportReader();
    for (const [index, line] of first.entries()) {
      reader.take('srun: something that Slurm has to say', 0);
      reader.take(second[index] ?? '', 0);
      reader.take(line, 0);
    }
    expect([...reader.reports.values()]).toEqual(expect.arrayContaining(reports));
  });

  it('takes the clock from the fastest line', () => {
    const reader = new ReportReader();
    reader.take('SRTCTL-CLOCK a 1000', 1_400);
    reader.take('SRTCTL-CLOCK a 2000', 2_005);
    expect(reader.clockAheadMs.get('a')).toBe(-5);
  });

  it('merges equal findings of several nodes', () => {
    const same = ['a', 'b'].flatMap((node) => judge({ ...healthy, node }, 0, expected));
    expect(merged(same).map(({ where }) => where)).toEqual(merged(same).map(() => 'a,b'));
  });
});
