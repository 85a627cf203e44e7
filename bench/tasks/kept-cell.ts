/**
 * Whether a request costs the same with 1,000 and with 1,000,000 kept tasks: two brokers, each with a Redis of its own,
 * are asked in turns, so that what the machine does meanwhile happens to both. And what a kept task takes of memory.
 */
import { startBroker } from '../../lab/broker.ts';
import type { Lab } from '../../lab/lab.ts';
import { type RedisPart, startRedis } from '../../lab/parts/redis.ts';
import { type Measurement, measure, middleOf } from '../measure.ts';
import { untilEnded } from './ends.ts';
import { type BenchUser, callerOf, type Findings, type Ground, openGround } from './ground.ts';
import { loadKept } from './load-kept.ts';

const few = 1_000;
const rounds = 7;
const requestsPerRound = 200;
const differencePercentMax = 20;

interface Side {
  ground: Ground;
  kept: number;
  /** Some of the kept tasks, from all over the index. */
  ids: string[];
  bytesPerTask: number;
  close(): Promise<void>;
}

async function usedBytes({ redis }: Ground): Promise<number> {
  return Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1]);
}

/** Bytes of Redis for each of the tasks that `make` makes. */
async function bytesOf(ground: Ground, make: () => Promise<number>): Promise<number> {
  const before = await usedBytes(ground);
  const count = await make();
  return ((await usedBytes(ground)) - before) / count;
}

/** Sends `few` tasks through API and worker; gives their ids. */
async function runFew(ground: Ground): Promise<string[]> {
  const { alice, statOf } = ground;
  const tasks = Array.from({ length: few }, () => statOf(alice));
  const answer = await callerOf(ground, 0).read(alice.request('POST', '/tasks/batch', { tasks }), 200);
  const ids = (JSON.parse(answer) as { items: { id: string }[] }).items.map(({ id }) => id);
  await untilEnded(ground, ids);
  return ids;
}

async function openSide(lab: Lab, redis: RedisPart, kept: number): Promise<Side> {
  const tasks = { open_per_user_max: 1_000_000, open_per_queue_max: 1_000_000 };
  const broker = await startBroker(
    { folder: lab.folder, users: lab.users, sshd: lab.sshd, oidc: lab.oidc, redis },
    { scheduler: 'process', isCompiled: true, name: `kept-${kept}`, goldcrest: { tasks } },
  );
  const ground = await openGround(lab, broker, redis.url);
  let patterns: string[] = [];
  let bytesPerTask = await bytesOf(ground, async () => {
    patterns = await runFew(ground);
    return few;
  });
  for (const worker of broker.workers) await worker.stop();
  if (kept > few) {
    bytesPerTask = await bytesOf(ground, async () => {
      await loadKept(ground.redis, broker.keyPrefix, { owner: ground.alice.owner, patterns, count: kept });
      return kept - few;
    });
  }
  const index = `${broker.keyPrefix}:tasks:${ground.alice.owner}`;
  const step = Math.floor(kept / few);
  const ids = await Promise.all(
    Array.from(
      { length: few },
      async (_, n) => (await ground.redis.zrange(index, `${n * step}`, `${n * step}`))[0] ?? '',
    ),
  );
  const close = async (): Promise<void> => {
    ground.close();
    await broker.stop();
    await redis.stop();
  };
  return { ground, kept: await ground.redis.zcard(index), ids, bytesPerTask, close };
}

interface Cost {
  what: string;
  status: number;
  request: (user: BenchUser, side: Side, n: number) => Buffer;
}

const costs: readonly Cost[] = [
  { what: 'GET /tasks (50)', status: 200, request: ({ request }) => request('GET', '/tasks') },
  {
    what: 'GET /tasks?state=active (1,000 looked at)',
    status: 200,
    request: ({ request }) => request('GET', '/tasks?state=active'),
  },
  {
    what: 'GET /tasks/{id}, any of them',
    status: 200,
    request: ({ request }, { ids }, n) => request('GET', `/tasks/${ids[(n * 7) % ids.length]}`),
  },
  // The last one, since it makes tasks.
  {
    what: 'POST /tasks',
    status: 202,
    request: (user, { ground }) => user.request('POST', '/tasks', ground.statOf(user)),
  },
];

async function measureOne(side: Side, { request, status }: Cost, count: number): Promise<Measurement> {
  const { ground } = side;
  const requests = Array.from({ length: count }, (_, n) => request(ground.alice, side, n));
  let sent = 0;
  return measure({ callers: 1, countMax: count, durationMsMax: 10_000 }, async () => {
    const bytes = requests[sent] ?? Buffer.alloc(0);
    sent += 1;
    await callerOf(ground, 0).call(bytes, status);
  });
}

/** In turns, the other one first each time. */
async function compare(sides: readonly [Side, Side], cost: Cost): Promise<[Measurement, Measurement]> {
  const taken: [Measurement[], Measurement[]] = [[], []];
  for (const side of sides) await measureOne(side, cost, 2 * requestsPerRound); // V8 compiles what runs often
  for (let round = 0; round < rounds; round += 1) {
    for (const at of round % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const)) {
      taken[at].push(await measureOne(sides[at], cost, requestsPerRound));
    }
  }
  return [middleOf(taken[0]), middleOf(taken[1])];
}

export async function measureKept(lab: Lab, many: number): Promise<Findings> {
  const opened: Side[] = [];
  try {
    const small = await openSide(lab, await startRedis(lab.folder, 'redis-few'), few);
    opened.push(small);
    const large = await openSide(lab, await startRedis(lab.folder, 'redis-many'), many);
    opened.push(large);
    const findings: Findings = { rows: [], verdicts: [] };
    for (const cost of costs) {
      const [a, b] = await compare([small, large], cost);
      for (const [{ kept }, measurement] of [
        [small, a],
        [large, b],
      ] as const) {
        findings.rows.push({ what: `${cost.what}, ${kept.toLocaleString('en')} kept`, callers: 1, measurement });
      }
      const percent = (b.p50 / a.p50 - 1) * 100;
      findings.verdicts.push({
        text:
          `${cost.what}: p50 ${a.p50.toFixed(2)} ms with ${small.kept.toLocaleString('en')} kept tasks, ${b.p50.toFixed(2)} ms with ` +
          `${large.kept.toLocaleString('en')}: ${percent.toFixed(0)} % more (at most ${differencePercentMax})`,
        isMet: percent <= differencePercentMax && a.errors + b.errors === 0,
      });
    }
    const bytes = `${large.bytesPerTask.toFixed(0)} bytes of Redis each (of the first ${few.toLocaleString('en')} with their events: ${small.bytesPerTask.toFixed(0)})`;
    return { ...findings, notes: [`A kept task of a stat takes ${bytes}.`] };
  } finally {
    for (const side of opened) await side.close();
  }
}
