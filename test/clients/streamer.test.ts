/**
 * Transfers by FirecREST's streamer: its unmodified client, alone and within pyfirecrest, against the program that listens
 * on a login node or within a batch job.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { freePortsInRow } from '../../lab/free-ports.ts';
import { runCommand } from '../../lab/run-command.ts';
import { type LabUser, userNamed } from '../../lab/users.ts';
import {
  type Answer,
  type Broker,
  type Client,
  clientOf,
  locationOf,
  startBroker,
  taskEnd,
} from '../system/broker-fixture.ts';
import { homeDirectory, type OwnDirectory } from '../system/home-directory.ts';
import { directionsOf, jobEnd, jobOf, leftoversOf, taskIdOf, untilNothingIsLeft } from '../system/transfer-fixture.ts';
import { userProcesses } from '../user-processes.ts';
import { pythonEnvironment, pythonProgram } from './python.ts';
import { testScript } from './script-tests.ts';

const lab = inject('lab');
/** More than two of the client's chunks, and not a round number. */
const content = randomBytes(11 * 2 ** 20 + 7);
const waitSeconds = 8;
const limitBytes = 20 * 2 ** 20;
let broker: Broker;
let client: Client;
let owner: LabUser;
let own: OwnDirectory;

beforeAll(async () => {
  // No more than are listened on at once, so that it is hardly somebody else's that a test knocks at.
  const first = await freePortsInRow(4);
  const streamer = {
    service_type: 'streamer',
    host: '127.0.0.1',
    port_range: [first, first + 3],
    public_ips: ['127.0.0.1'],
  };
  const dataTransfer = { ...streamer, wait_timeout: waitSeconds, inbound_transfer_limit: limitBytes };
  broker = await startBroker(lab, {
    dataOperation: { data_transfer: dataTransfer },
    otherSystems: [
      { name: 'by-job', sshd: lab.sshd, section: { transfers: { mover: 'job' } } },
      {
        name: 'wormhole',
        sshd: lab.sshd,
        cluster: { data_operation: { data_transfer: { service_type: 'wormhole' } } },
      },
    ],
  });
  client = await clientOf(lab.oidc, broker.url, 'alice');
  owner = userNamed(lab.users, 'alice');
  own = homeDirectory(owner);
});

afterAll(async () => {
  own?.remove();
  await broker?.stop();
});

const at = (name: string): string => join(own.path, name);
const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

const put = (name: string, bytes: Buffer | string): string => own.put(name, bytes);

function begin(way: 'upload' | 'download', path: string, system = 'lab'): Promise<Answer> {
  return client.post(`/filesystem/${system}/transfer/${way}`, {
    path,
    transferDirectives: { transferMethod: 'streamer' },
  });
}

interface Coordinates {
  ports: [number, number];
  ips: string[];
  secret: string;
}

function coordinatesOf(answer: Answer): { text: string; facts: Coordinates } {
  expect(answer.status, answer.text).toBe(201);
  const { coordinates } = answer.body.transferDirectives as { coordinates: string };
  return { text: coordinates, facts: JSON.parse(Buffer.from(coordinates, 'base64url').toString()) as Coordinates };
}

/** As pyfirecrest waits before it connects. */
function listening(answer: Answer): Promise<void> {
  const { system, jobId } = jobOf(answer);
  return vi.waitFor(
    async () => {
      const { body, text } = await client.get(`/compute/${system}/jobs/${jobId}`);
      expect(body.jobs[0]?.status.state, text).toBe('RUNNING');
    },
    { timeout: 30_000, interval: 100 },
  );
}

/** The program of firecrest-streamer; its words. It exits with 0 whatever happened. */
async function runStreamer(way: 'send' | 'receive', coordinates: string, path: string): Promise<string> {
  const words = [way, '--coordinates', coordinates, '--path', path];
  const { stdout } = await runCommand(pythonProgram('streamer'), words, {
    env: pythonEnvironment(),
    timeoutMs: 60_000,
  });
  return stdout;
}

const nothingIsLeft = (answer: Answer) => untilNothingIsLeft(answer, lab, owner, own.path);

describe.each(['lab', 'by-job'])('the streamer program, with the system %s', (system) => {
  it('sends a file to where it belongs, and receives one, both with their digests checked', async () => {
    const source = put(`source ${system}`, content);
    const path = at(`it’s ${system}\n`);
    const up = await begin('upload', path, system);
    await listening(up);
    const there = leftoversOf(taskIdOf(up), lab, owner, own.path);
    expect(there.length, 'its directory, the supervisor and the program').toBeGreaterThanOrEqual(3);
    expect(await runStreamer('send', coordinatesOf(up).text, source)).toMatch(/sent successfully/);
    expect(digest(readFileSync(path))).toBe(digest(content));
    expect(statSync(path).uid).toBe(owner.uid);
    expect(await jobEnd(client, jobOf(up))).toMatchObject({ state: 'COMPLETED', error: '' });
    const { body } = await client.get(`/tasks/${taskIdOf(up)}`);
    expect(body.result).toMatchObject({ path, bytes: content.length, sha256: digest(content) });
    await nothingIsLeft(up);

    const down = await begin('download', path, system);
    await listening(down);
    const said = await runStreamer('receive', coordinatesOf(down).text, at(`received ${system}`));
    expect(said).toMatch(/received successfully/);
    expect(digest(readFileSync(at(`received ${system}`)))).toBe(digest(content));
    expect(await jobEnd(client, jobOf(down))).toMatchObject({ state: 'COMPLETED', error: '' });
    await nothingIsLeft(down);
  });
});

describe('a stream', () => {
  it('of a file without bytes works both ways', async () => {
    const up = await begin('upload', at('empty'));
    await listening(up);
    await runStreamer('send', coordinatesOf(up).text, put('no bytes', ''));
    expect(await jobEnd(client, jobOf(up))).toMatchObject({ state: 'COMPLETED' });
    const down = await begin('download', at('empty'));
    await listening(down);
    await runStreamer('receive', coordinatesOf(down).text, at('empty again'));
    expect([statSync(at('empty')).size, statSync(at('empty again')).size]).toEqual([0, 0]);
  });

  it('lets nobody in without its secret, which is on no command line and not in Redis, and serves who has it', async () => {
    const down = await begin('download', put('guarded', content));
    await listening(down);
    const { text, facts } = coordinatesOf(down);
    expect(facts.secret.length).toBeGreaterThanOrEqual(22);
    const statuses = await Promise.all([{}, { authorization: 'Bearer wrong' }].map((headers) => knock(facts, headers)));
    expect(statuses).toEqual([401, 403]);
    const lines = userProcesses(lab, owner).map(({ line }) => line);
    expect(lines.some((line) => line.includes('goldcrest-transfer'))).toBe(true);
    expect(lines.filter((line) => line.includes(facts.secret))).toEqual([]);
    const key = `${broker.keyPrefix}:task:${taskIdOf(down)}`;
    const { stdout } = await runCommand('redis-cli', ['-p', new URL(lab.redis.url).port, 'HGETALL', key]);
    expect([stdout.includes('sealedSecret'), stdout.includes(facts.secret)]).toEqual([true, false]);
    await runStreamer('receive', text, at('got guarded'));
    expect(digest(readFileSync(at('got guarded')))).toBe(digest(content));
  });

  it('that was begun with `Prefer: respond-async` or as a step of a chain tells its owner, and nobody else, where to come', async () => {
    const wish = { path: at('async'), transferDirectives: { transferMethod: 'streamer' } };
    const headers = { prefer: 'respond-async' };
    const up = locationOf(await client.post('/filesystem/lab/transfer/upload', wish, { headers }));
    const way = await directionsOf(client, up);
    expect(way).toEqual({ transferMethod: 'streamer', coordinates: expect.any(String) });
    const bob = await clientOf(lab.oidc, broker.url, 'bob');
    expect((await bob.get(`${up}/transfer`)).status).toBe(404);
    const told = await Promise.all([up, '/tasks'].map((place) => client.get(place)));
    expect(told.map(({ text }) => text.includes('coordinates'))).toEqual([false, false]);
    await runStreamer('send', way.coordinates ?? '', put('async source', content));
    expect((await taskEnd(client, up)).result).toMatchObject({ bytes: content.length });
    expect((await client.get(`${up}/transfer`)).status).toBe(409);
    const steps = [
      { name: 'look', operation: 'filesystem.stat', input: { path: at('async') } },
      { name: 'download', operation: 'transfer.download', input: wish },
    ];
    const down = locationOf(await client.post('/tasks', { system: 'lab', steps }));
    const { coordinates } = await directionsOf(client, down);
    await runStreamer('receive', coordinates ?? '', at('async received'));
    expect(digest(readFileSync(at('async received')))).toBe(digest(content));
  });

  it('to a file that is there is refused at once', async () => {
    const answer = await begin('upload', put('there', 'old'));
    expect([answer.status, answer.body.message]).toEqual([403, `Target file '${at('there')}' already exists.`]);
    expect((await begin('download', at('not there'))).status).toBe(404);
  });

  it('of more than the limit ends clearly, and leaves nothing', async () => {
    const up = await begin('upload', at('too large'));
    await listening(up);
    await runStreamer('send', coordinatesOf(up).text, put('large', randomBytes(limitBytes + 1)));
    const end = await jobEnd(client, jobOf(up));
    expect(end).toMatchObject({
      state: 'FAILED',
      error: expect.stringMatching(/more than the 20971520 that may be sent/),
    });
    expect(existsSync(at('too large'))).toBe(false);
    await nothingIsLeft(up);
  });

  it('whose sender is killed in the middle, or lies about the digest, puts nothing in place', async () => {
    const ends = await Promise.all(
      (['killed', 'lying'] as const).map(async (sender) => {
        const up = await begin('upload', at(sender));
        await listening(up);
        const child = spawnSender(sender, coordinatesOf(up).facts);
        const end = await jobEnd(client, jobOf(up));
        child.kill('SIGKILL');
        await nothingIsLeft(up);
        return end.error;
      }),
    );
    expect(ends).toEqual([
      expect.stringMatching(/the connection to the client broke off/),
      expect.stringMatching(/the file has the SHA-256 [0-9a-f]{64}, not 0{64}/),
    ]);
    expect([existsSync(at('killed')), existsSync(at('lying'))]).toEqual([false, false]);
  });

  it('that is canceled, or to which nobody comes, ends, and nobody listens any more', async () => {
    const [canceled, lonely] = await Promise.all([begin('upload', at('canceled')), begin('upload', at('lonely'))]);
    await Promise.all([listening(canceled), listening(lonely)]);
    expect((await client.delete(`/compute/lab/jobs/${jobOf(canceled).jobId}`)).status).toBe(204);
    expect(await jobEnd(client, jobOf(canceled))).toMatchObject({ state: 'CANCELLED' });
    const end = await jobEnd(client, jobOf(lonely));
    expect(end).toMatchObject({ state: 'FAILED', error: expect.stringMatching(/no client came within 8 s/) });
    await Promise.all([canceled, lonely].map(nothingIsLeft));
    await expect(knock(coordinatesOf(lonely).facts, {})).rejects.toThrow();
  });
});

it('a system tells of the way it has, and refuses another', async () => {
  const { body } = await client.get('/status/systems');
  const systems = body.systems as { name: string; dataOperation: { data_transfer: { serviceType: string } | null } }[];
  const told = Object.fromEntries(
    systems.map(({ name, dataOperation }) => [name, dataOperation.data_transfer?.serviceType]),
  );
  expect(told).toEqual({ lab: 'streamer', 'by-job': 'streamer', wormhole: undefined });
  const method = '/transferDirectives/transferMethod';
  for (const [system, way, transferMethod, pointer, has] of [
    ['lab', 'upload', 's3', method, 'the transfer method streamer only'],
    ['wormhole', 'upload', 'wormhole', method, 'no transfer method'],
    ['wormhole', 'download', 'streamer', method, 'no transfer method'],
    ['lab', 'download-tree', null, '/system_name', 'the transfer method streamer only, and this operation needs s3'],
  ] as const) {
    const wish = transferMethod === null ? {} : { transferDirectives: { transferMethod, fileSize: 1 } };
    const answer = await client.post(`/filesystem/${system}/transfer/${way}`, { path: at('x'), ...wish });
    expect([answer.status, answer.body.message]).toEqual([400, 'Requested transfer method is not available.']);
    expect(answer.body.errors).toEqual([{ pointer, detail: `system ${system} has ${has}` }]);
  }
});

for (const kind of ['Firecrest', 'AsyncFirecrest']) {
  const facts = () => ({ client: kind });
  testScript({ title: `${kind} by streamer`, script: 'python/pyfirecrest_streamer.py', broker: () => broker, facts });
}

/** The status with which the one server that listens answers. */
async function knock({ ports: [first, last], ips }: Coordinates, headers: Record<string, string>): Promise<number> {
  for (let port = first; port <= last; port += 1) {
    const answer = await fetch(`http://${ips[0]}:${port}/`, { headers }).catch(() => null);
    if (answer !== null) return answer.status;
  }
  throw new Error('nobody listens');
}

/** A sender that is not as it should be. */
function spawnSender(how: 'killed' | 'lying', { ports, ips, secret }: Coordinates): ChildProcess {
  const script = join(import.meta.dirname, 'python', 'odd_sender.py');
  return spawn(pythonProgram('python'), [script, how, JSON.stringify({ ports, ips })], {
    env: { ...pythonEnvironment(), STREAM_SECRET: secret },
    stdio: 'ignore',
  });
}
