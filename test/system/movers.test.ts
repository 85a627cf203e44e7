/** The movers, each held to what all of them promise, and to what is its own. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, inject, it, vi } from 'vitest';
import { runCommand } from '../../lab/run-command.ts';
import { describeMover } from './mover-conformance.ts';
import { jobEnd } from './transfer-fixture.ts';

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
          const { stdout: ids } = await ask([
            'squeue',
            '-h',
            '-u',
            owner.username,
            '-n',
            'goldcrest-transfer',
            '-o',
            '%A %k',
          ]);
          const [id = '', comment = ''] = ids.trim().split(/\s+/);
          if (id === '') throw new Error('no job');
          // By which administrators of the cluster find whose it is.
          expect(comment).toBe(`goldcrest:${task}`);
          return (await ask(['scontrol', 'write', 'batch_script', id, '-'])).stdout;
        },
        { timeout: 30_000, interval: 20 },
      );
      expect(script).toContain('#SBATCH --time=10');
      expect(script).not.toMatch(/http|X-Amz|uploadId/);
      expect(await jobEnd(client, job)).toMatchObject({ state: 'COMPLETED', error: '' });
      expect(readFileSync(at('by job')).length).toBe(7 * 2 ** 20);
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
