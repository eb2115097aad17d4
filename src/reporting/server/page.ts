import type { JobList } from './store.ts';

/** How often a browser loads the list again, s. */
const REFRESH_S = 10;

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

/** The list of jobs as a page without scripts. */
export function listPage({ jobs, total, page, per_page: perPage }: JobList): string {
  const rows = jobs.map((job) => {
    const cells = [
      `<a href="/api/jobs/${encodeURIComponent(job.job_id)}">${escaped(job.job_id)}</a>`,
      ...[job.job_name, job.cluster, job.status, job.stage, job.submitted_at, job.updated_at].map((cell) =>
        escaped(cell ?? ''),
      ),
    ];
    return `<tr class="${/^(completed|failed|timeout)$/.exec(job.status)?.[1] ?? 'runs'}">${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`;
  });
  const pages = Math.max(1, Math.ceil(total / perPage));
  const links = [page - 1, page + 1]
    .filter((other) => other >= 1 && other <= pages)
    .map((other) => `<a href="/?page=${other}&amp;per_page=${perPage}">page ${other}</a>`);
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="${REFRESH_S}"><title>Jobs</title>
<style>
body{font:14px system-ui,sans-serif;margin:2rem;color-scheme:light dark}
table{border-collapse:collapse}td,th{padding:.3rem .8rem;text-align:left;border-bottom:1px solid #8884}
.failed td:nth-child(4),.timeout td:nth-child(4){color:#c22}.completed td:nth-child(4){color:#282}
</style>
<h1>Jobs</h1><p>${total} in all; page ${page} of ${pages} ${links.join(' ')}</p>
<table><tr><th>job<th>name<th>cluster<th>status<th>stage<th>submitted<th>updated</tr>
${rows.join('\n')}
</table></html>
`;
}
