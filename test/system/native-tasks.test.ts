/** The native task face through the running broker: batches, the list, results, delayed starts, and a cancel that is true. */
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { runCommand } from '../../lab/run-command.ts';
import { userNamed } from '../../lab/users.ts';
import { eventually } from '../eventually.ts';
import { type Broker, type Client, clientOf, locationOf, pathQuery, startBroker, taskEnd } from './broker-fixture.ts';
import { homeDirectory, type OwnDirectory } from './home-directory.ts';

const lab = inject('lab');
const alice = userNamed(lab.users, 'alice');
let broker: Broker;
let client: Client;
let own: OwnDirectory;

beforeAll(async () => {
  // One where a user has hardly a channel.
  const section = { connections_per_user_max: 1, channels_per_connection_max: 4, slot_wait: '60s' };
  const otherSystems = [{ name: 'narrow', sshd: lab.sshd, section }];
  broker = await startBroker(lab, { scheduler: 'process', workers: 2, otherSystems });
  client = await clientOf(lab.oidc, broker.url, 'alice');
  own = homeDirectory(alice);
});

afterAll(async () => {
  own?.remove();
  await broker?.stop();
});

const stat = (path: string, more: Record<string, unknown> = {}) => ({
  ...{ operation: 'filesystem.stat', system: 'lab', input: { path } },
  ...more,
});

interface Listed {
  tasks: { id: string; state: string; tags: string[] }[];
  next: string | null;
}

describe('a batch', () => {
  it('may hold 1,000, each with a status and a task of its own, which all end', async () => {
    const tasks = Array.from({ length: 1_000 }, () => stat(own.path, { tags: ['full'] }));
    const { body } = await client.post('/tasks/batch', { tasks });
    const items = body.items as { status: number; id: string }[];
    expect([body.accepted, new Set(items.map(({ id }) => id)).size]).toEqual([1_000, 1_000]);
    expect(items.every(({ status }) => status === 202)).toBe(true);
    const open = async () => (await client.get('/tasks?tag=full&state=pending,active,failed,canceled')).body.tasks;
    await vi.waitFor(async () => expect(await open()).toEqual([]), { timeout: 110_000, interval: 200 });
  });

  it('runs what it accepts, says of each why not, and is found again by tag, page by page', async () => {
    const good = Array.from({ length: 25 }, () => stat(own.path, { tags: ['swarm'] }));
    const headers = { 'idempotency-key': `"${own.path}"` };
    const submit = () => client.post('/tasks/batch', { tasks: [...good, stat('/etc/passwd')] }, { headers });
    const { body, status } = await submit();
    expect([status, body.accepted, body.refused]).toEqual([200, 25, 1]);
    const items = body.items as { id: string | null; location: string | null; error: { code: string } | null }[];
    expect(items.at(-1)?.error?.code).toBe('PathNotAllowed');
    expect((await submit()).body.items).toMatchObject(items.map(({ id }) => ({ id })));
    for (const { location } of items)
      if (location !== null) await taskEnd(client, new URL(location, broker.url).pathname);

    const seen: string[] = [];
    let path: string | undefined = '/tasks?tag=swarm&state=completed&limit=10';
    while (path !== undefined) {
      const page = await client.get(path);
      seen.push(...(page.body as unknown as Listed).tasks.map(({ id }) => id));
      const next = /^<(.*)>; rel="next"$/.exec(page.headers.get('link') ?? '')?.[1];
      path = next === undefined ? undefined : next.slice(next.indexOf('/tasks'));
    }
    expect(seen).toEqual(
      items
        .flatMap(({ id }) => id ?? [])
        .reverse()
        .sort()
        .reverse(),
    );
    const bob = await clientOf(lab.oidc, broker.url, 'bob');
    expect((await bob.get('/tasks?tag=swarm')).body).toEqual({ tasks: [], next: null });
  });
});

describe('the result of a task', () => {
  it('is served alone, as the operation made it', async () => {
    const location = locationOf(await client.post('/tasks', stat(own.path)));
    const result = await client.get(`${location}/result`, { headers: { prefer: 'wait=30' } });
    expect([result.status, result.body]).toEqual([200, (await taskEnd(client, location)).result]);
  });

  it('is the error of one that failed', async () => {
    const location = locationOf(await client.post('/tasks', stat(join(own.path, 'none'))));
    const result = await client.get(`${location}/result`, { headers: { prefer: 'wait=30' } });
    expect([result.status, result.body.code]).toEqual([404, 'FileNotFound']);
  });

  it('that is too large for the record waits at its worker: the task says so, and it is served as often as it is asked for', async () => {
    const text = 'é'.repeat(200_000);
    const path = join(own.path, 'large');
    writeFileSync(path, text);
    const view = `/filesystem/lab/ops/view?${pathQuery(path)}`;
    const accepted = await client.get(view, { headers: { prefer: 'respond-async, wait=30' } });
    expect([accepted.status, accepted.headers.get('preference-applied')]).toEqual([202, 'respond-async, wait=30']);
    const location = locationOf(accepted);
    const task = await taskEnd(client, location);
    const sizeBytes = Buffer.byteLength(JSON.stringify({ text }));
    expect(task).toMatchObject({ state: 'completed', result: null, largeResult: { sizeBytes } });
    for (let count = 0; count < 2; count += 1) {
      const answer = await client.get(`${location}/result`);
      expect([answer.status, answer.body.text === text]).toEqual([200, true]);
      expect(answer.headers.get('content-length')).toBe(String(sizeBytes));
    }
    const listed = (await client.get('/tasks?operation=filesystem.view')).body.tasks as { largeResult: unknown }[];
    expect(listed.map(({ largeResult }) => largeResult)).toEqual([task.largeResult]);
    expect(JSON.stringify([task, listed])).not.toContain('/kept/');
    const others = await clientOf(lab.oidc, broker.url, 'bob');
    expect((await others.get(`${location}/result`)).status).toBe(404);
    // It goes with its worker; who asks then is told so.
    for (const worker of broker.workers) await worker.stop();
    const gone = await client.get(`${location}/result`);
    expect([gone.status, gone.body.code, gone.body.message]).toEqual([
      410,
      'TaskExpired',
      expect.stringMatching(/is gone: it was kept until .*Z, or until its worker stopped/),
    ]);
    await Promise.all(broker.workers.map((worker) => worker.start()));
  });
});

describe('a delayed start', () => {
  it('is kept to, and the task says so', async () => {
    const notBefore = new Date(Date.now() + 3_000).toISOString();
    const location = locationOf(await client.post('/tasks', stat(own.path, { notBefore, priority: 7 })));
    expect((await client.get(location)).body).toMatchObject({ state: 'pending', notBefore, priority: 7 });
    const ended = await taskEnd(client, location);
    expect(ended.state).toBe('completed');
    expect(Date.parse(String(ended.startedAt))).toBeGreaterThanOrEqual(Date.parse(notBefore));
  });
});

/** A sparse file whose checksum takes an hour, and whether a process on the host is at it. */
function endlessFile(name: string) {
  const file = join(own.path, name);
  writeFileSync(file, '');
  truncateSync(file, 2 ** 40);
  own.giveAway();
  const isRead = () =>
    runCommand('pgrep', ['-u', alice.username, '-f', file]).then(
      () => true,
      () => false,
    );
  return { file, isRead };
}

describe('a cancel', () => {
  it('of a task that waits for a channel ends it at once, and its command never runs', async () => {
    const files = Array.from({ length: 12 }, (_, n) => endlessFile(`endless-${n + 10}`));
    const tasks = files.map(({ file }) => ({
      ...{ operation: 'filesystem.checksum', system: 'narrow', input: { path: file } },
    }));
    const items = (await client.post('/tasks/batch', { tasks })).body.items as { location: string }[];
    const paths = items.map(({ location }) => new URL(location, broker.url).pathname);
    const running = async () => {
      const isRead = await Promise.all(files.map((file) => file.isRead()));
      return paths.filter((_, n) => isRead[n]);
    };
    const active = async () => {
      const answers = await Promise.all(paths.map((path) => client.get(path)));
      return answers.filter(({ body }) => body.state === 'active').length;
    };
    await vi.waitFor(async () => expect([await active(), (await running()).length > 0]).toEqual([12, true]), {
      ...{ timeout: 60_000, interval: 100 },
    });
    const holders = await running();
    const waiting = paths.filter((path) => !holders.includes(path));
    expect(waiting.length).toBeGreaterThan(4);
    const cancel = async (path: string) => {
      const { status, body } = await client.delete(path, { headers: { prefer: 'wait=20' } });
      expect([status, body.state, body.error]).toMatchObject([200, 'canceled', { code: 'TaskCanceled' }]);
    };
    await Promise.all(waiting.map(cancel));
    expect(await running()).toEqual(holders); // those had a channel and have it still; no other was begun
    await Promise.all(holders.map(cancel));
    await eventually(async () => expect(await running()).toEqual([]));
  });

  it('in the middle of a command ends the process on the host, and the answer is the true end', async () => {
    const { file, isRead } = endlessFile('without-end');
    const input = { path: file };
    const location = locationOf(
      await client.post('/tasks', { operation: 'filesystem.checksum', system: 'lab', input }),
    );
    await eventually(async () => expect(await isRead()).toBe(true));
    const answer = await client.delete(location, { headers: { prefer: 'wait=30' } });
    expect([answer.status, answer.body.state]).toEqual([200, 'canceled']);
    expect((await client.get(location)).body).toMatchObject({ state: 'canceled', error: { code: 'TaskCanceled' } });
    await eventually(async () => expect(await isRead()).toBe(false));
  });

  it('of a task that has ended leaves it as it was', async () => {
    const location = locationOf(await client.post('/tasks', stat(own.path)));
    await taskEnd(client, location);
    const answer = await client.delete(location);
    expect([answer.status, answer.body.state]).toEqual([200, 'completed']);
  });
});
