/**
 * What the configuration must say before it is safe to start, gathered so that it is asked for in one message with
 * YAML to paste.
 */
import { stringify } from 'yaml';
import { Secret } from '../secret.ts';
import { ConfigError, type ConfigProblem, keyOf } from './config-error.ts';
import { nodeAt, placeOf, type TreeNode } from './tree.ts';

/** Gathers problems, warnings and missing settings while the configuration is built. */
export interface Questions {
  /** Notes a missing setting, with an example of what to write; gives the stand-in back so that building goes on. */
  ask<Value>(question: { key: string; message: string; example: Example }, standIn: Value): Value;
  /** Notes something wrong. */
  refuse(path: readonly PropertyKey[], message: string): void;
  /** Notes something to log. */
  warn(path: readonly PropertyKey[], message: string): void;
  /** Refuses a key that stands in the configuration itself, where everybody who may read that has it; `file`: an example. */
  requireFile(path: readonly PropertyKey[], file: string): void;
  warnings: ConfigProblem[];
  /** Throws ConfigError if anything is missing or wrong. */
  settle(): void;
}

/** A piece of the configuration file. */
export type Example = { [key: string]: ExampleValue };
type ExampleValue = string | boolean | number | ExampleValue[] | Example;

/** `root` tells the places of keys. */
export function createQuestions(root: TreeNode): Questions {
  const at = (path: readonly PropertyKey[], message: string): ConfigProblem => ({
    key: keyOf(path),
    place: placeOf(root, path),
    message,
  });
  const problems: ConfigProblem[] = [];
  const warnings: ConfigProblem[] = [];
  const examples: Example[] = [];
  return {
    warnings,
    ask({ key, message, example }, standIn) {
      problems.push({ key, place: 'not given', message });
      examples.push(example);
      return standIn;
    },
    refuse: (path, message) => void problems.push(at(path, message)),
    warn: (path, message) => void warnings.push(at(path, message)),
    requireFile(path, file) {
      const node = nodeAt(root, path);
      if (node?.kind !== 'leaf' || node.value instanceof Secret) return;
      const message = 'a private key may not stand in the configuration itself: put it into a file, and name that here';
      problems.push(at(path, message));
      const named: ExampleValue = `secret_file:${file}`;
      examples.push(path.reduceRight<ExampleValue>((below, step) => ({ [String(step)]: below }), named) as Example);
    },
    settle() {
      if (problems.length === 0) return;
      const snippet = examples.length === 0 ? null : stringify(examples.reduce(merge, {}), { lineWidth: 0 });
      throw new ConfigError(problems, snippet);
    },
  };
}

function merge(left: Example, right: Example): Example {
  const merged = { ...left };
  for (const [key, value] of Object.entries(right)) {
    const below = merged[key];
    merged[key] = isMapping(below) && isMapping(value) ? merge(below, value) : value;
  }
  return merged;
}

function isMapping(value: ExampleValue | undefined): value is Example {
  return typeof value === 'object' && !Array.isArray(value);
}
