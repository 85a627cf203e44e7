import { describe, expect, it } from 'vitest';
import { localTimeAtOffset, localTimeIn } from '../../workers/operations/filesystem/local-time.ts';
import { permissionLetters, typeLetter } from '../../workers/operations/filesystem/mode-letters.ts';

describe('the letters of a mode', () => {
  it.each([
    [0o100644, '-', 'rw-r--r--'],
    [0o040755, 'd', 'rwxr-xr-x'],
    [0o041777, 'd', 'rwxrwxrwt'],
    [0o041776, 'd', 'rwxrwxrwT'],
    [0o104755, '-', 'rwsr-xr-x'],
    [0o104644, '-', 'rwSr--r--'],
    [0o102755, '-', 'rwxr-sr-x'],
    [0o102745, '-', 'rwxr-Sr-x'],
    [0o120777, 'l', 'rwxrwxrwx'],
    [0o010600, 'p', 'rw-------'],
    [0o140755, 's', 'rwxr-xr-x'],
    [0o060660, 'b', 'rw-rw----'],
    [0o020666, 'c', 'rw-rw-rw-'],
    [0o100000, '-', '---------'],
  ])('of %o are %s%s, as ls writes them', (mode, type, permissions) => {
    expect([typeLetter(mode), permissionLetters(mode)]).toEqual([type, permissions]);
  });
});

describe('the local time of a cluster', () => {
  it('follows the summer time of its zone at the time of the file, not of today', () => {
    const zurich = localTimeIn('Europe/Zurich');
    expect(zurich(Date.UTC(2026, 0, 15, 12) / 1_000)).toBe('2026-01-15T13:00:00');
    expect(zurich(Date.UTC(2026, 6, 15, 12) / 1_000)).toBe('2026-07-15T14:00:00');
  });

  it('changes in the very second the clocks do', () => {
    const zurich = localTimeIn('Europe/Zurich');
    const change = Date.UTC(2026, 2, 29, 1) / 1_000;
    expect([zurich(change - 1), zurich(change)]).toEqual(['2026-03-29T01:59:59', '2026-03-29T03:00:00']);
  });

  it('knows offsets of half and quarter hours, and times before 1970', () => {
    expect(localTimeIn('Asia/Kathmandu')(0)).toBe('1970-01-01T05:30:00');
    expect(localTimeIn('Asia/Kathmandu')(Date.UTC(2026, 0, 1) / 1_000)).toBe('2026-01-01T05:45:00');
    expect(localTimeIn('America/St_Johns')(Date.UTC(2026, 0, 1) / 1_000)).toBe('2025-12-31T20:30:00');
    expect(localTimeIn('UTC')(-1)).toBe('1969-12-31T23:59:59');
  });

  it('formats at a constant offset where the zone has no name', () => {
    expect(localTimeAtOffset(-(3 * 3_600 + 1_800))(0)).toBe('1969-12-31T20:30:00');
  });
});
