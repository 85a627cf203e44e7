/**
 * A configuration file as a tree whose nodes know where they were written, so that files can be laid over one another
 * and an error still names file and line.
 */
import { Secret } from '../secret.ts';

export type TreeNode = Leaf | Branch | List;

export interface Leaf {
  kind: 'leaf';
  value: unknown;
  /** Where the key of this node stands: `file:line` or `environment VARIABLE`. */
  place: string;
}

export interface Branch {
  kind: 'branch';
  entries: Map<string, TreeNode>;
  place: string;
}

export interface List {
  kind: 'list';
  items: TreeNode[];
  place: string;
}

export function branch(place: string): Branch {
  return { kind: 'branch', entries: new Map(), place };
}

/** Plain data as a tree; `placeAt` says where a path of it was written. */
export function treeOf(value: unknown, placeAt: (path: PropertyKey[]) => string, path: PropertyKey[] = []): TreeNode {
  const place = placeAt(path);
  if (Array.isArray(value)) {
    return { kind: 'list', items: value.map((item, index) => treeOf(item, placeAt, [...path, index])), place };
  }
  if (value === null || typeof value !== 'object' || value instanceof Secret) return { kind: 'leaf', value, place };
  const entries = Object.entries(value).map(([key, child]): [string, TreeNode] => [
    key,
    treeOf(child, placeAt, [...path, key]),
  ]);
  return { kind: 'branch', entries: new Map(entries), place };
}

/** The tree as plain data, for the schema. Objects have no prototype, so that no key can reach one. */
export function plainOf(node: TreeNode): unknown {
  if (node.kind === 'leaf') return node.value;
  if (node.kind === 'list') return node.items.map(plainOf);
  const plain: Record<string, unknown> = Object.create(null);
  for (const [key, child] of node.entries) plain[key] = plainOf(child);
  return plain;
}

/** The node one step below, if there is one. */
export function childOf(node: TreeNode | undefined, step: PropertyKey): TreeNode | undefined {
  if (node?.kind === 'branch') return node.entries.get(String(step));
  if (node?.kind === 'list') return node.items[Number(step)];
  return undefined;
}

/** The node at a path, if there is one. */
export function nodeAt(root: TreeNode, path: readonly PropertyKey[]): TreeNode | undefined {
  let node: TreeNode | undefined = root;
  for (const step of path) node = childOf(node, step);
  return node;
}

/** Where a path stands; for one that is not there, where the nearest part above it stands. */
export function placeOf(root: TreeNode, path: readonly PropertyKey[]): string {
  let node: TreeNode = root;
  for (const step of path) {
    const child = childOf(node, step);
    if (child === undefined) break;
    node = child;
  }
  return node.place;
}

/** The tree with every leaf replaced by what `change` gives for it. */
export function mapLeaves(
  node: TreeNode,
  change: (leaf: Leaf, path: PropertyKey[]) => Leaf,
  path: PropertyKey[] = [],
): TreeNode {
  if (node.kind === 'leaf') return change(node, path);
  if (node.kind === 'list') {
    return { ...node, items: node.items.map((item, index) => mapLeaves(item, change, [...path, index])) };
  }
  const entries = [...node.entries].map(([key, child]): [string, TreeNode] => [
    key,
    mapLeaves(child, change, [...path, key]),
  ]);
  return { ...node, entries: new Map(entries) };
}
