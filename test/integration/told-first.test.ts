import { setMaxListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, inject, it, vi } from 'vitest';
import type { AcceptRequest } from '../../api/tasks/task-gate.ts';
import { connectRedis, type Redis } from '../../shared/platform/redis.ts';
import type { TaskStoreSettings } from '../../shared/platform/task-store.ts';
import type { Attempt } from '../../workers/runtime/task-runner.ts';
import { eventually } from '../eventually.ts';
import { openTasks, queue, silent, statRequest, statResult, type TaskFixture } from './task-fixture.ts';

const never = new AbortController().signal;
setMaxListeners(0, never);
const change: AcceptRequest = { ...statRequest, operation: 'compute.cancel-job', input: { jobId: '1' } };
const text: AcceptRequest = { ...statRequest, operation: 'filesystem.view' };

let tasks: TaskFixture;
let listener: Redis;
/** What was said to API processes. */
let said: string[];

async function open(over: Partial<TaskStoreSettings> = {}, { handsOver = true } = {}): Promise<void> {
  tasks = await openTasks(inject('lab').redis.url, over, { handsOver });
  listener = connectRedis(inject('lab').redis.url, 'persist', silent);
  said = [];
  listener.on('pmessage', (_pattern, _channel, message: string) => said.push(message));
  await listener.psubscribe(`${tasks.keyPrefix}:reply:*`);
}

async function close(): Promise<void> {
  listener.disconnect();
  await tasks.close();
}

beforeEach(() => open());
afterEach(() => close());

/** Consumers whose tasks are handed to them where the fixture hands over. */
async function consume(perform: (attempt: Attempt) => Promise<unknown>): Promise<void> {
  await tasks.consume(tasks.runner((_operation, attempt) => perform(attempt)));
  await eventually(() => expect(tasks.handOver.hasTaker(queue)).toBe(true));
}

/** Holds back what would store the next end, until it is called: for good, or it is stored then. */
function holdEnd(): (isStored: boolean) => void {
  let go: (isStored: boolean) => void = () => {};
  const gone = new Promise<boolean>((resolve) => {
    go = resolve;
  });
  const { claimAndSettle } = tasks.store;
  vi.spyOn(tasks.store, 'claimAndSettle').mockImplementationOnce(async (...args) =>
    (await gone) ? claimAndSettle(...args) : { outcome: 'superseded' },
  );
  return go;
}

describe('a read that was handed to a worker', () => {
  it('is answered before its end is stored, told once, and its record is as any other’s', async () => {
    await consume(async () => statResult);
    const release = holdEnd();
    const { id, state, resultJson } = await tasks.gate.acceptAndWait(statRequest, never);
    expect(state).toBe('completed');
    expect(JSON.parse(resultJson ?? '')).toEqual(statResult);
    expect(await tasks.store.read(id)).toMatchObject({ state: 'pending', fence: 0 });
    release(true);
    await eventually(async () =>
      expect(await tasks.store.read(id)).toMatchObject({ state: 'completed', fence: 1, result: statResult }),
    );
    await listener.ping(); // what was published has been heard
    expect(said).toEqual([`${id} completed ${resultJson}`]);
  });

  it('is told with its end where nobody heard it before', async () => {
    await consume(async () => statResult);
    vi.spyOn(tasks.store, 'tellResult').mockRejectedValueOnce(new Error('the connection was lost'));
    const unheard = await tasks.gate.acceptAndWait(statRequest, never);
    vi.spyOn(tasks.store, 'tellResult').mockResolvedValueOnce(0);
    const lost = await tasks.gate.acceptAndWait(statRequest, never);
    expect([unheard.state, lost.state]).toEqual(['completed', 'completed']);
    expect(said).toHaveLength(2);
  });

  it('is read again where its worker is lost after it was answered, and ends once', async () => {
    const attempts: number[] = [];
    await consume(async ({ task }) => attempts.push(task.attempt) && statResult);
    const lose = holdEnd(); // the worker is gone: what it would write does not come
    const { id, state } = await tasks.gate.acceptAndWait(statRequest, never);
    expect(state).toBe('completed');
    const ticket = { id, fence: 0, via: 'sweep' as const };
    await tasks.queues.add(queue, ticket).done; // as the sweeper does with one that nobody has
    await eventually(async () =>
      expect(await tasks.store.read(id)).toMatchObject({ state: 'completed', attempt: 1, fence: 1 }),
    );
    expect(attempts).toEqual([1, 1]);
    lose(false);
  });
});

describe('nobody is told before the end is stored', () => {
  const result = { text: 'x'.repeat(5_000) };
  it.each<[string, AcceptRequest, unknown]>([
    ['of a change', change, { jobId: '1' }],
    [
      'of a read that a repeat of its key may join',
      { ...statRequest, idempotencyKey: 'k', fingerprint: 'f' },
      undefined,
    ],
    ['of a read whose end is told to somebody else too', { ...statRequest, webhook: '{}' }, undefined],
    ['of a read that failed', statRequest, null],
    ['of a result that no message carries', text, result],
  ])('%s', async (_what, request, answer = statResult) => {
    const tell = vi.spyOn(tasks.store, 'tellResult');
    await consume(async ({ claimed }) => {
      await claimed;
      return answer;
    });
    const { id, state } = await tasks.gate.acceptAndWait(request, never);
    expect(state).toBe(answer === null ? 'failed' : 'completed');
    expect(await tasks.store.read(id)).toMatchObject({ state });
    expect(tell).not.toHaveBeenCalled();
  });

  it.each<[string, Partial<TaskStoreSettings>, boolean]>([
    ['where it would keep the next one of its client out for a moment', { openPerUserMax: 31 }, true],
    ['where its queue has little room left', { openPerQueueMax: 31 }, true],
    ['where its system has little room left', { openPerSystemMax: 31 }, true],
    ['where the worker took the entry itself: there may be more to do', {}, false],
  ])('%s', async (_where, over, handsOver) => {
    await close();
    await open(over, { handsOver });
    const tell = vi.spyOn(tasks.store, 'tellResult');
    await tasks.consume(tasks.runner(async () => statResult));
    if (handsOver) await eventually(() => expect(tasks.handOver.hasTaker(queue)).toBe(true));
    const { id, state } = await tasks.gate.acceptAndWait(statRequest, never);
    expect(await tasks.store.read(id)).toMatchObject({ state });
    expect(tell).not.toHaveBeenCalled();
  });

  it.each([
    ['of one whose client has its bytes', 'filesystem.download', { sizeBytes: 1, sentBytes: 1 }, 0],
    ['but of another that comes the same way', 'filesystem.stat', statResult, 1],
  ])('%s', async (_what, operation, result, times) => {
    const tell = vi.spyOn(tasks.store, 'tellResult');
    const task = tasks.newTask({ operation, isHeld: true, isIndexed: false, replyTo: 'api' });
    await tasks.store.accept(task);
    const record = (await tasks.store.peek(task.id)) ?? undefined;
    const lock = { key: `${tasks.keyPrefix}:entry:lock`, token: 'mine' };
    await tasks.redis.set(lock.key, lock.token);
    const taking = { send: async () => {}, isOurs: Promise.resolve(true), lock, isHanded: true } as const;
    const early = { taking, ...(record && { record }) };
    await tasks.runner(async () => result).run({ id: task.id, fence: 0 }, 'e', early);
    expect(await tasks.store.read(task.id)).toMatchObject({ state: 'completed' });
    expect(tell).toHaveBeenCalledTimes(times);
  });
});
