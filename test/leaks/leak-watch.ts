/** Looks for known secrets where none should be: in Redis, in logs and audit files, in answers, on command lines. */
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { connectRedis } from '../../shared/platform/redis.ts';
import { silent } from '../integration/task-fixture.ts';
import { type CommandLines, watchCommandLines } from './command-lines.ts';
import { createFinder, type Leak } from './find-secrets.ts';
import { type KnownSecret, secretsOfAnswer, secretsOfRequest } from './known-secrets.ts';
import { redisContents } from './redis-contents.ts';

const places = ['Redis', 'the logs', 'answers', 'command lines'] as const;
export type Place = (typeof places)[number];

/** What is searched beside the answers and the command lines. */
export interface SearchedGround {
  redisUrl: string;
  keyPrefix: string;
  /** Files, and directories of files. */
  logs: () => readonly string[];
  /** Secrets that become known while the watch lasts. */
  moreSecrets?: () => Promise<readonly KnownSecret[]>;
}

/** One request of a client, and what it was answered. */
export interface Exchange {
  authorization: string | null;
  /** Headers and body. */
  sent: string;
  answer: string;
}

export interface LeakWatch {
  add(secrets: readonly KnownSecret[]): void;
  heard(exchange: Exchange): void;
  /** Whether it looks for that. */
  knows(needle: string): boolean;
  /** Whether the command line of that process is looked at. */
  hasSeen(pid: number): boolean;
  /** Everything in a place so far, by where it stands there. */
  contents(place: Place): Promise<[string, string][]>;
  /** Each secret that was found, and where; never the secret itself. */
  search(): Promise<string[]>;
  /** Ends the watch. Throws where a secret was found, or a place is empty. Does nothing the second time. */
  finish(): Promise<void>;
}

/** Of one answer, and of all: of files that are downloaded the beginning is kept. */
const answerCharsMax = 2 ** 20;
const answersCharsMax = 2 ** 26;
/** Around a secret, to see where it came from. */
const contextChars = 80;

export function watchForLeaks(ground: SearchedGround, known: readonly KnownSecret[]): LeakWatch {
  const secrets = new Map<string, KnownSecret>();
  const answers = new Set<string>();
  const commandLines = watchCommandLines();
  let answersChars = 0;
  let isOver = false;

  const add = (more: readonly KnownSecret[]): void => {
    for (const secret of more) {
      const before = secrets.get(secret.needle);
      // A client may send back what was handed out to it.
      secrets.set(secret.needle, before?.isHandedOut === true ? before : secret);
    }
  };
  add(known);
  const contents = (place: Place) => contentsOf(place, ground, answers, commandLines);
  const search = async (): Promise<string[]> => {
    add((await ground.moreSecrets?.()) ?? []);
    const leaks: string[] = [];
    for (const place of places) {
      const sought = [...secrets.values()].filter(({ isHandedOut }) => !(isHandedOut && place === 'answers'));
      const find = createFinder(sought);
      for (const [where, text] of await contents(place))
        leaks.push(...find(text).map((leak) => describeLeak(leak, text, `${place}, ${where}`)));
    }
    return leaks.map((leak) => masked(leak, secrets.keys()));
  };
  return {
    add,
    heard({ authorization, sent, answer }) {
      add([...secretsOfRequest(authorization, sent), ...secretsOfAnswer(answer)]);
      const kept = answer.slice(0, answerCharsMax);
      if (answers.has(kept) || answersChars + kept.length > answersCharsMax) return;
      answers.add(kept);
      answersChars += kept.length;
    },
    knows: (needle) => secrets.has(needle),
    hasSeen: (pid) => commandLines.hasSeen(pid),
    contents,
    search,
    async finish() {
      if (isOver) return;
      isOver = true;
      const leaks = await search();
      commandLines.stop();
      if (leaks.length > 0) throw new Error(`There are secrets where none should be:\n${leaks.join('\n')}`);
    },
  };
}

async function contentsOf(
  place: Place,
  { redisUrl, keyPrefix, logs }: SearchedGround,
  answers: ReadonlySet<string>,
  commandLines: CommandLines,
): Promise<[string, string][]> {
  if (place === 'answers') return [...answers].map((text, at) => [`the ${at + 1}. of them`, text]);
  if (place === 'command lines') return commandLines.seen().map((line) => ['one of them', line]);
  if (place === 'the logs') {
    const files = logs().flatMap(filesAt);
    return files.map((file) => [file, readFileSync(file, 'latin1')]);
  }
  const redis = connectRedis(redisUrl, 'persist', silent);
  try {
    await once(redis, 'ready');
    return await redisContents(redis, keyPrefix);
  } finally {
    redis.disconnect();
  }
}

function filesAt(path: string): string[] {
  if (!existsSync(path)) return [];
  return statSync(path).isDirectory() ? readdirSync(path).map((name) => join(path, name)) : [path];
}

/** What stands around a secret may be another one. */
function masked(text: string, needles: Iterable<string>): string {
  let shown = text;
  for (const needle of needles) shown = shown.replaceAll(needle, '[secret]');
  return shown;
}

function describeLeak({ secret, at }: Leak, text: string, where: string): string {
  const end = at + secret.needle.length;
  const around = `${text.slice(Math.max(0, at - contextChars), at)}[secret]${text.slice(end, end + contextChars)}`;
  return `- ${secret.title}: in ${where}: ${JSON.stringify(around)}`;
}
