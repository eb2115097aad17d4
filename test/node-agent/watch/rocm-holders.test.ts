import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { findGpuHolders } from '../../../src/node-agent/watch/gpu-holders.ts';
import { parsePidGpus, parsePids } from '../../../src/node-agent/watch/rocm-holders.ts';

const framed = (title: string, body: string): string => `

============================ ROCm System Management Interface ============================
${title}
${body}
==========================================================================================
================================== End of ROCm SMI Log ===================================
`;
const pids = (body: string): string =>
  framed(
    '===================================== KFD Processes ======================================',
    `KFD process information:\nPID    \tPROCESS NAME\tGPU(s)\tVRAM USED\tSDMA USED\tCU OCCUPANCY\t\n${body}`,
  );
const pidGpus = (body: string): string =>
  framed('================================== GPUs Indexed by PID ===================================', body);

/** What rocm-smi printed on machines with AMD GPUs, as their users published it. */
describe('a recorded output of rocm-smi', () => {
  it('--showpidgpus on gfx942 has a line for each GPU (tests of gpuq)', () => {
    const text = pidGpus(
      'PID 78912 is using 0 DRM device(s)\nPID 79301 is using 1 DRM device(s):\n1 \nPID 9710 is using 0 DRM device(s)\nPID 1951076 is using 0 DRM device(s)\nPID 1949829 is using 2 DRM device(s):\n0 \n1 \nPID 10678 is using 1 DRM device(s):\n0 ',
    );
    expect([...parsePidGpus(text)]).toEqual([
      [79301, [1]],
      [1949829, [0, 1]],
      [10678, [0]],
    ]);
  });

  it('--showpidgpus of an older release has all GPUs of a process on a line, on two GPUs of 220 W', () => {
    const text =
      '\n============================= GPUs Indexed by PID ==============================\nPID 28156 is using 2 DRM device(s):\n0 1 \nPID 28154 is using 1 DRM device(s):\n0 \n================================================================================\n';
    expect([...parsePidGpus(text)]).toEqual([
      [28156, [0, 1]],
      [28154, [0]],
    ]);
  });

  it('without a process names none', () => {
    expect([...parsePidGpus(pidGpus('No KFD PIDs currently running'))]).toEqual([]);
    expect([...parsePids(pids('No KFD PIDs currently running'))]).toEqual([]);
    expect([...parsePidGpus('')]).toEqual([]);
  });

  it.each([
    [
      'a node of ROC-smi issue 60',
      '3722222 test_ref        0       0               0               0           \n1168514 pt_main_thread  1       177386942464    0               4           ',
      [
        [3722222, { program: 'test_ref', memoryMiB: 0 }],
        [1168514, { program: 'pt_main_thread', memoryMiB: 169_169 }],
      ],
    ],
    [
      'Strix Halo, ROCm-SMI 4.0.0, library 7.8.0',
      '9399\tVLLM::EngineCor\t1     \t329576448  \t0        \tUNKNOWN\n6566\tvllm           \t0     \t0          \t0        \tUNKNOWN',
      [
        [9399, { program: 'VLLM::EngineCor', memoryMiB: 314 }],
        [6566, { program: 'vllm', memoryMiB: 0 }],
      ],
    ],
    [
      'ROCm 5, whose driver tells nothing of processes (rocm_smi_lib issue 166)',
      'get_compute_process_info_by_pid, Not supported on the given system\n55573   gmx_mpi         1       UNKNOWN         UNKNOWN         UNKNOWN     \n1188185\tUNKNOWN     \t0     \tUNKNOWN  \tUNKNOWN  \tUNKNOWN     \t',
      [
        [55573, { program: 'gmx_mpi', memoryMiB: null }],
        [1188185, { program: '', memoryMiB: null }],
      ],
    ],
  ])('--showpids on %s', (_, body, expected) => {
    expect([...parsePids(pids(body))]).toEqual(expected);
  });
});

describe('processes of others on AMD GPUs', () => {
  const ended: (() => void)[] = [];
  afterEach(() => {
    for (const end of ended.splice(0)) end();
  });

  /** A rocm-smi that prints texts. */
  function rocmSmi(answers: { readonly gpus: string; readonly pids: string }): Record<string, string> {
    const directory = mkdtempSync(join(tmpdir(), 'srtctl-rocm-'));
    ended.push(() => rmSync(directory, { recursive: true, force: true }));
    writeFileSync(join(directory, 'gpus'), answers.gpus);
    writeFileSync(join(directory, 'pids'), answers.pids);
    const program = join(directory, 'rocm-smi');
    writeFileSync(
      program,
      `#!/bin/sh\ncase $1 in --showpidgpus) cat ${directory}/gpus ;; --showpids) cat ${directory}/pids ;; esac\n`,
    );
    chmodSync(program, 0o755);
    return { PATH: `${directory}:/usr/bin:/bin` };
  }

  it('are found with their GPUs, their program and their memory', async () => {
    const other = spawn('sleep', ['1000'], { stdio: 'ignore' });
    ended.push(() => other.kill('SIGKILL'));
    const env = rocmSmi({
      gpus: pidGpus(`PID ${other.pid} is using 2 DRM device(s):\n0 \n3 \nPID 1 is using 0 DRM device(s)`),
      pids: pids(`${other.pid}\tUNKNOWN\t2     \t2147483648\t0        \t0           \t`),
    });
    const found = await findGpuHolders({ jobId: 'none', env });
    expect(found).toMatchObject([
      { gpu: 0, pid: other.pid, program: 'sleep', memoryMiB: 2048 },
      { gpu: 3, pid: other.pid, program: 'sleep', memoryMiB: null },
    ]);
  });

  it('are none where there is no rocm-smi', async () => {
    expect(await findGpuHolders({ jobId: 'none', env: { PATH: '/nowhere' } })).toEqual([]);
  });
});
