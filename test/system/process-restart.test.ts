/** A broker in front of a host without a batch system: what it started goes on without it, and is known again when it is back. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Lab, startLab } from '../../lab/lab.ts';
import { userNamed } from '../../lab/users.ts';
import { eventually } from '../eventually.ts';
import { type Broker, clientOf, startBroker } from './broker-fixture.ts';
import { homeDirectory, type OwnDirectory } from './home-directory.ts';

let lab: Lab;
let own: OwnDirectory;
let broker: Broker | undefined;

beforeAll(async () => {
  lab = await startLab({ parts: ['redis', 'sshd', 'oidc'], handlesSignals: false });
  own = homeDirectory(userNamed(lab.users, 'bob'));
  own.giveAway();
}, 60_000);

afterAll(async () => {
  await broker?.stop();
  own?.remove();
  await lab?.stop();
}, 60_000);

it('a job outlives its broker, ends as it ends, and is found by a broker that started since', async () => {
  broker = await startBroker(lab, { scheduler: 'process' });
  const before = await clientOf(lab.oidc, broker.url, 'bob');
  const go = join(own.path, 'go');
  const script = `#!/bin/sh\necho started\nwhile [ ! -e '${go}' ]; do sleep 0.1; done\necho "$PLACE"; exit 5\n`;
  const job = { name: 'survivor', workingDirectory: own.path, script, env: { PLACE: 'here' }, standardOutput: 'o-%j' };
  const submitted = await before.post('/compute/lab/jobs', { job });
  expect(submitted.status, submitted.text).toBe(201);
  const { jobId } = submitted.body;
  const stateOf = async (client: typeof before) =>
    (await client.get(`/compute/lab/jobs/${jobId}`)).body.jobs[0]?.status;
  await eventually(async () => expect((await stateOf(before))?.state).toBe('RUNNING'));
  await broker.stop();

  broker = await startBroker(lab, { scheduler: 'process' });
  const after = await clientOf(lab.oidc, broker.url, 'bob');
  expect((await stateOf(after))?.state).toBe('RUNNING');
  await broker.stop();
  // It ends while there is no broker at all.
  writeFileSync(go, '');

  broker = await startBroker(lab, { scheduler: 'process' });
  const last = await clientOf(lab.oidc, broker.url, 'bob');
  await eventually(async () => expect(await stateOf(last)).toMatchObject({ state: 'FAILED', exitCode: 5 }));
  const { body } = await last.get('/compute/lab/jobs?name=survivor');
  expect(body.jobs.map((each) => each.jobId)).toContain(jobId);
  const output = await last.get(`/filesystem/lab/ops/view?path=${encodeURIComponent(join(own.path, `o-${jobId}`))}`);
  expect(output.body.output).toBe('started\nhere\n');
});
