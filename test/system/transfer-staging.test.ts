/** Uploads and downloads through a real S3 store and a real sshd, the way pyfirecrest does them, and all that may go wrong. */
import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { userProcesses } from '../user-processes.ts';
import { type Client, clientOf, taskEnd } from './broker-fixture.ts';
import { hostileNames } from './hostile-names.ts';
import { openStagingGround, type StagingGround } from './staging-ground.ts';
import { completeUpload, directivesOf, jobEnd, jobOf, putParts, taskIdOf } from './transfer-fixture.ts';

const lab = inject('lab');
const transfer = '/filesystem/lab/transfer';
const mebi = 2 ** 20;
let ground: StagingGround;
let client: Client;

beforeAll(async () => {
  ground = await openStagingGround(lab);
  client = ground.client;
});

afterEach(() => ground.expectNothingLeft());

afterAll(() => ground?.stop());

const at = (name: string): string => ground.at(name);
const put = (name: string, content: string | Buffer): string => ground.put(name, content);
const stagedOf = (taskId: string): Promise<string[]> => ground.stagedOf(taskId);

function startUpload(path: string, fileSize: number, more: Record<string, unknown> = {}) {
  const transfer_directives = { file_size: fileSize, transfer_method: 's3', ...more };
  return client.post(`${transfer}/upload`, { path, transfer_directives });
}

function startDownload(path: string) {
  return client.post(`${transfer}/download`, { source_path: path, transfer_directives: { transferMethod: 's3' } });
}

function digest(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}

async function uploadAll(path: string, content: Buffer) {
  const answer = await startUpload(path, content.length);
  expect(answer.status, answer.text).toBe(201);
  const etags = await putParts(directivesOf(answer), content);
  const completed = await completeUpload(directivesOf(answer), etags);
  expect(completed.status).toBe(200);
  return answer;
}

describe('an upload', () => {
  // Each waits for a look of a worker, so several do at once.
  it.concurrent.each([
    ['no bytes', 0, 1],
    ['one byte', 1, 1],
    ['one part exactly', 6 * mebi, 1],
    ['several parts', 15 * mebi + 7, 3],
  ])('of %s arrives whole, and says so where clients look', async (title, sizeBytes, partsCount) => {
    const content = randomBytes(sizeBytes);
    const path = at(`up ${title}`);
    const answer = await uploadAll(path, content);
    const { partsUploadUrls, maxPartSize } = directivesOf(answer);
    expect([partsUploadUrls.length, maxPartSize]).toEqual([partsCount, 6 * mebi]);
    expect(answer.body.transferDirectives).toMatchObject({ transferMethod: 's3' });
    const end = await jobEnd(client, jobOf(answer));
    expect(end).toMatchObject({ state: 'COMPLETED', exitCode: 0, error: '' });
    expect(end.output).toContain('File was successfully');
    expect(readFileSync(path).equals(content)).toBe(true);
    expect(statSync(path).uid).toBe(ground.owner.uid);
    const { body } = await client.get(`/tasks/${taskIdOf(answer)}`);
    expect(body.result).toMatchObject({ path, bytes: sizeBytes, sha256: digest(content) });
    expect(body.result.seconds).toBeTypeOf('number');
    expect(body.result.megabytesPerSecond).toBeTypeOf('number');
    expect(await stagedOf(body.id)).toEqual([]);
  });

  it.concurrent('keeps the mode of the file it replaces, which stays until then', async () => {
    const path = put('kept', 'old content');
    chmodSync(path, 0o640);
    const answer = await startUpload(path, 3);
    expect(readFileSync(path, 'utf8')).toBe('old content');
    await completeUpload(directivesOf(answer), await putParts(directivesOf(answer), Buffer.from('new')));
    expect(await jobEnd(client, jobOf(answer))).toMatchObject({ state: 'COMPLETED' });
    expect([readFileSync(path, 'utf8'), statSync(path).mode & 0o777]).toEqual(['new', 0o640]);
  });

  it.concurrent('defect 2: that does not add up to the digest announced is not put in place', async () => {
    const path = put('digest', 'old');
    const answer = await startUpload(path, 3, { sha256: digest(Buffer.from('abd')) });
    await completeUpload(directivesOf(answer), await putParts(directivesOf(answer), Buffer.from('abc')));
    const end = await jobEnd(client, jobOf(answer));
    expect(end).toMatchObject({ state: 'FAILED', output: '' });
    expect(end.error).toMatch(/the file has the SHA-256 ba7816bf.*, not /);
    expect(readFileSync(path, 'utf8')).toBe('old');
    expect(await stagedOf(taskIdOf(answer))).toEqual([]);
  });

  it.concurrent('defect 18: of another size than announced fails, and leaves nothing in the store', async () => {
    const answer = await startUpload(at('short'), 5);
    await completeUpload(directivesOf(answer), await putParts(directivesOf(answer), Buffer.from('abc')));
    const end = await jobEnd(client, jobOf(answer));
    expect(end.error).toMatch(/3 bytes were uploaded, not the 5 that were announced/);
    expect(await stagedOf(taskIdOf(answer))).toEqual([]);
    expect(existsSync(at('short'))).toBe(false);
  });

  it.concurrent('whose directory leads out of the file systems by the time it is complete is put nowhere', async () => {
    // Outside: the broker's file systems are the homes and /tmp.
    const outside = mkdtempSync('/var/tmp/goldcrest-test-');
    chownSync(outside, ground.owner.uid, ground.owner.gid);
    try {
      mkdirSync(at('moving'));
      put('moving/there', 'old');
      const answer = await startUpload(at('moving/new'), 3);
      const etags = await putParts(directivesOf(answer), Buffer.from('abc'));
      renameSync(at('moving'), at('moved'));
      symlinkSync(outside, at('moving'));
      await completeUpload(directivesOf(answer), etags);
      expect(await jobEnd(client, jobOf(answer))).toMatchObject({ state: 'FAILED', output: '' });
      const { body } = await client.get(`/tasks/${taskIdOf(answer)}`);
      expect(body.error.code).toBe('PathNotAllowed');
      expect([readdirSync(outside), await stagedOf(taskIdOf(answer))]).toEqual([[], []]);
    } finally {
      rmSync(outside, { recursive: true });
    }
  });

  it.concurrent('whose directory is gone by the time it is complete says so, and nothing else', async () => {
    mkdirSync(at('brief'));
    put('brief/there', 'old');
    const answer = await startUpload(at('brief/new'), 3_000);
    const etags = await putParts(directivesOf(answer), randomBytes(3_000));
    rmSync(at('brief'), { recursive: true });
    await completeUpload(directivesOf(answer), etags);
    expect((await jobEnd(client, jobOf(answer))).error).toMatch(/error message:[^\n]*: No such file or directory\n?$/);
    const { body } = await client.get(`/tasks/${taskIdOf(answer)}`);
    expect([body.error.code, await stagedOf(taskIdOf(answer))]).toEqual(['FileNotFound', []]);
  });

  it.concurrent('that the client cancels while it is expected leaves nothing, and its addresses are of no more use', async () => {
    const answer = await startUpload(at('unwanted'), 3);
    const etags = await putParts(directivesOf(answer), Buffer.from('abc'));
    expect((await client.delete(`/compute/lab/jobs/${jobOf(answer).jobId}`)).status).toBe(204);
    expect(await jobEnd(client, jobOf(answer))).toMatchObject({ state: 'CANCELLED', output: '' });
    expect((await completeUpload(directivesOf(answer), etags)).ok).toBe(false);
    expect(await stagedOf(taskIdOf(answer))).toEqual([]);
  });

  const hostile = hostileNames('touch goldcrest-was-here');
  it.concurrent.each(['single quote', 'newline', 'unicode', 'percent signs', 'query characters', 'longest name'])(
    'arrives under a name with %s',
    async (title) => {
      const name = hostile[title] ?? '';
      const answer = await uploadAll(at(name), Buffer.from(name));
      expect(await jobEnd(client, jobOf(answer))).toMatchObject({ state: 'COMPLETED', error: '' });
      expect(readFileSync(at(name), 'utf8')).toBe(name);
    },
  );

  it.each([
    ['a directory that is not there', 'none/file', 404, /No such file or directory/],
    ['a directory', 'folder', 400, /Is a directory/],
    ['a directory without permission', 'closed/file', 403, /Permission denied/],
    ['a file as a directory', 'plain/file', 404, /Not a directory/],
    ['a name with a slash behind it', 'new/', 400, /Is a directory/],
  ])('to %s is refused before anything is begun', async (_title, name, status, message) => {
    mkdirSync(at('folder'), { recursive: true });
    mkdirSync(at('closed'), { recursive: true });
    put('plain', 'x');
    chmodSync(at('closed'), 0o500);
    const answer = await startUpload(`${ground.own.path}/${name}`, 3);
    expect([answer.status, answer.body.message]).toEqual([status, expect.stringMatching(message)]);
    expect(answer.body.transferJob).toBeUndefined();
  });

  it('that does not fit the file system is refused before anything is sent', async () => {
    const answer = await startUpload(at('huge'), 5 * 2 ** 40);
    expect(answer.body.message).toMatch(/No space left on device/);
  });

  it.each([
    ['no size', { transferMethod: 's3' }, /`transferDirectives.fileSize` is required/],
    ['a negative size', { transferMethod: 's3', fileSize: -1 }, /fileSize.* must not be negative/],
    [
      'more than S3 takes',
      { transferMethod: 's3', fileSize: 5 * 2 ** 40 + 1 },
      /fileSize.* must be at most 5497558138880/,
    ],
    ['another way', { transferMethod: 'streamer', fileSize: 1 }, /^Requested transfer method is not available\.$/],
  ])('with %s is refused', async (_title, transferDirectives, message) => {
    const answer = await client.post(`${transfer}/upload`, { path: at('x'), transferDirectives });
    expect([answer.status, answer.body.message]).toEqual([400, expect.stringMatching(message)]);
  });
});

describe('a download', () => {
  it.concurrent.each([
    ['no bytes', 0],
    ['one byte', 1],
    ['several parts', 15 * mebi + 7],
  ])('of %s is at the address given first, when its job has ended', async (title, sizeBytes) => {
    const content = randomBytes(sizeBytes);
    const path = put(`down ${title}`, content);
    const answer = await startDownload(path);
    expect(answer.status, answer.text).toBe(201);
    expect(Object.keys(directivesOf(answer)).sort()).toEqual(['downloadUrl', 'transferMethod']);
    const end = await jobEnd(client, jobOf(answer));
    expect(end).toMatchObject({ state: 'COMPLETED', error: '' });
    expect(end.output).toContain('Multipart file upload successfully completed');
    const got = await fetch(directivesOf(answer).downloadUrl);
    expect(got.status).toBe(200);
    expect(digest(Buffer.from(await got.arrayBuffer()))).toBe(digest(content));
    const { body } = await client.get(`/tasks/${taskIdOf(answer)}`);
    expect(body.result).toMatchObject({ path, bytes: sizeBytes, sha256: digest(content) });
  });

  it.each([
    ['a file that is not there', 'none', 404, /No such file or directory/],
    ['a directory', 'folder', 400, /Is a directory/],
    ['a file that may not be read', 'secret', 403, /Permission denied/],
  ])('of %s is refused before anything is begun', async (_title, name, status, message) => {
    mkdirSync(at('folder'), { recursive: true });
    if (!existsSync(at('secret'))) put('secret', 'x');
    chmodSync(at('secret'), 0o000);
    const answer = await startDownload(at(name));
    expect([answer.status, answer.body.message]).toEqual([status, expect.stringMatching(message)]);
    chmodSync(at('secret'), 0o600);
  });

  it('of what a link points to gets that', async () => {
    put('pointed at', 'content');
    symlinkSync('pointed at', at('pointer'));
    const answer = await startDownload(at('pointer'));
    await jobEnd(client, jobOf(answer));
    expect(await (await fetch(directivesOf(answer).downloadUrl)).text()).toBe('content');
  });
});

/** What a list of parts of S3's names, by number: the ETags. */
function partsIn(xml: string): Map<number, string> {
  const parts = [...xml.matchAll(/<Part>(.*?)<\/Part>/gs)].map(([, text = '']) => text);
  const field = (text: string, name: string) => new RegExp(`<${name}>(?:&quot;|")?([^<&"]*)`).exec(text)?.[1] ?? '';
  return new Map(parts.map((text) => [Number(field(text, 'PartNumber')), field(text, 'ETag')]));
}

describe('the native face', () => {
  it('defect 10: signs addresses when they are asked for, as many as are asked for, and for the owner only', async () => {
    const content = randomBytes(13 * mebi);
    const input = { path: at('native'), transferDirectives: { transferMethod: 's3', fileSize: content.length } };
    const accepted = await client.post('/tasks', { operation: 'transfer.upload', system: 'lab', input });
    const location = `/tasks/${accepted.body.id}`;
    const look = async (query = '') => {
      const answer = await client.get(`${location}/transfer${query}`);
      if (answer.status === 409) throw new Error(answer.text);
      return answer;
    };
    const all = await vi.waitFor(() => look(), { timeout: 30_000, interval: 100 });
    expect(all.body).toMatchObject({
      sizeBytes: content.length,
      partSizeBytes: 6 * mebi,
      partsCount: 3,
      downloadUrl: null,
    });
    const second = await look('?first=2&count=1');
    const numbers = (answer: typeof all) => (answer.body.parts as { number: number }[]).map(({ number }) => number);
    expect([numbers(all), numbers(second)]).toEqual([[1, 2, 3], [2]]);
    expect((await look('?first=4')).body.message).toMatch(/`first` must be a whole number from 1 to 3/);
    const bob = await clientOf(lab.oidc, ground.broker.url, 'bob');
    expect((await bob.get(`${location}/transfer`)).status).toBe(404);
    const directives = {
      partsUploadUrls: (all.body.parts as { url: string }[]).map(({ url }) => url),
      completeUploadUrl: String(all.body.completeUrl),
      maxPartSize: 6 * mebi,
      downloadUrl: '',
    };
    const url = (number: number): string => directives.partsUploadUrls[number - 1] ?? '';
    await fetch(url(1), { method: 'PUT', body: content.subarray(0, 6 * mebi) });
    await fetch(url(3), { method: 'PUT', body: content.subarray(12 * mebi) });
    const md5 = createHash('md5')
      .update(content.subarray(12 * mebi))
      .digest('hex');
    const there = async (query: string) =>
      partsIn(await (await fetch(String((await look(query)).body.partsUrl))).text());
    expect([...(await there('')).keys()]).toEqual([1, 3]);
    expect(await there('?first=2')).toEqual(new Map([[3, md5]]));
    await completeUpload(directives, await putParts(directives, content));
    const hurried = await client.post(`${location}/transfer`, undefined);
    expect([hurried.status, hurried.body.id]).toEqual([202, accepted.body.id]);
    expect((await bob.post(`${location}/transfer`, undefined)).status).toBe(404);
    expect(await taskEnd(client, location)).toMatchObject({
      state: 'completed',
      result: { sha256: digest(content) },
      progress: { total: content.length, unit: 'bytes' },
    });
    expect((await client.get(`${location}/transfer`)).status).toBe(409);
    expect((await client.post(`${location}/transfer`, undefined)).status).toBe(409);
  });
});

describe('addresses', () => {
  it('of the store are on no command line of the cluster while bytes move', async () => {
    const path = put('watched', randomBytes(60 * mebi));
    const answer = await startDownload(path);
    const seen = new Set<string>();
    const ended = jobEnd(client, jobOf(answer));
    let isOver = false;
    void ended.finally(() => {
      isOver = true;
    });
    while (!isOver) {
      for (const { line } of userProcesses(lab, ground.owner)) seen.add(line);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await ended).toMatchObject({ state: 'COMPLETED' });
    const lines = [...seen];
    expect(lines.some((line) => line.startsWith('curl '))).toBe(true);
    expect(lines.filter((line) => /X-Amz-Signature=|uploadId=/.test(line))).toEqual([]);
  });

  it('are neither in Redis nor in the logs of the broker', async () => {
    const answer = await startUpload(at('quiet'), 3);
    const [url = ''] = directivesOf(answer).partsUploadUrls;
    const signature = new URL(url).searchParams.get('X-Amz-Signature') ?? '';
    expect(signature).toMatch(/^[0-9a-f]{64}$/);
    const logs = [ground.broker.api, ...ground.broker.workers]
      .map(({ logFile }) => readFileSync(logFile, 'utf8'))
      .join('');
    expect(logs).not.toContain('X-Amz-Signature');
    await client.delete(`/tasks/${taskIdOf(answer)}`);
    await taskEnd(client, `/tasks/${taskIdOf(answer)}`);
  });
});
