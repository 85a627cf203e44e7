/**
 * Watches of jobs in Redis: a hash for each, and the sets by which they are found and bounded. What is seen of a job, the
 * events of it and their rows in the outbox are written by one script, which refuses who knows an older revision.
 */
import type { JobFacts, jobEventTypes } from '../watches/job-event.ts';
import { parseWatch, type Watch } from '../watches/watch.ts';
import { tellFunction } from './event-script.ts';
import { type Redis, withStore } from './redis.ts';
import { createSystemLeases, type SystemLeases } from './system-leases.ts';

export interface WatchBounds {
  perUserMax: number;
  totalMax: number;
}

export type NewWatch = Pick<
  Watch,
  'id' | 'owner' | 'system' | 'jobId' | 'createdAt' | 'consent' | 'webhook' | 'standing'
>;

/** What a look at a job changes. */
export interface WatchStep {
  events: readonly { type: keyof typeof jobEventTypes; facts: JobFacts }[];
  changes: Partial<Pick<Watch, 'phase' | 'standing' | 'changedAt' | 'missingSince' | 'looks' | 'diagnosis'>>;
  /** The last step of the watch: it is kept for so long, and looked at no more. */
  closesForMs?: number;
}

/** Why there is no room: the user's bound, or that of all. */
export type NoRoom = 'user' | 'total';

/** Each method throws `StoreUnavailable` when Redis cannot serve. */
export interface WatchStore extends SystemLeases {
  /** One that is there already stays as it is. With null for the bounds there is room. */
  add(watch: NewWatch, bounds: WatchBounds | null): Promise<'added' | 'known' | NoRoom>;
  /** Null: there is room for one more. */
  lacksRoom(owner: string, bounds: WatchBounds): Promise<NoRoom | null>;
  find(owner: string, id: string): Promise<Watch | null>;
  /** Newest first. */
  list(owner: string, countMax: number): Promise<Watch[]>;
  /** False where the owner has no such watch. */
  remove(owner: string, id: string): Promise<boolean>;
  /** Changes with every watch of the system that comes or goes. */
  version(system: string): Promise<string>;
  openIds(system: string): Promise<string[]>;
  read(ids: readonly string[]): Promise<Watch[]>;
  /** False: another one wrote since, or the watch is gone; nothing was written. */
  step(watch: Pick<Watch, 'id' | 'revision'>, step: WatchStep, now: number): Promise<boolean>;
}

/** Read in one go; a record is 2 KB, with a diagnosis 8 KB. */
const readAtOnce = 500;

/** Watches that an owner can find in the list; older ones by their id only. */
const listedMax = 100_000;

/** KEYS: watch. ARGV: prefix, id, owner, system, created at, most of a user and of all (empty: any), then field, value … */
const addScript = `
local prefix, id, owner = ARGV[1], ARGV[2], ARGV[3]
if redis.call('EXISTS', KEYS[1]) == 1 then return 'known' end
local own, all = prefix .. ':watches:open-of:' .. owner, prefix .. ':watches:open'
if ARGV[6] ~= '' and redis.call('SCARD', own) >= tonumber(ARGV[6]) then return 'user' end
if ARGV[7] ~= '' and redis.call('SCARD', all) >= tonumber(ARGV[7]) then return 'total' end
redis.call('HSET', KEYS[1], unpack(ARGV, 8))
redis.call('ZADD', prefix .. ':watches:of:' .. owner, ARGV[5], id)
redis.call('ZREMRANGEBYRANK', prefix .. ':watches:of:' .. owner, 0, -1 - ${listedMax})
redis.call('SADD', own, id)
redis.call('SADD', all, id)
redis.call('SADD', prefix .. ':watches:on:' .. ARGV[4], id)
redis.call('INCR', prefix .. ':watches:version:' .. ARGV[4])
return 'added'`;

/** Lua: `close(prefix, id, owner, system)`, out of what is looked at. */
const closeFunction = `
local function close(prefix, id, owner, system)
  redis.call('SREM', prefix .. ':watches:open-of:' .. owner, id)
  redis.call('SREM', prefix .. ':watches:open', id)
  redis.call('SREM', prefix .. ':watches:on:' .. system, id)
  redis.call('INCR', prefix .. ':watches:version:' .. system)
end`;

/** KEYS: watch. ARGV: prefix, id, owner. */
const removeScript = `
${closeFunction}
local known = redis.call('HMGET', KEYS[1], 'owner', 'system')
if known[1] ~= ARGV[3] then return 0 end
close(ARGV[1], ARGV[2], ARGV[3], known[2])
redis.call('ZREM', ARGV[1] .. ':watches:of:' .. ARGV[3], ARGV[2])
redis.call('DEL', KEYS[1])
return 1`;

/** KEYS: watch. ARGV: prefix, id, revision, now, ms to keep a closed one (empty: open), number of events, then type, facts …, then field, value … */
const stepScript = `
${tellFunction}
${closeFunction}
local prefix, id = ARGV[1], ARGV[2]
local known = redis.call('HMGET', KEYS[1], 'revision', 'owner', 'system', 'jobId', 'webhook')
if known[1] ~= ARGV[3] then return 0 end
redis.call('HINCRBY', KEYS[1], 'revision', 1)
local at = 7
for _ = 1, tonumber(ARGV[6]) do
  local sequence = redis.call('HINCRBY', KEYS[1], 'sequence', 1)
  tell(prefix, known[2], known[5], {'type', ARGV[at], 'watch', id, 'sequence', sequence, 'at', ARGV[4],
    'system', known[3], 'job', known[4], 'facts', ARGV[at + 1]})
  at = at + 2
end
if at <= #ARGV then redis.call('HSET', KEYS[1], unpack(ARGV, at)) end
if ARGV[5] ~= '' then
  close(prefix, id, known[2], known[3])
  redis.call('PEXPIRE', KEYS[1], ARGV[5])
end
return 1`;

interface ScriptedRedis {
  gcWatchAdd(...args: (string | number)[]): Promise<'added' | 'known' | NoRoom>;
  gcWatchRemove(...args: string[]): Promise<number>;
  gcWatchStep(...args: (string | number)[]): Promise<number>;
}

function storedFields(values: object): (string | number)[] {
  return Object.entries(values).flatMap(([name, value]: [string, unknown]) => {
    if (value === undefined) return [];
    return [name, typeof value === 'string' || typeof value === 'number' ? value : JSON.stringify(value)];
  });
}

/** A store over a connection, which stays the caller's to close. */
export function createWatchStore(redis: Redis, keyPrefix: string): WatchStore {
  redis.defineCommand('gcWatchAdd', { numberOfKeys: 1, lua: addScript });
  redis.defineCommand('gcWatchRemove', { numberOfKeys: 1, lua: removeScript });
  redis.defineCommand('gcWatchStep', { numberOfKeys: 1, lua: stepScript });
  const scripted = redis as unknown as ScriptedRedis;
  const watchKey = (id: string): string => `${keyPrefix}:watch:${id}`;
  const ownKey = (owner: string): string => `${keyPrefix}:watches:of:${owner}`;

  const read = async (ids: readonly string[]): Promise<Watch[]> => {
    const found: Watch[] = [];
    for (let at = 0; at < ids.length; at += readAtOnce) {
      const hashes = await Promise.all(ids.slice(at, at + readAtOnce).map((id) => redis.hgetall(watchKey(id))));
      for (const fields of hashes) if (fields.id !== undefined) found.push(parseWatch(fields));
    }
    return found;
  };

  return {
    ...createSystemLeases(redis, (system) => `${keyPrefix}:watches:lease:${system}`),
    add: (watch, bounds) =>
      withStore(() => {
        const { id, owner, system, createdAt } = watch;
        const fields = { ...watch, phase: 'watching', revision: 1, sequence: 0, changedAt: createdAt };
        const limits = bounds === null ? ['', ''] : [bounds.perUserMax, bounds.totalMax];
        const args = [keyPrefix, id, owner, system, createdAt, ...limits, ...storedFields(fields)];
        return scripted.gcWatchAdd(watchKey(id), ...args);
      }),
    lacksRoom: (owner, { perUserMax, totalMax }) =>
      withStore(async () => {
        const [own, all] = await Promise.all([
          redis.scard(`${keyPrefix}:watches:open-of:${owner}`),
          redis.scard(`${keyPrefix}:watches:open`),
        ]);
        if (own >= perUserMax) return 'user';
        return all >= totalMax ? 'total' : null;
      }),
    find: (owner, id) =>
      withStore(async () => {
        const [found] = await read([id]);
        return found?.owner === owner ? found : null;
      }),
    list: (owner, countMax) =>
      withStore(async () => {
        const ids = await redis.zrevrange(ownKey(owner), 0, countMax - 1);
        const found = await read(ids);
        const isThere = new Set(found.map(({ id }) => id));
        const gone = ids.filter((id) => !isThere.has(id));
        if (gone.length > 0) await redis.zrem(ownKey(owner), ...gone);
        return found;
      }),
    remove: (owner, id) =>
      withStore(async () => (await scripted.gcWatchRemove(watchKey(id), keyPrefix, id, owner)) === 1),
    version: (system) => withStore(async () => (await redis.get(`${keyPrefix}:watches:version:${system}`)) ?? '0'),
    openIds: (system) => withStore(() => redis.smembers(`${keyPrefix}:watches:on:${system}`)),
    read: (ids) => withStore(() => read(ids)),
    step: ({ id, revision }, { events, changes, closesForMs = '' }, now) =>
      withStore(async () => {
        const told = events.flatMap(({ type, facts }) => [type, JSON.stringify(facts)]);
        const args = [keyPrefix, id, revision, now, closesForMs, events.length, ...told, ...storedFields(changes)];
        return (await scripted.gcWatchStep(watchKey(id), ...args)) === 1;
      }),
  };
}
