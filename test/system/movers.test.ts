/** The movers, each held to what all of them promise, and to what is its own. */
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { expect, inject, it, vi } from 'vitest';
import { runCommand } from '../../lab/run-command.ts';
import { type Client, slurmTruth } from './broker-fixture.ts';
import { describeMover } from './mover-conformance.ts';
import { jobEnd, jobOf, type TransferJob, taskIdOf } from './transfer-fixture.ts';
import { giveTree } from './tree-fixture.ts';

/** Begins work on files, as FirecREST's clients do. */
function beginnerOf(client: Client) {
  return async (work: string, input: Record<string, string>): Promise<{ job: TransferJob; id: string }> => {
    const path = `/filesystem/lab/transfer/${work}`;
    const answer =
      work === 'rm' ? await client.delete(`${path}?${new URLSearchParams(input)}`) : await client.post(path, input);
    expect(answer.status, answer.text).toBe(work === 'rm' ? 200 : 201);
    return { job: jobOf(answer), id: taskIdOf(answer) };
  };
}

/** How Slurm accounts for the batch job of a task, once it does. */
async function accountedState(username: string, taskId: string): Promise<string> {
  const truth = slurmTruth(inject('lab').slurm.confPath);
  const [row = ''] = await truth.jobsWithComment(username, `goldcrest:${taskId}`);
  const jobId = row.split('|')[0] ?? '';
  return vi.waitFor(
    async () => {
      const state = await truth.accountedState(jobId);
      if (['', 'PENDING', 'RUNNING', 'COMPLETING'].includes(state)) throw new Error(`job ${row}: ${state}`);
      return state;
    },
    { timeout: 30_000 },
  );
}

describeMover('command', {});

describeMover(
  'job',
  { scheduler: 'slurm', dataOperation: { datatransfer_jobs_directives: ['#SBATCH --nodes=1', '#SBATCH --time=10'] } },
  (ground) => {
    it('runs as a batch job whose script the scheduler keeps without an address in it', async () => {
      const { client, owner, at, upload } = ground();
      const { job, id: task } = await upload(at('by job'), randomBytes(7 * 2 ** 20));
      const env = { SLURM_CONF: inject('lab').slurm.confPath };
      const script = await vi.waitFor(
        async () => {
          const ask = (argv: string[]) => runCommand(argv[0] ?? '', argv.slice(1), { env });
          const ofName = ['-u', owner.username, '-n', 'goldcrest-transfer'];
          // Other tests may have such jobs too, and this one may have ended.
          const { stdout } = await ask(['squeue', '-h', '-t', 'all', ...ofName, '-o', '%A %k']);
          // By its comment administrators of the cluster find whose it is.
          const row = stdout.split('\n').find((line) => line.trim().endsWith(` goldcrest:${task}`));
          if (row === undefined) throw new Error(`no job: ${stdout}`);
          return (await ask(['scontrol', 'write', 'batch_script', row.trim().split(/\s+/)[0] ?? '', '-'])).stdout;
        },
        { timeout: 30_000, interval: 20 },
      );
      expect(script).toContain('#SBATCH --time=10');
      expect(script).not.toMatch(/http|X-Amz|uploadId/);
      expect(await jobEnd(client, job)).toMatchObject({ state: 'COMPLETED', error: '' });
      expect(readFileSync(at('by job')).length).toBe(7 * 2 ** 20);
    });

    it('does cp, mv, rm, compress and extract as batch jobs, whose exit statuses the scheduler accounts for', async () => {
      const { client, owner, at } = ground();
      const begin = beginnerOf(client);
      for (const name of ['data', 'partly', 'unpacked']) mkdirSync(at(name));
      for (const name of ['data/one', 'data/two', 'partly/open', 'partly/shut']) writeFileSync(at(name), name);
      giveTree(at(''), owner);
      chmodSync(at('partly/shut'), 0o000);
      const first = await Promise.all([
        begin('cp', { path: at('data'), targetPath: at('copied') }),
        begin('compress', { path: at('data'), targetPath: at('data.tgz') }),
        begin('cp', { path: at('partly'), targetPath: at('part') }),
      ]);
      const [copied, packed, partly] = await Promise.all(first.map(({ job }) => jobEnd(client, job)));
      const good = { state: 'COMPLETED', exitCode: 0, error: '' };
      expect(copied).toEqual({ ...good, output: 'Files were successfully copied.\n' });
      expect(packed).toEqual({ ...good, output: 'Files were successfully compressed.\n' });
      // The entry that failed is named, and the others are there.
      expect(partly).toMatchObject({ state: 'FAILED', exitCode: 1, output: '' });
      expect(partly?.error).toMatch(/cp: cannot open '[^']*shut' for reading: Permission denied/);
      expect(readFileSync(at('part/open'), 'utf8')).toBe('partly/open');
      const second = await Promise.all([
        begin('mv', { path: at('copied'), targetPath: at('moved') }),
        begin('extract', { path: at('data.tgz'), targetPath: at('unpacked') }),
        begin('rm', { path: at('part') }),
      ]);
      const ends = await Promise.all(second.map(({ job }) => jobEnd(client, job)));
      const words = ['moved', 'extracted', 'deleted'];
      expect(ends).toEqual(words.map((word) => ({ ...good, output: `Files were successfully ${word}.\n` })));
      expect(readFileSync(at('moved/one'), 'utf8') + readFileSync(at('unpacked/data/two'), 'utf8')).toBe(
        'data/onedata/two',
      );
      expect([existsSync(at('copied')), existsSync(at('part'))]).toEqual([false, false]);
      const accounted = [...first, ...second].map(({ id }) => accountedState(owner.username, id));
      expect(await Promise.all(accounted)).toEqual([
        'COMPLETED',
        'COMPLETED',
        'FAILED',
        'COMPLETED',
        'COMPLETED',
        'COMPLETED',
      ]);
    });

    it('tells how far long work has come, and ends it as a whole when it is canceled', async () => {
      const { client, owner, at } = ground();
      writeFileSync(at('big'), '');
      truncateSync(at('big'), 40 * 2 ** 30);
      giveTree(at(''), owner);
      const { job, id } = await beginnerOf(client)('compress', { path: at('big'), targetPath: at('big.tgz') });
      const progress = async (beyond: number) => {
        const { body } = await client.get(`/tasks/${id}`);
        const told = body.progress as { done: number; unit: string; bytesPerSecond: number } | null;
        if (told === null || told.done <= beyond) throw new Error(JSON.stringify(told));
        return told;
      };
      // More than what programs read of themselves.
      const early = await vi.waitFor(() => progress(2 ** 24), { timeout: 60_000, interval: 100 });
      const later = await vi.waitFor(() => progress(early.done), { timeout: 30_000, interval: 100 });
      expect([later.unit, later.bytesPerSecond]).toEqual(['bytes', expect.any(Number)]);
      expect(later.bytesPerSecond).toBeGreaterThan(0);
      expect((await client.delete(`/compute/lab/jobs/${job.jobId}`)).status).toBe(204);
      expect(await jobEnd(client, job)).toMatchObject({ state: 'CANCELLED', output: '' });
      expect(existsSync(at('big.tgz'))).toBe(false);
      expect(await accountedState(owner.username, id)).toMatch(/CANCELLED|FAILED/);
    });
  },
);

describeMover('stream', { workers: 2 }, (ground) => {
  it('goes on at another worker with the parts that are done, when one is killed', async () => {
    const { broker, client, at, upload } = ground();
    const content = randomBytes(200 * 2 ** 20);
    const { job, id } = await upload(at('taken over'), content);
    const [victim] = broker.workers;
    await vi.waitFor(
      async () => {
        const { body } = await client.get(`/tasks/${id}`);
        if (!/active/.test(body.state)) throw new Error(`not yet: ${body.state}`);
      },
      { timeout: 30_000, interval: 10 },
    );
    await victim?.kill();
    expect(await jobEnd(client, job, 90_000)).toMatchObject({ state: 'COMPLETED', error: '' });
    expect(readFileSync(at('taken over')).equals(content)).toBe(true);
  }, 120_000);
});
