/** A command as the audit trail shows it: argv as it ran, but for values that may be secret, and cut where it is long. */
import { createHash } from 'node:crypto';
import type { Word } from '../commands/command-line.ts';

const wordCharsMax = 512;
const wordsMax = 64;

const assignment = /^([A-Za-z_][A-Za-z0-9_]*)=./s;
/** Names of variables in the list of qsub's `-v`; values stand in single quotes, a quote itself between double ones. */
const listedValue = /([A-Za-z_][A-Za-z0-9_]*)=(?:'[^']*'|"[^"]*"|[^,'"])*/g;
const queryOfUrl = /(https?:\/\/[^\s?'"]+)\?[^\s'"]+/g;

/**
 * Values of environment variables, and the queries of addresses (which sign them), are shown as `…`. A long word, such as
 * a program, is shown by its beginning, its length and its SHA-256.
 */
export function auditedWords(argv: readonly Word[]): string[] {
  const words = argv.slice(0, wordsMax).map((word, at) => shown(textOf(word), at === 0 ? undefined : argv[at - 1]));
  return argv.length > wordsMax ? [...words, `… (${argv.length} words)`] : words;
}

function textOf(word: Word): string {
  return typeof word === 'string' ? word : word.toString();
}

function shown(word: string, before: Word | undefined): string {
  const [, name] = assignment.exec(word) ?? [];
  if (before === '-v') return cut(word.replace(listedValue, '$1=…'));
  return cut(name === undefined ? word.replace(queryOfUrl, '$1?…') : `${name}=…`);
}

function cut(word: string): string {
  if (word.length <= wordCharsMax) return word;
  const digest = createHash('sha256').update(word).digest('hex');
  return `${word.slice(0, wordCharsMax / 4)}… (${word.length} characters, SHA-256 ${digest})`;
}
