import { shellQuote } from '../../os/quote.ts';
import { directiveValue } from './sbatch.ts';

/** What is not known before sbatch has a rendered job. */
export const STAGED = { jobId: '@SRTCTL_JOB_ID@', submittedAt: '@SRTCTL_SUBMITTED_AT@' } as const;

/** A job that `srtctl render --to` has written, and that somebody else submits. */
export interface StagedJob {
  /** Its files, which every node can read. */
  readonly directory: string;
  /** The directory in which it was rendered, because programs are looked for there. */
  readonly cwd: string;
}

/** The file for the output until the job has its own directory. */
export const stagedDirectives = ({ directory, cwd }: StagedJob): string[] => [
  `#SBATCH --output=${directiveValue(`${directory.replaceAll('%', '%%')}/slurm-%j.out`)}`,
  `#SBATCH --chdir=${directiveValue(cwd)}`,
];

/** Makes the job's directory when the job starts, as apply does before. */
export const stagedStart = ({ directory }: StagedJob): string => `
# This job was rendered, so its directory is made now.
staged=${shellQuote(directory)}
if [ ! -e "$job_dir/$SLURM_JOB_ID.json" ]; then
  if [ ! -r "$staged/job.json" ]; then
    echo "srtctl: $(hostname): $staged/job.json is not there: the files that srtctl render --to has written belong to the script"
    exit 2
  fi
  mkdir "$job_dir" 2>/dev/null
  if [ ! -O "$job_dir" ] || [ ! -d "$job_dir" ]; then
    echo "srtctl: $(hostname): $job_dir cannot be made, or belongs to another user"
    exit 2
  fi
  mkdir -p "$job_dir/logs"
  for file in config.yaml setup_script.sh sbatch_script.sh; do
    [ ! -e "$staged/$file" ] || cp -p "$staged/$file" "$job_dir/$file"
  done
  # The copy has the mode of the file, which may hold secrets.
  cp -p "$staged/job.json" "$job_dir/$SLURM_JOB_ID.json.new"
  sed -e "s/${STAGED.jobId}/$SLURM_JOB_ID/g" -e "s/${STAGED.submittedAt}/$(date -u +%Y-%m-%dT%H:%M:%S.000Z)/g" \\
    "$staged/job.json" > "$job_dir/$SLURM_JOB_ID.json.new" &&
    mv "$job_dir/$SLURM_JOB_ID.json.new" "$job_dir/$SLURM_JOB_ID.json" || exit 2
fi
exec >> "$job_dir/logs/sweep_$SLURM_JOB_ID.log" 2>&1
`;
