import { expect, it } from 'vitest';
import { stepEnvironment } from '../../../src/platform/containers/step-environment.ts';
import { withoutTask } from '../../../src/platform/containers/task-environment.ts';

/**
 * The environment of an agent that srun has started in a container of pyxis, whose hooks set PyTorch and PMIx
 * variables.
 */
const agent = {
  ...{
    PATH: '/bin',
    HF_TOKEN: 't',
    SLURM_CONF: '/etc/slurm.conf',
    SLURM_JOB_ID: '7',
    SLURM_JOB_NODELIST: 'n[1-2]',
  },
  ...{
    SLURMD_NODENAME: 'n1',
    SLURM_STEP_ID: '0',
    SLURM_PROCID: '1',
    SLURM_NTASKS: '2',
    SLURM_TASKS_PER_NODE: '1',
  },
  ...{ PMI_RANK: '1', PMI2_SIZE: '2', PMIX_RANK: '1', PMIX_SERVER_URI41: 'x', PMIX_MCA_gds: 'hash' },
  ...{
    OMPI_COMM_WORLD_RANK: '1',
    OMPI_MCA_orte_precondition_transports: 'x',
    OMPI_MCA_coll_hcoll_enable: '0',
  },
  ...{ RANK: '1', LOCAL_RANK: '0', WORLD_SIZE: '2', MASTER_ADDR: 'n1', MASTER_PORT: '29500' },
};

it('an engine does not get the variables of the launch that started its agent', () => {
  expect(withoutTask(agent, { role: 'frontend' }, {})).toEqual({ PATH: '/bin', HF_TOKEN: 't' });
});

it('a command of the recipe keeps the variables that describe its job', () => {
  const kept = ['HF_TOKEN', 'PATH', 'SLURMD_NODENAME', 'SLURM_CONF', 'SLURM_JOB_ID', 'SLURM_JOB_NODELIST'];
  expect(Object.keys(withoutTask(agent, { role: 'benchmark' }, {})).sort()).toEqual(kept);
  expect(Object.keys(withoutTask(agent, { role: 'step' }, {})).sort()).toEqual(kept);
});

it('variables that the recipe itself sets stay', () => {
  const own = { MASTER_ADDR: 'mine', OMPI_MCA_btl: 'tcp' };
  expect(withoutTask({ ...agent, ...own }, { role: 'agg' }, own)).toMatchObject(own);
  expect(stepEnvironment({ ...agent, ...own }, own)).toMatchObject(own);
});

it('srun starts the ranks of an MPI launch with their own place, and with the site’s settings', () => {
  const mpi = { tasks: 2, nodes: ['n1'] };
  const env = stepEnvironment(withoutTask(agent, { role: 'agg', mpi }, {}));
  expect(env).toMatchObject({ SLURM_JOB_ID: '7', OMPI_MCA_coll_hcoll_enable: '0', PMIX_MCA_gds: 'hash' });
  for (const name of [
    'PMIX_RANK',
    'OMPI_COMM_WORLD_RANK',
    'RANK',
    'MASTER_ADDR',
    'SLURM_STEP_ID',
    'PMI2_SIZE',
  ])
    expect(env).not.toHaveProperty(name);
});
