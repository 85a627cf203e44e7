/**
 * Transfers by Magic Wormhole: its own command at both ends, and unmodified pyfirecrest, over a mailbox server and a relay of
 * the test's own.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { runCommand } from '../../lab/run-command.ts';
import { type LabUser, userNamed } from '../../lab/users.ts';
import { mountSmall, type SmallFileSystem } from '../chaos/small-file-system.ts';
import { eventually } from '../eventually.ts';
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
import { directionsOf, jobEnd, jobOf, taskIdOf, untilNothingIsLeft } from '../system/transfer-fixture.ts';
import { userProcesses } from '../user-processes.ts';
import { testScript } from './script-tests.ts';
import { receiveByWormhole, sendByWormhole, startWormholeGround, type WormholeGround } from './wormhole-ground.ts';

const lab = inject('lab');
const content = randomBytes(5 * 2 ** 20 + 7);
let ground: WormholeGround;
let broker: Broker;
let client: Client;
let owner: LabUser;
let own: OwnDirectory;
/** Has room for less than the content. */
let small: SmallFileSystem;

beforeAll(async () => {
  ground = await startWormholeGround(lab);
  owner = userNamed(lab.users, 'alice');
  const of = (wormhole: object) => ({
    ...{ host_keys: { pinned: [lab.sshd.hostKey] }, service_account_username: owner.username },
    ...wormhole,
  });
  broker = await startBroker(lab, {
    dataOperation: { data_transfer: { service_type: 'wormhole', pypi_index_url: null } },
    cluster: { probing: { interval_check: 3_600, services: { ssh: { timeout: 10 } } } },
    otherSystems: ['hasty', 'absent', 'bare'].map((name) => ({ name, sshd: lab.sshd })),
    goldcrest: {
      systems: {
        lab: of({ wormhole: ground.section }),
        hasty: of({ wormhole: { ...ground.section, wait_timeout: '6s' } }),
        absent: of({ wormhole: { ...ground.section, command: '/opt/none/wormhole' } }),
        bare: of({}),
      },
    },
  });
  client = await clientOf(lab.oidc, broker.url, 'alice');
  own = homeDirectory(owner);
  small = await mountSmall(at('small'), Math.floor(content.length / 2), owner);
});

afterAll(async () => {
  await small?.remove();
  own?.remove();
  await broker?.stop();
  await ground?.stop();
});

const at = (name: string): string => join(own.path, name);

const put = (name: string, bytes: Buffer | string): string => own.put(name, bytes);

function begin(way: 'upload' | 'download', path: string, more: object = {}, system = 'lab'): Promise<Answer> {
  const transferDirectives = { transferMethod: 'wormhole', ...more };
  return client.post(`/filesystem/${system}/transfer/${way}`, { path, transferDirectives });
}

function codeIn(answer: Answer): string {
  expect(answer.status, answer.text).toBe(201);
  const { transferMethod, wormholeCode } = answer.body.transferDirectives as Record<string, string>;
  expect(transferMethod).toBe('wormhole');
  return wormholeCode ?? '';
}

const nothingIsLeft = (answer: Answer) => untilNothingIsLeft(answer, lab, owner, own.path);

/** Whether Redis or any process of the user shows a code. */
async function whereSeen(code: string, answer: Answer): Promise<string[]> {
  const key = `${broker.keyPrefix}:task:${taskIdOf(answer)}`;
  const { stdout } = await runCommand('redis-cli', ['-p', new URL(lab.redis.url).port, 'HGETALL', key]);
  expect(stdout).toContain('transfer.');
  const lines = userProcesses(lab, owner).map(({ line }) => line);
  expect(lines.some((line) => line.includes('goldcrest-wormhole'))).toBe(true);
  return [stdout, ...lines].filter((text) => text.includes(code));
}

describe('a wormhole', () => {
  it('takes a file to where it belongs, and gives it, though their names have quotes and line breaks', async () => {
    const path = put('it’s "here"\nWormhole code is: 1-false\n', 'old');
    const sender = sendByWormhole(ground, put('source', content));
    const up = await begin('upload', path, { wormholeCode: await sender.code });
    expect(up.body.transferDirectives, up.text).toEqual({ transferMethod: 'wormhole' });
    expect(await jobEnd(client, jobOf(up))).toMatchObject({ state: 'COMPLETED', error: '' });
    expect(readFileSync(path).equals(content)).toBe(true);
    expect(statSync(path).uid).toBe(owner.uid);
    const { body } = await client.get(`/tasks/${taskIdOf(up)}`);
    expect(body.result).toMatchObject({ path, bytes: content.length });
    await nothingIsLeft(up);

    const down = await begin('download', path);
    const got = await receiveByWormhole(ground, codeIn(down), at('received'));
    expect(got.exitCode, got.said).toBe(0);
    expect(readFileSync(at('received')).equals(content)).toBe(true);
    expect(await jobEnd(client, jobOf(down))).toMatchObject({ state: 'COMPLETED', error: '' });
    expect((await client.get(`/tasks/${taskIdOf(down)}`)).body.result).toMatchObject({ path, bytes: content.length });
    await nothingIsLeft(down);
  });

  it('has codes of 64 bits and more, and no code is on a command line or in Redis', async () => {
    const down = await begin('download', put('guarded', 'x'));
    const code = codeIn(down);
    expect(code).toMatch(/^\d+(?:-[a-z]+){8}$/);
    const words = code.slice(code.indexOf('-') + 1);
    expect(await whereSeen(words, down)).toEqual([]);
    const up = await begin('upload', at('never'), { wormholeCode: '999-nobody-sends-this' });
    expect(up.status, up.text).toBe(201);
    await eventually(async () =>
      expect((await client.get(`/compute/lab/jobs/${jobOf(up).jobId}`)).text).toMatch(/RUNNING/),
    );
    expect(await whereSeen('nobody-sends-this', up)).toEqual([]);
    // Nobody comes: both end with a cancel, and their programs with them.
    for (const answer of [down, up]) {
      expect((await client.delete(`/compute/lab/jobs/${jobOf(answer).jobId}`)).status).toBe(204);
      expect(await jobEnd(client, jobOf(answer))).toMatchObject({ state: 'CANCELLED' });
      await nothingIsLeft(answer);
    }
    expect(existsSync(at('never'))).toBe(false);
  });

  it('tells the code to the owner of a task of the native face alone, while it waits, and in no other answer', async () => {
    const sender = sendByWormhole(ground, put('native source', content));
    put('native', 'from the cluster');
    const begun = async (operation: string, name: string, more: object = {}): Promise<string> => {
      const input = { path: at(name), transferDirectives: { transferMethod: 'wormhole', ...more } };
      return locationOf(await client.post('/tasks', { operation, system: 'lab', input }));
    };
    const up = await begun('transfer.upload', 'native upload', { wormholeCode: await sender.code });
    const down = await begun('transfer.download', 'native');
    const way = await directionsOf(client, down);
    expect(way).toEqual({ transferMethod: 'wormhole', wormholeCode: expect.stringMatching(/^\d+(?:-[a-z]+){8}$/) });
    const code = way.wormholeCode ?? '';
    const bob = await clientOf(lab.oidc, broker.url, 'bob');
    expect((await bob.get(`${down}/transfer`)).status).toBe(404);
    const told = await Promise.all([down, '/tasks', '/audit'].map((place) => client.get(place)));
    expect(told.map(({ status, text }) => [status, text.includes(code)])).toEqual(Array(3).fill([200, false]));
    const got = await receiveByWormhole(ground, code, at('native received'));
    expect([got.exitCode, readFileSync(at('native received'), 'utf8')]).toEqual([0, 'from the cluster']);
    expect((await taskEnd(client, down)).result).toMatchObject({ path: at('native') });
    expect((await taskEnd(client, up)).result).toMatchObject({ path: at('native upload'), bytes: content.length });
    const over = await client.get(`${down}/transfer`);
    expect([over.status, over.body.message]).toEqual([409, 'The task has ended; it is completed.']);
  });

  it('ends clearly with a wrong code, with a directory, with a text, with other bytes than announced, without room, and where nobody comes', async () => {
    mkdirSync(at('directory'));
    put('directory/x', 'x');
    const sha256 = '0'.repeat(64);
    const sent = [put('guarded', 'x'), at('directory'), at('guarded'), { text: 'hello' }, put('source', content)];
    const senders = sent.map((what) => sendByWormhole(ground, what));
    const [wrong = '', directory = '', other = '', text = '', large = ''] = await Promise.all(
      senders.map(({ code }) => code),
    );
    const answers = await Promise.all([
      begin('upload', at('a'), { wormholeCode: `${wrong}-not` }),
      begin('upload', at('b'), { wormholeCode: directory }),
      begin('upload', put('c', 'stays'), { wormholeCode: other, sha256 }),
      begin('download', at('guarded'), {}, 'hasty'),
      begin('upload', at('d'), { wormholeCode: text }),
      begin('upload', at('small/e'), { wormholeCode: large }),
    ]);
    const ends = await Promise.all(answers.map((answer) => jobEnd(client, jobOf(answer))));
    expect(ends.map(({ state, error }) => `${state} ${error}`)).toEqual([
      expect.stringMatching(/^FAILED .*used another code/),
      expect.stringMatching(/^FAILED .*sends a directory/),
      expect.stringMatching(/^FAILED .*the file has the SHA-256 [0-9a-f]{64}, not 0{64}/),
      expect.stringMatching(/^FAILED .*no client came within 6 s/),
      expect.stringMatching(/^FAILED .*sent no file/),
      expect.stringMatching(/^FAILED .*No space left on device/),
    ]);
    expect(['a', 'b', 'd'].filter((name) => existsSync(at(name)))).toEqual([]);
    expect(readFileSync(at('c'), 'utf8')).toBe('stays');
    await Promise.all(answers.map(nothingIsLeft));
    for (const { child } of senders) child.kill();
  });

  it('goes on when its worker is killed', async () => {
    const down = await begin('download', put('survives', content));
    const code = codeIn(down);
    const [worker] = broker.workers;
    await worker?.kill();
    const got = await receiveByWormhole(ground, code, at('survived'));
    expect(got.exitCode, got.said).toBe(0);
    await worker?.start();
    expect(await jobEnd(client, jobOf(down))).toMatchObject({ state: 'COMPLETED' });
    expect(readFileSync(at('survived')).equals(content)).toBe(true);
    await nothingIsLeft(down);
  });

  it('is refused with a code that is none, and as another way than the system has', async () => {
    const refusals: [object, RegExp][] = [
      [{}, /`transferDirectives.wormholeCode` is required/],
      [{ wormholeCode: 'no-number' }, /must be a code/],
      [{ wormholeCode: '7-two words' }, /must be a code/],
      [{ wormholeCode: '7-a\n8-b' }, /must be a code/],
      [{ transferMethod: 'streamer' }, /^Requested transfer method is not available\.$/],
    ];
    for (const [more, message] of refusals) {
      const answer = await begin('upload', at('x'), more);
      expect([answer.status, answer.body.message]).toEqual([400, expect.stringMatching(message)]);
    }
    const keyed = (code: string) =>
      client.post(
        '/filesystem/lab/transfer/upload',
        { path: at('keyed'), transferDirectives: { transferMethod: 'wormhole', wormholeCode: code } },
        { headers: { 'idempotency-key': 'one' } },
      );
    const [first, again, other] = [await keyed('998-a'), await keyed('998-a'), await keyed('998-b')];
    expect([first.status, again.status, other.status]).toEqual([201, 201, 422]);
    expect(jobOf(again).jobId).toBe(jobOf(first).jobId);
    expect((await client.delete(`/compute/lab/jobs/${jobOf(first).jobId}`)).status).toBe(204);
  });

  it('is told of only where a probe has found the command, and refused where it has found none', async () => {
    type System = {
      name: string;
      servicesHealth: { serviceType: string }[];
      dataOperation: { data_transfer: object | null };
    };
    await vi.waitFor(
      async () => {
        const { body } = await client.get('/status/systems');
        const told = new Map((body.systems as System[]).map((system) => [system.name, system]));
        const wayOf = (name: string) => told.get(name)?.dataOperation.data_transfer;
        expect(wayOf('lab')).toEqual({ serviceType: 'wormhole', pypiIndexUrl: null });
        expect([wayOf('absent'), wayOf('bare')]).toEqual([null, null]);
        expect(told.get('absent')?.servicesHealth.map(({ serviceType }) => serviceType)).toEqual(['ssh']);
        const answer = await begin('download', at('guarded'), {}, 'absent');
        expect([answer.status, answer.body.message]).toEqual([
          503,
          expect.stringMatching(
            /The command \/opt\/none\/wormhole of Magic Wormhole is not installed on the login node/,
          ),
        ]);
      },
      { timeout: 30_000, interval: 500 },
    );
    expect((await begin('download', at('guarded'), {}, 'bare')).body.message).toMatch(/not available/);
  });
});

testScript({
  title: 'pyfirecrest by wormhole',
  script: 'python/pyfirecrest_wormhole.py',
  broker: () => broker,
  facts: () => ({ client: 'Firecrest', environment: ground.environment }),
});
