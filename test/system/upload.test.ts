/** Uploads through the running broker: every size, name, limit and way to break off; and both ways at once. */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { afterAll, describe, expect, it } from 'vitest';
import { residentMebibytes } from '../../bench/process-cpu.ts';
import { eventually } from '../eventually.ts';
import { pathQuery } from './broker-fixture.ts';
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

it('bytes pass through the API, and do not stay in its memory: four files of 50 MiB at once, each way', async () => {
  const pid = broker.api.pid() ?? 0;
  const block = randomBytes(2 ** 20);
  const expected = createHash('sha256');
  for (let n = 0; n < 50; n += 1) expected.update(block);
  const digest = expected.digest('hex');
  const before = residentMebibytes(pid);
  let highest = before;
  const watch = setInterval(() => {
    highest = Math.max(highest, residentMebibytes(pid));
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
  expect(highest - before).toBeLessThan(100);
});
