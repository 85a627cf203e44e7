/** One range of bytes of a file, from a Range header (RFC 9110, section 14.1.2). */

/** `whole`: the header asks for nothing that is served in parts. `unsatisfiable`: it begins behind the end. */
export type ByteRange = { start: number; lengthBytes: number } | 'whole' | 'unsatisfiable';

const oneRange = /^bytes\s*=\s*(\d{0,15})\s*-\s*(\d{0,15})\s*$/i;

/** A header that is not understood, or that asks for several ranges, is ignored, as the RFC allows. */
export function resolveRange(header: string | undefined, sizeBytes: number): ByteRange {
  const [, first, last] = oneRange.exec(header ?? '') ?? [];
  if (first === undefined || last === undefined || (first === '' && last === '')) return 'whole';
  if (first === '') {
    const lengthBytes = Math.min(Number(last), sizeBytes);
    return lengthBytes === 0 ? 'unsatisfiable' : { start: sizeBytes - lengthBytes, lengthBytes };
  }
  const start = Number(first);
  if (last !== '' && Number(last) < start) return 'whole';
  if (start >= sizeBytes) return 'unsatisfiable';
  const end = last === '' ? sizeBytes : Math.min(Number(last) + 1, sizeBytes);
  return { start, lengthBytes: end - start };
}
