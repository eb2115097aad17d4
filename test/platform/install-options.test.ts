import { expect, it } from 'vitest';
import { installOptions } from '../../src/platform/install-options.ts';
import { loadText } from '../recipe/write.ts';

const recipe = (more: string) => {
  const text = `name: r
model: {path: /m, container: i, precision: fp8}
resources: {gpu_type: h100, gpus_per_node: 8, agg_nodes: 1, agg_workers: 1}
benchmark: {type: manual}
${more}`;
  const found = loadText(text)[0]?.points[0]?.recipe;
  if (!found) throw new Error('no recipe');
  return found;
};

it('an image with installations is writable, and the user is root in it', () => {
  const both = { 'container-writable': '', 'container-remap-root': '' };
  expect(installOptions(recipe('dynamo: {version: "1.2.3"}\n'), null)).toEqual(both);
  expect(installOptions(recipe('dynamo: {install: false}\n'), '/setup.sh')).toEqual(both);
  expect(installOptions(recipe('dynamo: {install: false}\n'), null)).toEqual({});
});

it('the recipe’s srun_options take precedence', () => {
  const options = 'dynamo: {install: false}\nsrun_options: {no-container-remap-root: "", mpi: pmi2}\n';
  expect(installOptions(recipe(options), '/setup.sh')).toEqual({
    'container-writable': '',
    'no-container-remap-root': '',
    mpi: 'pmi2',
  });
});
