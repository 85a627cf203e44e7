/**
 * Lays one configuration over another: mappings are merged key by key, clusters are matched by name, everything else
 * is replaced. A key without a value in the overlay takes the base's value away, so that the default holds.
 */
import { childOf, type List, type TreeNode } from './tree.ts';

/** Base and overlay as one tree; both in one spelling. Places are those of whichever gave the value. */
export function layOver(base: TreeNode, over: TreeNode, path: readonly PropertyKey[] = []): TreeNode {
  if (base.kind === 'branch' && over.kind === 'branch') {
    const entries = new Map(base.entries);
    for (const [key, child] of over.entries) {
      const below = entries.get(key);
      entries.set(key, below === undefined ? child : layOver(below, child, [...path, key]));
    }
    return { ...base, entries };
  }
  if (base.kind === 'list' && over.kind === 'list' && path.length === 1 && path[0] === 'clusters') {
    return mergeByName(base, over);
  }
  return over;
}

function mergeByName(base: List, over: List): List {
  const items = [...base.items];
  for (const item of over.items) {
    const name = systemNameOf(item);
    const index = name === null ? -1 : items.findIndex((candidate) => systemNameOf(candidate) === name);
    const below = items[index];
    if (below === undefined) items.push(item);
    else items[index] = layOver(below, item, ['clusters', index]);
  }
  return { ...base, items };
}

/** The lower-case name of a cluster entry; null where it has none. */
export function systemNameOf(cluster: TreeNode): string | null {
  const name = childOf(cluster, 'name');
  return name?.kind === 'leaf' && typeof name.value === 'string' ? name.value.trim().toLowerCase() : null;
}
