/**
 * The audit trail in Redis: a stream of all records, a stream of places for each owner, and of each writer how far its
 * chain has come. Bounded: the oldest records leave.
 */
import type { StoredLine } from '../audit/trail.ts';
import type { Head } from '../audit/verify.ts';
import { type Redis, withStore } from './redis.ts';

/** A line in the store; `id` is its place. */
export interface KeptLine {
  id: string;
  text: string;
}

export interface AuditStore {
  /** See `AuditTrailDependencies`. */
  append(line: StoredLine, isFirst: boolean): Promise<boolean>;
  /** Newest first, at most `count` that stand before `before` (not included; null: from the newest). `owner` null: of all. */
  readBack(owner: string | null, before: string | null, count: number): Promise<KeptLine[]>;
  /** Oldest first, at most `count` after `after` (not included). */
  readOn(owner: string | null, after: string, count: number): Promise<KeptLine[]>;
  /** By writer. */
  heads(): Promise<Map<string, Head>>;
}

/** Places of one owner that are kept. */
const ownPlacesMax = 10_000;
/** They are forgotten so long after the last one. */
const ownPlacesKeepMs = 90 * 24 * 3_600_000;
/** Writers whose ends are known; the longest silent are forgotten first. */
const writersMax = 10_000;

/**
 * KEYS: stream, heads, places of the owner, times of the heads. ARGV: writer, seq, hash, whether nothing before it is asked
 * for (1|0), most records, whether it has an owner (1|0), line. Returns 1 when the record is kept, now or before; 0 when the
 * one before it is missing.
 */
const appendScript = `
local head = redis.call('HGET', KEYS[2], ARGV[1])
local known = head and tonumber(string.match(head, '^%d+')) or 0
local seq = tonumber(ARGV[2])
if seq <= known then return 1 end
if seq ~= known + 1 and ARGV[4] ~= '1' then return 0 end
local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[5], '*', 'line', ARGV[7])
if ARGV[6] == '1' then
  -- Not so that it fails the rest: ids go back where the stream was deleted and the clock was set back.
  redis.pcall('XADD', KEYS[3], 'MAXLEN', '~', ${ownPlacesMax}, id, 'r', '')
  redis.call('PEXPIRE', KEYS[3], ${ownPlacesKeepMs})
end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2] .. ' ' .. ARGV[3])
redis.call('ZADD', KEYS[4], string.match(id, '^%d+'), ARGV[1])
if known == 0 and redis.call('ZCARD', KEYS[4]) > ${writersMax} then
  local oldest = redis.call('ZPOPMIN', KEYS[4])
  redis.call('HDEL', KEYS[2], oldest[1])
end
return 1`;

interface ScriptedRedis {
  gcAudit(...args: (string | number)[]): Promise<number>;
}

/** A store over a connection, which stays the caller's to close. */
export function createAuditStore(redis: Redis, settings: { keyPrefix: string; recordsMax: number }): AuditStore {
  redis.defineCommand('gcAudit', { numberOfKeys: 4, lua: appendScript });
  const { keyPrefix, recordsMax } = settings;
  const stream = `${keyPrefix}:audit`;
  const heads = `${keyPrefix}:audit-heads`;
  const times = `${keyPrefix}:audit-writers`;
  const placesOf = (owner: string): string => `${keyPrefix}:audit-of:${owner}`;

  const linesAt = async (ids: readonly string[]): Promise<KeptLine[]> => {
    const pipeline = redis.pipeline();
    for (const id of ids) pipeline.xrange(stream, id, id);
    const found = (await pipeline.exec()) ?? [];
    return found.flatMap(([, rows]) => (rows as [string, string[]][] | null)?.flatMap(lineOf) ?? []);
  };
  const read = async (owner: string | null, find: (key: string) => Promise<[string, string[]][]>) =>
    withStore(async () => {
      if (owner === null) return (await find(stream)).flatMap(lineOf);
      return linesAt((await find(placesOf(owner))).map(([id]) => id));
    });

  return {
    async append({ writer, seq, hash, owner, text }, isFirst) {
      const keys = [stream, heads, placesOf(owner), times];
      const has = owner === '' ? 0 : 1;
      const kept = await (redis as unknown as ScriptedRedis).gcAudit(
        ...keys,
        ...[writer, seq, hash, isFirst ? 1 : 0, recordsMax, has, text],
      );
      return kept === 1;
    },
    readBack: async (owner, before, count) => {
      // Nothing comes before the first place, and Redis takes none that would.
      if (before !== null && !/^0*[1-9]\d*-\d+$|^0+-0*[1-9]\d*$/.test(before)) return [];
      return read(owner, (key) => redis.xrevrange(key, before === null ? '+' : `(${before}`, '-', 'COUNT', count));
    },
    readOn: (owner, after, count) => read(owner, (key) => redis.xrange(key, `(${after}`, '+', 'COUNT', count)),
    heads: () =>
      withStore(async () => {
        const [known, scored] = await Promise.all([redis.hgetall(heads), redis.zrange(times, '0', '-1', 'WITHSCORES')]);
        const at = new Map(scored.flatMap((writer, n) => (n % 2 === 0 ? [[writer, Number(scored[n + 1])]] : [])));
        return new Map(
          Object.entries(known).map(([writer, text]) => {
            const [seq, hash = ''] = text.split(' ');
            return [writer, { seq: Number(seq), hash, at: at.get(writer) ?? 0 }];
          }),
        );
      }),
  };
}

function lineOf([id, fields]: [string, string[]]): KeptLine[] {
  const text = fields[fields.indexOf('line') + 1];
  return text === undefined ? [] : [{ id, text }];
}
