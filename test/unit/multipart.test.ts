/** The parser of uploads: however the bytes are cut on their way, whatever a file is called or holds. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { boundaryOf, readParts } from '../../api/http/multipart.ts';

interface Whole {
  name: string;
  fileName: string | null;
  data: Buffer;
}

async function* inBlocks(body: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer, void> {
  let at = 0;
  for (let n = 0; at < body.length; n += 1) {
    const size = sizes[n % sizes.length] ?? 1;
    yield body.subarray(at, at + size);
    at += size;
  }
}

async function parse(body: Buffer | string, boundary = 'b', sizes: readonly number[] = [1]): Promise<Whole[]> {
  const parts: Whole[] = [];
  for await (const { name, fileName, chunks } of readParts(inBlocks(Buffer.from(body), sizes), boundary)) {
    const data: Buffer[] = [];
    for await (const chunk of chunks) data.push(Buffer.from(chunk));
    parts.push({ name, fileName, data: Buffer.concat(data) });
  }
  return parts;
}

function partOf(header: string, data: Buffer | string = 'x'): Buffer {
  return Buffer.concat([
    Buffer.from(`--b\r\nContent-Disposition: form-data; ${header}\r\n\r\n`),
    Buffer.from(data),
    Buffer.from('\r\n--b--\r\n'),
  ]);
}

describe('a multipart body', () => {
  it('gives every part with its bytes, wherever it is cut', async () => {
    // Bytes that look like the beginning of a boundary are the interesting ones.
    const data = fc
      .array(fc.constantFrom('\r', '\n', '-', '--', '\r\n--', '\r\n--boundar', 'boundary', 'a', '\0', '\xff'))
      .map((all) => Buffer.from(all.join(''), 'latin1'))
      .filter((bytes) => !bytes.includes('\r\n--boundary'));
    await fc.assert(
      fc.asyncProperty(
        fc.array(data, { maxLength: 4 }),
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 }),
        async (files, sizes) => {
          const body = Buffer.concat([
            ...files.flatMap((bytes, n) => [
              Buffer.from(`${n === 0 ? '' : '\r\n'}--boundary\r\nContent-Disposition: form-data; name="p${n}"\r\n\r\n`),
              bytes,
            ]),
            Buffer.from(`${files.length === 0 ? '' : '\r\n'}--boundary--`),
          ]);
          const parts = await parse(body, 'boundary', sizes);
          expect(parts).toEqual(files.map((bytes, n) => ({ name: `p${n}`, fileName: null, data: bytes })));
        },
      ),
    );
  });

  it('may have a preamble and an epilogue, and part headers of any kind and case', async () => {
    const body =
      'preamble\r\n--b \t\r\nX-Other: y\r\nCONTENT-DISPOSITION: form-data; name=file; filename=plain.txt\r\n\r\n12\r\n--b--\r\nepilogue';
    expect(await parse(body)).toEqual([{ name: 'file', fileName: 'plain.txt', data: Buffer.from('12') }]);
  });

  it.each([
    ['the boundary at the end', '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n--b\r\n'],
    ['the end of a part', '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx'],
    ['its only boundary', 'nothing at all'],
    ['anything', ''],
  ])('without %s is cut off', async (_title, body) => {
    await expect(parse(body)).rejects.toThrow('ended before its last boundary');
  });

  it.each([
    ['too long headers', `--b\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, /too long headers/],
    ['no Content-Disposition', '--b\r\nX: y\r\n\r\nx\r\n--b--', /without Content-Disposition/],
    ['text behind a boundary', '--bad\r\n', /boundary that is none/],
    ['too many parts', '--b\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n'.repeat(102), /at most 100 parts/],
  ])('with %s is refused', async (_title, body, message) => {
    await expect(parse(body, 'b', [1_000])).rejects.toThrow(message);
  });
});

it.each([
  ['name="file"; filename="a.txt"', 'a.txt'],
  ['filename="a.txt"; name="file"', 'a.txt'],
  ['name="file"; filename="it%22s"', 'it"s'],
  ['name="file"; filename="it\\"s"', 'it"s'],
  ['name="file"; filename="back\\\\slash"', 'back\\slash'],
  ['name="file"; filename="back\\slash\\"', 'back\\slash\\'],
  ['name="file"; filename="two%0Alines"', 'two\nlines'],
  ['name="file"; filename="100%41"', '100%41'],
  ['name="file"; filename="a; b=c"', 'a; b=c'],
  ['name="file"; filename="漢字 🦜"', '漢字 🦜'],
  ['name="file"; filename="x"; filename*=UTF-8\'\'%E6%BC%A2%22', '漢"'],
  ['name="file"; filename=""', ''],
])('the file of %s is called %j', async (header, fileName) => {
  expect(await parse(partOf(header))).toEqual([{ name: 'file', fileName, data: Buffer.from('x') }]);
});

it('a name that is not UTF-8 is refused, not changed into another one', async () => {
  const sent = Buffer.from(partOf('name="file"; filename="caf?"').toString().replace('?', '\xe9'), 'latin1');
  await expect(parse(sent)).rejects.toMatchObject({ code: 'InvalidRequest', message: expect.stringMatching(/UTF-8/) });
});

it('the boundary is taken from the content type, quoted or not, and is required', () => {
  expect(boundaryOf('multipart/form-data; boundary=abc')).toBe('abc');
  expect(boundaryOf('Multipart/Form-Data; charset=utf-8; boundary="a b:c"')).toBe('a b:c');
  for (const wrong of [undefined, '', 'application/json', 'multipart/form-data', 'multipart/form-data; boundary=']) {
    expect(() => boundaryOf(wrong)).toThrow('multipart/form-data');
  }
});
