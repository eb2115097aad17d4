/** Replaces `{node}` and `{node_id}` in the values of an environment by those of the process's node. */
export function fillNode(
  env: Readonly<Record<string, string>>,
  { nodes, host }: { readonly nodes: readonly string[]; host(node: string): string },
  node: string,
): Record<string, string> {
  let own: Record<string, string> | undefined;
  const fill = (value: string): string => {
    own ??= { node: host(node), node_id: String(nodes.indexOf(node)) };
    const known = own;
    return value.replaceAll(/(?<!\$)\{(\w+)\}/g, (text, name: string) => known[name] ?? text);
  };
  return Object.fromEntries(
    Object.entries(env).map(([key, value]) => [key, value.includes('{') ? fill(value) : value]),
  );
}
