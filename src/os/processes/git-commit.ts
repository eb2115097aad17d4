import { outputOf } from './output-of.ts';

const TIMEOUT_MS = 60_000;

/**
 * The commit that a tag, or another name, has in a repository now. For a tag with a message of its own that is the commit
 * behind it (git-ls-remote(1): `^{}`).
 * @throws Error when the repository cannot be asked, or has no such name
 */
export async function commitOf(repository: string, name: string, env: NodeJS.ProcessEnv): Promise<string> {
  const names = name.startsWith('refs/') ? [name] : [`refs/tags/${name}`, name];
  const patterns = names.flatMap((each) => [each, `${each}^{}`]);
  const said = await outputOf('git', ['ls-remote', '--', repository, ...patterns], {
    timeoutMs: TIMEOUT_MS,
    env: { ...defined(env), GIT_TERMINAL_PROMPT: '0' },
  });
  const found = new Map(
    said.split('\n').flatMap((line) => {
      const [commit, ref] = line.split('\t');
      return commit && ref ? [[ref, commit] as const] : [];
    }),
  );
  const commit = names.flatMap((each) => found.get(`${each}^{}`) ?? found.get(each) ?? [])[0];
  if (commit === undefined) throw new Error(`${repository} has no ${name}`);
  return commit;
}

const defined = (env: NodeJS.ProcessEnv): Record<string, string> =>
  Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
