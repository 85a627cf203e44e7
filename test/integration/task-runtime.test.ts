import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { operations } from '../../shared/operations/registry.ts';
import { cancelChannel } from '../../shared/platform/task-store.ts';
import { viewTask } from '../../shared/tasks/task.ts';
import { alice, bob, by, openTasks, queue, statRequest, statResult, type TaskFixture } from './task-fixture.ts';

const request = statRequest;
const cancelJob = { ...request, operation: 'compute.cancel-job' as const, input: { jobId: '1' } };
const never = new AbortController().signal;
setMaxListeners(0, never); // one signal for all requests here; each real one has its own

describe('from accept to outcome', () => {
  let tasks: TaskFixture;
  beforeEach(async () => {
    tasks = await openTasks(inject('lab').redis.url, { admittedPerUserMax: 4 });
  });
  afterEach(() => tasks.close());

  it('brings every one of many requests of two users its own answer', async () => {
    const runner = tasks.runner(async (_operation, { input }) => ({
      ...statResult,
      size: Number((input as { path: string }).path.slice(1)),
    }));
    await tasks.consume(runner);
    const outcomes = await Promise.all(
      Array.from({ length: 200 }, (_, n) =>
        tasks.gate.acceptAndWait(
          { ...request, principal: n % 2 ? alice : bob, input: { path: `/${n}`, dereference: false } },
          never,
        ),
      ),
    );
    const sizes = outcomes.map(({ state, resultJson }) => [state, JSON.parse(resultJson ?? 'null')?.size]);
    expect(sizes).toEqual(Array.from({ length: 200 }, (_, n) => ['completed', n]));
  });

  it('runs each mutation once although every one has two entries', async () => {
    const runs = new Map<string, number>();
    const runner = tasks.runner(async (_operation, { task, claimed }) => {
      await claimed;
      runs.set(task.id, (runs.get(task.id) ?? 0) + 1);
      await sleep(2);
      return { jobId: '1' };
    });
    const held = Array.from({ length: 4 }, () => tasks.gate.acceptAndWait(cancelJob, never));
    const batch = 'batch@lab';
    while ((await tasks.store.listOpen(batch, Date.now() + 1, 0, 100)).length < 4) await sleep(5);
    for (const id of await tasks.store.listOpen(batch, Date.now() + 1, 0, 100)) {
      await tasks.queues.add(batch, { id, fence: 0, via: 'sweep' }).done;
    }
    await tasks.consume(runner);
    const outcomes = await Promise.all(held);
    expect(new Set(outcomes.map(({ state }) => state))).toEqual(new Set(['completed']));
    expect([...runs.values()]).toEqual([1, 1, 1, 1]);
  });

  it('lets one of two workers that began a submission go past its intent', async () => {
    let effects = 0;
    const runner = tasks.runner(async (_operation, { journal }) => {
      await journal.write({ phase: 'intended' });
      effects += 1;
      return { jobId: '1' };
    });
    const input = JSON.stringify({ job: { workingDirectory: '/home/gcalice', script: '#!/bin/sh\n' } });
    const task = tasks.newTask({ queue: 'batch@lab', operation: 'compute.submit-job', input });
    await tasks.store.accept(task);
    await Promise.all(['one', 'two'].map((entry) => runner.run({ id: task.id, fence: 0 }, entry)));
    expect(await tasks.store.read(task.id)).toMatchObject({ state: 'completed', attempt: 1, fence: 1 });
    expect(effects).toBe(1);
  });

  it('lets a promoted task run although an old entry of its name is still at work', async () => {
    const slow = tasks.newTask({
      owner: 'bob',
      queue: 'batch@lab',
      operation: 'compute.cancel-job',
      input: '{"jobId":"slow"}',
    });
    await tasks.store.accept(slow);
    let finishSlow: () => void = () => {};
    const runner = tasks.runner(async (_operation, { input }) => {
      if ((input as { jobId: string }).jobId === 'slow') {
        await new Promise<void>((resolve) => {
          finishSlow = resolve;
        });
      }
      return { jobId: '1' };
    });
    // Four fill the user's places; the fifth must wait, and its ticket stands first in an entry that lasts.
    const places = [1, 2, 3, 4].map(() =>
      tasks.newTask({ queue: 'batch@lab', operation: 'compute.cancel-job', input: '{"jobId":"1"}' }),
    );
    for (const place of places) await tasks.store.accept(place);
    const fifth = tasks.newTask({ queue: 'batch@lab', operation: 'compute.cancel-job', input: '{"jobId":"5"}' });
    expect(await tasks.store.accept(fifth)).toMatchObject({ isAdmitted: false });
    const shared = tasks.queues.add('batch@lab', { id: fifth.id, fence: 0 });
    tasks.queues.add('batch@lab', { id: slow.id, fence: 0 });
    await shared.done;
    await tasks.consume(runner);
    while ((await tasks.store.read(slow.id))?.state !== 'active') await sleep(5);
    for (const place of places) await tasks.queues.add('batch@lab', { id: place.id, fence: 0 }).done;
    while ((await tasks.store.read(fifth.id))?.state !== 'completed') await sleep(5);
    expect((await tasks.store.read(slow.id))?.state).toBe('active');
    finishSlow();
  });

  it('leaves a submission whose intent is written down to the worker when it is canceled', async () => {
    const { id } = await tasks.gate.accept({ ...cancelJob, isHeld: false });
    await tasks.store.claim({ id, fence: 0 }, by('e', 'w'));
    await tasks.store.writeJournal(id, 1, { phase: 'intended' });
    await tasks.store.release(id, 1, { isHandBack: false, handBacks: 0 });
    expect(await tasks.gate.cancel(id, alice)).toMatchObject({ state: 'pending', isCancelRequested: true });
  });

  it('cancels a task whenever the wish comes: before the claim, with it, or after it', async () => {
    const channel = cancelChannel(tasks.keyPrefix);
    while (Number((await tasks.redis.pubsub('NUMSUB', channel))[1]) === 0) await sleep(1);
    const runner = tasks.runner(async (_operation, { signal, claimed }) => {
      await claimed;
      if (!signal.aborted) await sleep(10_000, null, { signal }).catch(() => undefined);
      signal.throwIfAborted();
      return { jobId: '1' };
    });
    for (const afterMs of [0, 1, 2, 3, 5, 10, 20]) {
      const { id } = await tasks.gate.accept({ ...cancelJob, isHeld: false });
      const running = runner.run({ id, fence: 0 }, 'entry');
      await sleep(afterMs);
      await tasks.store.requestCancel(id);
      await running;
      expect(await tasks.gate.get(id, alice), `canceled after ${afterMs} ms`).toMatchObject({ state: 'canceled' });
    }
  });

  it('gives the tickets it has not begun back when the worker stops', async () => {
    const { id } = await tasks.gate.accept({ ...cancelJob, isHeld: false });
    while (!(await tasks.queues.has('batch@lab', `${id}.0`))) await sleep(1);
    let begun = 0;
    const stopping = tasks.runner(async () => {
      begun += 1;
      return { jobId: '1' };
    });
    tasks.cancellations.stop(new BrokerError('ShuttingDown', 'The worker is shutting down.'));
    await stopping.run({ id, fence: 0 }, `${id}.0`);
    expect(begun).toBe(0);
    expect(await tasks.queues.has('batch@lab', `${id}.0.h`)).toBe(true);
    expect(await tasks.gate.get(id, alice)).toMatchObject({ state: 'pending', attempt: 0 });
  });

  it('never runs an operation of unknown effect twice because its worker was stopped', async () => {
    const { id } = await tasks.gate.accept({
      ...request,
      operation: 'compute.attach',
      input: { jobId: '1', command: 'true' },
      isHeld: false,
    });
    let runs = 0;
    const runner = tasks.runner(async () => {
      runs += 1;
      throw new BrokerError('ShuttingDown', 'The worker is shutting down.');
    });
    await tasks.consume(runner);
    expect(await tasks.gate.wait(id, alice, 10_000, never)).toMatchObject({
      state: 'failed',
      error: { code: 'OutcomeUnknown' },
    });
    expect(runs).toBe(1);
  });

  it('keeps a submission in doubt when the broker itself fails while a job may exist', async () => {
    const { id } = await tasks.gate.accept({
      ...request,
      operation: 'compute.submit-job',
      input: { job: { workingDirectory: '/tmp', script: '#!/bin/sh\n' } },
      isHeld: false,
    });
    await tasks.store.claim({ id, fence: 0 }, by('e', 'w'));
    await tasks.store.writeJournal(id, 1, { phase: 'intended' });
    await tasks.store.release(id, 1, { isHandBack: false, handBacks: 0 });
    const runner = tasks.runner(async () => {
      throw new BrokerError('StoreUnavailable');
    });
    await runner.run({ id, fence: 1 }, `${id}.1`);
    expect(await tasks.gate.get(id, alice)).toMatchObject({ state: 'pending', attempt: 2 });
  });

  it('stores what a handler failed with, word for word', async () => {
    const runner = tasks.runner(async () => {
      throw new BrokerError('FileNotFound', "stat: cannot statx '/x': No such file or directory");
    });
    await tasks.consume(runner);
    const outcome = await tasks.gate.acceptAndWait(request, never);
    expect(outcome).toMatchObject({
      state: 'failed',
      error: { code: 'FileNotFound', message: "stat: cannot statx '/x': No such file or directory", fault: 'caller' },
    });
  });

  it('says nothing of an unknown failure but that there was one', async () => {
    const runner = tasks.runner(async () => {
      throw new Error('password=hunter2');
    });
    await tasks.consume(runner);
    const { id, error } = await tasks.gate.acceptAndWait(request, never);
    expect(error).toMatchObject({ code: 'Internal', message: 'An internal error occurred.' });
    expect(JSON.stringify(await tasks.redis.hgetall(`${tasks.keyPrefix}:task:${id}`))).not.toContain('hunter2');
  });

  it('refuses a result that does not fit the operation', async () => {
    await tasks.consume(tasks.runner(async () => ({ mode: 'rw' })));
    expect(await tasks.gate.acceptAndWait(request, never)).toMatchObject({
      state: 'failed',
      error: { code: 'Internal' },
    });
  });

  const listing = {
    ...{ ...request, operation: 'filesystem.ls' as const },
    input: { path: '/x', showHidden: false, numericUid: false, recursive: false, dereference: false },
  };
  const entriesOf = (count: number) =>
    Array.from({ length: count }, (_, n) => ({
      ...{ name: `a-long-name-of-a-file-${n}`, type: '-', linkTarget: null, user: 'u', group: 'g' },
      ...{ permissions: 'rw-r--r--', lastModified: '2026-01-01T00:00:00', size: '1' },
    }));

  it('hands a large result to the request that is held for it, and keeps none of it in Redis', async () => {
    const entries = entriesOf(3_000);
    await tasks.consume(tasks.runner(async () => ({ entries })));
    const { id, state, resultJson, bodyUrl } = await tasks.gate.acceptAndWait(listing, never);
    expect([state, resultJson]).toEqual(['completed', undefined]);
    // As FirecREST answers it, so that the API need not make it anew.
    expect(await (await fetch(bodyUrl ?? '')).json()).toEqual({ output: entries });
    const record = await tasks.redis.hgetall(`${tasks.keyPrefix}:task:${id}`);
    expect(JSON.stringify(record).length).toBeLessThan(2_000);
    // An address that was used answers no more.
    expect((await fetch(record.resultUrl ?? '')).status).toBe(404);
  });

  it('hands the headers of a large result over with it', async () => {
    const page = { jobs: [], nextCursor: '17.4', omittedJobs: 0, isComplete: true };
    const name = 'x'.repeat(1_000);
    const time = { submit: 1, elapsed: null, start: null, end: null, suspended: null, limit: null };
    const job = {
      ...{ jobId: '1', name, status: { state: 'PENDING', stateReason: null, exitCode: null, interruptSignal: null } },
      ...{ tasks: null, time, account: null, allocationNodes: 0, cpus: null, gpus: null, cluster: '', group: null },
      ...{ nodes: '', partition: '', killRequestUser: null, user: null, workingDirectory: '', priority: null },
    };
    const jobs = Array.from({ length: 200 }, () => job);
    await tasks.consume(tasks.runner(async () => ({ ...page, jobs })));
    const input = operations['compute.list-jobs'].input.parse({});
    const { bodyUrl } = await tasks.gate.acceptAndWait({ ...request, operation: 'compute.list-jobs', input }, never);
    const answer = await fetch(bodyUrl ?? '');
    expect([answer.headers.get('result-next-cursor'), await answer.json()]).toEqual(['17.4', { jobs }]);
  });

  it('refuses a result past its bound, and says what the bound is', async () => {
    await tasks.consume(tasks.runner(async () => ({ entries: entriesOf(9_000) })));
    expect(await tasks.gate.acceptAndWait(listing, never)).toMatchObject({
      state: 'failed',
      error: { code: 'OutputTooLarge', message: expect.stringContaining('the bound is 1000000') },
    });
    const { id } = await tasks.gate.accept({ ...listing, isHeld: false });
    expect(await tasks.gate.wait(id, alice, 10_000, never)).toMatchObject({
      error: { code: 'OutputTooLarge', message: expect.stringContaining('the bound is 1000000') },
    });
  });

  it('keeps a large result that nobody waits for at the worker for a time, where the task says, and none of it in Redis', async () => {
    const entries = entriesOf(3_000);
    await tasks.consume(tasks.runner(async () => ({ entries })));
    const { id } = await tasks.gate.accept({ ...listing, isHeld: false });
    const task = await tasks.gate.wait(id, alice, 10_000, never);
    const sizeBytes = JSON.stringify({ entries }).length;
    expect(task).toMatchObject({ state: 'completed', result: null, largeResult: { sizeBytes } });
    const shown = JSON.stringify(viewTask(task));
    expect(shown).not.toContain('127.0.0.1'); // the address is the API's alone
    const until = new Date(task.largeResult?.until ?? 0).toISOString();
    expect(JSON.parse(shown).largeResult).toEqual({ sizeBytes, until });
    const read = () => fetch(task.largeResult?.url ?? '');
    for (let n = 0; n < 2; n += 1) expect(await (await read()).json()).toEqual({ entries });
    const record = await tasks.redis.hgetall(`${tasks.keyPrefix}:task:${id}`);
    expect(JSON.stringify(record).length).toBeLessThan(2_000);
    // A chain hands results on, and the repeat of a mutation finds one again: both from the record.
    const { operation, system, input } = listing;
    const steps = ['one', 'two'].map((name) => ({ name, operation, system, input }));
    const chain = await tasks.gate.accept({ ...listing, isHeld: false, chain: { at: 0, steps } });
    expect(await tasks.gate.wait(chain.id, alice, 10_000, never)).toMatchObject({
      error: { code: 'OutputTooLarge', message: expect.stringContaining('the bound is 100000') },
    });
  });

  it('tries again what passes by itself, and shows each attempt', async () => {
    const runner = tasks.runner(async (_operation, { task }) => {
      if (task.attempt < 3) throw new BrokerError('SshUnavailable');
      return { jobId: '1' };
    });
    await tasks.consume(runner);
    const outcome = await tasks.gate.acceptAndWait(cancelJob, never);
    expect(outcome.state).toBe('completed');
    const { timeline } = await tasks.gate.get(outcome.id, alice);
    expect(timeline.map(({ state, attempt }) => `${state} ${attempt}`)).toEqual([
      'pending 0',
      'active 1',
      'pending 1',
      'active 2',
      'pending 2',
      'active 3',
      'completed 3',
    ]);
  });

  it('cancels a read whose client went away, and frees its place', async () => {
    const aborted = new Promise<unknown>((resolve) => {
      const runner = tasks.runner(
        (_operation, { signal }) =>
          new Promise((_, reject) => {
            signal.addEventListener('abort', () => {
              resolve(signal.reason);
              reject(signal.reason);
            });
          }),
      );
      void tasks.consume(runner);
    });
    const client = new AbortController();
    const held = tasks.gate.acceptAndWait(request, client.signal);
    while ((await tasks.store.listOpen(queue, Date.now() + 1, 0, 1)).length === 0) await sleep(5);
    const [id = ''] = await tasks.store.listOpen(queue, Date.now() + 1, 0, 1);
    while ((await tasks.store.read(id))?.state !== 'active') await sleep(5);
    client.abort();
    expect(await aborted).toMatchObject({ code: 'TaskCanceled' });
    await held;
    while ((await tasks.store.listOpen(queue, Date.now() + 1, 0, 1)).length > 0) await sleep(5);
    expect((await tasks.store.read(id))?.state).toBe('canceled');
  });

  it('lets a mutation go on when its client goes away', async () => {
    let finish: (result: unknown) => void = () => {};
    const started = new Promise<void>((resolve) => {
      const runner = tasks.runner(async (_operation, { claimed }) => {
        await claimed;
        resolve();
        return new Promise((done) => {
          finish = done;
        });
      });
      void tasks.consume(runner);
    });
    const client = new AbortController();
    const held = tasks.gate.acceptAndWait(cancelJob, client.signal);
    await started;
    client.abort();
    const { id, state } = await held;
    expect(state).toBe('active');
    finish({ jobId: '1' });
    expect(await tasks.gate.wait(id, alice, 10_000, never)).toMatchObject({ state: 'completed' });
  });

  it('cancels a waiting task at once', async () => {
    const { id } = await tasks.gate.accept({ ...request, isHeld: false });
    const canceled = await tasks.gate.cancel(id, alice);
    expect(canceled).toMatchObject({ state: 'canceled', error: { code: 'TaskCanceled' } });
    expect(await tasks.gate.cancel(id, alice)).toMatchObject({ state: 'canceled' });
  });

  it('hides a task from everybody but its owner', async () => {
    const { id } = await tasks.gate.accept({ ...request, isHeld: false });
    for (const look of [tasks.gate.get(id, bob), tasks.gate.cancel(id, bob), tasks.gate.wait(id, bob, 10, never)]) {
      await expect(look).rejects.toMatchObject({ code: 'TaskNotFound' });
    }
    await expect(tasks.gate.get('not-an-id', alice)).rejects.toMatchObject({ code: 'TaskNotFound' });
  });

  it('says of an ended task that is no longer kept that it was there', async () => {
    const { id } = await tasks.gate.accept({ ...request, isHeld: false });
    await tasks.redis.del(`${tasks.keyPrefix}:task:${id}`);
    await expect(tasks.gate.get(id, alice)).rejects.toMatchObject({ code: 'TaskExpired' });
  });

  it('gives the same key the same task while it runs and after it has ended', async () => {
    await tasks.consume(tasks.runner(async () => statResult));
    const keyed = { ...request, idempotencyKey: 'k', fingerprint: 'f' };
    const outcomes = await Promise.all([1, 2, 3].map(() => tasks.gate.acceptAndWait(keyed, never)));
    outcomes.push(await tasks.gate.acceptAndWait(keyed, never));
    expect(new Set(outcomes.map(({ id }) => id)).size).toBe(1);
    expect(outcomes.map(({ state }) => state)).toEqual(Array.from({ length: 4 }, () => 'completed'));
    expect(outcomes.filter(({ isReplay }) => !isReplay)).toHaveLength(1);
  });
});
