/** The lab's Slurm by slurmrestd, through the whole broker: configuration, API, queue, worker, token and back. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { restSystem } from '../../lab/broker.ts';
import { type Lab, startLab } from '../../lab/lab.ts';
import { userNamed } from '../../lab/users.ts';
import type { AuditRecord } from '../../shared/audit/record.ts';
import { type Broker, type Client, clientOf, slurmTruth, startBroker, taskEnd } from './broker-fixture.ts';
import { homeDirectory, type OwnDirectory } from './home-directory.ts';

let lab: Lab;
let broker: Broker;
let client: Client;
let own: OwnDirectory;

beforeAll(async () => {
  lab = await startLab({ parts: ['redis', 'sshd', 'slurm', 'oidc'], handlesSignals: false });
  const otherSystems = [restSystem(lab, 'rest'), restSystem(lab, 'hybrid')];
  broker = await startBroker(lab, { otherSystems });
  client = await clientOf(lab.oidc, broker.url, 'alice');
  own = homeDirectory(userNamed(lab.users, 'alice'));
}, 90_000);

afterAll(async () => {
  own?.remove();
  await broker?.stop();
  await lab?.stop();
}, 60_000);

describe.each(['rest', 'hybrid'])('a system with connection_mode %s', { timeout: 90_000 }, (system) => {
  const jobsPath = `/compute/${system}/jobs`;
  const submit = async (script: string, more: Record<string, unknown> = {}): Promise<string> => {
    const { status, body, text } = await client.post(jobsPath, {
      job: { workingDirectory: own.path, script, ...more },
    });
    expect(status, text).toBe(201);
    return body.jobId;
  };

  it('submits a job with its directives, shows it to its end and cancels another', async () => {
    const output = join(own.path, `${system}.txt`);
    const script = '#!/bin/sh\n#SBATCH --ntasks=2 --job-name=directed\necho "$SLURM_NTASKS $HOME"\nexit 3\n';
    const jobId = await submit(script, { standardOutput: output });
    await vi.waitFor(
      async () => {
        const { body } = await client.get(`${jobsPath}/${jobId}`);
        expect(body.jobs[0]).toMatchObject({ name: 'directed', status: { state: 'FAILED', exitCode: 3 } });
      },
      { timeout: 60_000, interval: 200 },
    );
    expect(readFileSync(output, 'utf8')).toMatch(/^2 \/home\/gcalice\n$/);
    const held = await submit('#!/bin/sh\n#SBATCH --hold\nexit 0\n');
    const { body } = await client.get(`${jobsPath}?name=sbatch`);
    expect(body.jobs.map((job) => job.jobId)).toContain(held);
    expect((await client.delete(`${jobsPath}/${held}`)).status).toBe(204);
    const { body: canceled } = await client.get(`${jobsPath}/${held}`);
    expect(canceled.jobs[0]?.status.state).toBe('CANCELLED');
  });

  it('answers about the cluster, and with the words of the scheduler where it refuses', async () => {
    for (const path of ['nodes', 'partitions', 'reservations', 'userinfo']) {
      expect((await client.get(`/status/${system}/${path}`)).status).toBe(200);
    }
    const job = { workingDirectory: own.path, script: '#!/bin/sh\n', partition: 'nope' };
    const { status, body } = await client.post(jobsPath, { job });
    expect([status, body.message]).toEqual([400, expect.stringContaining('Invalid partition name specified')]);
    expect((await client.get(`${jobsPath}/4294967`)).status).toBe(404);
  });

  it(`${system === 'rest' ? 'says that it has no' : 'asks the login node for the'} script of a job`, async () => {
    const script = '#!/bin/sh\n#SBATCH --hold\nexit 0\n';
    const jobId = await submit(script);
    const { status, body } = await client.get(`${jobsPath}/${jobId}/metadata`);
    if (system === 'rest') expect([status, body.message]).toEqual([501, expect.stringContaining('hybrid')]);
    else expect(body.jobs[0]).toMatchObject({ jobId, script });
    await client.delete(`${jobsPath}/${jobId}`);
  });
});

describe('the audit trail', () => {
  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
  const headers = { traceparent: `00-${traceId}-00f067aa0ba902b7-01` };
  const recordsOf = async (task: string): Promise<AuditRecord[]> =>
    (await client.get(`/audit?task=${task}&limit=200`)).body.records as AuditRecord[];

  it('has each request that a task sent to slurmrestd, with its trace, and the job names the task', async () => {
    const job = { workingDirectory: own.path, script: '#!/bin/sh\n#SBATCH --hold\nexit 0\n' };
    const { body } = await client.post(
      '/tasks',
      { operation: 'compute.submit-job', system: 'rest', input: { job } },
      { headers },
    );
    const { result } = await taskEnd(client, `/tasks/${body.id}`);
    const records = await recordsOf(body.id);
    // Each of them says for whom, from where and why, without a look at the others.
    const common = {
      trace: traceId,
      address: '127.0.0.1',
      action: 'compute.submit-job',
      actor: { username: 'gcalice' },
    };
    expect(records).toMatchObject(records.map(() => common));
    expect(records.map(({ kind }) => kind)).toEqual(['task', 'command', 'command-start', 'request']);
    const [, ended, begun] = records;
    const argv = ['POST', expect.stringMatching(/^\/slurm\/v0\.0\.\d+\/job\/submit$/)];
    expect(begun).toMatchObject({ as: 'gcalice', system: 'rest', decision: 'begun', argv });
    expect(ended).toMatchObject({ as: 'gcalice', decision: 'completed', status: 200, argv, start: begun?.seq });
    const comment = await slurmTruth(lab.slurm.confPath).jobsWithComment('gcalice', `goldcrest:${body.id}`);
    expect(comment).toEqual([expect.stringMatching(new RegExp(`^${result.jobId}\\|`))]);

    const path = `/compute/rest/jobs/${result.jobId}`;
    const accepted = await client.send('DELETE', path, { headers: { ...headers, prefer: 'respond-async' } });
    await taskEnd(client, `/tasks/${accepted.body.id}`);
    const ofCancel = (await recordsOf(accepted.body.id)).filter(({ kind }) => kind === 'command-start');
    expect(ofCancel.map((record) => record.argv)).toEqual([
      ['DELETE', expect.stringContaining(`/job/${result.jobId}`)],
    ]);
  });
});

describe('the tokens for slurmrestd', () => {
  it('are in no log', async () => {
    const folder = join(lab.folder, 'logs');
    const logs = readdirSync(folder).filter((name) => /^test-|slurmrestd/.test(name));
    expect(logs.length).toBeGreaterThan(2);
    for (const name of logs) expect(readFileSync(join(folder, name), 'utf8')).not.toMatch(/eyJ[\w-]+\.eyJ[\w-]*c3Vu/);
  });
});
