/** Options that several commands share. */
export const OUTPUT_OPTION = [
  '--output <dir>',
  'directory of the jobs (default: $SRTCTL_OUTPUT, output_dir of srtslurm.yaml, ./outputs)',
] as const;
