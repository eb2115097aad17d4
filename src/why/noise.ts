import type { LogLine } from './log-line.ts';

// biome-ignore lint/suspicious/noControlCharactersInRegex: colours of a terminal
const COLOURS = /\u001b\[[0-9;]*m/g;
/** Dynamo and the routers write colour codes, even to a file. */
export const withoutColours = (text: string): string => text.replaceAll(COLOURS, '');

/**
 * Lines about one request each, as servers and routers write them. Thousands of them do not explain a
 * failure, and a 503 in one of them only shows that another process has failed. Seen in uvicorn 0.5x,
 * sglang-router 0.3.2, smg 1.13.0, Dynamo 1.6.1, nginx 1.22.
 */
const ACCESS =
  /"(?:GET|POST|PUT|HEAD|DELETE|OPTIONS|PATCH) \S{1,500} HTTP\/\d|\b(?:started|finished) processing request\b|\brequest failed with (?:server|client) error\b|\bhttp response sent\b|\bresponse failed classification=|\brequest (?:received|completed)\b.*\brequest_id=|\bReceived request \w+-|\b(?:Receive|Finish): obj=/;
/** nginx's errors quote the request, too. */
const NGINX_ERROR = /\bwhile (?:connecting|reading|sending|\w+ing) .{0,60}upstream|, upstream: "/;

/** A cheap check before the pattern, which is slow on the many lines without any of these words. */
const ACCESS_WORDS = ['HTTP/', 'request', 'obj=', 'response'];
export function isAccess(line: string): boolean {
  if (!ACCESS_WORDS.some((word) => line.includes(word))) return false;
  const text = withoutColours(line);
  return ACCESS.test(text) && !NGINX_ERROR.test(text);
}

/** Lines that engines write every few seconds while they serve. */
const BEAT = /(?:Decode|Prefill) batch|Avg prompt throughput|num_scheduled_requests/;
export const isBeat = (line: string): boolean => BEAT.test(line);
/** Such a line shows more work than a line of the start. */
export const BEAT_WORK = 5;
/** Lines that programs write once, when everything that they need is ready. */
const READY =
  /Application startup complete|The server is fired up|Uvicorn running on|ready to serve client requests|\bServer is ready\b|\bserving (?:insecure )?client (?:requests|traffic)\b|\bRouter ready\b|\bStarting server on\b|\bRegistered endpoint '/;

/** How much ordinary work a line shows, in lines. */
export function workIn({ text, level }: LogLine): number {
  if (READY.test(text)) return 1_000;
  if (text.trim() === '' || /\bNCCL INFO\b/.test(text) || isStopping(text)) return 0;
  return level === 'info' || (level === 'none' && !/^\s/.test(text)) ? 1 : 0;
}

/** Words that look like an error and are none. The name of an option (`--disable-log-requests`) is none of them. */
const HARMLESS =
  /\bno (errors?|failed|failures?)\b|(?:^|[^\w\s.=-]\s*|\b(?:with|and|has|had|of|are|were) )0 (errors?|failed|failures?)\b|error_?(count|rate|code)["']?[=:] ?0\b|"?(?:failed|errors?)"?[=:] ?0\b|log_?level|\bwarn(ing)?\b(?!-\w)|deprecat|ignor(e|ed|ing)\b(?!-\w)|retry(ing)?\b(?!-\w)|will be|falling back|fall(s)? back|, skipping\b|\bPyspy failed\b|disabl(e|ed|ing)\b(?!-\w)|server_args ?[=:]|\b(Server|Engine)Args\(|Namespace\(|\bkill_process_tree called\b|^\s*note:/i;
/** NCCL logs its failures as warnings. */
export const isHarmless = (text: string): boolean =>
  HARMLESS.test(text.replace(/NCCL WARN|NCCL_DEBUG=WARN/g, ''));

/** Exceptions of a process that was asked to end. */
const STOPPED =
  /^(?:KeyboardInterrupt|SystemExit|GeneratorExit|(?:[\w.]+\.)?CancelledError|(?:[\w.]+\.)?(?:Base)?ExceptionGroup)\b|cannot schedule new futures after|Event loop (?:is closed|stopped before)|Engine (?:is|was) (?:shutting down|shut down)/;
export const isStop = (exception: string): boolean => STOPPED.test(exception);

/** Lines that programs write when they were asked to end, at any level. */
const STOPPING =
  /\bresource_tracker\b|Exception ignored in|\bReceived (?:terminate|SIGTERM|SIGINT|signal (?:15|2)\b)|graceful(?:ly)? shut|Shutdown initiated|\bcrashed with exit code -(?:15|2)\b|exited? (?:with|code)[^,;]{0,20} -(?:15|2)\b|\bSIGTERM\b|monitor_instance_source: The Sender is dropped|destroy_process_group\(\) was not called|leaked (?:semaphore|shared_memory)/i;
export const isStopping = (text: string): boolean => STOPPING.test(text);

/** A program reports that it was asked to end; the lines that follow are about its shutdown. */
const ASKED =
  /\bSIG(?:TERM|INT) received\b|\b[Rr]eceived (?:SIGTERM|SIGINT|terminate(?:d)? signal|signal (?:15|2)\b|terminated signal)|\bInitiating Shutdown\b|\breceived signal; shutting down\b|"received signal; shutting down"/;
export const isAskedToEnd = (text: string): boolean => ASKED.test(text);

/** Text that PyTorch adds to every CUDA error. */
const HINT =
  /^(?:Search for `cuda|CUDA kernel errors might be|For debugging consider passing|Compile with `TORCH_USE_CUDA_DSA`|Device-side assertion tracking)/;
export const isHint = (text: string): boolean => HINT.test(text.trim());
