/** Options that several commands have. */
export const OUTPUT_OPTION = [
  '--output <dir>',
  'where jobs are (default: $SRTCTL_OUTPUT, output_dir of srtslurm.yaml, ./outputs)',
] as const;
