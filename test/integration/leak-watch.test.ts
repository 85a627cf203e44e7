/** The watch that stands over every broker of a test: a secret that is planted in any of its places is found there. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, inject, it, vi } from 'vitest';
import { labFolderVariable } from '../../lab/lab-folder.ts';
import { connectRedis, type Redis } from '../../shared/platform/redis.ts';
import { Secret } from '../../shared/platform/secret.ts';
import { newPrivateKeyText } from '../../shared/ssh/openssh-key.ts';
import { eventually } from '../eventually.ts';
import { secretsOfConfig } from '../leaks/known-secrets.ts';
import { type LeakWatch, type Place, watchForLeaks } from '../leaks/leak-watch.ts';
import { silent } from './task-fixture.ts';

const secret = `canary-${randomBytes(12).toString('hex')}`;
const child: { process?: ChildProcess } = {};

let folder: string;
let redis: Redis;
let keyPrefix: string;
let watch: LeakWatch;

const ground = () => ({ redisUrl: inject('lab').redis.url, keyPrefix, logs: () => [folder] });
const tell = (answer: string, sent = '', authorization: string | null = null) =>
  watch.heard({ authorization, sent, answer });

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gc-leaks-'));
  keyPrefix = `leaks-${randomBytes(6).toString('hex')}`;
  redis = connectRedis(inject('lab').redis.url, 'persist', silent);
  watch = watchForLeaks(ground(), secretsOfConfig({ webhooks: { key: new Secret(secret) } }));
  writeFileSync(join(folder, 'a.log'), '{"level":30}\n');
  tell('{"state":"completed"}');
});
afterEach(async () => {
  child.process?.kill('SIGKILL');
  const keys = await redis.keys(`${keyPrefix}*`);
  if (keys.length > 0) await redis.del(...keys);
  redis.disconnect();
  rmSync(folder, { recursive: true });
  await watch.finish().catch(() => undefined);
});

/** A program of the lab with the word on its command line. */
function run(word: string, env: Record<string, string>): void {
  child.process = spawn('sh', ['-c', 'sleep 60; :', word], { env: { ...process.env, ...env }, stdio: 'ignore' });
}

describe('the watch for leaks', () => {
  it('finds nothing where there is nothing', async () => {
    await redis.hset(`${keyPrefix}:task:1`, { state: 'completed' });
    expect(await watch.search()).toEqual([]);
    await expect(watch.finish()).resolves.toBeUndefined();
  });

  it.each<[Place, string, () => Promise<unknown> | unknown]>([
    ['Redis', 'a text', () => redis.set(`${keyPrefix}:a`, `x${secret}y`)],
    ['Redis', 'a field', () => redis.hset(`${keyPrefix}:a`, { value: JSON.stringify({ key: secret }) })],
    ['Redis', 'the name of a field', () => redis.hset(`${keyPrefix}:a`, { [secret]: '1' })],
    ['Redis', 'a list', () => redis.rpush(`${keyPrefix}:a`, 'x', secret)],
    ['Redis', 'a set', () => redis.sadd(`${keyPrefix}:a`, 'x', secret)],
    ['Redis', 'a sorted set', () => redis.zadd(`${keyPrefix}:a`, 1, secret)],
    ['Redis', 'a stream', () => redis.xadd(`${keyPrefix}:a`, '*', 'name', secret)],
    ['Redis', 'the name of a key', () => redis.set(`${keyPrefix}:${secret}`, '1')],
    ['the logs', 'a log', () => appendFileSync(join(folder, 'a.log'), `{"msg":"${secret}"}\n`)],
    ['the logs', 'an audit file', () => writeFileSync(join(folder, 'audit.jsonl'), secret)],
    ['answers', 'an answer', () => tell(`{"message":"${secret}"}`)],
    ['command lines', 'a command line', () => run(secret, { [labFolderVariable]: folder })],
  ])('in %s: %s', async (place, _title, plant) => {
    await plant();
    const found = await vi.waitFor(
      async () => {
        const leaks = await watch.search();
        expect(leaks).not.toEqual([]);
        return leaks;
      },
      { timeout: 30_000, interval: 50 },
    );
    for (const leak of found) {
      expect(leak).toContain(`config.webhooks.key: in ${place}`);
      expect(leak).not.toContain(secret);
    }
    await expect(watch.finish()).rejects.toThrow('config.webhooks.key');
  });

  it('passes over what a test runs as a client, and what other brokers keep', async () => {
    run(secret, {});
    await redis.set(`other-${keyPrefix}`, secret);
    await eventually(async () => {
      const lines = await watch.contents('command lines');
      expect(lines.length).toBeGreaterThan(0);
    });
    expect(await watch.search()).toEqual([]);
    await redis.del(`other-${keyPrefix}`);
  });

  it('knows a token that was sent by its signature, and each line of a key', async () => {
    const signature = randomBytes(32).toString('base64url');
    tell('{}', '', `Bearer e30.e30.${signature}`);
    const key = newPrivateKeyText('canary');
    watch.add(secretsOfConfig({ key: new Secret(key) }));
    const lines = key.trim().split('\n');
    appendFileSync(join(folder, 'a.log'), `{"sub":"alice","signature":"${signature}"}\n${lines.at(-2)}\n`);
    expect(await watch.search()).toEqual([
      expect.stringContaining('a token that was sent: in the logs'),
      expect.stringContaining('config.key: in the logs'),
    ]);
  });

  it('lets an answer hand out the secret of a webhook, and nothing else keep it in clear; one that was sent is in no answer', async () => {
    const [made, sent] = [1, 2].map(() => `whsec_${randomBytes(32).toString('base64')}`);
    tell(`{"secret":"${made}"}`);
    expect(await watch.search()).toEqual([]);
    await redis.set(`${keyPrefix}:hook`, String(made));
    tell(`{"webhook":{"secret":"${sent}"}}`, JSON.stringify({ secret: sent }));
    const found = await watch.search();
    expect(found).toEqual([expect.stringContaining('the secret of a webhook: in Redis')]);
  });
});

it('a secret that is too short to be looked for is refused', () => {
  expect(() => secretsOfConfig({ s3: { secretAccessKey: new Secret('short') } })).toThrow(
    'config.s3.secretAccessKey is too short',
  );
});
