/** All that Redis holds below a prefix, of every key and every type, as text. */
import type { Redis } from '../../shared/platform/redis.ts';

/** Keys that are asked for in one write. */
const keysAtOnce = 500;

/** Name of each key, and its name and content as text. Throws for a type that it cannot read. */
export async function redisContents(redis: Redis, prefix: string): Promise<[string, string][]> {
  const keys = new Set<string>();
  for (let cursor = '0'; ; ) {
    const [next, found] = await redis.scan(cursor, 'MATCH', `${prefix}*`, 'COUNT', 5_000);
    for (const key of found) keys.add(key);
    cursor = next;
    if (cursor === '0') break;
  }
  const names = [...keys];
  const contents: [string, string][] = [];
  for (let at = 0; at < names.length; at += keysAtOnce) {
    const some = names.slice(at, at + keysAtOnce);
    contents.push(
      ...(await Promise.all(
        some.map(async (key) => [key, `${key}\n${await contentOf(redis, key)}`] as [string, string]),
      )),
    );
  }
  return contents;
}

async function contentOf(redis: Redis, key: string): Promise<string> {
  const type = await redis.type(key);
  const read: Record<string, () => Promise<unknown>> = {
    string: () => redis.get(key),
    hash: () => redis.hgetall(key),
    list: () => redis.lrange(key, 0, -1),
    set: () => redis.smembers(key),
    zset: () => redis.zrange(key, '0', '-1', 'WITHSCORES'),
    stream: () => redis.xrange(key, '-', '+'),
  };
  // It has expired between the listing and the look.
  if (type === 'none') return '';
  const look = read[type];
  if (look === undefined) throw new Error(`${key} is of the type ${type}, which is not searched`);
  return [...wordsOf(await look())].join('\n');
}

/** Every text in an answer of Redis, not escaped as JSON would. */
function* wordsOf(value: unknown): Generator<string, void> {
  if (typeof value === 'string') yield value;
  else if (typeof value === 'object' && value !== null) {
    for (const [name, member] of Object.entries(value)) {
      if (!Array.isArray(value)) yield name;
      yield* wordsOf(member);
    }
  }
}
