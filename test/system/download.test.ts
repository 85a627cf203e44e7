/** Downloads through the running broker: every size, range, name, limit and way to break off. */
import { randomBytes } from 'node:crypto';
import { chmodSync, closeSync, openSync, truncateSync, writeSync } from 'node:fs';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { afterAll, describe, expect, it } from 'vitest';
import { eventually } from '../eventually.ts';
import { pathQuery } from './broker-fixture.ts';
import { bytesOf, limitBytes, startFileBytes } from './file-bytes-fixture.ts';
import { hostileNames } from './hostile-names.ts';

const { at, broker, client, fetchFile, own, put, stop, tasksOf, token } = await startFileBytes();
afterAll(() => stop());

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
    await eventually(async () => {
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
    await eventually(async () => {
      const last = (await tasksOf('filesystem.download')).at(-1);
      expect(last?.state).toBe('canceled');
    });
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
