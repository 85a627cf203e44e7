/** Downloads and uploads through the running broker: every size, name, limit and way to break off. */
import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { residentMebibytes } from '../../bench/process-cpu.ts';
import { requestToken } from '../../lab/oidc/token-client.ts';
import { userNamed } from '../../lab/users.ts';
import { type Broker, type Client, createClient, pathQuery, startBroker } from './broker-fixture.ts';
import { homeDirectory, type OwnDirectory } from './home-directory.ts';
import { hostileNames } from './hostile-names.ts';

const lab = inject('lab');
const alice = userNamed(lab.users, 'alice');
const limitBytes = 64 * 2 ** 20;

let broker: Broker;
let client: Client;
let token: string;
let own: OwnDirectory;

beforeAll(async () => {
  broker = await startBroker(lab, {
    scheduler: 'process',
    dataOperation: { max_ops_file_size: limitBytes },
  });
  token = await requestToken(lab.oidc, 'alice');
  client = createClient(broker.url, token);
  own = homeDirectory(alice);
});

afterAll(async () => {
  own?.remove();
  await broker?.stop();
});

function at(name: string): string {
  return join(own.path, name);
}

/** Puts a file of the user where the cluster sees it. */
function put(name: string, data: string | Buffer, mode = 0o644): string {
  writeFileSync(at(name), data, { mode });
  chmodSync(at(name), mode);
  own.giveAway();
  return at(name);
}

function fetchFile(path: string, headers: Record<string, string> = {}, signal?: AbortSignal): Promise<Response> {
  return fetch(`${broker.url}/filesystem/lab/ops/download?${pathQuery(path)}`, {
    headers: { authorization: `Bearer ${token}`, ...headers },
    ...(signal === undefined ? {} : { signal }),
  });
}

async function bytesOf(response: Response): Promise<Buffer> {
  return Buffer.from(await response.arrayBuffer());
}

function upload(directory: string, name: string, data: string | Buffer<ArrayBuffer>, extra: [string, string][] = []) {
  const form = new FormData();
  for (const [field, value] of extra) form.append(field, value);
  form.append('file', new Blob([data]), name);
  form.append('after', 'y');
  return client.post(`/filesystem/lab/ops/upload?${pathQuery(directory)}`, form);
}

/** Nothing of an upload that did not end is left. */
async function noParts(): Promise<void> {
  await vi.waitFor(() => expect(readdirSync(own.path).filter((name) => name.includes('.part-'))).toEqual([]), {
    timeout: 40_000,
    interval: 50,
  });
}

/** State and error code of the newest task of an operation, from the record itself. */
async function tasksOf(operation: string): Promise<{ state: string; result: string | null; error: string | null }[]> {
  const { connectRedis } = await import('../../shared/platform/redis.ts');
  const { pino } = await import('pino');
  const redis = connectRedis(lab.redis.url, 'persist', pino({ level: 'silent' }));
  try {
    const keys = await redis.keys(`${broker.keyPrefix}:task:*`);
    const records = await Promise.all(keys.map((key) => redis.hgetall(key)));
    return records
      .filter((record) => record.operation === operation)
      .sort((a, b) => Number(a.createdAt) - Number(b.createdAt))
      .map(({ state = '', result, error }) => ({ state, result: result ?? null, error: error ?? null }));
  } finally {
    redis.disconnect();
  }
}

describe('a download', () => {
  it.each([0, 1, 2, 32_767, 32_768, 32_769, 65_536, 1_000_003, 5 * 2 ** 20])(
    'of %i bytes is the file',
    async (size) => {
      const data = randomBytes(size);
      const response = await fetchFile(put(`size-${size}`, data));
      expect(response.status).toBe(200);
      expect(response.headers.get('content-type')).toBe('application/octet-stream');
      expect(response.headers.get('content-length')).toBe(String(size));
      expect(response.headers.get('accept-ranges')).toBe('bytes');
      expect((await bytesOf(response)).equals(data)).toBe(true);
    },
  );

  it('ends as a task that says how much was sent', async () => {
    await bytesOf(await fetchFile(put('counted', 'four')));
    await vi.waitFor(async () => {
      const last = (await tasksOf('filesystem.download')).at(-1);
      expect(last).toMatchObject({ state: 'completed', result: '{"sizeBytes":4,"sentBytes":4}' });
    });
  });

  it('of a range is that range, and of one behind the end is refused with the size', async () => {
    const path = put('ranges', '0123456789');
    const cases: [string, number, string, string | null][] = [
      ['bytes=0-3', 206, '0123', 'bytes 0-3/10'],
      ['bytes=8-', 206, '89', 'bytes 8-9/10'],
      ['bytes=-3', 206, '789', 'bytes 7-9/10'],
      ['bytes=5-99', 206, '56789', 'bytes 5-9/10'],
      ['bytes=0-1,4-5', 200, '0123456789', null],
      ['lines=0-1', 200, '0123456789', null],
    ];
    for (const [range, status, text, contentRange] of cases) {
      const response = await fetchFile(path, { range });
      expect([response.status, await response.text()], range).toEqual([status, text]);
      expect(response.headers.get('content-range')).toBe(contentRange);
      expect(response.headers.get('content-length')).toBe(String(text.length));
    }
    const refused = await fetchFile(path, { range: 'bytes=10-' });
    expect([refused.status, refused.headers.get('content-range')]).toEqual([416, 'bytes */10']);
    expect(await refused.json()).toMatchObject({ code: 'RangeNotSatisfiable', message: 'The file has 10 bytes.' });
    const first = await fetchFile(path);
    const lastModified = first.headers.get('last-modified') ?? '';
    await first.text();
    const same = await fetchFile(path, { range: 'bytes=0-1', 'if-range': lastModified });
    expect([same.status, await same.text()]).toEqual([206, '01']);
    const changed = await fetchFile(path, { range: 'bytes=0-1', 'if-range': 'Thu, 01 Jan 1970 00:00:00 GMT' });
    expect([changed.status, await changed.text()]).toEqual([200, '0123456789']);
  });

  it('names the file for every client, whatever it is called', async () => {
    const plain = await fetchFile(put('plain.txt', 'x'));
    expect(plain.headers.get('content-disposition')).toBe('attachment; filename="plain.txt"');
    for (const [title, name] of Object.entries(hostileNames('touch x'))) {
      const response = await fetchFile(put(name, name));
      expect([response.status, await response.text()], title).toEqual([200, name]);
      const disposition = response.headers.get('content-disposition') ?? '';
      expect(disposition).toMatch(
        /^attachment; filename="[\x20\x21\x23-\x5b\x5d-\x7e]*"(; filename\*=UTF-8''[A-Za-z0-9!#$&+.^_`|~%-]+)?$/,
      );
      const exact = /filename\*=UTF-8''(.*)$/.exec(disposition)?.[1];
      expect(exact === undefined ? /filename="(.*)"/.exec(disposition)?.[1] : decodeURIComponent(exact)).toBe(name);
    }
  });

  it('of what is no file, not there, or not readable says so', async () => {
    put('secret', 'x');
    chmodSync(at('secret'), 0);
    const cases: [string, number, RegExp][] = [
      [own.path, 400, /: Is a directory$/],
      [at('none'), 404, /: No such file or directory$/],
      [at('secret'), 403, /: Permission denied$/],
      ['/tmp/../etc/passwd', 400, /does not match any/],
    ];
    for (const [path, status, message] of cases) {
      const response = await fetchFile(path);
      const body = (await response.json()) as { message: string };
      expect([response.status, body.message]).toEqual([status, expect.stringMatching(message)]);
    }
  });

  it('of exactly the limit is sent, of a byte more is refused, and of a part of that is sent', async () => {
    put('limit', '');
    truncateSync(at('limit'), limitBytes);
    const whole = await fetchFile(at('limit'));
    expect(whole.status).toBe(200);
    let size = 0;
    for await (const chunk of whole.body ?? []) size += chunk.length;
    expect(size).toBe(limitBytes);
    truncateSync(at('limit'), limitBytes + 1);
    const refused = await fetchFile(at('limit'));
    expect([refused.status, ((await refused.json()) as { message: string }).message]).toEqual([
      413,
      expect.stringMatching(/^File to download is too large\./),
    ]);
    expect((await bytesOf(await fetchFile(at('limit'), { range: `bytes=${limitBytes}-` }))).length).toBe(1);
  });

  it('whose client goes away ends at once, and its task says so', async () => {
    put('large', '');
    truncateSync(at('large'), limitBytes);
    const leave = new AbortController();
    const response = await fetchFile(at('large'), {}, leave.signal);
    expect(response.status).toBe(200);
    leave.abort();
    await vi.waitFor(
      async () => {
        const last = (await tasksOf('filesystem.download')).at(-1);
        expect(last?.state).toBe('canceled');
      },
      { timeout: 5_000, interval: 50 },
    );
  });

  it('is never cut short without a word: a file that shrinks breaks the connection off', async () => {
    const handle = openSync(at('shrinks'), 'w');
    writeSync(handle, 'x');
    closeSync(handle);
    own.giveAway();
    truncateSync(at('shrinks'), limitBytes);
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const address = `${broker.url}/filesystem/lab/ops/download?${pathQuery(at('shrinks'))}`;
      httpRequest(address, { headers: { authorization: `Bearer ${token}` } }, resolve)
        .on('error', reject)
        .end();
    });
    expect(answer.headers['content-length']).toBe(String(limitBytes));
    truncateSync(at('shrinks'), 1_000); // the answer is held back until it is read
    let size = 0;
    const read = async (): Promise<void> => {
      for await (const chunk of answer) size += (chunk as Buffer).length;
    };
    await expect(read()).rejects.toThrow(/aborted/);
    expect(size).toBeLessThan(limitBytes);
  });
});

it('a text of the limit is answered whole, also where each of its bytes is six of JSON', async () => {
  put('nuls', Buffer.alloc(5 * 2 ** 20));
  for (const query of ['', '&size=5242880']) {
    const { status, body } = await client.get(`/filesystem/lab/ops/view?${pathQuery(at('nuls'))}${query}`);
    expect([status, (body.output as string).length]).toEqual([200, 5 * 2 ** 20]);
  }
});

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
    await vi.waitFor(() => expect(readdirSync(own.path).some((name) => name.startsWith('.cut.part-'))).toBe(true), {
      timeout: 20_000,
      interval: 20,
    });
    request.destroy();
    await noParts();
    expect(readFileSync(at('cut'), 'utf8')).toBe('old');
    await vi.waitFor(async () => expect((await tasksOf('filesystem.upload')).at(-1)?.state).toBe('canceled'));
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
