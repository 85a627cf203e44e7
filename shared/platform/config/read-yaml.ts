/**
 * One YAML file as a tree with places. Anchors, aliases and merge keys (`<<`) work as they do for FirecREST, whose
 * loader is YAML 1.1's; words such as `yes` stay text here and are read as booleans by the schema.
 */
import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { ConfigError, wholeFile } from './config-error.ts';
import { branch, type TreeNode, treeOf } from './tree.ts';

/** Aliases in one file are followed at most this often, against files that unfold without end. */
const aliasesMax = 1_000;

/** The tree of a file's text. Throws ConfigError with the line for anything that is not YAML. */
export function readYaml(text: string, file: string): TreeNode {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, merge: true, prettyErrors: false });
  const problems = document.errors.map((error) => ({
    key: wholeFile,
    place: `${file}:${lines.linePos(error.pos[0]).line}`,
    message: `is not valid YAML: ${yamlReason(error.code)}`,
  }));
  if (problems.length > 0) throw new ConfigError(problems);
  const tree = treeOf(plainDocument(document, file), (path) => placeIn(document, lines, file, path));
  return tree.kind === 'leaf' && tree.value === null ? branch(file) : tree;
}

/** The kind of mistake in words; the parser's own message may quote the line, and the line may hold a secret. */
function yamlReason(code: string): string {
  return code.toLowerCase().replaceAll('_', ' ');
}

function plainDocument(document: Document, file: string): unknown {
  try {
    return document.toJS({ maxAliasCount: aliasesMax });
  } catch (cause) {
    const message = `has an alias without anchor, or more than ${aliasesMax} aliases`;
    throw Object.assign(new ConfigError([{ key: wholeFile, place: file, message }]), { cause });
  }
}

/** The line of the key or list item at a path; of what holds it where the item came in by a merge key. */
function placeIn(document: Document, lines: LineCounter, file: string, path: readonly PropertyKey[]): string {
  let node: Node | null = document.contents as Node | null;
  let offset = node?.range?.[0] ?? 0;
  for (const step of path) {
    if (isAlias(node)) node = node.resolve(document) ?? null;
    const found = stepInto(node, step);
    if (found === null) break;
    node = found.node;
    offset = found.offset ?? offset;
  }
  return `${file}:${lines.linePos(offset).line}`;
}

function stepInto(node: Node | null, step: PropertyKey): { node: Node | null; offset: number | undefined } | null {
  if (isSeq(node)) {
    const item = node.items[Number(step)] as Node | undefined;
    return item === undefined ? null : { node: item, offset: item.range?.[0] };
  }
  if (!isMap(node)) return null;
  const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === step);
  if (pair === undefined) return null;
  return { node: pair.value as Node | null, offset: (pair.key as Node).range?.[0] };
}
