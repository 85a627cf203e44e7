/**
 * Endpoints and deliveries in Redis. A delivery that is to be made stands in a set ordered by its time; who takes one
 * moves it ahead by a lease, so that it comes up again where its worker dies: at least once, never lost.
 */
import { type Delivery, type DeliveryAttempt, parseDelivery } from '../webhooks/delivery.ts';
import { type Endpoint, type EndpointState, storedEndpoint } from '../webhooks/endpoint.ts';
import type { DisabledReason } from '../webhooks/endpoint-event.ts';
import { endpointsKey, outboxKey, tellFunction } from './event-script.ts';
import { rowFields } from './event-store.ts';
import { type Redis, withStore } from './redis.ts';

/** A delivery about to be made. */
export interface NewDelivery {
  id: string;
  messageId: string;
  owner: string;
  endpoint: string;
  target: string;
  type: string;
  message: string;
  /** Only for the log of the endpoint, which is not told: it is about the endpoint itself. */
  isNote?: true;
}

/** What became of an attempt: done, over, or to be tried again at a time in milliseconds since the epoch. */
export type AttemptOutcome = { state: 'delivered' | 'failed' } | { state: 'pending'; nextAt: number };

/** Every method throws `StoreUnavailable` when Redis cannot serve. */
export interface WebhookStore {
  list(owner: string): Promise<{ endpoint: Endpoint; state: EndpointState }[]>;
  find(owner: string, id: string): Promise<{ endpoint: Endpoint; state: EndpointState } | null>;
  /** Whose endpoint that is, or was; null: nobody's. */
  ownerOf(id: string): Promise<string | null>;
  /** False where the owner has as many as may be. */
  add(owner: string, endpoint: Endpoint, countMax: number): Promise<boolean>;
  replace(owner: string, endpoint: Endpoint): Promise<void>;
  /** With its deliveries. */
  remove(owner: string, id: string): Promise<void>;
  /** What its owner says of it. `true` also takes back what disabled it. */
  setEnabled(id: string, isEnabled: boolean): Promise<void>;
  /** Disables an endpoint and tells its owner so, in one step. False: it was disabled already, or is gone. */
  disable(owner: string, id: string, reason: DisabledReason): Promise<boolean>;
  /** Notes that an attempt failed, and gives since when all have; null: it did well. */
  noteHealth(id: string, isWell: boolean): Promise<number | null>;
  /** Makes deliveries that are not there yet, due now, and takes their row out of the outbox, all or nothing. */
  dispatch(deliveries: readonly NewDelivery[], row: string | null): Promise<void>;
  /** Takes at most `count` that are due; each comes up again after `leaseMs` unless it is settled. */
  take(count: number, leaseMs: number): Promise<Delivery[]>;
  /** False: the delivery was taken by another since. */
  settle(delivery: Delivery, attempt: DeliveryAttempt, outcome: AttemptOutcome): Promise<boolean>;
  /** The newest first, 200 at most. */
  deliveries(endpoint: string): Promise<Delivery[]>;
  /** Null: it is none of the endpoint's, or is no longer kept. */
  findDelivery(endpoint: string, id: string): Promise<Delivery | null>;
  /** All that were made since a time, oldest first. */
  deliveriesSince(endpoint: string, fromMs: number): Promise<Pick<Delivery, 'id' | 'state'>[]>;
  /** Begins a new series of attempts of those that are still kept, and gives their ids. */
  redeliver(ids: readonly string[]): Promise<string[]>;
}

/** Deliveries of an endpoint that may be made again, as many as events are kept, and for how long. */
const deliveriesKeptMax = 10_000;
/** Of them, the log shows so many. */
const deliveriesShownMax = 200;
/** Deliveries in one command to Redis. */
const deliveriesAtOnce = 500;
const deliveryKeepMs = 8 * 24 * 3_600_000;
/** Attempts that a delivery remembers. */
const attemptsKeptMax = 20;

const addScript = `
if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[3]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 1`;

const replaceScript = `
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end`;

/** ARGV: prefix, now, row (empty: none), then JSON of each delivery. */
const dispatchScript = `
local prefix, now = ARGV[1], tonumber(ARGV[2])
for at = 4, #ARGV do
  local new = cjson.decode(ARGV[at])
  local key = prefix .. ':delivery:' .. new['id']
  if redis.call('EXISTS', key) == 0 then
    local isNote = new['isNote']
    new['isNote'] = nil
    redis.call('HSET', key, 'state', isNote and 'noted' or 'pending', 'createdAt', now, 'attempts', 0, 'tries', 0)
    for name, value in pairs(new) do redis.call('HSET', key, name, value) end
    redis.call('PEXPIRE', key, ${deliveryKeepMs})
    if not isNote then
      redis.call('HSET', key, 'nextAt', now)
      redis.call('ZADD', prefix .. ':deliveries-due', now, new['id'])
    end
    if new['endpoint'] ~= '' then
      local list = prefix .. ':deliveries:' .. new['endpoint']
      redis.call('ZADD', list, now, new['id'])
      redis.call('ZREMRANGEBYRANK', list, 0, -1 - ${deliveriesKeptMax})
      redis.call('PEXPIRE', list, ${deliveryKeepMs})
    end
  end
end
if ARGV[3] ~= '' then
  redis.call('XACK', prefix .. ':outbox', 'deliver', ARGV[3])
  redis.call('XDEL', prefix .. ':outbox', ARGV[3])
end`;

/** ARGV: prefix, now, count, lease. Returns the hashes, one after another, each as a list. */
const takeScript = `
local prefix, now = ARGV[1], tonumber(ARGV[2])
local due = redis.call('ZRANGEBYSCORE', prefix .. ':deliveries-due', '-inf', now, 'LIMIT', 0, ARGV[3])
local taken = {}
for _, id in ipairs(due) do
  local key = prefix .. ':delivery:' .. id
  if redis.call('HEXISTS', key, 'id') == 1 then
    redis.call('ZADD', prefix .. ':deliveries-due', now + tonumber(ARGV[4]), id)
    redis.call('HINCRBY', key, 'attempts', 1)
    redis.call('HINCRBY', key, 'tries', 1)
    taken[#taken + 1] = redis.call('HGETALL', key)
  else
    redis.call('ZREM', prefix .. ':deliveries-due', id)
  end
end
return taken`;

/** ARGV: prefix, id, attempts when taken, state, next time (empty: none), log. */
const settleScript = `
local key = ARGV[1] .. ':delivery:' .. ARGV[2]
if redis.call('HGET', key, 'attempts') ~= ARGV[3] then return 0 end
redis.call('HSET', key, 'state', ARGV[4], 'log', ARGV[6])
if ARGV[5] == '' then
  redis.call('HDEL', key, 'nextAt')
  redis.call('ZREM', ARGV[1] .. ':deliveries-due', ARGV[2])
else
  redis.call('HSET', key, 'nextAt', ARGV[5])
  redis.call('ZADD', ARGV[1] .. ':deliveries-due', ARGV[5], ARGV[2])
end
return 1`;

/** ARGV: prefix, now, then ids. Returns the ids of those that are there. */
const redeliverScript = `
local known = {}
for at = 3, #ARGV do
  local key = ARGV[1] .. ':delivery:' .. ARGV[at]
  if redis.call('HEXISTS', key, 'id') == 1 then
    redis.call('HSET', key, 'state', 'pending', 'tries', 0, 'nextAt', ARGV[2])
    redis.call('ZADD', ARGV[1] .. ':deliveries-due', ARGV[2], ARGV[at])
    known[#known + 1] = ARGV[at]
  end
end
return known`;

/** KEYS: state of the endpoint. ARGV: prefix, owner, id, reason, now. */
const disableScript = `
${tellFunction}
local prefix, owner, id, now = ARGV[1], ARGV[2], ARGV[3], ARGV[5]
if redis.call('HEXISTS', prefix .. ':hooks:' .. owner, id) == 0 then return 0 end
if redis.call('HSETNX', KEYS[1], 'disabledAt', now) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'disabledReason', ARGV[4])
local sequence = redis.call('HINCRBY', KEYS[1], 'sequence', 1)
tell(prefix, owner, '', {'type', 'webhook.disabled', 'hook', id, 'sequence', sequence, 'at', now, 'reason', ARGV[4],
  'failingSince', redis.call('HGET', KEYS[1], 'failingSince') or ''})
return 1`;

interface ScriptedRedis {
  gcHookDisable(...args: (string | number)[]): Promise<number>;
  gcHookAdd(...args: (string | number)[]): Promise<number>;
  gcHookReplace(...args: string[]): Promise<null>;
  gcHookDispatch(...args: (string | number)[]): Promise<null>;
  gcHookTake(...args: (string | number)[]): Promise<string[][]>;
  gcHookSettle(...args: (string | number)[]): Promise<number>;
  gcHookRedeliver(...args: (string | number)[]): Promise<string[]>;
}

function stateOf(fields: Record<string, string>): EndpointState {
  const number = (text: string | undefined): number | null => (text === undefined ? null : Number(text));
  return {
    failingSince: number(fields.failingSince),
    disabledAt: number(fields.disabledAt),
    disabledReason: fields.disabledReason ?? null,
  };
}

/** A store over a connection, which stays the caller's to close. */
export function createWebhookStore(redis: Redis, keyPrefix: string): WebhookStore {
  const scripted = redis as unknown as ScriptedRedis;
  redis.defineCommand('gcHookAdd', { numberOfKeys: 1, lua: addScript });
  redis.defineCommand('gcHookReplace', { numberOfKeys: 1, lua: replaceScript });
  redis.defineCommand('gcHookDispatch', { numberOfKeys: 1, lua: dispatchScript });
  redis.defineCommand('gcHookTake', { numberOfKeys: 1, lua: takeScript });
  redis.defineCommand('gcHookSettle', { numberOfKeys: 1, lua: settleScript });
  redis.defineCommand('gcHookRedeliver', { numberOfKeys: 1, lua: redeliverScript });
  redis.defineCommand('gcHookDisable', { numberOfKeys: 1, lua: disableScript });
  const outbox = outboxKey(keyPrefix);
  const stateKey = (id: string): string => `${keyPrefix}:hookstate:${id}`;
  const listKey = (endpoint: string): string => `${keyPrefix}:deliveries:${endpoint}`;
  const ownersKey = `${keyPrefix}:hook-owners`;
  const deliveryKey = (id: string): string => `${keyPrefix}:delivery:${id}`;
  const withState = async (text: string) => {
    const endpoint = storedEndpoint.parse(JSON.parse(text));
    return { endpoint, state: stateOf(await redis.hgetall(stateKey(endpoint.id))) };
  };

  return {
    list: (owner) =>
      withStore(async () => Promise.all((await redis.hvals(endpointsKey(keyPrefix, owner))).map(withState))),
    find: (owner, id) =>
      withStore(async () => {
        const text = await redis.hget(endpointsKey(keyPrefix, owner), id);
        return text === null ? null : withState(text);
      }),
    ownerOf: (id) => withStore(() => redis.hget(ownersKey, id)),
    add: (owner, endpoint, countMax) =>
      withStore(async () => {
        const key = endpointsKey(keyPrefix, owner);
        const isAdded = (await scripted.gcHookAdd(key, endpoint.id, JSON.stringify(endpoint), countMax)) === 1;
        if (isAdded) await redis.hset(ownersKey, endpoint.id, owner);
        return isAdded;
      }),
    replace: (owner, endpoint) =>
      withStore(async () => {
        await scripted.gcHookReplace(endpointsKey(keyPrefix, owner), endpoint.id, JSON.stringify(endpoint));
      }),
    remove: (owner, id) =>
      withStore(async () => {
        const ids = await redis.zrange(listKey(id), '0', '-1');
        await redis
          .multi()
          .hdel(endpointsKey(keyPrefix, owner), id)
          .hdel(ownersKey, id)
          .del(stateKey(id), listKey(id), ...ids.map(deliveryKey))
          .exec();
      }),
    setEnabled: (id, isEnabled) =>
      withStore(async () => {
        // The count of its events goes on: an id of a message is not used again.
        if (isEnabled) await redis.hdel(stateKey(id), 'disabledAt', 'disabledReason', 'failingSince');
        else await redis.hset(stateKey(id), 'disabledAt', Date.now(), 'disabledReason', 'owner');
      }),
    disable: (owner, id, reason) =>
      withStore(async () => {
        return (await scripted.gcHookDisable(stateKey(id), keyPrefix, owner, id, reason, Date.now())) === 1;
      }),
    noteHealth: (id, isWell) =>
      withStore(async () => {
        if (isWell) {
          await redis.hdel(stateKey(id), 'failingSince');
          return null;
        }
        await redis.hsetnx(stateKey(id), 'failingSince', String(Date.now()));
        return Number(await redis.hget(stateKey(id), 'failingSince'));
      }),
    dispatch: (deliveries, row) =>
      withStore(async () => {
        const texts = deliveries.map((delivery) => JSON.stringify(delivery));
        await scripted.gcHookDispatch(outbox, keyPrefix, Date.now(), row ?? '', ...texts);
      }),
    take: (count, leaseMs) =>
      withStore(async () => {
        const taken = await scripted.gcHookTake(outbox, keyPrefix, Date.now(), count, leaseMs);
        return taken.map((flat) => parseDelivery(rowFields(flat)));
      }),
    settle: ({ id, attempts, log }, attempt, outcome) =>
      withStore(async () => {
        const nextAt = outcome.state === 'pending' ? outcome.nextAt : '';
        const kept = JSON.stringify([...log, attempt].slice(-attemptsKeptMax));
        return (await scripted.gcHookSettle(outbox, keyPrefix, id, attempts, outcome.state, nextAt, kept)) === 1;
      }),
    deliveries: (endpoint) =>
      withStore(async () => {
        const ids = await redis.zrange(listKey(endpoint), '0', `${deliveriesShownMax - 1}`, 'REV');
        const hashes = await Promise.all(ids.map((id) => redis.hgetall(deliveryKey(id))));
        return hashes.filter((fields) => fields.id !== undefined).map(parseDelivery);
      }),
    findDelivery: (endpoint, id) =>
      withStore(async () => {
        const [score, fields] = await Promise.all([
          redis.zscore(listKey(endpoint), id),
          redis.hgetall(deliveryKey(id)),
        ]);
        return score === null || fields.id === undefined ? null : parseDelivery(fields);
      }),
    deliveriesSince: (endpoint, fromMs) =>
      withStore(async () => {
        const ids = await redis.zrangebyscore(listKey(endpoint), fromMs, '+inf');
        const found = await inSlices(ids, (slice) =>
          Promise.all(slice.map(async (id) => ({ id, state: await redis.hget(deliveryKey(id), 'state') }))),
        );
        return found.flatMap(({ id, state }) => (state === null ? [] : [{ id, state: state as Delivery['state'] }]));
      }),
    redeliver: (ids) =>
      withStore(() => inSlices(ids, (slice) => scripted.gcHookRedeliver(outbox, keyPrefix, Date.now(), ...slice))),
  };
}

/** One slice after another, so that others get their turn in Redis. */
async function inSlices<T>(ids: readonly string[], work: (slice: readonly string[]) => Promise<T[]>): Promise<T[]> {
  const found: T[] = [];
  for (let at = 0; at < ids.length; at += deliveriesAtOnce) {
    found.push(...(await work(ids.slice(at, at + deliveriesAtOnce))));
  }
  return found;
}
