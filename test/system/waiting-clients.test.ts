/** A crowd that waits for jobs, as the scheduler sees it: by the controller's own count of what it was asked. */
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { runCommand } from '../../lab/run-command.ts';
import { userNamed } from '../../lab/users.ts';
import { type Broker, type Client, clientOf, startBroker } from './broker-fixture.ts';

const lab = inject('lab');
const alice = userNamed(lab.users, 'alice');
/** The default of `job_lookup_window`. */
const windowMs = 1_000;
const clientCount = 1_000;

let broker: Broker;
let client: Client;

beforeAll(async () => {
  broker = await startBroker(lab, { workers: 2 });
  client = await clientOf(lab.oidc, broker.url, 'alice');
});

afterAll(() => broker?.stop());

/**
 * Requests for the state of jobs that the controller has served: `REQUEST_JOB_INFO ( 2003) count:12 …` of sdiag(1). At
 * midnight it begins other figures anew (`Data since`), these not.
 */
async function jobQueries(): Promise<number> {
  const { stdout } = await runCommand('sdiag', [], { env: { SLURM_CONF: lab.slurm.confPath } });
  const counts = stdout.matchAll(/^\s*REQUEST_JOB_(?:USER_)?INFO(?:_SINGLE)?\s+\(\s*\d+\)\s+count:(\d+)/gm);
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
}

it('1,000 clients that poll 1,000 different jobs cost the scheduler one query in a window', {
  timeout: 120_000,
}, async () => {
  const script = `#!/bin/sh\n#SBATCH --hold --array=1-${clientCount}\nexit 0\n`;
  const job = { workingDirectory: alice.home, standardOutput: '/dev/null', script };
  const { jobId } = (await client.post('/compute/lab/jobs', { job })).body;
  const before = await jobQueries();
  const since = performance.now();
  await Promise.all(
    Array.from({ length: clientCount }, async (_, index) => {
      for (let poll = 0; poll < 2; poll += 1) {
        const answer = await client.get(`/compute/lab/jobs/${jobId}_${index + 1}`);
        expect(answer.status, answer.text).toBe(200);
        expect(answer.body.jobs[0]?.status.state).toBe('PENDING');
      }
    }),
  );
  const windows = Math.ceil((performance.now() - since) / windowMs);
  const queries = (await jobQueries()) - before;
  await client.delete(`/compute/lab/jobs/${jobId}`);
  expect(queries).toBeGreaterThan(0);
  // One more for the client that came first and kept nobody waiting.
  expect(queries).toBeLessThanOrEqual(windows + 1);
});

it('tells the age of an answer that was not made for the request', async () => {
  const job = { workingDirectory: alice.home, script: '#!/bin/sh\n#SBATCH --hold\nexit 0\n' };
  const { jobId } = (await client.post('/compute/lab/jobs', { job })).body;
  const path = `/compute/lab/jobs/${jobId}`;
  expect((await client.get(path)).headers.get('age')).toBeNull();
  const shared = await client.get(path);
  expect(Number(shared.headers.get('age') ?? Number.NaN)).toBeLessThanOrEqual(windowMs / 1_000);
  expect((await client.delete(path)).status).toBe(204);
  expect((await client.get(path)).body.jobs[0]?.status.state).toBe('CANCELLED');
});
