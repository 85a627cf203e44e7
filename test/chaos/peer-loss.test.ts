/** Redis and sshd that go away under load and come back: clients are told to wait, nothing accepted is lost, nobody restarts anything. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Lab, startLab } from '../../lab/lab.ts';
import { userNamed } from '../../lab/users.ts';
import {
  type Answer,
  type Broker,
  type Client,
  clientOf,
  locationOf,
  pathQuery,
  startBroker,
  taskEnd,
} from '../system/broker-fixture.ts';
import { homeDirectory, type OwnDirectory } from '../system/home-directory.ts';

let lab: Lab;
let broker: Broker;
let client: Client;
let own: OwnDirectory;
let statPath: string;

beforeAll(async () => {
  lab = await startLab({ parts: ['redis', 'sshd', 'oidc'], handlesSignals: false });
  broker = await startBroker(lab, { workers: 2, scheduler: 'process' });
  client = await clientOf(lab.oidc, broker.url, 'alice');
  own = homeDirectory(userNamed(lab.users, 'alice'));
  writeFileSync(join(own.path, 'file'), 'hello');
  mkdirSync(join(own.path, 'runs'));
  own.giveAway();
  statPath = `/filesystem/lab/ops/stat?${pathQuery(join(own.path, 'file'))}`;
}, 60_000);

afterAll(async () => {
  own?.remove();
  await broker?.stop();
  await lab?.stop();
}, 60_000);

/** Callers that repeat a read until they are told to stop; gives how often each answer came. */
function startReads(callers: number) {
  const counts = new Map<string, number>();
  let isOver = false;
  let onAnswer: (outcome: string) => void = () => {};
  const call = async (): Promise<void> => {
    while (!isOver) {
      const { status, headers, text } = await client.get(statPath);
      const hasAdvice = Number(headers.get('retry-after')) > 0;
      const outcome =
        status === 200 ? '200' : status === 503 && hasAdvice ? '503 with Retry-After' : `${status} ${text}`;
      counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
      onAnswer(outcome);
      // As a polite client: an outage is no reason to hammer the service.
      if (outcome !== '200') await pause(50);
    }
  };
  const running = Promise.all(Array.from({ length: callers }, call));
  return {
    counts,
    /** Resolves when `number` more answers of the kind have come. */
    next: (outcome: string, number: number) =>
      new Promise<void>((resolve) => {
        let left = number;
        onAnswer = (came) => {
          if (came !== outcome) return;
          left -= 1;
          if (left === 0) resolve();
        };
      }),
    async stop() {
      isOver = true;
      await running;
      return Object.fromEntries(counts);
    },
  };
}

const marker = '#!/bin/sh\necho ran >>"runs/$NUMBER"\n';

/** Submits until it is accepted, always with the same key, as a client does that was told to come again. */
async function submitUntilAccepted(number: number): Promise<Answer> {
  const job = { workingDirectory: own.path, script: marker, env: { NUMBER: String(number) } };
  const headers = { 'idempotency-key': `run-${number}`, prefer: 'respond-async' };
  for (;;) {
    const answer = await client.post('/compute/lab/jobs', { job }, { headers });
    if (answer.status !== 503) return answer;
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    await pause(100);
  }
}

describe('Redis under load', () => {
  it.each([
    ['is killed', 0, () => lab.redis.kill()],
    ['is stopped', 1_000, () => lab.redis.stop()],
  ])(
    '%s and started again: 503 with Retry-After meanwhile, then all goes on, each job made once',
    async (_how, first, end) => {
      const jobsMax = 40;
      const reads = startReads(16);
      await reads.next('200', 100);
      const submissions = Promise.all(
        Array.from({ length: jobsMax }, async (_, number) => {
          // Spread over the outage: some before it, some in it, some after it.
          await pause(number * 40);
          return submitUntilAccepted(first + number);
        }),
      );
      await reads.next('200', 50);
      await end();
      await reads.next('503 with Retry-After', 30);
      expect((await client.get('/readyz')).status).toBe(503);
      expect((await client.get('/livez')).status).toBe(200);
      await lab.redis.start();
      await reads.next('200', 300);
      const accepted = await submissions;
      expect(new Set(accepted.map(({ status }) => status))).toEqual(new Set([202]));
      const tasks = await Promise.all(accepted.map((answer) => taskEnd(client, locationOf(answer), 90_000)));
      expect(new Set(tasks.map(({ state }) => state))).toEqual(new Set(['completed']));
      const counts = await reads.stop();
      expect(Object.keys(counts).sort()).toEqual(['200', '503 with Retry-After']);
      for (let number = 0; number < jobsMax; number += 1) {
        const file = join(own.path, 'runs', String(first + number));
        await vi.waitFor(() => expect(existsSync(file), file).toBe(true), { timeout: 30_000 });
        expect(readFileSync(file, 'utf8'), file).toBe('ran\n');
      }
    },
  );
});

describe('sshd under load', () => {
  it('that is restarted, its sessions cut, fails no read', async () => {
    const reads = startReads(16);
    await reads.next('200', 100);
    await lab.sshd.restart();
    await reads.next('200', 300);
    expect(Object.keys(await reads.stop())).toEqual(['200']);
  });

  it('that is away is 424 with what to do, and requests recover by themselves when it is back', async () => {
    await lab.sshd.stop();
    const answer = await client.get(statPath);
    expect(answer.status, answer.text).toBe(424);
    expect(answer.body).toMatchObject({ code: 'SshUnavailable', retryable: true, fault: 'cluster' });
    expect(answer.body.message).toMatch(/Unable to establish SSH connection/);
    const task = await client.post('/tasks', {
      operation: 'filesystem.stat',
      system: 'lab',
      input: { path: own.path },
    });
    await lab.sshd.start();
    expect((await client.get(statPath)).status).toBe(200);
    expect((await taskEnd(client, locationOf(task))).state).toBe('completed');
  });
});
