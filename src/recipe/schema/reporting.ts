import * as z from 'zod';
import { positiveSchema } from '../values/values.ts';

/** Where a run is reported: `reporting` of a recipe or of srtslurm.yaml. */

const text = (what: string) => z.string().nullish().describe(what);
/** As far as a mistake shows before the job runs. */
const urlSchema = z
  .string()
  .regex(/^https?:\/\/[^\s/@]+(\/|$|\?)/, 'must be a URL such as https://status.example.com');
const flag = (what: string) => z.boolean().nullish().describe(what);
const seconds = (what: string) => z.number().positive().nullish().describe(`seconds: ${what}`);
const enabled = (what: string) => z.boolean().default(false).describe(what);
const labels = (what: string) => z.record(z.string(), z.string()).nullish().describe(what);

export const reportingSchema = z.lazy(() =>
  z.strictObject({
    status: z
      .strictObject({
        endpoint: urlSchema.nullish().describe('URL that receives each change of state'),
        endpoints: z.array(urlSchema).nullish().describe('several of them'),
        job_id_prefix: text('beginning of the ids under which jobs are reported'),
        token_env: text('variable with the bearer token; by default SRTCTL_STATUS_TOKEN'),
        'logging-stream-interval': seconds(
          'from one upload of logs to the next; by default none is uploaded',
        ),
      })
      .nullish()
      .describe('where the state of a run is reported'),
    webhooks: z
      .array(
        z.strictObject({
          url: urlSchema.describe('where events of the job and its points are sent'),
          secret_env: text('variable with the key that signs them; by default SRTCTL_WEBHOOK_SECRET'),
        }),
      )
      .nullish()
      .describe('signed messages about the job and its points'),
    publishers: z
      .array(
        z.strictObject({
          name: z.string().min(1).describe('name of the publisher'),
          command: z.array(z.string()).min(1).describe('program and arguments that receive the result'),
          timeout_seconds: positiveSchema.nullish().describe('seconds that it may take'),
          env: labels('environment of the program'),
          required: flag('fail the run when it fails'),
        }),
      )
      .nullish()
      .describe('programs that are given the result of a run'),
    ai_analysis: z
      .strictObject({
        enabled: enabled('whether failures are analysed'),
        openrouter_api_key: text('key of the service; better in the environment as OPENROUTER_API_KEY'),
        gh_token: text('token for GitHub; better in the environment as GH_TOKEN'),
        repos_to_search: z.array(z.string()).nullish().describe('repositories to search for changes'),
        pr_search_days: positiveSchema.nullish().describe('days of changes'),
        prompt: text('the question'),
      })
      .nullish()
      .describe('analysis of failures by a language model'),
    s3: z
      .strictObject({
        bucket: z.string().min(1).describe('name of the bucket'),
        prefix: text('beginning of the names in it'),
        region: text('region of the bucket'),
        endpoint_url: text('URL of a service other than AWS'),
        access_key_id: text('better in the environment as AWS_ACCESS_KEY_ID'),
        secret_access_key: text('better in the environment as AWS_SECRET_ACCESS_KEY'),
        exclude: z.array(z.string()).nullish().describe('patterns of files that stay here'),
        archive: z.array(z.string()).nullish().describe('patterns of files that are packed into one'),
      })
      .nullish()
      .describe('where logs are kept after a run'),
  }),
);
export type Reporting = z.infer<typeof reportingSchema>;

/** The variable with the bearer token of status collectors, unless `token_env` names another one. */
const TOKEN = 'SRTCTL_STATUS_TOKEN';
/** The variable with the key of webhooks, unless `secret_env` names another one. */
const SECRET = 'SRTCTL_WEBHOOK_SECRET';

/** The status collectors: each once, without a slash at the end. */
export function collectorsOf(reporting: Reporting | null | undefined): string[] {
  const { endpoint, endpoints } = reporting?.status ?? {};
  const all = [...(endpoint ? [endpoint] : []), ...(endpoints ?? [])];
  return [...new Set(all.map((url) => url.replace(/\/+$/, '')))];
}

/** The id under which a job is reported: two clusters may have a job of the same number. */
export const reportedId = (reporting: Reporting | null | undefined, jobId: string): string =>
  `${reporting?.status?.job_id_prefix ?? ''}${jobId}`;

/** The name of the variable with the token of status collectors. */
export const tokenVariable = (reporting: Reporting | null | undefined): string =>
  reporting?.status?.token_env ?? TOKEN;

/** The webhooks, each with the name of the variable with its key. */
export const webhooksOf = (reporting: Reporting | null | undefined): { url: string; secretEnv: string }[] =>
  (reporting?.webhooks ?? []).map(({ url, secret_env: name }) => ({ url, secretEnv: name ?? SECRET }));

/** The variables with secrets of reporting alone, which no engine may see. */
export const reportingSecrets = (reporting: Reporting | null | undefined): string[] => [
  ...new Set([tokenVariable(reporting), ...webhooksOf(reporting).map(({ secretEnv }) => secretEnv)]),
];

/** Whether a run of this recipe is reported anywhere, so that a reporter has something to do. */
export const isReported = (recipe: {
  readonly reporting?: Reporting | null | undefined;
  readonly observability?:
    | { readonly enable_otel?: boolean | null; readonly otel_endpoint?: string | null | undefined }
    | null
    | undefined;
}): boolean =>
  collectorsOf(recipe.reporting).length > 0 ||
  webhooksOf(recipe.reporting).length > 0 ||
  recipe.reporting?.s3 != null ||
  (recipe.observability?.enable_otel === true && Boolean(recipe.observability.otel_endpoint));
