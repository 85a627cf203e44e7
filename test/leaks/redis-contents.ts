/** All that Redis holds below a prefix, of every key and every type, as text. */
import type { Redis } from '../../shared/platform/redis.ts';

/** Keys that are read by one script. */
const keysAtOnce = 500;

/** The content of each key by its type; fails for a type that it cannot read. */
const readScript = `
local read = {
  string = function(key) return redis.call('GET', key) end,
  hash = function(key) return redis.call('HGETALL', key) end,
  list = function(key) return redis.call('LRANGE', key, 0, -1) end,
  set = function(key) return redis.call('SMEMBERS', key) end,
  zset = function(key) return redis.call('ZRANGE', key, 0, -1, 'WITHSCORES') end,
  stream = function(key) return redis.call('XRANGE', key, '-', '+') end,
  none = function() return '' end,
}
local contents = {}
for at, key in ipairs(KEYS) do contents[at] = read[redis.call('TYPE', key).ok](key) end
return contents
`;

/** Name of each key, and its name and content as text. */
export async function redisContents(redis: Redis, prefix: string): Promise<[string, string][]> {
  const keys = new Set<string>();
  let cursor = '0';
  do {
    const [next, found] = await redis.scan(cursor, 'MATCH', `${prefix}*`, 'COUNT', 5_000);
    for (const key of found) keys.add(key);
    cursor = next;
  } while (cursor !== '0');
  const names = [...keys];
  const contents: [string, string][] = [];
  for (let at = 0; at < names.length; at += keysAtOnce) {
    const some = names.slice(at, at + keysAtOnce);
    const read = (await redis.eval(readScript, some.length, ...some)) as unknown[];
    some.forEach((key, index) => {
      contents.push([key, [key, ...wordsOf(read[index])].join('\n')]);
    });
  }
  return contents;
}

/** Every text in an answer of Redis, not escaped as JSON would. */
function* wordsOf(value: unknown): Generator<string, void> {
  if (Array.isArray(value)) for (const member of value) yield* wordsOf(member);
  else if (typeof value === 'string') yield value;
}
