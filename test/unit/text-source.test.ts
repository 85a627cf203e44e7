/** Windows of text and the offsets of lines: what head, tail and view answer with, against an oracle on whole texts. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  endOfLines,
  openText,
  readText,
  startOfLastLines,
  type TextSource,
} from '../../workers/operations/filesystem/text-source.ts';
import { wholeCharacterCut } from '../../workers/operations/filesystem/utf8-cut.ts';

const unbounded = Number.POSITIVE_INFINITY;

/** Counts the bytes that are read. */
function sourceOf(data: Buffer) {
  const source = {
    sizeBytes: data.length,
    readBytes: 0,
    async read(offsetBytes: number, lengthBytes: number) {
      const block = data.subarray(offsetBytes, offsetBytes + lengthBytes);
      source.readBytes += block.length;
      return block;
    },
  };
  return source satisfies TextSource;
}

/** Text with characters of one to four bytes, line breaks among them. */
const texts = fc
  .array(fc.constantFrom('a', '\n', 'é', '漢', '🦜', '\0', '\ufeff', 'e\u0301'))
  .map((all) => all.join(''));
const bytes = fc.uint8Array({ maxLength: 60 }).map((all) => Buffer.from(all));

describe('windows of bytes', () => {
  it('hold each character once, whole, whatever their size', async () => {
    await fc.assert(
      fc.asyncProperty(texts, fc.integer({ min: 1, max: 9 }), async (text, sizeBytes) => {
        const source = sourceOf(Buffer.from(text));
        let read = '';
        for (let at = 0; at < source.sizeBytes; at += sizeBytes) read += await readText(source, at, at + sizeBytes, 9);
        expect(read).toBe(text);
      }),
    );
  });

  it('continue where the bytes of the one before ended', async () => {
    await fc.assert(
      fc.asyncProperty(texts, fc.integer({ min: 1, max: 9 }), async (text, sizeBytes) => {
        const source = sourceOf(Buffer.from(text));
        let read = '';
        for (let at = 0; at < source.sizeBytes; ) {
          const window = await readText(source, at, at + sizeBytes, 9);
          at += Buffer.byteLength(window);
          read += window;
        }
        expect(read).toBe(text);
      }),
    );
  });

  it('of any bytes are cut at most three bytes later, and never behind the end', () => {
    fc.assert(
      fc.property(bytes, fc.nat(60), (data, at) => {
        const cut = wholeCharacterCut(data, Math.min(at, data.length));
        expect(cut - Math.min(at, data.length)).toBeGreaterThanOrEqual(0);
        expect(cut - Math.min(at, data.length)).toBeLessThanOrEqual(3);
        expect(cut).toBeLessThanOrEqual(data.length);
      }),
    );
  });

  it.each([
    ['a lone continuation byte', [0x80]],
    ['an overlong slash', [0xc0, 0xaf]],
    ['an overlong three bytes', [0xe0, 0x9f, 0xbf]],
    ['a surrogate', [0xed, 0xa0, 0x80]],
    ['past U+10FFFF', [0xf4, 0x90, 0x80, 0x80]],
    ['a character cut off', [0xe6, 0xbc]],
  ])('%s is no character: it is replaced, not kept whole', async (_title, wrong) => {
    const data = Buffer.from([0x61, ...wrong, 0x62]);
    const source = sourceOf(data);
    const whole = await readText(source, 0, unbounded, 99);
    expect(whole).toBe(new TextDecoder().decode(data));
    expect(whole).toMatch(/^a\ufffd+b$/);
    expect(wholeCharacterCut(data, 2)).toBe(2);
  });

  it('are empty past the end, and too large past the limit to the byte', async () => {
    const source = sourceOf(Buffer.from('12345'));
    expect(await readText(source, 5, 9, 3)).toBe('');
    expect(await readText(source, 2 ** 40, 2 ** 41, 3)).toBe('');
    expect(await readText(source, 0, 3, 3)).toBe('123');
    await expect(readText(source, 0, 4, 3)).rejects.toMatchObject({
      code: 'OutputTooLarge',
      message: expect.stringMatching(/^Command output exceeded buffer limit\./),
    });
  });
});

describe('lines', () => {
  const linesOf = (text: string): string[] => text.match(/[^\n]*\n|[^\n]+$/g) ?? [];

  it('are counted from the beginning and from the end as head and tail count them', async () => {
    await fc.assert(
      fc.asyncProperty(texts, fc.nat(12), async (text, count) => {
        const data = Buffer.from(text);
        const lines = linesOf(text);
        const first = await endOfLines(sourceOf(data), count);
        expect(data.subarray(0, first).toString()).toBe(lines.slice(0, count).join(''));
        const last = await startOfLastLines(sourceOf(data), count);
        expect(data.subarray(last).toString()).toBe(count === 0 ? '' : lines.slice(-count).join(''));
      }),
    );
  });

  it('of more than one block are counted across them', async () => {
    const text = Array.from({ length: 300_000 }, (_, n) => `line ${n}\n`).join('');
    const data = Buffer.from(text);
    for (const count of [1, 5_000, 150_000, 299_999, 300_000, 300_001]) {
      const first = await endOfLines(sourceOf(data), count);
      expect(data.subarray(0, first).toString().split('\n').length - 1).toBe(Math.min(count, 300_000));
      const last = await startOfLastLines(sourceOf(data), count);
      expect(data.subarray(last).toString().split('\n').length - 1).toBe(Math.min(count, 300_000));
    }
  });

  it('at one end are found without reading the other', async () => {
    const source = sourceOf(Buffer.alloc(50_000_000, 'some text in a line\n'));
    await endOfLines(source, 10);
    await startOfLastLines(source, 10);
    expect(source.readBytes).toBeLessThan(100_000);
  });

  it('that end nowhere are given up at the limit, and the search stops there', async () => {
    const source = sourceOf(Buffer.alloc(50_000_000, 'x'));
    await expect(endOfLines(source, 1, 1_000_000)).rejects.toMatchObject({ code: 'OutputTooLarge' });
    await expect(startOfLastLines(source, 1, 1_000_000)).rejects.toMatchObject({ code: 'OutputTooLarge' });
    expect(source.readBytes).toBeLessThan(6_000_000);
  });
});

it('a file that says it is empty is read to its end, within the limit', async () => {
  const fileOf = (data: Buffer) => ({
    ...{ sizeBytes: 0, mode: 0o100444, mtime: 0, stream: async () => 0 },
    read: async (offset: number, length: number) => data.subarray(offset, offset + length),
  });
  const source = await openText(fileOf(Buffer.from('Name: x\n')), 8);
  expect(await readText(source, 0, 8, 8)).toBe('Name: x\n');
  await expect(openText(fileOf(Buffer.from('Name: xy\n')), 8)).rejects.toMatchObject({ code: 'OutputTooLarge' });
});
