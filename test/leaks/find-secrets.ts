/** Finds any of many secrets in a text in one pass: thousands of tokens in megabytes of logs. */
import { type KnownSecret, needleCharsMin } from './known-secrets.ts';

export interface Leak {
  secret: KnownSecret;
  /** Where it begins in the text. */
  at: number;
}

/** What keys, tokens and signatures are made of; a secret with other characters is looked for by itself. */
const words = new RegExp(`[\\w+/=.~-]{${needleCharsMin},}`, 'g');
const isWord = new RegExp(`^[\\w+/=.~-]{${needleCharsMin}}`);

/** The first place of each of the secrets that stand in a text. */
export function createFinder(secrets: readonly KnownSecret[]): (text: string) => Leak[] {
  const byBeginning = new Map<string, KnownSecret[]>();
  const others: KnownSecret[] = [];
  for (const secret of secrets) {
    const beginning = secret.needle.slice(0, needleCharsMin);
    if (isWord.test(beginning)) byBeginning.set(beginning, [...(byBeginning.get(beginning) ?? []), secret]);
    else others.push(secret);
  }
  return (text) => {
    const found = new Map<KnownSecret, number>();
    for (const { 0: word, index } of text.matchAll(words)) {
      for (let at = 0; at + needleCharsMin <= word.length; at += 1) {
        for (const secret of byBeginning.get(word.slice(at, at + needleCharsMin)) ?? []) {
          if (!found.has(secret) && text.startsWith(secret.needle, index + at)) found.set(secret, index + at);
        }
      }
    }
    for (const secret of others) if (text.includes(secret.needle)) found.set(secret, text.indexOf(secret.needle));
    return [...found].map(([secret, at]) => ({ secret, at }));
  };
}
