import type { Command } from 'commander';
import { SrtctlError } from '../../../os/errors.ts';
import { OUTPUT_OPTION } from '../../terminal/options.ts';

/** Options of `report` and `compare`. */
export interface FigureOptions {
  readonly output?: string;
  readonly out?: string;
  readonly markdown?: boolean;
  readonly json?: boolean;
  readonly csv?: boolean;
  readonly parquet?: string;
  readonly charts?: string;
  readonly gpus?: string;
}

export const addFigureOptions = (command: Command): Command =>
  command
    .option(...OUTPUT_OPTION)
    .option('--markdown', 'print Markdown')
    .option('--json', 'print one JSON object, without per-request values')
    .option('--charts <dir>', 'write each chart as an SVG file into this directory')
    .option(
      '--gpus <number>',
      'GPUs of the deployments that other tools measured, because their files do not say',
    )
    .addHelpText(
      'after',
      `
JOB is a job id, the path of a job's directory, its name, one of its tags, or "latest"; or a file of results:
results_concurrency_N.json of sa-bench, the file of \`vllm bench serve --save-result\`, the JSONL file of
sglang.bench_serving, or profile_export_aiperf.json.`,
    );

/** The report that the command line asks for. @throws SrtctlError for options that cannot be, and unknown jobs */
export async function reportFor(
  told: readonly string[],
  { output, gpus, markdown, json, csv }: FigureOptions,
  version: string,
) {
  const formats = Object.entries({ markdown, json, csv }).flatMap(([name, asked]) =>
    asked ? [`--${name}`] : [],
  );
  if (formats.length > 1)
    throw new SrtctlError('usage', `${formats.join(' and ')}: use only one of these options`);
  if (gpus !== undefined && !/^[1-9]\d*$/.test(gpus))
    throw new SrtctlError('usage', `--gpus ${gpus}: it must be a whole number of at least 1`);
  const { outputsRoot } = await import('../../jobs/job-dir.ts');
  const { readSources } = await import('../../report/read-sources.ts');
  const options = { root: outputsRoot(output), gpus: gpus === undefined ? null : Number(gpus) };
  const sources = await readSources(told, options);
  return { v: 1 as const, madeAt: new Date().toISOString(), srtctl: version, sources };
}
