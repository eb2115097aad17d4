import { SrtctlError } from '../../os/errors.ts';
import { type LoadedVariant, placeIn } from '../variant.ts';

interface Asked {
  readonly mode: 'local' | 'slurm';
  readonly mock: boolean;
  /** `--host-setup` or `--no-host-setup`. */
  readonly told: boolean | undefined;
}

/**
 * Whether the commands of `host_setup` run. Nodes of a Slurm job are there for the job; this machine is its user's, who
 * has to say so. With simulated engines nothing needs the commands.
 * @throws SrtctlError when the user has to decide
 */
export function runsHostSetup(variant: LoadedVariant, { mode, mock, told }: Asked): boolean {
  const setup = variant.points.find(({ recipe }) => recipe.host_setup)?.recipe.host_setup;
  if (!setup || setup.commands.length + setup.teardown.length === 0) return false;
  if (told !== undefined) return told;
  if (mock) return false;
  if (mode === 'slurm') return true;
  throw new SrtctlError(
    'host-setup',
    `host_setup runs commands on this machine, outside of any container: ${firstLine([...setup.commands, ...setup.teardown])}`,
    {
      place: placeIn(variant, ['host_setup']),
      hint: '--host-setup runs them, --no-host-setup leaves them out',
    },
  );
}

function firstLine([command = '', ...others]: readonly string[]): string {
  const [line = ''] = command.trim().split('\n');
  return others.length === 0 ? line : `${line}, and ${others.length} more`;
}
