/**
 * Reads the configuration: file, overlay, environment, secret files, one strict parse, then the questions that safety
 * asks. A FirecREST v2 file is read unchanged; what it cannot say comes from its `goldcrest` section or an overlay.
 */
import { buildConfig } from './build-config.ts';
import type { Config } from './config.ts';
import { ConfigError, type ConfigProblem, wholeFile } from './config-error.ts';
import { applyEnvironment, type Environment } from './environment.ts';
import { layOver } from './overlay.ts';
import { parseSettings } from './parse-settings.ts';
import { attempt, diskReader, type FileReader } from './read-files.ts';
import { readYaml } from './read-yaml.ts';
import { knownKeys } from './schema-file.ts';
import { readSecretFiles } from './secret-files.ts';
import { oneSpelling } from './spelling.ts';
import { type Branch, branch, childOf, nodeAt, type TreeNode } from './tree.ts';
import type { PlaceOf } from './unsupported.ts';

export interface LoadConfigOptions {
  /** The process environment; `main.ts` hands in `process.env`. */
  env: Environment;
  /** Where files come from; the disk if not given. */
  files?: FileReader;
}

export interface LoadedConfig {
  config: Config;
  /** What was ignored, and every setting that gives up some safety. To be logged by the caller. */
  warnings: ConfigProblem[];
  /** Where a key was written, for findings about the configuration as a whole. */
  placeOf: PlaceOf;
}

/** Variables that name the configuration file, the first that is set counts; the last two are FirecREST's. */
const fileVariables = ['GOLDCREST_CONFIG', 'YAML_CONFIG_FILE', 'INPUT_YAML_CONFIG_FILE'];
const overlayVariables = ['GOLDCREST_OVERLAY', 'GOLDCREST_CONFIG_OVERLAY'];

/** The configuration and its warnings. Throws ConfigError, which lists every problem found, and only that. */
export function loadConfig(options: LoadConfigOptions): LoadedConfig {
  const { env, files = diskReader } = options;
  const file = firstSet(env, fileVariables);
  if (file === null) {
    const message = `there is no configuration file: set ${fileVariables.join(' or ')} to the path of one, made from deploy/goldcrest.example.yaml`;
    throw new ConfigError([{ key: wholeFile, place: 'environment', message }]);
  }
  const overlay = firstSet(env, overlayVariables);
  const base = readTree(file, env, files);
  const merged = overlay === null ? base : layOver(base, readTree(overlay, env, files));
  const root = branchOf(merged, file);
  const variableWarnings = applyEnvironment(root, env, knownKeys);
  const secrets = readSecretFiles(withoutEmptyKeys(root), files);
  if (secrets.problems.length > 0) throw new ConfigError(secrets.problems);
  const { settings, warnings } = parseSettings(secrets.tree);
  const built = buildConfig(settings, secrets.tree);
  return {
    config: built.config,
    warnings: [...variableWarnings, ...warnings, ...built.warnings],
    placeOf: (path) => nodeAt(secrets.tree, path)?.place ?? null,
  };
}

function firstSet(env: Environment, variables: readonly string[]): string | null {
  return variables.map((variable) => env[variable]).find((value) => value !== undefined && value !== '') ?? null;
}

/** One file in one spelling, with the folder that its `clusters` may name read. */
function readTree(file: string, env: Environment, files: FileReader): TreeNode {
  const root = branchOf(readYamlFile(file, wholeFile, file, files), file);
  const clusters = root.entries.get('clusters');
  if (clusters?.kind === 'leaf' && typeof clusters.value === 'string' && clusters.value.startsWith('path:')) {
    root.entries.set('clusters', readFolder(clusters.value.slice('path:'.length), clusters.place, env, files));
  }
  const { tree, problems } = oneSpelling(root);
  if (problems.length > 0) throw new ConfigError(problems);
  return tree;
}

function readFolder(folder: string, place: string, env: Environment, files: FileReader): TreeNode {
  const path = folder.trim().replace(/^~(?=\/|$)/, env.HOME ?? '~');
  const names = attempt(() => files.listFolder(path).filter((name) => name.endsWith('.yaml')));
  if ('reason' in names) {
    const message = `cannot read the folder ${path}: ${names.reason}`;
    throw new ConfigError([{ key: 'clusters', place, message }]);
  }
  const items = names.value.sort().map((name) => readYamlFile(`${path}/${name}`, 'clusters', place, files));
  return { kind: 'list', items, place };
}

function readYamlFile(file: string, key: string, place: string, files: FileReader): TreeNode {
  const text = attempt(() => files.readFile(file));
  if ('value' in text) return readYaml(text.value, file);
  throw new ConfigError([{ key, place, message: `cannot read the file ${file}: ${text.reason}` }]);
}

function branchOf(node: TreeNode, file: string): Branch {
  if (node.kind === 'branch') return node;
  throw new ConfigError([{ key: wholeFile, place: file, message: 'must hold a mapping of keys' }]);
}

/** A key of our section that has no value counts as not given; so a section may be left with comments alone. */
function withoutEmptyKeys(root: Branch): Branch {
  const ours = childOf(root, 'goldcrest');
  if (ours === undefined) return root;
  const entries = new Map(root.entries);
  entries.set('goldcrest', isEmpty(ours) ? branch(ours.place) : dropEmpty(ours));
  return { ...root, entries };
}

function dropEmpty(node: TreeNode): TreeNode {
  if (node.kind === 'leaf') return node;
  if (node.kind === 'list') return { ...node, items: node.items.map(dropEmpty) };
  const kept = [...node.entries].filter(([, child]) => !isEmpty(child));
  return { ...node, entries: new Map(kept.map(([key, child]) => [key, dropEmpty(child)])) };
}

function isEmpty(node: TreeNode): boolean {
  return node.kind === 'leaf' && node.value === null;
}
