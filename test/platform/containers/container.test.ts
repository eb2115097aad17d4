import { describe, expect, it } from 'vitest';
import {
  type ContainerStart,
  containerCommand,
  containerEnvironment,
} from '../../../src/platform/containers/container.ts';

const command = (over: Partial<ContainerStart> & Pick<ContainerStart, 'runtime'>): string[] =>
  containerCommand({
    image: 'nvcr.io#nvidia/engine:1',
    mounts: ['/models/m:/model:ro', '/out/7:/out/7'],
    home: '/scratch',
    name: 'srtctl-7-node1-decode-0-0-1',
    variables: ['HF_TOKEN', 'TP'],
    gpus: true,
    cwd: '/out/7',
    user: { uid: 1000, gid: 100 },
    devices: ['/dev/infiniband'],
    distDir: '/dist',
    argv: ['python3', '-m', 'engine', '--flag', 'a b'],
    ...over,
  });
const argv = ['python3', '-m', 'engine', '--flag', 'a b'];

describe('the command of a container', () => {
  it('for apptainer, which passes its environment on', () => {
    expect(command({ runtime: 'apptainer' })).toEqual([
      ...['apptainer', 'exec', '--nv', '--writable-tmpfs', '--home', '/scratch'],
      ...['--bind', '/models/m:/model:ro', '--bind', '/out/7:/out/7', '--pwd', '/out/7'],
      ...['docker://nvcr.io/nvidia/engine:1', ...argv],
    ]);
    expect(command({ runtime: 'apptainer', image: '/images/e.sif' })).toContain('/images/e.sif');
    expect(command({ runtime: 'apptainer', image: 'oras://r/e:1' })).toContain('oras://r/e:1');
    expect(containerEnvironment('apptainer', { A: 'b', C: 'd' }, ['A'])).toEqual({
      ...{ A: 'b', C: 'd', APPTAINERENV_A: 'b' },
    });
  });

  it('for enroot, with a command script in place of the entrypoint', () => {
    expect(command({ runtime: 'enroot', image: '/images/e.sqsh' })).toEqual([
      ...['enroot', 'start', '--root', '--rw', '--rc', '/dist/steps/run-command.sh'],
      ...[
        '--mount',
        '/models/m:/model:x-create=auto,rbind,ro',
        '--mount',
        '/out/7:/out/7:x-create=auto,rbind',
      ],
      ...['--env', 'HF_TOKEN', '--env', 'TP', '--env', 'NVIDIA_VISIBLE_DEVICES=all'],
      ...['--env', 'NVIDIA_DRIVER_CAPABILITIES=compute,utility', '/images/e.sqsh'],
      ...['/bin/sh', '-c', 'cd "$0" && exec "$@"', '/out/7', ...argv],
    ]);
  });

  it('for docker, as the user and without an entrypoint', () => {
    expect(command({ runtime: 'docker' })).toEqual([
      ...['docker', 'run', '--rm', '--init', '--name', 'srtctl-7-node1-decode-0-0-1', '--pull', 'missing'],
      ...['--network', 'host', '--ipc', 'host', '--ulimit', 'memlock=-1', '--ulimit', 'stack=67108864'],
      ...['--cap-add', 'SYS_NICE', '--device', '/dev/infiniband'],
      ...['--mount', 'type=bind,source=/models/m,target=/model,readonly'],
      ...['--mount', 'type=bind,source=/out/7,target=/out/7', '--env', 'HF_TOKEN', '--env', 'TP'],
      ...['--workdir', '/out/7', '--gpus', 'all', '--user', '1000:100', '--env', 'HOME=/scratch'],
      ...['--entrypoint', '', 'nvcr.io/nvidia/engine:1', ...argv],
    ]);
  });

  it('for podman, where the user is root', () => {
    const all = command({ runtime: 'podman' });
    expect(all.slice(0, 4)).toEqual(['podman', 'run', '--rm', '--init']);
    expect(all.join(' ')).toContain(
      '--security-opt label=disable --pids-limit -1 --device nvidia.com/gpu=all --env HOME=/root --entrypoint  nvcr.io',
    );
    expect(all).not.toContain('--user');
  });

  it.each(['apptainer', 'enroot', 'docker', 'podman'] as const)(
    'shows no GPU to a command of %s that needs none',
    (runtime) => {
      const text = command({ runtime, gpus: false }).join(' ');
      expect(text).not.toMatch(/--nv\b|--gpus|nvidia\.com|VISIBLE_DEVICES=all/);
    },
  );

  it('escapes paths, and accepts flags of a mount as pyxis does', () => {
    const mounts = ['/a,b:/c"d:ro+rprivate'];
    expect(command({ runtime: 'docker', mounts })).toContain(
      'type=bind,"source=/a,b","target=/c""d",readonly,bind-propagation=rprivate',
    );
    expect(command({ runtime: 'enroot', mounts })).toContain('/a,b:/c"d:x-create=auto,rbind,ro,rprivate');
  });
});
