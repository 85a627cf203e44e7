/**
 * The one parse of the merged configuration. Issues come out with key and place; a key that FirecREST would ignore
 * where it stands is taken out and reported as a warning.
 */
import type { z } from 'zod';
import { ConfigError, type ConfigProblem, keyOf } from './config-error.ts';
import { type FileSettings, fileSchema } from './schema-file.ts';
import { childOf, placeOf, plainOf, type TreeNode } from './tree.ts';

/** The settings and warnings, or a ConfigError that lists everything the schema refuses. */
export function parseSettings(root: TreeNode): { settings: FileSettings; warnings: ConfigProblem[] } {
  const first = check(root);
  if (first.success) return { settings: first.data, warnings: [] };
  const warnings = first.error.issues.filter(isIgnoredKey).flatMap((issue) => problemsOf(issue, root));
  const pruned = first.error.issues.filter(isIgnoredKey).reduce(withoutKeys, root);
  const second = warnings.length > 0 ? check(pruned) : first;
  if (second.success) return { settings: second.data, warnings: warnings.map(asWarning) };
  throw new ConfigError(second.error.issues.flatMap((issue) => problemsOf(issue, pruned)));
}

function check(root: TreeNode) {
  return fileSchema.safeParse(plainOf(root), { error: messageOf });
}

/** Unknown keys below FirecREST's top level are ignored by FirecREST; ours and those of the top level are errors. */
function isIgnoredKey(issue: z.core.$ZodIssue): boolean {
  return issue.code === 'unrecognized_keys' && issue.path.length > 0 && issue.path[0] !== 'goldcrest';
}

function withoutKeys(node: TreeNode, issue: z.core.$ZodIssue): TreeNode {
  return issue.code === 'unrecognized_keys' ? remove(node, issue.path, issue.keys) : node;
}

function remove(node: TreeNode, path: readonly PropertyKey[], keys: readonly string[]): TreeNode {
  const [step, ...rest] = path;
  if (step === undefined) {
    if (node.kind !== 'branch') return node;
    return { ...node, entries: new Map([...node.entries].filter(([key]) => !keys.includes(key))) };
  }
  const child = childOf(node, step);
  if (child === undefined || node.kind === 'leaf') return node;
  const changed = remove(child, rest, keys);
  if (node.kind === 'list') return { ...node, items: node.items.map((item) => (item === child ? changed : item)) };
  return { ...node, entries: new Map(node.entries).set(String(step), changed) };
}

function asWarning(problem: ConfigProblem): ConfigProblem {
  const meant = /did you mean .*/.exec(problem.message)?.[0];
  return { ...problem, message: meant === undefined ? 'is not used' : `is not used; ${meant}` };
}

/** One problem for each issue, and for each unknown key of an issue. */
function problemsOf(issue: z.core.$ZodIssue, root: TreeNode): ConfigProblem[] {
  if (issue.code !== 'unrecognized_keys') {
    return [{ key: keyOf(issue.path), place: placeOf(root, issue.path), message: issue.message }];
  }
  const messages = issue.message.split('\n');
  return issue.keys.map((key, index) => {
    const path = [...issue.path, key];
    return { key: keyOf(path), place: placeOf(root, path), message: messages[index] ?? 'unknown key' };
  });
}

const typeNames: Record<string, string> = {
  object: 'a mapping',
  record: 'a mapping',
  array: 'a list',
  string: 'a text (put quotes around a number)',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
};

/** What is wrong, in words, without the value. Undefined leaves the schema's own message. */
function messageOf(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined ? 'is required' : `must be ${typeNames[issue.expected] ?? issue.expected}`;
    case 'invalid_value':
      return issue.input === undefined ? 'is required' : `must be one of: ${issue.values.map(String).join(', ')}`;
    case 'too_small':
      return `must be at least ${issue.minimum}${unitOf(issue.origin)}`;
    case 'too_big':
      return `must be at most ${issue.maximum}${unitOf(issue.origin)}`;
    case 'invalid_union':
      return 'must be one of the types in the reference';
    case 'invalid_key':
      return 'has a key that is not allowed';
    default:
      return undefined;
  }
}

function unitOf(origin: string): string {
  if (origin === 'array') return ' items long';
  return origin === 'string' ? ' characters long' : '';
}
