/** The health of systems in Redis: one worker probes a system, and only that one writes. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import type { SystemHealth } from '../../shared/health/system-health.ts';
import { createHealthStore, type HealthStore } from '../../shared/platform/health-store.ts';
import { connectRedis, type Redis } from '../../shared/platform/redis.ts';
import { silent } from './task-fixture.ts';

let redis: Redis;
beforeAll(() => {
  redis = connectRedis(inject('lab').redis.url, 'persist', silent);
});
afterAll(() => redis.quit());

const probe = { at: Date.now(), isHealthy: false, latencyMs: 7, message: 'gone' };
const health: SystemHealth = {
  services: [
    { service: 'ssh', path: null, isHealthy: false, since: 1, checkedAt: probe.at, latencyMs: 7, message: 'gone' },
  ],
  exception: null,
};
const entry = { serviceKey: 'ssh', probe };

function newStore(): { store: HealthStore; prefix: string } {
  const prefix = `test-${randomUUID()}`;
  return { store: createHealthStore(redis, prefix), prefix };
}

describe('the lease of a system', () => {
  it('is one worker’s, for as long as it renews it, system by system', async () => {
    const { store, prefix } = newStore();
    expect(await store.lead(['one', 'two'], 'first')).toEqual(['one', 'two']);
    expect(await store.lead(['one', 'two', 'three'], 'second')).toEqual(['three']);
    expect(await store.lead(['one', 'two', 'three'], 'first')).toEqual(['one', 'two']);
    const left = await redis.pttl(`${prefix}:health:lease:one`);
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThanOrEqual(5_000);
  });

  it('goes to another worker when its holder is silent, and at once when it is given back', async () => {
    const { store } = newStore();
    await store.lead(['one', 'two'], 'first');
    await store.release(['one', 'two'], 'second'); // not its own
    expect(await store.lead(['one'], 'second')).toEqual([]);
    await store.release(['one'], 'first');
    expect(await store.lead(['one', 'two'], 'second')).toEqual(['one']);
    await vi.waitFor(async () => expect(await store.lead(['two'], 'second')).toEqual(['two']), { timeout: 30_000 });
  });
});

describe('the record of a system', () => {
  it('is read by everybody, with whether somebody probes', async () => {
    const { store } = newStore();
    await store.lead(['one'], 'first');
    expect(await store.write('one', 'first', health, 60_000, entry)).toBe(true);
    const readings = await store.read(['one', 'two']);
    expect(readings.get('one')).toEqual({ health, isProbed: true });
    expect(readings.get('two')).toEqual({ health: null, isProbed: false });
    await store.release(['one'], 'first');
    expect((await store.read(['one'])).get('one')).toEqual({ health, isProbed: false });
    expect(await store.read([])).toEqual(new Map());
  });

  it('is not written by a worker whose lease is gone or another’s: one that was thought dead changes nothing', async () => {
    const { store } = newStore();
    expect(await store.write('one', 'first', health, 60_000, entry)).toBe(false);
    await store.lead(['one'], 'second');
    expect(await store.write('one', 'first', health, 60_000, entry)).toBe(false);
    expect((await store.read(['one'])).get('one')?.health).toBeNull();
    expect(await store.history('one', 'ssh', 10)).toEqual([]);
  });

  it('of a version that cannot be read is not known', async () => {
    const { store, prefix } = newStore();
    await redis.set(`${prefix}:health:record:one`, '{"services":"new"}');
    expect((await store.read(['one'])).get('one')?.health).toBeNull();
  });

  it('and every other key goes away by itself', async () => {
    const { store, prefix } = newStore();
    await store.lead(['one'], 'first');
    await store.write('one', 'first', health, 60_000, entry);
    const keys = await redis.keys(`${prefix}:*`);
    expect(keys.length).toBe(3);
    for (const key of keys) expect(await redis.pttl(key), key).toBeGreaterThan(0);
  });
});

describe('the history of a service', () => {
  it('is newest first, no longer than its bound, and holds no probe older than a day', async () => {
    const { store, prefix } = newStore();
    await store.lead(['one'], 'first');
    const day = 24 * 3_600_000;
    for (const at of [probe.at - day - 60_000, probe.at - 2, probe.at - 1, probe.at]) {
      await store.lead(['one'], 'first');
      await store.write('one', 'first', health, 60_000, { serviceKey: 'ssh', probe: { ...probe, at } });
    }
    await store.write('one', 'first', health, 60_000, null);
    const ages = async (countMax: number) =>
      (await store.history('one', 'ssh', countMax)).map(({ at }) => probe.at - at);
    expect(await ages(10)).toEqual([0, 1, 2]);
    expect(await ages(2)).toEqual([0, 1]);
    expect(await store.history('one', 'scheduler', 10)).toEqual([]);
    const list = `${prefix}:health:history:one:ssh`;
    await redis.lpush(list, ...Array.from({ length: 2_000 }, () => JSON.stringify(probe)));
    await store.write('one', 'first', health, 60_000, entry);
    expect(await redis.llen(list)).toBe(1_500);
  });
});
