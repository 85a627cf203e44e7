/** The change of the key that seals secrets of webhooks, as operators do it: nothing is lost, and what is missing is said. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect, inject, it } from 'vitest';
import { runSealing } from '../../cli/sealing.ts';
import { eachEndpoint } from '../../shared/platform/endpoint-secrets.ts';
import { connectRedis, type Redis } from '../../shared/platform/redis.ts';
import { createSealer, type Sealer } from '../../shared/platform/sealing.ts';
import { Secret } from '../../shared/platform/secret.ts';
import { createWebhookStore, type WebhookStore } from '../../shared/platform/webhook-store.ts';
import type { Endpoint } from '../../shared/webhooks/endpoint.ts';
import { small } from '../unit/config-support.ts';
import { silent } from './task-fixture.ts';

const folder = mkdtempSync(join(tmpdir(), 'goldcrest-sealing-'));
afterAll(() => rmSync(folder, { recursive: true }));
const { url } = inject('lab').redis;
const keyOf = (id: string) => ({ id, key: randomBytes(32).toString('base64') });
type Key = ReturnType<typeof keyOf>;
const [old, young] = [keyOf('2025'), keyOf('2026')];

let redis: Redis;
let keyPrefix: string;
let store: WebhookStore;
beforeEach(() => {
  redis = connectRedis(url, 'persist', silent);
  keyPrefix = `sealing-${randomBytes(6).toString('hex')}`;
  store = createWebhookStore(redis, keyPrefix);
});
afterEach(async () => {
  const keys = await redis.keys(`${keyPrefix}:*`);
  if (keys.length > 0) await redis.del(...keys);
  redis.disconnect();
});

function sealerOf(...keys: Key[]): Sealer {
  const sealer = createSealer(keys.map(({ id, key }) => ({ id, key: new Secret(key) })));
  if (sealer === null) throw new Error('no key');
  return sealer;
}

async function run(words: string[], ...keys: Key[]) {
  const configFile = join(folder, 'site.yaml');
  const settings = `    url: ${url}\n    key_prefix: ${keyPrefix}\n  webhooks: {sealing_keys: ${JSON.stringify(keys)}}`;
  writeFileSync(
    configFile,
    small.replace(/secret_file:[^"]*/, `secret_file:${configFile}`).replace(/ {4}url: redis:.*/, settings),
  );
  const lines: string[] = [];
  const print = (line: string) => void lines.push(line);
  const status = await runSealing(words, { env: { GOLDCREST_CONFIG: configFile }, print, complain: print });
  return { status, lines };
}

async function addEndpoint(owner: string, id: string, by: Key): Promise<void> {
  const sealed = (text: string) => sealerOf(by).seal(text, id);
  const endpoint: Endpoint = {
    ...{ id, url: 'https://x.example', description: '', events: ['task.completed'], format: 'standard', scheme: 'v1' },
    keys: [
      { sealed: sealed(`secret of ${id}`), until: null },
      { sealed: sealed('the one before'), until: 1 },
    ],
    ...{ publicKey: null, createdAt: 1 },
  };
  expect(await store.add(owner, endpoint, 10)).toBe(true);
}

it('every secret is sealed anew, and opens when the old key is gone', async () => {
  await addEndpoint('a', 'wh_1', old);
  await addEndpoint('b', 'wh_2', old);
  await addEndpoint('b', 'wh_3', young);
  expect(await run(['status'], old)).toMatchObject({
    status: 1,
    lines: ['2025: 4 secrets; seals', expect.stringMatching(/^2026: 2 secrets; IS NOT/)],
  });
  expect(await run(['status'], young, old)).toEqual({
    status: 0,
    lines: ['2026: 2 secrets; seals', '2025: 4 secrets; opens'],
  });
  expect(await run(['renew'], young, old)).toEqual({
    status: 0,
    lines: ['sealed anew with 2026: the secrets of 2 webhooks; not opened: 0'],
  });
  expect(await run(['status'], young)).toEqual({ status: 0, lines: ['2026: 6 secrets; seals'] });
  for (const [owner, id] of [
    ['a', 'wh_1'],
    ['b', 'wh_2'],
  ] as const) {
    const { endpoint } = (await store.find(owner, id)) ?? {};
    const opened = endpoint?.keys.map(({ sealed, until }) => [sealerOf(young).open(sealed, id), until]);
    expect(opened).toEqual([
      [`secret of ${id}`, null],
      ['the one before', 1],
    ]);
  }
});

it('a secret whose key was taken away too early is left as it is, and said', async () => {
  await addEndpoint('a', 'wh_1', old);
  expect(await run(['renew'], young)).toEqual({
    status: 1,
    lines: ['wh_1: its secret cannot be opened', 'sealed anew with 2026: the secrets of 0 webhooks; not opened: 1'],
  });
  expect(await run(['renew'], young, old)).toMatchObject({ status: 0 });
});

it('what an owner changes meanwhile is not written over', async () => {
  await addEndpoint('a', 'wh_1', old);
  for await (const { endpoint, replace } of eachEndpoint(redis, keyPrefix)) {
    await store.replace('a', { ...endpoint, description: 'changed by its owner' });
    expect(await replace({ ...endpoint, description: 'changed by renew' })).toBe(false);
  }
  expect((await store.find('a', 'wh_1'))?.endpoint.description).toBe('changed by its owner');
});
