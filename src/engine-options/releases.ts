import type { Framework } from './programs.ts';
import type { Tables } from './table.ts';

/** What a recipe says about the releases of its programs. */
export interface Hints {
  /** The image of the program: a name in a registry, or a file. */
  readonly image: string;
  /** `identity.frameworks` */
  readonly frameworks: Readonly<Record<string, string | null | undefined>>;
  /** `dynamo` */
  readonly dynamo: {
    readonly install: boolean;
    readonly version?: string | null | undefined;
    readonly wheel?: string | null | undefined;
    /** A commit, which says no release. */
    readonly commit: boolean;
  };
}

/**
 * The release of a framework; undefined where nothing says it, and where two hints contradict each other.
 */
export function releaseOf(framework: Framework, hints: Hints, tables: Tables): string | undefined {
  const said = framework === 'dynamo' ? ofDynamo(hints) : [inImage(hints.image, tables)[framework]];
  if (said === null) return undefined;
  const all = [...said, plain(identityOf(framework, hints))].filter((one) => one !== undefined);
  return new Set(all).size === 1 ? all[0] : undefined;
}

const identityOf = (framework: Framework, { frameworks }: Hints): string | null | undefined =>
  frameworks[framework] ?? frameworks[framework.replaceAll('-', '_')];

/** What is installed replaces what the image has. null: another commit than that of a release. */
function ofDynamo({ image, dynamo }: Hints): (string | undefined)[] | null {
  const given = plain(dynamo.version ?? dynamo.wheel);
  if (dynamo.commit) return null;
  return dynamo.install && given !== undefined ? [given] : [given, dynamoImage(image)?.release];
}

const VERSION = String.raw`v?(\d+(?:\.\d+)+(?:(?:\.post|rc)\d+)?)`;

/** Words of a tag that name the machine or the size of the image, and not other contents. */
const BUILD = String.raw`(?:[-_](?:cu\d+|cuda\d+|runtime|amd64|arm64|x86_64|aarch64|ubuntu\d+))*`;

const END = String.raw`(?:@sha256:\w+)?(?:\.sqsh|\.sif)?$`;

const image = (name: string): RegExp => new RegExp(`(?:^|[/#])${name}[:+_-]${VERSION}${BUILD}${END}`);

const SGLANG = image('(?:lmsysorg[/+_-])?sglang');

/** The release of SGLang that the name of SGLang's own image says: `0.5.8.post1`. */
export const sglangIn = (name: string): string | undefined => SGLANG.exec(name)?.[1];
const VLLM = image('(?:vllm[/+_-])?vllm-openai');
const DYNAMO = image('(?:nvidia[/+_-]ai-dynamo[/+_-])?(sglang|vllm|tensorrtllm)-runtime');

function dynamoImage(name: string): { readonly engine: string; readonly release: string } | undefined {
  const [, engine, release] = DYNAMO.exec(name) ?? [];
  return engine === undefined || release === undefined ? undefined : { engine, release };
}

/** The releases that the name of an image says. Dynamo's images have one engine, of the release it is built with. */
function inImage(name: string, tables: Tables): Partial<Record<Framework, string | undefined>> {
  const dynamo = dynamoImage(name);
  const built = dynamo ? tables.enginesOf(dynamo.release) : {};
  return {
    sglang: SGLANG.exec(name)?.[1] ?? (dynamo?.engine === 'sglang' ? built.sglang : undefined),
    vllm: VLLM.exec(name)?.[1] ?? (dynamo?.engine === 'vllm' ? built.vllm : undefined),
  };
}

/** Without `v` before it and the build behind it: `0.5.9` of `v0.5.9+cu130`. */
const plain = (version: string | null | undefined): string | undefined =>
  version == null || version === '' ? undefined : version.replace(/^v/, '').replace(/\+.*$/, '');
