/**
 * Settings from environment variables: `GOLDCREST_<PATH>`, steps of the path separated by two underscores, in capitals
 * (`GOLDCREST_REDIS__URL`, `GOLDCREST_SYSTEMS__DAINT__SSH__PORT`, `GOLDCREST_ISSUERS__0__ISSUER`). They win over files.
 * A value that begins with `[` or `{` is read as YAML. Variables without two underscores are left alone unless they
 * name a whole section: Kubernetes puts `GOLDCREST_PORT` and the like into every pod.
 */
import { parse } from 'yaml';
import type { ConfigProblem } from './config-error.ts';
import { systemNameOf } from './overlay.ts';
import { type Branch, branch, childOf, type List, placeOf, type TreeNode, treeOf } from './tree.ts';

/** The process environment, handed in; nothing here reads `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Which keys there are, taken from the schema. */
export interface KnownKeys {
  /** Keys of the `goldcrest` section. */
  goldcrest: readonly string[];
  /** Keys of the file's top level. */
  file: readonly string[];
  /** Keys of a cluster in FirecREST's list. */
  cluster: readonly string[];
}

/** List positions in variable names go up to this, so that no name makes a huge list. */
const indexMax = 99;

const prefix = 'GOLDCREST_';
const notSettings = new Set(['GOLDCREST_CONFIG', 'GOLDCREST_OVERLAY', 'GOLDCREST_CONFIG_OVERLAY']);
/** FirecREST's own variables that are taken over; there the file wins. */
const upstreamVariables = { APIS_ROOT_PATH: 'apis_root_path', APP_DEBUG: 'app_debug' };

/** Writes the settings of the environment into the tree. Returns warnings about variables that look like settings. */
export function applyEnvironment(root: Branch, environment: Environment, known: KnownKeys): ConfigProblem[] {
  const warnings: ConfigProblem[] = [];
  for (const [variable, key] of Object.entries(upstreamVariables)) {
    const value = environment[variable];
    if (value !== undefined && !root.entries.has(key)) root.entries.set(key, leafOf(variable, value));
  }
  for (const variable of Object.keys(environment).sort()) {
    const value = environment[variable];
    if (value === undefined || !variable.startsWith(prefix) || notSettings.has(variable)) continue;
    const steps = variable.slice(prefix.length).toLowerCase().split('__');
    const isSetting = steps.length > 1 || known.goldcrest.includes(steps[0] ?? '');
    if (isSetting) setAt(root, pathOf(root, steps, known), leafOf(variable, value), `environment ${variable}`);
    else if (looksMistyped(steps[0] ?? '', known)) warnings.push(mistyped(variable));
  }
  return warnings;
}

function leafOf(variable: string, text: string): TreeNode {
  const place = `environment ${variable}`;
  return treeOf(/^\s*[[{]/.test(text) ? parsed(text) : text, () => place);
}

/** The value in YAML; what is not YAML is a plain text that begins with a bracket. */
function parsed(text: string): unknown {
  try {
    return parse(text);
  } catch {
    return text; // a password may begin with a bracket
  }
}

/** Where in the file a variable's steps lead: our section first, then FirecREST's own keys. */
function pathOf(root: Branch, steps: string[], known: KnownKeys): string[] {
  const [first = '', second = '', ...rest] = steps;
  if (first === 'systems' && steps.length > 2) return systemPath(root, second, rest, known);
  if (known.goldcrest.includes(first) || !known.file.includes(first)) return ['goldcrest', ...steps];
  return steps;
}

function systemPath(root: Branch, spelled: string, rest: string[], known: KnownKeys): string[] {
  const clusters = childOf(root, 'clusters');
  const items = clusters?.kind === 'list' ? clusters.items : [];
  const names = items.map(systemNameOf);
  const index = names.findIndex((name) => name !== null && variableSpelling(name) === spelled);
  const isClusterKey = known.cluster.includes(rest[0] ?? '');
  if (index >= 0 && isClusterKey) return ['clusters', String(index), ...rest];
  return ['goldcrest', 'systems', names[index] ?? spelled, ...rest];
}

/** A system's name as it can be written in a variable: everything but letters and digits becomes an underscore. */
function variableSpelling(name: string): string {
  return name.replace(/[^a-z0-9]/g, '_');
}

function setAt(root: Branch, path: string[], value: TreeNode, place: string): void {
  let node: Branch | List = root;
  path.forEach((step, depth) => {
    if (depth === path.length - 1) {
      put(node, step, value);
      return;
    }
    const next = childOf(node, step);
    if (next !== undefined && next.kind !== 'leaf') {
      node = next;
      return;
    }
    const made: Branch | List = isIndex(path[depth + 1]) ? { kind: 'list', items: [], place } : branch(place);
    put(node, step, made);
    node = made;
  });
}

function put(node: Branch | List, step: string, value: TreeNode): void {
  if (node.kind === 'branch') {
    node.entries.set(step, value);
    return;
  }
  const index = isIndex(step) ? Number(step) : node.items.length;
  while (node.items.length < index) node.items.push({ kind: 'leaf', value: null, place: placeOf(node, []) });
  node.items[index] = value;
}

function isIndex(step: string | undefined): boolean {
  return step !== undefined && /^\d{1,2}$/.test(step) && Number(step) <= indexMax;
}

/** `api_port` begins with a section's name; Kubernetes' own service variables do too, and are known by their ends. */
function looksMistyped(step: string, known: KnownKeys): boolean {
  if (/_(service_(host|port)(_.*)?|port(_\d+_.*)?)$/.test(step)) return false;
  return known.goldcrest.some((section) => step.startsWith(`${section}_`));
}

function mistyped(variable: string): ConfigProblem {
  const message = 'is not read: the steps of a key are separated by two underscores';
  return { key: variable, place: `environment ${variable}`, message };
}
