import { afterAll, describe, expect, it, vi } from 'vitest';
import { failure, jobEnd, jobRunning } from './scheduler-candidate.ts';
import { startSlurmCli } from './slurm-cli-fixture.ts';

const { adapter, attach, cancel, candidate, get, host, lab, submit } = await startSlurmCli();
afterAll(() => lab.stop(), 60_000);

describe('attaching to a job of Slurm', { timeout: 60_000 }, () => {
  it('attaches within the job only, with the command as one word, and gives back what it wrote', async () => {
    const jobId = await submit('#!/bin/sh\nexec sleep 300\n');
    await jobRunning(candidate, jobId);
    const command = `echo "$SLURM_JOB_ID it's | \`echo in\`"; touch marker && pwd >&2; exit 7`;
    const run = await attach(jobId, command);
    expect(run).toMatchObject({ exitCode: 7, stdout: `${jobId} it's | in\n`, isTruncated: false });
    // srun starts in the directory of its own session.
    const home = lab.lab.users.find(({ username }) => username === 'gcalice')?.home;
    expect(run.stderr).toMatch(new RegExp(`^${home}$`, 'm'));
    await host.shell.run(['rm', '-f', `${home}/marker`]);
    expect((await attach(jobId, 'kill -KILL $$')).exitCode).toBe(137);
    await cancel(jobId);
  });

  it('runs nothing of a command on the login node, whatever it holds', async () => {
    const jobId = await submit('#!/bin/sh\nexec sleep 300\n');
    await jobRunning(candidate, jobId);
    const mark = 'echo "[$SLURM_STEP_ID]"';
    for (const command of [`true; ${mark}`, `true\n${mark}`, `true && ${mark} | cat`, `true & wait; ${mark} >&2`]) {
      const { stdout, stderr } = await attach(jobId, command);
      expect(`${stdout}${stderr}`).toMatch(/^\[\d+\]\n$/);
    }
    // What would end the quotes of a careless command line is one odd word to the shell in the job.
    const unbalanced = await attach(jobId, `true' ; ${mark} '`);
    expect([unbalanced.exitCode, unbalanced.stdout]).toEqual([127, '']);
    await cancel(jobId);
  });

  it('keeps the beginning of a long output and lets the command end by itself', async () => {
    const jobId = await submit('#!/bin/sh\nexec sleep 300\n');
    await jobRunning(candidate, jobId);
    const run = await attach(jobId, 'yes | head -c 1000000; echo problem >&2; exit 3');
    expect(run).toMatchObject({ exitCode: 3, isTruncated: true });
    expect(run.stdout).toBe('y\n'.repeat(16 * 1024));
    expect(run.stderr).toContain('problem\n');
    await cancel(jobId);
  });

  it('ends the step of an attached command that is stopped', async () => {
    const jobId = await submit('#!/bin/sh\nexec sleep 300\n');
    await jobRunning(candidate, jobId);
    const stop = new AbortController();
    const attached = adapter.attach(host, { jobId, command: 'exec sleep 301', signal: stop.signal });
    const steps = async () => (await host.shell.run(['squeue', '-h', '--steps', '-j', jobId])).stdout.toString();
    await vi.waitFor(async () => expect(await steps()).toContain(`${jobId}.0`), { timeout: 30_000 });
    stop.abort(new Error('stop'));
    expect((await failure(attached)).code).toBe('TaskCanceled');
    await vi.waitFor(async () => expect(await steps()).not.toContain(`${jobId}.0`), { timeout: 30_000 });
    await cancel(jobId);
  });

  it('attaches to one running part of an array, and says which there are', async () => {
    const jobId = await submit('#!/bin/sh\n#SBATCH --array=1-2\nexec sleep 300\n');
    await vi.waitFor(
      async () => expect((await get(jobId)).map((job) => job.status.state)).toEqual(['RUNNING', 'RUNNING']),
      {
        timeout: 30_000,
        interval: 250,
      },
    );
    const { stdout } = await host.shell.run(['squeue', '-h', '-j', `${jobId}_1`, '-o', '%A']);
    expect((await attach(`${jobId}_1`, 'echo $SLURM_JOB_ID')).stdout).toBe(stdout.toString());
    const error = await failure(attach(jobId, 'true'));
    expect(error.code).toBe('InvalidRequest');
    expect(error.message).toContain(`${jobId}_2`);
    await cancel(jobId);
  });

  it("attaches to no job that waits, that has ended, or that is not the user's own", async () => {
    const held = await submit('#!/bin/sh\n#SBATCH --hold\nexit 0\n');
    const waiting = await failure(attach(held, 'true'));
    expect([waiting.code, waiting.message]).toEqual([
      'JobNotRunning',
      `Job ${held} is not running; its state is PENDING.`,
    ]);
    await cancel(held);
    const ended = await submit('#!/bin/sh\nexit 0\n');
    await jobEnd(candidate, ended);
    expect((await failure(attach(ended, 'true'))).code).toBe('JobNotRunning');
    const running = await submit('#!/bin/sh\nexec sleep 300\n');
    await jobRunning(candidate, running);
    expect((await failure(attach(running, 'true', lab.host('gcbob')))).code).toBe('PermissionDenied');
    await cancel(running);
  });
});
