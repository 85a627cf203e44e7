/**
 * Whose turn it is to ask the scheduler about jobs, among all workers: one lease in Redis for each scope, and beside it the
 * ids that wait for the next query. Redis holds ids and names only; what the scheduler said goes by publication.
 */
import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { StoredError } from '../../shared/errors/broker-error.ts';
import type { Job } from '../../shared/operations/compute/job.ts';
import type { Redis } from '../../shared/platform/redis.ts';

/** Most ids in one query; the others wait for the next. */
const idsMax = 2_000;
/** A worker that died gives its turn back after so long; one that lives renews it. */
export const leaseMs = 5_000;
/** Ids that nobody came back for. */
const wantedKeepMs = 60_000;

/**
 * KEYS: turn, wanted ids. ARGV: token, lease ms, most ids, ms to keep ids, then `id username` words. Adds the ids; gives the
 * turn, with ids for it, when nobody has it: {1, word …}, else {0, ms until it may be free}.
 */
const askScript = `
for at = 5, #ARGV do redis.call('SADD', KEYS[2], ARGV[at]) end
redis.call('PEXPIRE', KEYS[2], ARGV[4])
local left = redis.call('PTTL', KEYS[1])
if left > 0 then return {0, left} end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
local taken = redis.call('SPOP', KEYS[2], ARGV[3])
table.insert(taken, 1, 1)
return taken
`;

/** KEYS: turn. ARGV: token, lease ms. */
const renewScript = `
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 1
`;

/** KEYS: turn. ARGV: token, ms until the turn is free again. */
const endScript = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if tonumber(ARGV[2]) > 0 then
  redis.call('SET', KEYS[1], 'window', 'PX', ARGV[2])
else
  redis.call('DEL', KEYS[1])
end
return 1
`;

interface ScriptedRedis {
  gcLookupAsk(...args: (string | number)[]): Promise<[number, ...(string | number)[]]>;
  gcLookupRenew(...args: (string | number)[]): Promise<number>;
  gcLookupEnd(...args: (string | number)[]): Promise<number>;
}

/** A job and who asks for it. */
export interface Wanted {
  jobId: string;
  username: string;
}

export type Turn = { isMine: true; token: string; wanted: Wanted[] } | { isMine: false; waitMs: number };

/** What one query answered, for the other workers. */
export interface RoundMessage {
  kind: 'round';
  scope: string;
  /** Since the query began, when this was sent. */
  ageMs: number;
  /** Until the next query may begin. */
  waitMs: number;
  /** What was asked for. */
  jobIds: string[];
  jobs: [string, Job[]][];
  error: StoredError | null;
}

/** A user changed something on a system: what was read before is not shown to that user any more. */
export interface ChangeMessage {
  kind: 'change';
  system: string;
  username: string;
}

export type LookupMessage = RoundMessage | ChangeMessage;

export interface LookupTurns {
  /** At most `idsMax` of `wanted` are asked for at once. */
  ask(scope: string, wanted: readonly Wanted[]): Promise<Turn>;
  renew(scope: string, token: string): Promise<void>;
  /** Frees the turn, `waitMs` from now on. */
  end(scope: string, token: string, waitMs: number): Promise<void>;
  /** To every other worker. A message that is lost costs a query, no more. */
  tell(message: LookupMessage): Promise<void>;
  /** The messages of other workers. */
  listen(listener: (message: LookupMessage) => void): void;
}

/** `subscriber` stays the caller's to close. */
export function createLookupTurns(redis: Redis, subscriber: Redis, keyPrefix: string, log: Logger): LookupTurns {
  redis.defineCommand('gcLookupAsk', { numberOfKeys: 2, lua: askScript });
  redis.defineCommand('gcLookupRenew', { numberOfKeys: 1, lua: renewScript });
  redis.defineCommand('gcLookupEnd', { numberOfKeys: 1, lua: endScript });
  const scripted = redis as unknown as ScriptedRedis;
  const sender = randomUUID();
  const channel = `${keyPrefix}:lookups`;
  const turnKey = (scope: string) => `${channel}:turn:${scope}`;
  const wantedKey = (scope: string) => `${channel}:wanted:${scope}`;
  return {
    async ask(scope, wanted) {
      const token = randomUUID();
      const words = wanted.slice(0, idsMax).map(({ jobId, username }) => `${jobId} ${username}`);
      const keys = [turnKey(scope), wantedKey(scope)];
      const [isMine, ...rest] = await scripted.gcLookupAsk(...keys, token, leaseMs, idsMax, wantedKeepMs, ...words);
      if (isMine !== 1) return { isMine: false, waitMs: Number(rest[0]) };
      return { isMine: true, token, wanted: rest.map((word) => wantedOf(String(word))) };
    },
    async renew(scope, token) {
      await scripted.gcLookupRenew(turnKey(scope), token, leaseMs);
    },
    async end(scope, token, waitMs) {
      await scripted.gcLookupEnd(turnKey(scope), token, Math.ceil(waitMs));
    },
    async tell(message) {
      await redis.publish(channel, JSON.stringify({ sender, message }));
    },
    listen(listener) {
      subscriber.on('message', (from: string, text: string) => {
        if (from !== channel) return;
        const heard = JSON.parse(text) as { sender: string; message: LookupMessage };
        if (heard.sender !== sender) listener(heard.message);
      });
      subscriber.subscribe(channel).catch((error: unknown) => {
        log.error({ err: error }, 'subscription to job look-ups failed');
      });
    },
  };
}

function wantedOf(word: string): Wanted {
  const cut = word.indexOf(' ');
  return { jobId: word.slice(0, cut), username: word.slice(cut + 1) };
}
