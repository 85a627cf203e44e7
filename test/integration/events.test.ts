import { v7 as uuidv7 } from 'uuid';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { createEventHub, type EventHub } from '../../api/events/event-hub.ts';
import { createEventTickets } from '../../api/events/event-tickets.ts';
import { openEventStream } from '../../api/http/event-stream.ts';
import { type Listener, listen } from '../../api/http/listen.ts';
import { eventsKeptMax, eventsKey } from '../../shared/platform/event-script.ts';
import { createEventStore, type EventStore } from '../../shared/platform/event-store.ts';
import { connectRedis, type Redis } from '../../shared/platform/redis.ts';
import { subjectOf } from '../../shared/tasks/event.ts';
import { principalKey } from '../../shared/tasks/task.ts';
import { eventually } from '../eventually.ts';
import { createTestApp } from '../unit/api-fixture.ts';
import { readEvents } from './sse-client.ts';
import { alice, bob, by, openTasks, silent, type TaskFixture } from './task-fixture.ts';

const completed = { state: 'completed', resultJson: '{"size":1}' } as const;
const failed = { state: 'failed', errorJson: '{"code":"FileNotFound","message":"x"}' } as const;
const owner = principalKey(alice);

let tasks: TaskFixture;
let events: EventStore;
let hub: EventHub;
let wakeUps: Redis;
let wakeUpsId: number;
let listener: Listener;
let url: string;

beforeEach(async () => {
  tasks = await openTasks(inject('lab').redis.url);
  const { keyPrefix, redis } = tasks;
  events = createEventStore(redis, keyPrefix);
  wakeUps = connectRedis(inject('lab').redis.url, 'persist', silent);
  wakeUpsId = await wakeUps.client('ID');
  hub = createEventHub(wakeUps, events, { keyPrefix, streamsPerUserMax: 3, log: silent });
  const app = createTestApp(tasks.gate, {
    notices: { hub, events, tickets: createEventTickets(redis, keyPrefix), heartbeatMs: 20 },
    verifyToken: async (token) => (token === 'alice' ? alice : bob),
  });
  listener = await listen({ app, host: '127.0.0.1', port: 0, log: silent });
  url = `http://127.0.0.1:${listener.port}`;
});
afterEach(async () => {
  hub.close();
  await listener.close(0);
  wakeUps.disconnect();
  await tasks.close();
});

const open = (path: string, headers: Record<string, string> = {}) =>
  fetch(`${url}${path}`, { headers: { authorization: 'Bearer alice', ...headers } });

async function accept(of = alice) {
  const task = tasks.newTask({ id: uuidv7(), owner: principalKey(of), principal: JSON.stringify(of) });
  await tasks.store.accept(task);
  return task.id;
}

async function run(id: string, end: typeof completed | typeof failed = completed): Promise<void> {
  await tasks.store.claim({ id, fence: 0 }, by(`entry-${id}`, 'w'));
  await tasks.store.settle(id, 1, end);
}

describe('the events of a task', () => {
  it('are written with each of its steps, numbered, and with the code of its error', async () => {
    const id = await accept();
    await tasks.store.claim({ id, fence: 0 }, by('e', 'w'));
    await tasks.store.release(id, 1, { isHandBack: false, handBacks: 0 });
    await tasks.store.claim({ id, fence: 1 }, by('e2', 'w'));
    await tasks.store.settle(id, 2, failed);
    const told = await events.read(owner, '0-0', 100);
    expect(
      told
        .map((event) => ({ attempt: null, errorCode: null, ...event }))
        .map(({ type, sequence, attempt, errorCode }) => [type, sequence, attempt, errorCode]),
    ).toEqual([
      ['task.accepted', 1, 0, null],
      ['task.started', 2, 1, null],
      ['task.requeued', 3, 1, null],
      ['task.started', 4, 2, null],
      ['task.failed', 5, 2, 'FileNotFound'],
    ]);
    expect(told.every((event) => subjectOf(event) === id && 'system' in event && event.system === 'lab')).toBe(true);
  });

  it('hold its start too where it was claimed and ended in one step', async () => {
    const id = await accept();
    await tasks.store.claimAndSettle({ id, fence: 0 }, by('e', 'w'), completed);
    expect((await events.read(owner, '0-0', 100)).map(({ type }) => type)).toEqual([
      'task.accepted',
      'task.started',
      'task.completed',
    ]);
  });

  it('are none of a write that was refused', async () => {
    const id = await accept();
    await run(id);
    await tasks.store.settle(id, 1, failed);
    await tasks.store.claim({ id, fence: 0 }, by('late', 'w'));
    expect(await events.read(owner, '0-0', 100)).toHaveLength(3);
  });

  it('are none of a read that is held for its client: it costs nothing', async () => {
    const task = tasks.newTask({ owner, isIndexed: false, isHeld: true });
    await tasks.store.accept(task);
    await run(task.id);
    expect(await events.read(owner, '0-0', 100)).toEqual([]);
    expect(await tasks.redis.exists(`${tasks.keyPrefix}:outbox`)).toBe(0);
  });

  it('are bounded in number and forgotten in time', async () => {
    const key = eventsKey(tasks.keyPrefix, owner);
    const fill = tasks.redis.pipeline();
    for (let n = 0; n < eventsKeptMax + 500; n += 1) fill.xadd(key, '*', 'type', 'filler');
    await fill.exec();
    await accept();
    expect(await tasks.redis.xlen(key)).toBeLessThan(eventsKeptMax + 200);
    expect(await tasks.redis.pttl(key)).toBeGreaterThan(6 * 24 * 3_600_000);
    expect(await events.isPast(owner, '1-0')).toBe(true);
    expect(await events.isPast(owner, await events.lastId(owner))).toBe(false);
  });
});

describe('an event stream', () => {
  it('tells its client at once, and nobody else, with headers that keep proxies from holding it back', async () => {
    const mine = await open('/events');
    expect(mine.status).toBe(200);
    expect(Object.fromEntries(mine.headers)).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    });
    const my = readEvents(mine);
    const bobs = readEvents(await open('/events', { authorization: 'Bearer bob' }));
    const id = await accept();
    await run(id);
    await accept(bob);
    const told = await my.until(3);
    expect(told.map(({ type }) => type)).toEqual(['task.accepted', 'task.started', 'task.completed']);
    expect(told[2]).toMatchObject({
      id: expect.stringMatching(/^\d+-\d+$/),
      data: { type: 'task.completed', data: { taskId: id, sequence: 3, url: `/tasks/${id}`, errorCode: null } },
    });
    const [bobsOwn] = await bobs.until(1);
    expect(bobsOwn?.data.data.taskId).not.toBe(id);
    expect([my.events.length, bobs.events.length]).toEqual([3, 1]);
    await Promise.all([my.close(), bobs.close()]);
    await eventually(() => expect(hub.size()).toBe(0));
  });

  it('goes on after the last event its client had, without a gap and without a double', async () => {
    await run(await accept());
    const [first] = await events.read(owner, '0-0', 1);
    const id = await accept();
    const stream = readEvents(await open('/events', { 'last-event-id': first?.id ?? '' }));
    await run(id);
    const told = await stream.until(5);
    expect(told.map(({ data }) => data.data.sequence)).toEqual([2, 3, 1, 2, 3]);
    expect(new Set(told.map((event) => event.id)).size).toBe(5);
    await stream.close();
  });

  it('misses nothing that happens while what is kept is read, though thousands are', async () => {
    const pipeline = tasks.redis.pipeline();
    const fields = [
      'type',
      'task.started',
      'task',
      'x',
      'at',
      1,
      'operation',
      'o',
      'system',
      '',
      'attempt',
      1,
      'code',
      '',
    ];
    for (let n = 1; n <= 3_000; n += 1) pipeline.xadd(eventsKey(tasks.keyPrefix, owner), '*', 'sequence', n, ...fields);
    await pipeline.exec();
    const stream = readEvents(await open('/events', { 'last-event-id': '1-1' }));
    const ids = await Promise.all(Array.from({ length: 20 }, () => accept()));
    const told = await stream.until(3_020);
    expect(told.slice(0, 3_000).map(({ data }) => data.data.sequence)).toEqual(
      Array.from({ length: 3_000 }, (_, n) => n + 1),
    );
    expect(
      told
        .slice(3_000)
        .map(({ data }) => data.data.taskId)
        .sort(),
    ).toEqual(ids.sort());
    await stream.close();
  });

  it('says so where events were dropped that the client has not had', async () => {
    const key = eventsKey(tasks.keyPrefix, owner);
    const id = await accept();
    const [first] = await events.read(owner, '0-0', 1);
    await run(id);
    await tasks.redis.xtrim(key, 'MAXLEN', 1);
    const stream = readEvents(await open('/events', { 'last-event-id': first?.id ?? '' }));
    const [gap, last] = await stream.until(2);
    expect([gap?.type, gap?.data, last?.type]).toEqual(['stream.gap', { after: first?.id }, 'task.completed']);
    await stream.close();
  });

  it('keeps going where the store forgets that somebody listens', async () => {
    const stream = readEvents(await open('/events'));
    // That of this test alone: other tests hear by theirs of the same Redis.
    expect(await tasks.redis.call('CLIENT', 'KILL', 'ID', String(wakeUpsId))).toBe(1);
    await run(await accept());
    expect(await stream.until(3)).toHaveLength(3);
    await stream.close();
  });

  it('gives signs of life, and says how soon to come back', async () => {
    const response = await open('/events');
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    let text = '';
    while (!text.includes(': still here\n\n: still here'))
      text += new TextDecoder().decode((await reader.read()).value);
    expect(text).toMatch(/^retry: 2000\n\n/);
    await reader.cancel();
  });

  it('is open three times for one user here and refused a fourth time, with when to try again', async () => {
    const streams = await Promise.all([1, 2, 3].map(() => open('/events')));
    const refused = await open('/events');
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '5']);
    expect(await refused.json()).toMatchObject({ code: 'TooManyStreams' });
    expect((await open('/events', { authorization: 'Bearer bob' })).status).toBe(200);
    await streams[0]?.body?.cancel();
    await eventually(async () => expect((await open('/events')).status).toBe(200));
  });

  it('ends when the process stops, so that the stop is not held up', async () => {
    const stream = readEvents(await open('/events'));
    hub.close();
    await stream.ended;
  });

  it.each(['x', '1', '1-2-3', '-', '99999999999999999999-1'])('refuses %s as an id', async (id) => {
    const response = await open('/events', { 'last-event-id': id });
    expect(response.status).toBe(400);
    expect(((await response.json()) as { message: string }).message).toMatch(/Last-Event-ID/);
  });
});

describe('the stream of one task', () => {
  it('begins with its first event, leaves out other tasks, and ends with it', async () => {
    const id = await accept();
    const stream = readEvents(await open(`/tasks/${id}/events`));
    await run(await accept());
    await run(id, failed);
    await stream.ended;
    expect(stream.events.map(({ type }) => type)).toEqual(['task.accepted', 'task.started', 'task.failed']);
    expect(stream.events.every(({ data }) => data.data.taskId === id)).toBe(true);
  });

  it('is 204 for who has had its end, and tells who has not', async () => {
    const id = await accept();
    await run(id);
    const told = readEvents(await open(`/tasks/${id}/events`));
    await told.ended;
    expect(told.events).toHaveLength(3);
    const ids = told.events.map((event) => event.id);
    expect((await open(`/tasks/${id}/events`, { 'last-event-id': ids[2] ?? '' })).status).toBe(204);
    const rest = readEvents(await open(`/tasks/${id}/events`, { 'last-event-id': ids[1] ?? '' }));
    await rest.ended;
    expect(rest.events.map(({ type }) => type)).toEqual(['task.completed']);
  });

  it('is nobody else’s', async () => {
    const id = await accept();
    expect((await open(`/tasks/${id}/events`, { authorization: 'Bearer bob' })).status).toBe(404);
  });
});

describe('a ticket', () => {
  const issue = async (): Promise<string> => {
    const response = await fetch(`${url}/events/tickets`, {
      method: 'POST',
      headers: { authorization: 'Bearer alice' },
    });
    expect([response.status, response.headers.get('cache-control')]).toEqual([201, 'no-store']);
    return ((await response.json()) as { ticket: string }).ticket;
  };

  it('opens one stream of its user, once', async () => {
    const ticket = await issue();
    const first = await fetch(`${url}/events?ticket=${ticket}`);
    expect(first.status).toBe(200);
    const stream = readEvents(first);
    const id = await accept();
    expect((await stream.until(1))[0]?.data.data.taskId).toBe(id);
    await stream.close();
    expect((await fetch(`${url}/events?ticket=${ticket}`)).status).toBe(401);
  });

  it('is good for event streams only, and stands in the store as a hash', async () => {
    const ticket = await issue();
    expect((await fetch(`${url}/tasks/${await accept()}?ticket=${ticket}`)).status).toBe(401);
    expect((await fetch(`${url}/events?ticket=${'x'.repeat(43)}`)).status).toBe(401);
    const keys = await tasks.redis.keys(`${tasks.keyPrefix}:ticket:*`);
    expect(keys).toHaveLength(1);
    expect(keys.join()).not.toContain(ticket);
    expect(await tasks.redis.pttl(keys[0] ?? '')).toBeLessThanOrEqual(60_000);
  });
});

it('a client that does not read is cut off, and holds nobody up', async () => {
  const slow = openEventStream();
  const line = `${'x'.repeat(1_000)}\n\n`;
  let sent = 0;
  while (!slow.signal.aborted && sent < 10_000) {
    slow.send(line);
    sent += 1;
  }
  expect(sent).toBeLessThan(300);
  await expect(slow.body.getReader().read()).rejects.toThrow('too slowly');
});
