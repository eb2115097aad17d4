import { describe, expect, it } from 'vitest';
import { containerMounts } from '../../src/platform/mounts.ts';
import { cluster, loadText, small } from '../recipe/write.ts';

const mountsOf = (recipeLines: string, config: unknown = {}) => {
  const [variant] = loadText(small + recipeLines);
  const recipe = variant?.points[0]?.recipe;
  if (!recipe) throw new Error('no recipe');
  return containerMounts({
    recipe,
    cluster: cluster(config),
    env: { HERE: '/here' },
    job: { id: '7', name: 'small', jobDir: '/out/7', logDir: '/out/7/logs' },
    headAddress: '10.0.0.1',
    nodes: ['node1', 'node2'],
    srtctl: {
      distDir: '/srtctl/dist',
      programDirs: ['/usr/bin', '/own/bin'],
      runtimes: { x86_64: '/opt/node' },
    },
    mock: false,
    exists: () => true,
  });
};

describe("a container's mounts", () => {
  it("are the model, logs and configs, the cluster's, the job's, and srtctl's own", () => {
    const lines = 'extra_mount: ["/x:/y:ro"]\ncontainer_mounts: {/a: /b}\n';
    expect(mountsOf(lines, { srtctl_root: '/root', default_mounts: { $HERE: '/there' } })).toEqual([
      ...['/models/m:/model', '/out/7/logs:/logs', '/root/configs:/configs', '/here:/there'],
      ...['/x:/y:ro', '/a:/b', '/out/7:/out/7', '/out/.option-checks:/out/.option-checks'],
      ...['/srtctl/dist:/srtctl/dist', '/opt/node:/opt/node', '/own/bin:/own/bin'],
    ]);
  });

  it('replace earlier mounts at the same path', () => {
    expect(mountsOf('container_mounts: {/mine: /model}\n')).not.toContain('/models/m:/model');
    expect(mountsOf('container_mounts: {/mine: /model}\n')).toContain('/mine:/model');
  });

  it('may refer to the job, its logs, the model and the head node', () => {
    const lines =
      'container_mounts: {"/s/{job_id}": "/r/{run_name}", "{log_dir}/x": "{model_path}/{head_node_ip}"}\n';
    expect(mountsOf(lines)).toEqual(
      expect.arrayContaining(['/s/7:/r/small_7', '/out/7/logs/x:/models/m/10.0.0.1']),
    );
    expect(() => mountsOf('container_mounts: {"/s/{jobid}": /r}\n')).toThrow(/placeholder \{jobid\}/);
  });
});
