/** Transfers while workers are killed and the store hangs or is away: one good file or none, and nothing left behind. */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { type Lab, startLab } from '../../lab/lab.ts';
import { type LabUser, userNamed } from '../../lab/users.ts';
import { type Broker, type Client, clientOf, startBroker } from '../system/broker-fixture.ts';
import { homeDirectory, type OwnDirectory } from '../system/home-directory.ts';
import {
  completeUpload,
  directivesOf,
  jobEnd,
  jobOf,
  putParts,
  taskIdOf,
  watchLeftovers,
} from '../system/transfer-fixture.ts';
import { killUserProcesses, userProcesses } from '../user-processes.ts';

const transfer = '/filesystem/lab/transfer';
const sizeBytes = 150 * 2 ** 20;
const endTimeoutMs = 120_000;
let lab: Lab;
let broker: Broker;
let client: Client;
let owner: LabUser;
let own: OwnDirectory;
let leftovers: () => string[];
const begun: string[] = [];
const content = randomBytes(sizeBytes);
const sha256 = createHash('sha256').update(content).digest('hex');

beforeAll(async () => {
  lab = await startLab({ parts: ['redis', 'sshd', 's3', 'oidc'], people: ['alice'], handlesSignals: false });
  broker = await startBroker(lab, { scheduler: 'process', workers: 1, s3: lab.s3, staging: { ttl: 20 } });
  client = await clientOf(lab.oidc, broker.url, 'alice');
  owner = userNamed(lab.users, 'alice');
  own = homeDirectory(owner);
  leftovers = watchLeftovers(lab, owner, own.path);
}, 120_000);

afterEach(async () => {
  lab.s3.resume();
  // Another file of tests may have transfers of the same user under way.
  const mine = () => leftovers().filter((found) => begun.some((id) => found.includes(id)));
  await vi.waitFor(() => expect(mine()).toEqual([]), { timeout: 20_000 });
});

afterAll(async () => {
  lab?.s3.resume();
  own?.remove();
  await broker?.stop();
  await lab?.stop();
}, 60_000);

function at(name: string): string {
  return join(own.path, name);
}

function commandLines(): string[] {
  return userProcesses(lab, owner).map(({ line }) => line);
}

function movers(): string[] {
  return commandLines().filter((line) => line.startsWith('curl '));
}

function supervisors(): string[] {
  return commandLines().filter((line) => / goldcrest-transfer /.test(line) && line.startsWith('sh -c'));
}

/** Bytes are on their way, and stay there: the store hangs until it is resumed. */
async function hangStoreMidway(): Promise<void> {
  await vi.waitFor(() => expect(movers().length).toBeGreaterThan(0), { timeout: 60_000, interval: 20 });
  lab.s3.pause();
}

async function arrived(path: string) {
  const transferDirectives = { transferMethod: 's3', fileSize: sizeBytes, sha256 };
  const answer = await client.post(`${transfer}/upload`, { path, transferDirectives });
  expect(answer.status, answer.text).toBe(201);
  begun.push(taskIdOf(answer));
  const etags = await putParts(directivesOf(answer), content);
  expect((await completeUpload(directivesOf(answer), etags)).status).toBe(200);
  return answer;
}

async function startDownload(path: string) {
  const answer = await client.post(`${transfer}/download`, { path, transferDirectives: { transferMethod: 's3' } });
  begun.push(taskIdOf(answer));
  return answer;
}

it('a worker that is killed while the mover works is replaced by another, which finds the mover at work', async () => {
  const path = at('up');
  writeFileSync(path, 'old');
  own.giveAway();
  const answer = await arrived(path);
  await hangStoreMidway();
  const before = supervisors();
  await Promise.all(broker.workers.map((worker) => worker.kill()));
  await broker.addWorker();
  expect(readFileSync(path, 'utf8')).toBe('old');
  lab.s3.resume();
  const end = await jobEnd(client, jobOf(answer), endTimeoutMs);
  expect(end).toMatchObject({ state: 'COMPLETED', error: '' });
  expect(before.length).toBeGreaterThan(0);
  expect(readFileSync(path).equals(content)).toBe(true);
  const { body } = await client.get(`/tasks/${taskIdOf(answer)}`);
  expect(body.result).toMatchObject({ bytes: sizeBytes, sha256 });
}, 240_000);

it('a mover whose addresses have run out goes on with fresh ones', async () => {
  const path = at('expired');
  const answer = await arrived(path);
  await hangStoreMidway();
  await new Promise((resolve) => setTimeout(resolve, 21_000)); // the life of an address, as this broker is configured
  lab.s3.resume();
  const end = await jobEnd(client, jobOf(answer), endTimeoutMs);
  expect(end).toMatchObject({ state: 'COMPLETED', error: '' });
  expect(readFileSync(path).equals(content)).toBe(true);
}, 240_000);

it('a transfer that is canceled while its mover works leaves the old file, and no process', async () => {
  const path = at('canceled');
  writeFileSync(path, 'old');
  own.giveAway();
  const answer = await arrived(path);
  await hangStoreMidway();
  expect((await client.delete(`/compute/lab/jobs/${jobOf(answer).jobId}`)).status).toBe(204);
  await vi.waitFor(() => expect(movers()).toEqual([]), { timeout: 30_000 });
  lab.s3.resume();
  expect(await jobEnd(client, jobOf(answer), endTimeoutMs)).toMatchObject({ state: 'CANCELLED', output: '' });
  expect(readFileSync(path, 'utf8')).toBe('old');
}, 240_000);

it('a file that changes while it is read is not given out', async () => {
  const path = at('changing');
  writeFileSync(path, content);
  own.giveAway();
  const answer = await startDownload(path);
  await hangStoreMidway();
  writeFileSync(path, 'x', { flag: 'a' });
  lab.s3.resume();
  const end = await jobEnd(client, jobOf(answer), endTimeoutMs);
  expect(end).toMatchObject({ state: 'FAILED', output: '' });
  expect(end.error).toMatch(/the file changed (?:before|while) it was read/);
  expect((await fetch(directivesOf(answer).downloadUrl)).ok).toBe(false);
}, 240_000);

it('a mover that is killed by somebody is started again, and the file is whole', async () => {
  const path = at('killed');
  const answer = await arrived(path);
  await hangStoreMidway();
  // Supervisor, work, and the command that looks at them.
  expect(killUserProcesses(lab, owner, ({ line }) => line.includes('goldcrest-transfer'))).toBeGreaterThan(0);
  lab.s3.resume();
  const end = await jobEnd(client, jobOf(answer), endTimeoutMs);
  expect(end).toMatchObject({ state: 'COMPLETED', error: '' });
  expect(readFileSync(path).equals(content)).toBe(true);
}, 240_000);

it('an upload that waits outlives the absence of the store', async () => {
  const path = at('patient');
  const transferDirectives = { transferMethod: 's3', fileSize: 3 };
  const answer = await client.post(`${transfer}/upload`, { path, transferDirectives });
  await lab.s3.stop();
  const refused = await client.post(`${transfer}/upload`, { path: at('refused'), transferDirectives });
  expect([refused.status, refused.body.code]).toEqual([503, 'StagingUnavailable']);
  await lab.s3.start();
  await completeUpload(directivesOf(answer), await putParts(directivesOf(answer), Buffer.from('abc')));
  expect(await jobEnd(client, jobOf(answer), endTimeoutMs)).toMatchObject({ state: 'COMPLETED' });
  expect([readFileSync(path, 'utf8'), existsSync(at('refused'))]).toEqual(['abc', false]);
}, 240_000);
