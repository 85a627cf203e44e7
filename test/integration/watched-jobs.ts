/** Watching by an adapter: the same for every scheduler, over a real host and a real Redis. */
import { randomUUID } from 'node:crypto';
import pino from 'pino';
import { expect, it, vi } from 'vitest';
import { openAccess } from '../../shared/authorization/access-checker.ts';
import { createCheckConsent } from '../../shared/authorization/check-consent.ts';
import { connectRedis } from '../../shared/platform/redis.ts';
import { createWatchStore } from '../../shared/platform/watch-store.ts';
import { consentOf, type Watch, watchIdOf } from '../../shared/watches/watch.ts';
import { createPathGate } from '../../workers/operations/path-gate.ts';
import { createRealRoots } from '../../workers/operations/real-roots.ts';
import { watchSystem } from '../../workers/watches/watch-system.ts';
import { type Candidate, submitAs } from './scheduler-candidate.ts';
import type { SchedulerLab } from './scheduler-fixture.ts';

const settings = {
  bounds: { perUserMax: 100, totalMax: 100 },
  ...{ intervalMsMin: 500, intervalMsMax: 1_000, commandsPerMinuteMax: 1_000, lostAfterMs: 1_000 },
  ...{ keepMs: 60_000, watchMsMax: 3_600_000 },
};

/** `expected`: the diagnosis of a job that writes `broken` to its errors and fails with 3. */
export function itWatchesJobs(lab: () => SchedulerLab, candidate: () => Candidate, expected: object): void {
  it('watches a job to its end and diagnoses it, and finds out that another one is lost', async () => {
    const { adapter, host } = candidate();
    const { ssh, lab: parts } = lab();
    const redis = connectRedis(parts.redis.url, 'persist', pino({ level: 'silent' }));
    const store = createWatchStore(redis, `test-${randomUUID()}`);
    const stop = new AbortController();
    const { username } = host;
    const add = async (jobId: string): Promise<string> => {
      const [taskId, now] = [randomUUID(), Date.now()];
      const principal = { issuer: 'i', subject: 's', client: null, username };
      const consent = consentOf({
        principal,
        address: null,
        policy: 'builtin',
        taskId,
        now,
        keptMs: settings.watchMsMax,
      });
      const watch = { id: watchIdOf(taskId), owner: 'o', system: 'lab', jobId, webhook: '', standing: null };
      await store.add({ ...watch, createdAt: now - 60_000, consent }, settings.bounds);
      return watch.id;
    };
    const isOver = async (id: string, phase: Watch['phase']): Promise<Watch> =>
      vi.waitFor(
        async () => {
          const [watch] = await store.read([id]);
          expect(watch?.phase).toBe(phase);
          return watch as Watch;
        },
        { timeout: 40_000, interval: 100 },
      );
    const lost = await add('4294967');
    const watching = watchSystem({
      ...{ system: 'lab', scheduler: adapter, hostOf: () => host, findAccount: async () => null },
      gateOf() {
        const files = ssh.files('lab', username);
        const realRoots = createRealRoots()(username, files);
        return createPathGate({
          ...{ systemName: 'lab', roots: ['/home'], realRoots, files },
          stats: ssh.stats('lab', username),
        });
      },
      checkConsent: createCheckConsent(openAccess),
      ...{ store, settings, signal: stop.signal, log: pino({ level: 'silent' }) },
    });
    try {
      const jobId = await submitAs(candidate(), '#!/bin/sh\nsleep 1\necho broken >&2\nexit 3\n');
      const id = await add(jobId);
      const { diagnosis } = await isOver(id, 'diagnosed');
      expect(diagnosis).toMatchObject({
        jobId,
        state: 'FAILED',
        exitCode: 3,
        signal: null,
        isFinal: true,
        ...expected,
      });
      const { looks } = await isOver(lost, 'lost');
      expect(looks.length).toBeGreaterThan(1);
      expect(looks.every(({ isProof }) => isProof)).toBe(true);
    } finally {
      stop.abort();
      await watching;
      await redis.quit();
    }
  });
}
