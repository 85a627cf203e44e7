/** Reads the files that `secret_file:/path` values name. A value read so is a Secret from here on. */
import { Secret } from '../secret.ts';
import { type ConfigProblem, keyOf } from './config-error.ts';
import { attempt, type FileReader } from './read-files.ts';
import { type Leaf, mapLeaves, type TreeNode } from './tree.ts';

const marker = 'secret_file:';

/** The tree with secrets in place of their files' names; line breaks at the end of a file are dropped. */
export function readSecretFiles(root: TreeNode, reader: FileReader): { tree: TreeNode; problems: ConfigProblem[] } {
  const problems: ConfigProblem[] = [];
  const tree = mapLeaves(root, (leaf, path) => {
    const file = secretFileOf(leaf);
    if (file === null) return leaf;
    const read = attempt(() => reader.readFile(file).replace(/[\r\n]+$/, ''));
    if ('value' in read && read.value !== '') return { ...leaf, value: new Secret(read.value) };
    const reason = 'value' in read ? 'is empty' : read.reason;
    problems.push({ key: keyOf(path), place: leaf.place, message: `cannot read the secret file ${file}: ${reason}` });
    return leaf;
  });
  return { tree, problems };
}

function secretFileOf(leaf: Leaf): string | null {
  const { value } = leaf;
  return typeof value === 'string' && value.startsWith(marker) ? value.slice(marker.length).trim() : null;
}
