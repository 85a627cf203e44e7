/** The part of the conformance suite in which jobs are held, released, changed and estimated. */
import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { jobEstimate } from '../../shared/operations/compute/estimate-job.ts';
import type { JobDescription } from '../../shared/operations/compute/job.ts';
import type { JobChanges } from '../../workers/schedulers/scheduler.ts';
import {
  type Candidate,
  describeJob,
  failure,
  jobEnd,
  jobRunning,
  listOf,
  noSignal,
  submitAs,
  type Traits,
} from './scheduler-candidate.ts';

/** Registers its tests. `candidate` is asked within each. */
export function itChangesJobs(candidate: () => Candidate, { jobNames, lacks = [], isScripted }: Traits): void {
  const submit = (script: string, more: Partial<JobDescription> = {}) => submitAs(candidate(), script, more);
  const noChanges = {
    ...{ name: null, account: null, partition: null, qos: null, timeLimitSeconds: null, beginAt: null },
    priority: null,
  };
  const modify = (jobId: string, changes: Partial<JobChanges>) =>
    candidate().adapter.modify(candidate().host, { jobId, changes: { ...noChanges, ...changes }, signal: noSignal });
  const change = (what: 'hold' | 'release', jobId: string) =>
    candidate().adapter[what](candidate().host, { jobId, signal: noSignal });
  const waiting = () =>
    submit('#!/bin/sh\nexit 0\n', { beginAt: Math.floor(Date.now() / 1_000) + 3_600, name: 'waits' });

  const cancel = (jobId: string) => candidate().adapter.cancel(candidate().host, { jobId, signal: noSignal });
  const estimate = (script: string, more: Partial<JobDescription> = {}) =>
    candidate().adapter.estimate(candidate().host, {
      job: describeJob(candidate().directory, script, more),
      signal: noSignal,
    });

  if (lacks.includes('change')) {
    it('says that it can hold, release and change nothing', async () => {
      const jobId = await submit('#!/bin/sh\nexit 0\n');
      const errors = await Promise.all([
        failure(change('hold', jobId)),
        failure(change('release', jobId)),
        failure(modify(jobId, { name: 'new' })),
      ]);
      expect(errors.map(({ code }) => code)).toEqual(['NotSupported', 'NotSupported', 'NotSupported']);
    });
  } else if (!isScripted) {
    it('changes a job that waits, and lets it start when its time is taken back', async () => {
      const jobId = await waiting();
      const name = lacks.includes('rename') ? 'waits' : (jobNames.at(-1) ?? 'new');
      await modify(jobId, { ...(name === 'waits' ? {} : { name }), timeLimitSeconds: 180 });
      const [job] = await candidate().adapter.get(candidate().host, { jobId, signal: noSignal });
      expect([job?.name, job?.time.limit, job?.status.state]).toEqual([name, 180, 'PENDING']);
      await modify(jobId, { beginAt: Math.floor(Date.now() / 1_000) });
      expect((await jobEnd(candidate(), jobId)).status.state).toBe('COMPLETED');
    });

    it('keeps a held job from starting until it is released, and takes both twice', async () => {
      const jobId = await waiting();
      await change('hold', jobId);
      await change('hold', jobId);
      await modify(jobId, { beginAt: Math.floor(Date.now() / 1_000) });
      const [job] = await candidate().adapter.get(candidate().host, { jobId, signal: noSignal });
      expect(job?.status.state).toBe('PENDING');
      await change('release', jobId);
      expect((await jobEnd(candidate(), jobId)).status.state).toBe('COMPLETED');
    });

    it('says exactly why a job cannot be changed', async () => {
      const code = (promise: Promise<unknown>) => failure(promise).then((error) => error.code);
      const running = await submit('#!/bin/sh\nexec sleep 300\n');
      await jobRunning(candidate(), running);
      expect(await code(change('hold', running))).toBe('JobNotPending');
      await change('release', running);
      const soon = Math.floor(Date.now() / 1_000) + 60;
      expect(await code(modify(running, { beginAt: soon }))).toBe('JobNotPending');
      await cancel(running);
      await jobEnd(candidate(), running);
      for (const jobId of ['4294967', 'abc']) {
        expect(await code(change('hold', jobId))).toBe('JobNotFound');
        expect(await code(change('release', jobId))).toBe('JobNotFound');
        expect(await code(modify(jobId, { timeLimitSeconds: 60 }))).toBe('JobNotFound');
      }
      expect(await code(change('hold', running))).toBe('JobEnded');
      expect(await code(change('release', running))).toBe('JobEnded');
      expect(await code(modify(running, { timeLimitSeconds: 60 }))).toBe('JobEnded');
      const jobId = await waiting();
      const before = await candidate().adapter.get(candidate().host, { jobId, signal: noSignal });
      expect(await code(modify(jobId, { partition: 'no-such', timeLimitSeconds: 240 }))).toBe('InvalidJob');
      expect(await candidate().adapter.get(candidate().host, { jobId, signal: noSignal })).toEqual(before);
      await cancel(jobId);
    });
  }

  if (lacks.includes('estimate')) {
    it('says that it cannot tell when a job would start', async () => {
      expect((await failure(estimate('#!/bin/sh\nexit 0\n'))).code).toBe('NotSupported');
    });
  } else {
    it('tells when a job would start, and submits nothing', async () => {
      const name = `estimate-${randomUUID()}`;
      const now = Math.floor(Date.now() / 1_000);
      const told = jobEstimate.parse(await estimate('#!/bin/sh\nexit 0\n', { name, cpusPerTask: 2 }));
      expect(told.startAt).toBeGreaterThanOrEqual(now - 1);
      expect(told.nodes).toMatch(/./);
      expect(told.cpus).toBe(2);
      expect((await listOf(candidate(), { name })).jobs).toEqual([]);
    });

    it('refuses to estimate what it would refuse to take, for the same reason', async () => {
      for (const [script, more] of [
        ['echo no interpreter\n', {}],
        ['#!/bin/sh\n', { nodes: 1_000 }],
      ] as const) {
        const [told, submitted] = [await failure(estimate(script, more)), await failure(submit(script, more))];
        expect([told.code, submitted.code]).toEqual(['InvalidJob', 'InvalidJob']);
      }
    });
  }
}
