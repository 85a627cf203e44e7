/**
 * Makes many kept tasks out of real ones: a script copies the record of a task that went through the broker under a new
 * id, with its time, its row in the owner's index and its traits, as the broker's own scripts leave them.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { v7 as uuidv7 } from 'uuid';
import { traitsKey, traitsSpanMs } from '../../shared/platform/list-script.ts';
import type { Redis } from '../../shared/platform/redis.ts';

/** Ids of one call. */
const perCall = 1_000;
/** Between two copies in the index, so that they were accepted at times of their own. */
const apartMs = 5;

/** KEYS: record, index. ARGV: prefix, id of the record, where traits are, then new id, time of its accept … What names the record names the copy. */
const copyScript = `
local fields = redis.call('HGETALL', KEYS[1])
local ttl = redis.call('PTTL', KEYS[1])
local old = ARGV[2]
local escaped = string.gsub(old, '%-', '%%-')
local named, createdAt = {}, 0
for at = 2, #fields, 2 do
  if string.find(fields[at], old, 1, true) then named[#named + 1] = {at, fields[at]} end
  if fields[at - 1] == 'createdAt' then createdAt = at end
end
local function placeOf(time) return ARGV[3] .. math.floor(tonumber(time) / ${traitsSpanMs}) end
local traits = redis.call('HGET', placeOf(fields[createdAt]), old)
if not traits then return redis.error_reply('the record has no traits') end
for at = 4, #ARGV, 2 do
  local id = ARGV[at]
  for _, field in ipairs(named) do fields[field[1]] = string.gsub(field[2], escaped, id) end
  fields[createdAt] = ARGV[at + 1]
  local key = ARGV[1] .. ':task:' .. id
  redis.call('HSET', key, unpack(fields))
  redis.call('PEXPIRE', key, ttl)
  redis.call('ZADD', KEYS[2], ARGV[at + 1], id)
  redis.call('HSET', placeOf(ARGV[at + 1]), id, traits)
  redis.call('PEXPIRE', placeOf(ARGV[at + 1]), ttl)
end
return #fields`;

interface CopyingRedis {
  benchCopy(...args: (string | number)[]): Promise<number>;
}

/**
 * Copies until the owner has `count` kept tasks, taking one of `patterns` after another. Redis keeps no append-only file
 * meanwhile, and has a new one when this resolves.
 */
export async function loadKept(
  redis: Redis,
  keyPrefix: string,
  { owner, patterns, count }: { owner: string; patterns: readonly string[]; count: number },
): Promise<void> {
  redis.defineCommand('benchCopy', { numberOfKeys: 2, lua: copyScript });
  const copying = redis as unknown as CopyingRedis;
  const index = `${keyPrefix}:tasks:${owner}`;
  await redis.config('SET', 'appendonly', 'no');
  const end = Date.now();
  let missing = count - (await redis.zcard(index));
  for (let call = 0; missing > 0; call += 1) {
    const pattern = patterns[call % patterns.length] ?? '';
    const copies = Math.min(perCall, missing);
    const args = Array.from({ length: copies }, (_, n) => {
      const createdAt = end - (missing - n) * apartMs;
      return [uuidv7({ msecs: createdAt }), createdAt];
    });
    const places = traitsKey(keyPrefix, owner);
    await copying.benchCopy(`${keyPrefix}:task:${pattern}`, index, keyPrefix, pattern, places, ...args.flat());
    missing -= copies;
  }
  await redis.config('SET', 'appendonly', 'yes');
  await untilRewritten(redis);
}

async function untilRewritten(redis: Redis): Promise<void> {
  for (;;) {
    const facts = await redis.info('persistence');
    if (facts.includes('aof_enabled:1') && /aof_rewrite_in_progress:0/.test(facts)) {
      if (/aof_rewrite_scheduled:0/.test(facts)) break;
    }
    await sleep(100);
  }
  const facts = await redis.info('persistence');
  if (!facts.includes('aof_last_bgrewrite_status:ok')) throw new Error('the append-only file was not written anew');
}
