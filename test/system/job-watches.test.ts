/** Watched jobs through the running broker, on a real Slurm: what is told, when, and to whom. What it costs: scheduler-cost.test.ts. */
import { randomBytes, randomUUID } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, expect, inject, it, vi } from 'vitest';
import { requestToken } from '../../lab/oidc/token-client.ts';
import { userNamed } from '../../lab/users.ts';
import { readEvents, type SseReader } from '../integration/sse-client.ts';
import { type Receiver, startReceiver } from '../integration/webhook-receiver.ts';
import { type Broker, type Client, clientOf, startBroker } from './broker-fixture.ts';
import { homeDirectory, type OwnDirectory } from './home-directory.ts';

const lab = inject('lab');
const alice = userNamed(lab.users, 'alice');
const secret = `whsec_${randomBytes(24).toString('base64')}`;
const intervalMs = 1_000;
/** Between a look and the next come its own time, the tick of the watcher, and what a loaded machine takes. */
const slackMs = 2_500;

let broker: Broker;
let client: Client;
let receiver: Receiver;
let own: OwnDirectory;
let stream: SseReader;

beforeAll(async () => {
  receiver = await startReceiver((response) => response.writeHead(204).end());
  broker = await startBroker(lab, {
    workers: 2,
    goldcrest: {
      webhooks: {
        sealing_keys: [{ id: 'k', key: randomBytes(32).toString('base64') }],
        ...{ allow_http: true, ports: [receiver.port], allowed_networks: ['127.0.0.1/32'] },
      },
      watches: { per_user_max: 20_000, interval_min: `${intervalMs}ms`, interval_max: '2s', lost_after: '4s' },
      logs: { streams_per_user_max: 2, interval: '200ms' },
    },
  });
  client = await clientOf(lab.oidc, broker.url, 'alice');
  own = homeDirectory(alice);
  const headers = { authorization: `Bearer ${await requestToken(lab.oidc, 'alice')}` };
  stream = readEvents(await fetch(`${broker.url}/events`, { headers }));
});

afterAll(async () => {
  await stream?.close();
  own?.remove();
  await broker?.stop();
  await receiver?.close();
});

const job = (script: string) => ({
  workingDirectory: own.path,
  script: `#!/bin/bash\n#SBATCH --time=5 --mem=100M\n${script}\n`,
});

/** What the stream tells of a watch. */
const toldOf = (watchId: unknown) => stream.events.filter(({ data }) => data.data.watchId === watchId);

async function untilTold(watchId: unknown, type: string) {
  return vi.waitFor(
    () => toldOf(watchId).find((event) => event.type === type) ?? expect.unreachable(`${type} is not told yet`),
    { timeout: 45_000, interval: 25 },
  );
}

it('the end of a job is told within a poll and a second, its diagnosis within ten more, to streams and to its own address', {
  timeout: 90_000,
}, async () => {
  const script = 'echo one >&2; echo Größe >&2; date +%s%3N > ended; no-such-program';
  const sent = { job: job(script), webhook: { url: receiver.url, secret } };
  const answer = await client.post('/compute/lab/jobs', sent);
  expect(answer.status, answer.text).toBe(201);
  const { jobId, watchId } = answer.body;
  const toldAt = untilTold(watchId, 'job.ended').then(() => Date.now());
  const diagnosed = await untilTold(watchId, 'job.diagnosed');
  const diagnosedAt = Date.now();
  const endedAt = Number(readFileSync(join(own.path, 'ended'), 'utf8'));
  expect((await toldAt) - endedAt).toBeLessThan(intervalMs + 1_000 + slackMs);
  expect(diagnosedAt - (await toldAt)).toBeLessThan(10_000 + slackMs);

  const told = toldOf(watchId).map(({ data }) => data.data);
  expect(told.map(({ sequence }) => sequence)).toEqual(told.map((_, at) => at + 1));
  expect(diagnosed.data.data).toMatchObject({
    ...{ jobId, system: 'lab', state: 'FAILED', exitCode: 127 },
    diagnosis: {
      ...{ jobId, state: 'FAILED', exitCode: 127, signal: null, isFinal: true, canceledBy: null },
      memory: { requestedBytes: 100 * 2 ** 20 },
      time: { limitSeconds: 300, usedSeconds: expect.any(Number) },
      errorOutput: { path: expect.stringContaining(own.path), isCut: false, note: null },
      advice: expect.stringMatching(/not found \(exit code 127\)/),
    },
  });
  const { errorOutput } = diagnosed.data.data.diagnosis as { errorOutput: { lines: string[] } };
  expect(errorOutput.lines).toEqual(['one', 'Größe', expect.stringMatching(/no-such-program: command not found/)]);

  const ofWatch = () =>
    receiver.received.filter(({ body }) => body.includes(String(watchId)) && body.includes('"job.'));
  await vi.waitFor(() => expect(ofWatch()).toHaveLength(told.length), { timeout: 30_000 });
  const messages = ofWatch().map(({ body, headers }) => new Webhook(secret).verify(body, headers) as { type: string });
  expect(messages.map(({ type }) => type).sort()).toEqual(
    toldOf(watchId)
      .map(({ type }) => type)
      .sort(),
  );
  expect(new Set(ofWatch().map(({ headers }) => headers['webhook-id'])).size).toBe(told.length);

  const { body } = await client.get(`/watches/${watchId}`);
  expect(body).toMatchObject({
    ...{ phase: 'diagnosed', jobId, diagnosis: { exitCode: 127 }, hasWebhook: true },
    consent: { username: alice.username, until: expect.any(String), taskId: expect.any(String) },
  });
  const onDemand = await client.get(`/compute/lab/jobs/${jobId}/diagnosis`);
  expect(onDemand.body.diagnosis).toEqual((diagnosed.data.data as { diagnosis: unknown }).diagnosis);
});

it('a watch lasts as long as its user says, and no longer than the operator lets it', async () => {
  const { jobId } = (await client.post('/compute/lab/jobs', { job: job('#SBATCH --hold\nexit 0') })).body;
  const at = (ms: number): string => new Date(Date.now() + ms).toISOString();
  const set = (until: string) => client.post('/watches', { system: 'lab', jobId, until });
  const consentOfWatch = async (id: unknown) => (await client.get(`/watches/${id}`)).body.consent as { until: string };
  for (const [until, message] of [
    [at(-1_000), /`until` must be in the future/],
    [at(366 * 86_400_000), /`until` must be within \d+ days/],
    ['tomorrow', /must be an RFC 3339 time/],
  ] as const) {
    const { status, text } = await set(until);
    expect([status, text]).toEqual([400, expect.stringMatching(message)]);
  }
  const hour = at(3_600_000);
  expect((await set(hour)).body).toMatchObject({ consent: { until: hour } });
  const headers = { 'goldcrest-until': hour };
  const byRoute = await client.post(`/compute/lab/jobs/${jobId}/watch`, undefined, { headers });
  expect(byRoute.status, byRoute.text).toBe(201);
  expect((await consentOfWatch(byRoute.body.watchId)).until).toBe(hour);
  const short = await set(at(2_500));
  expect(short.status, short.text).toBe(201);
  const over = await untilTold(short.body.id, 'job.watch_expired');
  expect(over.data.data.why).toMatch(/consent/);
  await client.delete(`/compute/lab/jobs/${jobId}`);
});

it('a job submitted elsewhere is watched by whom the scheduler shows it to, and a watch is nobody else’s', async () => {
  const submitted = await client.post('/compute/lab/jobs', { job: job('#SBATCH --hold\nexit 0') });
  expect(submitted.body.watchId).toBeUndefined();
  const { jobId } = submitted.body;
  const headers = { 'idempotency-key': `"${randomUUID()}"` };
  const set = () => client.post('/watches', { system: 'lab', jobId }, { headers });
  const made = await set();
  expect(made.status, made.text).toBe(201);
  expect(made.body).toMatchObject({ phase: 'watching', job: { state: 'PENDING' }, hasWebhook: false });
  expect((await set()).body.id).toBe(made.body.id);
  expect((await client.post('/watches', { system: 'lab', jobId: '99999999' })).status).toBe(404);

  const bob = await clientOf(lab.oidc, broker.url, 'bob');
  expect((await bob.get(`/watches/${made.body.id}`)).status).toBe(404);
  expect((await bob.delete(`/watches/${made.body.id}`)).status).toBe(404);
  const others = await bob.post('/watches', { system: 'lab', jobId });
  expect(others.status, others.text).toBe(201);

  await client.delete(`/compute/lab/jobs/${jobId}`);
  const ended = await untilTold(made.body.id, 'job.diagnosed');
  const diagnosis = ended.data.data.diagnosis as { canceledBy: string; advice: string };
  expect(diagnosis).toMatchObject({ state: 'CANCELLED', canceledBy: alice.username });
  expect(diagnosis.advice).toBe(`The job was canceled by ${alice.username} before it started.`);
  await vi.waitFor(async () => expect((await bob.get(`/watches/${others.body.id}`)).body.phase).toBe('diagnosed'), {
    timeout: 30_000,
  });
  const listed = await bob.get('/watches');
  expect((listed.body.watches as { id: string }[]).map(({ id }) => id)).toEqual([others.body.id]);
  expect((await client.delete(`/watches/${made.body.id}`)).status).toBe(204);
  expect((await client.get(`/watches/${made.body.id}`)).status).toBe(404);
});

/** Follows a job's output; the bytes of an event are its text in UTF-8, or what its base64 holds. */
async function followLog(jobId: string, headers: Record<string, string> = {}) {
  const token = await requestToken(lab.oidc, 'alice');
  const response = await fetch(`${broker.url}/compute/lab/jobs/${jobId}/logs?follow=true`, {
    headers: { authorization: `Bearer ${token}`, ...headers },
  });
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/event-stream']);
  const reader = readEvents(response);
  const bytes = () =>
    Buffer.concat(
      reader.events
        .map(({ type, data }) => ({ type, ...(data as unknown as { text?: string; base64?: string }) }))
        .filter(({ type }) => type === 'log')
        .map(({ text, base64 }) => Buffer.from(text ?? base64 ?? '', text === undefined ? 'base64' : 'utf8')),
    );
  return { ...reader, bytes };
}

it('what a job writes is followed byte by byte to its end, and taken up again where a client stopped', {
  timeout: 60_000,
}, async () => {
  const waitFor = (name: string) => `while [ ! -e ${name} ]; do sleep 0.1; done`;
  const script = `printf 'one \\303'; ${waitFor('go1')}; printf '\\251t\\303\\251\\n'; ${waitFor('go2')}; printf '\\377\\376 end \\342'`;
  const submitted = await client.post('/compute/lab/jobs', { job: { ...job(script), standardOutput: 'out' } });
  const { jobId } = submitted.body;
  const first = await followLog(jobId);
  const letGo = (name: string) => writeFileSync(join(own.path, name), '', { mode: 0o644 });
  await vi.waitFor(() => expect(first.bytes().toString()).toBe('one '), { timeout: 30_000, interval: 50 });
  letGo('go1');
  await vi.waitFor(() => expect(first.bytes().toString()).toBe('one été\n'), { timeout: 30_000, interval: 50 });
  expect(first.events.every(({ data }) => typeof (data as unknown as { text?: string }).text === 'string')).toBe(true);
  const last = first.events[0]?.id ?? '';
  const second = await followLog(jobId, { 'last-event-id': last });
  expect((await client.get(`/compute/lab/jobs/${jobId}/logs?follow=true`)).body.code).toBe('TooManyStreams');
  letGo('go2');
  await Promise.all([first.ended, second.ended]);
  const written = readFileSync(join(own.path, 'out'));
  expect(written.length).toBe(18);
  expect(first.bytes()).toEqual(written);
  expect(Buffer.concat([written.subarray(0, Number(last)), second.bytes()])).toEqual(written);
  for (const { events } of [first, second]) {
    expect(events.at(-1)).toMatchObject({ type: 'end', id: String(written.length), data: { reason: 'ended' } });
  }
  const plain = await client.get(`/compute/lab/jobs/${jobId}/logs?offset=4`);
  expect([plain.status, plain.headers.get('content-length')]).toEqual([200, String(written.length - 4)]);
  expect(plain.text.startsWith('été')).toBe(true);
  const bob = await clientOf(lab.oidc, broker.url, 'bob');
  expect((await bob.get(`/compute/lab/jobs/${jobId}/logs`)).body.code).toMatch(/PermissionDenied|FileNotFound/);
});

it('a file that a requeued job begins anew is followed from its beginning, also by who comes back with an offset behind its end', {
  timeout: 60_000,
}, async () => {
  const script = 'while [ ! -e stop ]; do sleep 0.1; done';
  const submitted = await client.post('/compute/lab/jobs', { job: { ...job(script), standardOutput: 'anew' } });
  const { jobId } = submitted.body;
  const write = (text: string) => writeFileSync(join(own.path, 'anew'), text);
  await vi.waitFor(() => readFileSync(join(own.path, 'anew')), { timeout: 30_000, interval: 50 });
  write('the first life');
  const first = await followLog(jobId);
  await vi.waitFor(() => expect(first.bytes().toString()).toBe('the first life'), { timeout: 30_000, interval: 50 });
  write('second');
  const restart = { type: 'restart', id: '0', data: { offset: 0, before: 14 } };
  const told = () => first.events.map(({ type, id, data }) => ({ type, id, data }));
  await vi.waitFor(() => expect(first.bytes().toString()).toBe('the first lifesecond'), { timeout: 30_000 });
  expect(told().slice(-2)).toEqual([restart, { type: 'log', id: '6', data: { offset: 0, text: 'second' } }]);
  const longer = 'the third, in a file of its own';
  writeFileSync(join(own.path, 'other'), longer);
  renameSync(join(own.path, 'other'), join(own.path, 'anew'));
  await vi.waitFor(() => expect(told().at(-1)?.data).toEqual({ offset: 0, text: longer }), { timeout: 20_000 });
  expect(told().slice(-2, -1)).toEqual([{ ...restart, data: { offset: 0, before: 6 } }]);
  write('second');
  await vi.waitFor(() => expect(told().at(-1)?.data).toEqual({ offset: 0, text: 'second' }), { timeout: 20_000 });
  const back = await followLog(jobId, { 'last-event-id': '14' });
  writeFileSync(join(own.path, 'stop'), '');
  await Promise.all([first.ended, back.ended]);
  expect(back.bytes().toString()).toBe('second');
  expect(back.events[0]).toMatchObject(restart);
});
