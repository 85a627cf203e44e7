import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { readMemory } from '../../api/tasks/store-room.ts';
import { type Lab, startLab } from '../../lab/lab.ts';
import { alice, openTasks, type TaskFixture } from './task-fixture.ts';

describe('a Redis that is nearly full', () => {
  let lab: Lab;
  let tasks: TaskFixture;
  beforeAll(async () => {
    lab = await startLab({ parts: ['redis'] }); // of its own: the others go on with theirs
    tasks = await openTasks(lab.redis.url);
  });
  afterAll(async () => {
    await tasks.close();
    await lab.stop();
  });

  const accept = () =>
    tasks.gate.accept({
      operation: 'filesystem.stat',
      system: 'lab',
      principal: alice,
      input: { path: '/', dereference: false },
      isHeld: false,
      holdMs: 1_000,
      requestId: 'r',
    });

  it('takes no task, says why, keeps what it has, and takes tasks again when there is room', async () => {
    const { id } = await accept();
    await tasks.redis.setrange(`${tasks.keyPrefix}:ballast`, 50_000_000, 'x');
    const { usedBytes } = readMemory(await tasks.redis.info('memory'));
    await tasks.redis.config('SET', 'maxmemory', String(Math.round(usedBytes * 1.1)));
    await vi.waitFor(
      () => expect(accept()).rejects.toMatchObject({ code: 'StoreFull', retryAfterSeconds: 10 }),
      10_000,
    );
    expect(await tasks.gate.cancel(id, alice)).toMatchObject({ state: 'canceled' });
    await tasks.redis.config('SET', 'maxmemory', String(usedBytes * 10));
    await vi.waitFor(accept, 10_000);
  });

  it('keeps a part of the memory of the machine where Redis has no limit of its own', () => {
    expect(readMemory('used_memory:5\r\ntotal_system_memory:1000\r\nmaxmemory:0\r\n').acceptBytesMax).toBe(750);
    expect(readMemory('used_memory:5\r\ntotal_system_memory:1000\r\nmaxmemory:200\r\n').acceptBytesMax).toBe(170);
  });
});
