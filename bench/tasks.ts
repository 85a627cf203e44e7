/**
 * `npm run bench:tasks`: what the native face costs, and whether it costs the same with many kept tasks: accepting, a page
 * of the list, one task; memory of a kept task; and what a user with 10,000 waiting tasks does to another one's request.
 */
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { v7 as uuidv7 } from 'uuid';
import { startBroker } from '../lab/broker.ts';
import { startLab } from '../lab/lab.ts';
import { userNamed } from '../lab/users.ts';
import { connectRedis } from '../shared/platform/redis.ts';
import { createTaskStore, type TaskStore } from '../shared/platform/task-store.ts';
import { principalKey } from '../shared/tasks/task.ts';
import { createHttpCaller, requestBytes } from './http-caller.ts';
import { type Measurement, measure } from './measure.ts';

const { values } = parseArgs({ options: { kept: { type: 'string', default: '200000' } } });
const keptCounts = [1_000, Number(values.kept)];
const waitingTasks = 10_000;
const perBatch = 1_000;
/** Tasks on their way to Redis while seeding. */
const seedAtOnce = 1_000;

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function line(what: string, { count, errors, p50, p95, ratePerSecond, firstError }: Measurement, perRequest = 1): void {
  const rate = (ratePerSecond * perRequest).toFixed(0);
  print(
    `${what.padEnd(44)} p50 ${p50.toFixed(2)} ms  p95 ${p95.toFixed(2)} ms  ${rate}/s  (${count} requests, ${errors} errors)`,
  );
  if (firstError !== null) print(`    first error: ${firstError}`);
}

/** Ended tasks with a small result, as a stat leaves them. */
async function seed(store: TaskStore, owner: string, count: number): Promise<void> {
  const result = JSON.stringify({ mode: 33188, ino: 1, dev: 2, nlink: 1, uid: 3, gid: 4, size: 5, atime: 6, ctime: 7 });
  const keepMs = 7 * 24 * 3_600_000;
  const one = async (): Promise<void> => {
    const createdAt = Date.now();
    const id = uuidv7();
    const names = { operation: 'filesystem.stat', system: 'lab', queue: 'seed@lab', owner, requestId: 'seed' };
    const principal = JSON.stringify({ issuer: 'seed', subject: 'seed', username: 'gcalice', client: null });
    const input = JSON.stringify({ path: '/home/gcalice/data', dereference: false });
    const flags = { replyTo: '', entryId: '', isHeld: false, isIndexed: true };
    await store.accept({ id, ...names, ...flags, principal, input, createdAt, deadlineAt: createdAt + keepMs, keepMs });
    await store.claim({ id, fence: 0 }, { entryId: id, worker: 'seed', startedAt: createdAt, claimId: id });
    await store.settle(id, 1, { state: 'completed', resultJson: result });
  };
  for (let done = 0; done < count; done += seedAtOnce) {
    await Promise.all(Array.from({ length: Math.min(seedAtOnce, count - done) }, one));
  }
}

async function main(): Promise<void> {
  const lab = await startLab({ parts: ['redis', 'sshd', 'oidc'] });
  try {
    const bound = { open_per_user_max: 1_000_000, open_per_queue_max: 1_000_000 };
    const broker = await startBroker(lab, { scheduler: 'process', goldcrest: { tasks: bound } });
    const token = await lab.oidc.token('alice', { expiresInSeconds: 3_600 });
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<string, string>;
    const owner = principalKey({ issuer: claims.iss ?? '', subject: claims.sub ?? '' });
    const { home } = userNamed(lab.users, 'alice');
    const bobToken = await lab.oidc.token('bob', { expiresInSeconds: 3_600 });
    const at = (path: string): URL => new URL(path, broker.url);
    const callers = Array.from({ length: 64 }, () => createHttpCaller(at('/').hostname, Number(at('/').port)));
    const call = (request: Buffer, status: number) => async (caller: number) => callers[caller]?.call(request, status);
    const json = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const task = { operation: 'filesystem.stat', system: broker.systemName, input: { path: home } };
    const single = requestBytes('POST', at('/tasks'), json, JSON.stringify(task));
    const tasks = Array.from({ length: perBatch }, () => task);
    const batch = requestBytes('POST', at('/tasks/batch'), json, JSON.stringify({ tasks }));
    const bobHome = userNamed(lab.users, 'bob').home;
    const bobsStat = requestBytes(
      'GET',
      at(`/filesystem/${broker.systemName}/ops/stat?path=${encodeURIComponent(bobHome)}`),
      { authorization: `Bearer ${bobToken}` },
    );

    await measure({ callers: 4, countMax: 2_000, durationMsMax: 5_000 }, call(bobsStat, 200));
    line(
      'stat of bob, nobody else there',
      await measure({ callers: 1, countMax: 500, durationMsMax: 5_000 }, call(bobsStat, 200)),
    );
    for (let n = 0; n < waitingTasks / perBatch; n += 1) await callers[1]?.call(batch, 200);
    line(
      `stat of bob while alice has ${waitingTasks} open`,
      await measure({ callers: 1, countMax: 300, durationMsMax: 4_000 }, call(bobsStat, 200)),
    );

    for (const worker of broker.workers) await worker.stop();
    line(
      'POST /tasks, 64 callers, no worker',
      await measure({ callers: 64, countMax: 8_000, durationMsMax: 6_000 }, call(single, 202)),
    );
    line(
      'POST /tasks/batch of 1,000 (rate: tasks)',
      await measure({ callers: 2, countMax: 16, durationMsMax: 10_000 }, call(batch, 200)),
      perBatch,
    );

    const redis = connectRedis(lab.redis.url, 'persist', pino({ level: 'silent' }));
    const settings = {
      keyPrefix: broker.keyPrefix,
      ...{ openPerUserMax: 1e6, openPerQueueMax: 1e6, admittedPerUserMax: 1e6 },
    };
    const store = createTaskStore(redis, { ...settings, keepMs: 7 * 24 * 3_600_000 });
    const usedBytes = async () => Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1]);
    const indexed = () => redis.zcard(`${broker.keyPrefix}:tasks:${owner}`);
    await redis.del(`${broker.keyPrefix}:tasks:${owner}`); // what was measured above is not counted
    for (const kept of keptCounts) {
      const [before, has] = [await usedBytes(), await indexed()];
      await seed(store, owner, kept - has);
      const bytes = ((await usedBytes()) - before) / (kept - has);
      print(`${await indexed()} kept tasks, ${bytes.toFixed(0)} bytes of Redis each`);
      const newest = (await redis.zrevrange(`${broker.keyPrefix}:tasks:${owner}`, 0, 0))[0] ?? '';
      const load = { callers: 1, countMax: 400, durationMsMax: 4_000 };
      const get = (path: string) => call(requestBytes('GET', at(path), { authorization: json.authorization }), 200);
      line('  GET /tasks (50)', await measure(load, get('/tasks')));
      line('  GET /tasks?state=active (1,000 looked at)', await measure(load, get('/tasks?state=active')));
      line('  GET /tasks/{id}', await measure(load, get(`/tasks/${newest}`)));
      line('  POST /tasks', await measure(load, call(single, 202)));
      await redis.zremrangebyrank(`${broker.keyPrefix}:tasks:${owner}`, -400, -1);
    }
    redis.disconnect();
    for (const caller of callers) caller.close();
    await broker.stop();
  } finally {
    await lab.stop();
  }
}

await main();
