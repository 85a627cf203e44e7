/**
 * Brings the spellings that FirecREST v2 accepts to one: keys in camelCase become snake_case, its aliases become the
 * key they stand for. Keys that are names of something (users, systems, scopes) are left as they are.
 */
import { type ConfigProblem, keyOf } from './config-error.ts';
import type { Branch, TreeNode } from './tree.ts';

/** Aliases, with the key of the mapping they stand in. */
const aliases = new Map([
  ['probing.interval', 'interval_check'],
  ['services.filesystems', 'filesystem'],
  ['services.storage', 's3'],
]);

/** Mappings whose keys are names: users, scopes, header names. */
const namedByUser = new Set(['ssh_credentials.keys', 'authentication.scopes', 'issuers.scopes']);

/** The tree in one spelling; a key that is given in two spellings at once is a problem. */
export function oneSpelling(root: TreeNode): { tree: TreeNode; problems: ConfigProblem[] } {
  const problems: ConfigProblem[] = [];
  return { tree: respell(root, [], problems), problems };
}

function respell(node: TreeNode, path: PropertyKey[], problems: ConfigProblem[]): TreeNode {
  if (path.length === 1 && path[0] === 'doc_servers') return node;
  if (node.kind === 'leaf') return node;
  if (node.kind === 'list') {
    return { ...node, items: node.items.map((item, index) => respell(item, [...path, index], problems)) };
  }
  return respellBranch(node, path, problems);
}

function respellBranch(node: Branch, path: PropertyKey[], problems: ConfigProblem[]): Branch {
  const entries = new Map<string, TreeNode>();
  for (const [written, child] of node.entries) {
    const key = spell(written, path);
    const first = entries.get(key);
    if (first !== undefined) {
      const message = `is given twice in different spellings; the first stands at ${first.place}`;
      problems.push({ key: keyOf([...path, written]), place: child.place, message });
      continue;
    }
    entries.set(key, respell(child, [...path, key], problems));
  }
  return { ...node, entries };
}

function spell(written: string, path: readonly PropertyKey[]): string {
  const names = path.filter((step) => typeof step === 'string');
  if (names.join('.') === 'goldcrest.systems') return written.toLowerCase();
  if (namedByUser.has(names.slice(-2).join('.'))) return written;
  const snake = written.replace(/[A-Z]/g, (capital, at: number) => `${at > 0 ? '_' : ''}${capital.toLowerCase()}`);
  return aliases.get(`${names.at(-1) ?? ''}.${snake}`) ?? snake;
}
