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
      const { job } = await upload(at('by job'), randomBytes(7 * 2 ** 20));
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
            '%A',
          ]);
          const [id = ''] = ids.trim().split('\n');
          if (id === '') throw new Error('no job');
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
