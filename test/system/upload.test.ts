/** Uploads through the running broker: every size, name, limit and way to break off; and both ways at once. */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { afterAll, describe, expect, it } from 'vitest';
import { residentMebibytes } from '../../bench/process-cpu.ts';
import { eventually } from '../eventually.ts';
import { type Answer, pathQuery } from './broker-fixture.ts';
import { limitBytes, startFileBytes } from './file-bytes-fixture.ts';
import { hostileNames } from './hostile-names.ts';

const { alice, at, broker, client, fetchFile, noParts, own, put, stop, tasksOf, token, upload } =
  await startFileBytes();
afterAll(() => stop());

describe('an upload', () => {
  it.each([0, 1, 32_768, 100_001, 5 * 2 ** 20])('of %i bytes is the file, and the answer is 204', async (size) => {
    const data = randomBytes(size);
    const answer = await upload(own.path, `up-${size}`, data, [['before', 'x']]);
    expect([answer.status, answer.text]).toEqual([204, '']);
    expect(readFileSync(at(`up-${size}`)).equals(data)).toBe(true);
    expect(statSync(at(`up-${size}`)).uid).toBe(alice.uid);
    await noParts();
  });

  it('keeps the mode of what it replaces, follows a link, and is new for who has the old one open', async () => {
    put('old', 'old', 0o600);
    symlinkSync('old', at('link'));
    const before = statSync(at('old')).ino;
    expect((await upload(own.path, 'link', 'new')).status).toBe(204);
    expect([readFileSync(at('old'), 'utf8'), statSync(at('old')).mode & 0o7777]).toEqual(['new', 0o600]);
    expect(statSync(at('old')).ino).not.toBe(before);
    symlinkSync('/etc/passwd', at('out'));
    const outside = await upload(own.path, 'out', 'x');
    expect([outside.status, outside.body.code]).toEqual([400, 'PathNotAllowed']);
    put('run.sh', 'x', 0o755);
    expect((await upload(own.path, 'run.sh', 'y')).status).toBe(204);
    expect(statSync(at('run.sh')).mode & 0o7777).toBe(0o755);
  });

  it.each(Object.entries(hostileNames('touch x')))('to a name with %s makes that file', async (_title, name) => {
    expect((await upload(own.path, name, name)).status).toBe(204);
    expect(readFileSync(at(name), 'utf8')).toBe(name);
  });

  it.each([
    ['a slash', '../x'],
    ['two dots', '..'],
    ['a dot', '.'],
    ['too many bytes', 'é'.repeat(128)],
  ])('to a name with %s is refused by the name of its part', async (_title, name) => {
    const answer = await upload(own.path, name, 'x');
    expect(answer.status, answer.text).toBe(400);
    expect(answer.body).toMatchObject({
      errorType: 'validation',
      data: { fields: [{ location: 'body', name: 'file' }] },
    });
  });

  it('of exactly the limit is taken, of a byte more is refused, and nothing is left', async () => {
    const data = Buffer.alloc(limitBytes + 1, 'x');
    expect((await upload(own.path, 'full', data.subarray(0, limitBytes))).status).toBe(204);
    expect(statSync(at('full')).size).toBe(limitBytes);
    const refused = await upload(own.path, 'over', data);
    expect([refused.status, refused.body.message]).toEqual([
      413,
      expect.stringMatching(/^File to upload is too large\./),
    ]);
    expect(existsSync(at('over'))).toBe(false);
    await noParts();
  });

  it('past the limit by its Content-Length is refused before it is sent', async () => {
    const status = await new Promise<number>((resolve, reject) => {
      const request = httpRequest(
        `${broker.url}/filesystem/lab/ops/upload?${pathQuery(own.path)}`,
        {
          method: 'POST',
          headers: {
            authorization: `Bearer ${token}`,
            'content-type': 'multipart/form-data; boundary=b',
            'content-length': 2 ** 40,
          },
        },
        (answer) => {
          answer.resume();
          resolve(answer.statusCode ?? 0);
          request.destroy();
        },
      );
      request.on('error', reject);
      request.flushHeaders();
    });
    expect(status).toBe(413);
  });

  it.each([
    ['no directory', (): [string, string] => [at('nowhere'), 'x'], 404, /: No such file or directory$/],
    [
      'a directory in its place',
      (): [string, string] => [alice.home, own.path.split('/').at(-1) ?? ''],
      400,
      /: Is a directory$/,
    ],
    ['a directory of another', (): [string, string] => ['/tmp/..', 'x'], 400, /does not match any/],
  ])('into %s is refused', async (_title, target, status, message) => {
    const [directory, name] = target();
    const answer = await upload(directory, name, 'x');
    expect([answer.status, answer.body.message]).toEqual([status, expect.stringMatching(message)]);
    await noParts();
  });

  it('without a file, with a field in its place, or as JSON is refused', async () => {
    const address = `/filesystem/lab/ops/upload?${pathQuery(own.path)}`;
    const none = new FormData();
    none.append('nofile', 'x');
    const missing = await client.post(address, none);
    expect(missing.body.data).toMatchObject({ fields: [{ location: 'body', name: 'file', message: 'is required' }] });
    const field = new FormData();
    field.append('file', 'x');
    expect((await client.post(address, field)).body.message).toMatch(/must be sent as a file/);
    expect((await client.post(address, {})).body.message).toMatch(/multipart\/form-data/);
  });

  it.each([
    ['in the middle of the file', '--b\r\nContent-Disposition: form-data; name="file"; filename="cut"\r\n\r\nhalf of'],
    [
      'before the last boundary',
      '--b\r\nContent-Disposition: form-data; name="file"; filename="cut"\r\n\r\nall\r\n--b\r\n',
    ],
  ])('that is cut off %s leaves the old file and nothing else', async (_title, body) => {
    put('cut', 'old');
    const request = httpRequest(`${broker.url}/filesystem/lab/ops/upload?${pathQuery(own.path)}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'multipart/form-data; boundary=b' },
    });
    request.on('error', () => {});
    request.write(body);
    await eventually(() => expect(readdirSync(own.path).some((name) => name.startsWith('.cut.part-'))).toBe(true));
    request.destroy();
    await noParts();
    expect(readFileSync(at('cut'), 'utf8')).toBe('old');
    await eventually(async () => expect((await tasksOf('filesystem.upload')).at(-1)?.state).toBe('canceled'));
  });

  it('as a task of its own is refused with the route to use', async () => {
    for (const [operation, input] of [
      ['filesystem.upload', { path: own.path, fileName: 'x' }],
      ['filesystem.download', { path: own.path }],
    ] as const) {
      const answer = await client.post('/tasks', { operation, system: 'lab', input });
      expect([answer.status, answer.body.message]).toEqual([400, expect.stringMatching(/ops\/(up|down)load/)]);
    }
  });
});

describe('an upload with an Idempotency-Key', () => {
  /** Sends the whole body; a `name` or `data` of another is another payload. */
  const keyed = (key: string, name: string, data: string) =>
    upload(own.path, name, data, [], { 'idempotency-key': key });
  const seenOf = ({ status, headers, body }: Answer) => [status, headers.get('idempotency-key-reply'), body?.code];

  /** Uploads of alice's since a time that the broker took for repeats. */
  async function repeatsSince(since: string): Promise<unknown[]> {
    const { body } = await client.get(`/audit?action=filesystem.upload&since=${since}`);
    return (body.records as { why: string }[]).filter(({ why }) => why.startsWith('a repeat of an earlier request'));
  }

  /** Sends the beginning of a file, and waits until the cluster has it. */
  async function begin(key: string, name: string, data: string) {
    const request = httpRequest(`${broker.url}/filesystem/lab/ops/upload?${pathQuery(own.path)}`, {
      method: 'POST',
      headers: {
        ...{ authorization: `Bearer ${token}`, 'content-type': 'multipart/form-data; boundary=b' },
        'idempotency-key': key,
      },
    });
    const answered = new Promise<number>((resolve) => {
      request.on('response', (answer) => resolve(answer.resume().statusCode ?? 0));
      request.on('error', () => resolve(0));
    });
    request.write(`--b\r\nContent-Disposition: form-data; name="file"; filename="${name}"\r\n\r\n${data}`);
    await eventually(() =>
      expect(readdirSync(own.path).some((entry) => entry.startsWith(`.${name}.part-`))).toBe(true),
    );
    return { answered, end: () => request.end('\r\n--b--\r\n'), leave: () => request.destroy() };
  }

  it('is written once: a repeat has its answer, another file or other bytes with its key are refused', async () => {
    expect(seenOf(await keyed('k1', 'once', 'bytes'))).toEqual([204, 'miss', undefined]);
    const written = statSync(at('once'));
    expect(seenOf(await keyed('k1', 'once', 'bytes'))).toEqual([204, 'hit', undefined]);
    expect(seenOf(await keyed('k1', 'once', 'bytez'))).toEqual([422, 'hit', 'IdempotencyMismatch']);
    expect(seenOf(await keyed('k1', 'twice', 'bytes')).slice(0, 1)).toEqual([422]);
    expect([statSync(at('once')).ino, existsSync(at('twice'))]).toEqual([written.ino, false]);
    const ofFile = (await tasksOf('filesystem.upload')).filter(({ result }) => result?.includes('/once"'));
    const sha256 = createHash('sha256').update('bytes').digest('hex');
    expect(ofFile.map(({ result }) => JSON.parse(result ?? ''))).toEqual([{ path: at('once'), sizeBytes: 5, sha256 }]);
  });

  it('is joined by repeats that come while it runs, which are told what became of it', async () => {
    const first = await begin('k2', 'joined', 'slow');
    const since = new Date().toISOString();
    const repeats = [keyed('k2', 'joined', 'slow'), keyed('k2', 'joined', 'fast')];
    await eventually(async () => expect(await repeatsSince(since)).toHaveLength(2));
    first.end();
    expect(await first.answered).toBe(204);
    expect((await Promise.all(repeats)).map(({ status }) => status)).toEqual([204, 422]);
    expect(readFileSync(at('joined'), 'utf8')).toBe('slow');
  });

  it('gives its key up when it ended without its file, and many repeats at once then make one upload', async () => {
    const first = await begin('k3', 'again', 'ha');
    first.leave();
    await noParts();
    await eventually(async () => expect((await tasksOf('filesystem.upload')).at(-1)?.state).toBe('canceled'));
    const answers = await Promise.all(Array.from({ length: 6 }, () => keyed('k3', 'again', 'whole')));
    expect(answers.map(({ status }) => status)).toEqual(Array(6).fill(204));
    expect(answers.filter((answer) => seenOf(answer)[1] === 'miss')).toHaveLength(1);
    expect(readFileSync(at('again'), 'utf8')).toBe('whole');
  });
});

it('bytes pass through API and worker, and do not stay in their memory: four files of 50 MiB at once, each way', async () => {
  const pids = [broker.api, ...broker.workers].map((process) => process.pid() ?? 0);
  const block = randomBytes(2 ** 20);
  const expected = createHash('sha256');
  for (let n = 0; n < 50; n += 1) expected.update(block);
  const digest = expected.digest('hex');
  const before = pids.map(residentMebibytes);
  const highest = [...before];
  const watch = setInterval(() => {
    for (const [at, pid] of pids.entries()) highest[at] = Math.max(highest[at] ?? 0, residentMebibytes(pid));
  }, 20);
  const roundTrip = async (name: string): Promise<string> => {
    const form = new FormData();
    form.append('file', new Blob(Array(50).fill(block)), name);
    const answer = await client.post(`/filesystem/lab/ops/upload?${pathQuery(own.path)}`, form);
    if (answer.status !== 204) return answer.text;
    const hash = createHash('sha256');
    for await (const chunk of (await fetchFile(at(name))).body ?? []) hash.update(chunk);
    return hash.digest('hex');
  };
  try {
    const digests = await Promise.all(Array.from({ length: 4 }, (_, n) => roundTrip(`fifty-${n}`)));
    expect(digests).toEqual(Array(4).fill(digest));
  } finally {
    clearInterval(watch);
  }
  // All of it would be 200 MiB; what is there is what the collector has not looked at yet.
  const grown = highest.map((mebibytes, at) => mebibytes - (before[at] ?? 0));
  expect(grown[0]).toBeLessThan(100);
  for (const ofWorker of grown.slice(1)) expect(ofWorker).toBeLessThan(150);
});
