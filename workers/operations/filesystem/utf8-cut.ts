/**
 * Where a window of bytes may begin and end so that text stays whole: a character belongs to the window that holds its
 * first byte. So windows that follow each other hold each character once, whatever their sizes. (Unicode 15, table 3-7.)
 */

/** Bytes on either side of a cut that decide on it. */
export const cutContextBytes = 3;

/** The cut itself, or the end of the valid character that it would split. `bytes` hold what decides, where there is such. */
export function wholeCharacterCut(bytes: Buffer, at: number): number {
  for (let back = 1; back <= cutContextBytes && back <= at; back += 1) {
    const start = at - back;
    if (isContinuation(bytes[start])) continue;
    const end = start + characterLength(bytes, start);
    return Math.max(end, at);
  }
  return at;
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80;
}

/** Bytes of the valid character that begins there; 1 where none does. */
function characterLength(bytes: Buffer, start: number): number {
  const lead = bytes[start] ?? 0;
  const length =
    lead >= 0xf0 && lead <= 0xf4 ? 4 : lead >= 0xe0 && lead < 0xf0 ? 3 : lead >= 0xc2 && lead < 0xe0 ? 2 : 1;
  for (let at = 1; at < length; at += 1) if (!isContinuation(bytes[start + at])) return 1;
  return length > 2 && !isSecondByte(lead, bytes[start + 1] ?? 0) ? 1 : length;
}

/** Leaves out overlong forms, surrogates, and what is past U+10FFFF. */
function isSecondByte(lead: number, second: number): boolean {
  if (lead === 0xe0) return second >= 0xa0;
  if (lead === 0xed) return second <= 0x9f;
  if (lead === 0xf0) return second >= 0x90;
  return lead !== 0xf4 || second <= 0x8f;
}
