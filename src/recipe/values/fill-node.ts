import { fillText } from './placeholders.ts';

interface Nodes {
  readonly nodes: readonly string[];
  host(node: string): string;
}

/** Replaces `{node}` and `{node_id}` in a text by those of the process's node. */
export const fillNodeText = (text: string, { nodes, host }: Nodes, node: string): string =>
  text.includes('{') ? fillText(text, { node: host(node), node_id: String(nodes.indexOf(node)) }) : text;

/** The same in the values of an environment. */
export const fillNode = (
  env: Readonly<Record<string, string>>,
  nodes: Nodes,
  node: string,
): Record<string, string> =>
  Object.fromEntries(Object.entries(env).map(([key, value]) => [key, fillNodeText(value, nodes, node)]));
