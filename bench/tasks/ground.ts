/** What the cells of `npm run bench:tasks` stand on: a broker, its Redis, and users who send prepared requests. */
import { pino } from 'pino';
import type { Broker } from '../../lab/broker.ts';
import type { Lab } from '../../lab/lab.ts';
import { userNamed } from '../../lab/users.ts';
import { connectRedis, type Redis } from '../../shared/platform/redis.ts';
import { principalKey } from '../../shared/tasks/task.ts';
import { createHttpCaller, type HttpCaller, requestBytes } from '../http-caller.ts';
import type { Verdict } from '../page.ts';
import type { Row } from '../report.ts';

/** What a cell found out. */
export interface Findings {
  rows: Row[];
  verdicts: Verdict[];
  /** What is worth knowing and has no target. */
  notes?: string[];
}

export interface BenchUser {
  home: string;
  /** The user's name in keys of Redis. */
  owner: string;
  token: string;
  /** A request of this user's; a body is sent as JSON. */
  request(method: string, path: string, body?: unknown): Buffer;
}

export interface Ground {
  lab: Lab;
  broker: Broker;
  redis: Redis;
  alice: BenchUser;
  bob: BenchUser;
  /** One connection for each. */
  callers: readonly HttpCaller[];
  /** A small piece of work: the status of the user's home. */
  statOf(user: BenchUser): { operation: string; system: string; input: object };
  close(): void;
}

export const callersMax = 64;

/** Longer than the whole run. */
const tokenSeconds = 3_600;

export async function openGround(lab: Lab, broker: Broker, redisUrl: string): Promise<Ground> {
  const redis = connectRedis(redisUrl, 'persist', pino({ level: 'silent' }));
  const base = new URL(broker.url);
  const callers = Array.from({ length: callersMax }, () => createHttpCaller(base.hostname, Number(base.port)));
  const userOf = async (name: string): Promise<BenchUser> => {
    const token = await lab.oidc.token(name, { expiresInSeconds: tokenSeconds });
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<string, string>;
    const authorization = { authorization: `Bearer ${token}` };
    return {
      ...{ home: userNamed(lab.users, name).home, token },
      owner: principalKey({ issuer: claims.iss ?? '', subject: claims.sub ?? '' }),
      request(method, path, body) {
        const url = new URL(path, base);
        if (body === undefined) return requestBytes(method, url, authorization);
        const headers = { ...authorization, 'content-type': 'application/json' };
        return requestBytes(method, url, headers, JSON.stringify(body));
      },
    };
  };
  return {
    ...{ lab, broker, redis, callers, alice: await userOf('alice'), bob: await userOf('bob') },
    statOf: ({ home }) => ({ operation: 'filesystem.stat', system: broker.systemName, input: { path: home } }),
    close() {
      for (const caller of callers) caller.close();
      redis.disconnect();
    },
  };
}

/** The caller of that number. */
export function callerOf({ callers }: Pick<Ground, 'callers'>, number: number): HttpCaller {
  const caller = callers[number];
  if (caller === undefined) throw new Error(`there are ${callers.length} callers`);
  return caller;
}
