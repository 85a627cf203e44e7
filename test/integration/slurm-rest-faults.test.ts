import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect } from 'node:net';
import { createServer } from 'node:tls';
import { inspect } from 'node:util';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { runCommand } from '../../lab/run-command.ts';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { describeJob, failure, jobEnd, newKey, noSignal } from './scheduler-candidate.ts';
import { startSlurmRest } from './slurm-rest-fixture.ts';

const { adapterOf, cancel, candidate, directory, find, get, host, lab, list, rest, submit, submitBy } =
  await startSlurmRest();
afterAll(() => lab.stop(), 60_000);

const sleeper = '#!/bin/sh\nexec sleep 300\n';

function restLog(): string {
  return readFileSync(`${lab.lab.folder}/logs/slurmrestd.log`, 'utf8');
}

describe('Slurm by REST, when something is wrong,', { timeout: 60_000 }, () => {
  it('shows no token in an error, and submits nothing with a key that the cluster does not know', async () => {
    const jwtKeyFile = `${lab.lab.folder}/wrong.key`;
    writeFileSync(jwtKeyFile, 'x'.repeat(32));
    const stranger = adapterOf('rest', { jwtKeyFile });
    const key = newKey();
    const error = await failure(submitBy(stranger, sleeper, {}, key));
    expect(error.code).toBe('SchedulerFailed');
    expect(inspect(error, { depth: 9 })).not.toMatch(/eyJ/);
    expect(await find(key)).toEqual({ jobIds: [], isCertain: true });
  });

  it('speaks TLS with a slurmrestd whose certificate it was told to trust, and with no other', async () => {
    const [keyFile, caFile] = [`${lab.lab.folder}/tls.key`, `${lab.lab.folder}/tls.pem`];
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
    const made = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-keyout', keyFile, '-out', caFile];
    await runCommand('openssl', ['req', '-x509', '-nodes', '-days', '1', ...made, ...subject]);
    const inner = Number(new URL(lab.lab.slurm.rest.url).port);
    // What sites put in front of slurmrestd, which speaks no TLS itself.
    const front = createServer({ key: readFileSync(keyFile), cert: readFileSync(caFile) }, (outside) => {
      const inside = connect(inner, '127.0.0.1');
      outside.on('error', () => inside.destroy());
      inside.on('error', () => outside.destroy());
      outside.pipe(inside).pipe(outside);
    });
    await once(front.listen(0, '127.0.0.1'), 'listening');
    const apiUrl = `https://127.0.0.1:${(front.address() as AddressInfo).port}`;
    try {
      await adapterOf('rest', { apiUrl, caFile }).ping(host, noSignal);
      const error = await failure(submitBy(adapterOf('rest', { apiUrl }), sleeper));
      expect([error.code, error.message]).toEqual(['SchedulerFailed', 'slurmrestd cannot be reached.']);
    } finally {
      front.close();
    }
  });

  it('leaves no doubt where nothing was sent, and says SchedulerFailed, while slurmrestd is away', async () => {
    const jobId = await submit('#!/bin/sh\n#SBATCH --hold\nexit 0\n');
    await lab.lab.slurm.rest.stop();
    try {
      const error = await failure(submit(sleeper));
      expect([error.code, error.message]).toEqual(['SchedulerFailed', 'slurmrestd cannot be reached.']);
      const attempts = [get(jobId), cancel(jobId), list(), rest.ping(host, noSignal)].map(failure);
      expect((await Promise.all(attempts)).map(({ code }) => code)).toEqual(attempts.map(() => 'SchedulerFailed'));
      expect(await find(newKey())).toEqual({ jobIds: [], isCertain: false });
    } finally {
      await lab.lab.slurm.rest.start();
    }
    await cancel(jobId);
  });

  it('is in doubt when the answer to a submission is lost, and finds the job by its key', async () => {
    const impatient = adapterOf('rest', { timeoutMs: 2_000 });
    await impatient.ping(host, noSignal);
    const key = newKey();
    lab.lab.slurm.rest.pause();
    const error = await failure(submitBy(impatient, '#!/bin/sh\n#SBATCH --hold\nexit 0\n', {}, key));
    lab.lab.slurm.rest.resume();
    expect(error.code).toBe('SubmissionInDoubt');
    const found = await vi.waitFor(
      async () => {
        const found = await find(key);
        expect(found.jobIds).toHaveLength(1);
        return found;
      },
      { timeout: 30_000, interval: 250 },
    );
    expect(found.isCertain).toBe(true);
    await cancel(found.jobIds[0] ?? '');
  });

  it('is in doubt when a submission is stopped after it was sent', async () => {
    const key = newKey();
    const stop = new AbortController();
    // slurmrestd writes down each request that it has read.
    const submissions = () => restLog().split('/job/submit').length;
    const before = submissions();
    lab.lab.slurm.controller.pause();
    const job = describeJob(directory, '#!/bin/sh\n#SBATCH --hold\nexit 0\n');
    const submission = failure(rest.submit(host, { job, key, signal: stop.signal }));
    await vi.waitFor(() => expect(submissions()).toBeGreaterThan(before), { timeout: 30_000 });
    stop.abort(new BrokerError('TaskCanceled'));
    const { code } = await submission;
    lab.lab.slurm.controller.resume();
    expect(code).toBe('SubmissionInDoubt');
  });

  it('says SchedulerFailed, never "not found" or an empty list, while the controller does not answer', async () => {
    const jobId = await submit('#!/bin/sh\nexit 0\n');
    lab.lab.slurm.controller.pause();
    const key = newKey();
    const [found, doubt, ...failures] = await Promise.all([
      find(newKey()),
      failure(submit(sleeper, {}, key)),
      failure(get(jobId)),
      failure(cancel(jobId)),
      failure(list()),
      failure(rest.ping(host, noSignal)),
      failure(rest.nodes(host, noSignal)),
      failure(rest.partitions(host, { showsHidden: true, signal: noSignal })),
      failure(rest.reservations(host, noSignal)),
    ]).finally(() => lab.lab.slurm.controller.resume());
    expect(found).toEqual({ jobIds: [], isCertain: false });
    expect(doubt.code).toBe('SubmissionInDoubt');
    expect(failures.map(({ code }) => code)).toEqual(failures.map(() => 'SchedulerFailed'));
    await jobEnd(candidate(rest), jobId);
  });

  it('is not certain that there is no job while the accounting does not answer, and still shows queued jobs', async () => {
    const key = newKey();
    const jobId = await submit('#!/bin/sh\nexit 0\n', {}, key);
    await jobEnd(candidate(rest), jobId);
    await lab.lab.slurm.accounting.stop();
    try {
      expect(await find(key)).toEqual({ jobIds: [jobId], isCertain: false });
      expect((await get(jobId))[0]?.status.state).toBe('COMPLETED');
      expect((await failure(get('4294967'))).code).toBe('SchedulerFailed');
      const listed = await list();
      expect([listed.isComplete, listed.jobs.map((job) => job.jobId).includes(jobId)]).toEqual([false, true]);
      expect((await failure(rest.accounts(host, noSignal))).code).toBe('SchedulerFailed');
    } finally {
      await lab.lab.slurm.accounting.start();
    }
  });
});
