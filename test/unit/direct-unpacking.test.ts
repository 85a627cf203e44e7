import { describe, expect, it } from 'vitest';
import { directUnpackCommand } from '../../workers/operations/filesystem/direct-unpacking.ts';

const record = 10_240;
const within = (
  sizeBytes: number,
  compression: 'none' | 'gzip' | 'bzip2' | 'xz',
  bytes: number,
  entries = 10_000_000,
) =>
  directUnpackCommand({ path: '/a', sizeBytes, compression }, '/out', {
    unpackBytesMax: bytes,
    unpackEntriesMax: entries,
  });

describe('an archive is unpacked by tar alone', () => {
  it('where its size proves that it passes no bound, to the byte and to the entry, and not above', () => {
    expect(within(record, 'none', record)).not.toBeNull();
    expect(within(record + 1, 'none', record)).toBeNull();
    expect(within(record, 'none', record - 1)).toBeNull();
    expect(within(record, 'none', 2 ** 30, 20)).not.toBeNull();
    expect(within(record, 'none', 2 ** 30, 19)).toBeNull();
    expect(within(record, 'gzip', record * 1032)).not.toBeNull();
    expect(within(record + 1, 'gzip', record * 1032)).toBeNull();
  });

  it('and never where the size of its kind proves nothing', () => {
    expect([within(14, 'bzip2', 2 ** 40, 10_000_000), within(32, 'xz', 2 ** 40, 10_000_000)]).toEqual([null, null]);
  });

  it('that stops at the first record past the bound', () => {
    expect(within(100, 'gzip', 1032 * 100 + 2 * record)).toContain('--checkpoint=13');
  });
});
