/** The data types of the SSH protocol (RFC 4251 section 5) that we write and read ourselves. */

/** A 32-bit big-endian number. */
export function uint32(value: number): Buffer {
  const buffer = Buffer.allocUnsafe(4);
  buffer.writeUInt32BE(value);
  return buffer;
}

/** A 64-bit big-endian number. */
export function uint64(value: number | bigint): Buffer {
  const buffer = Buffer.allocUnsafe(8);
  buffer.writeBigUInt64BE(BigInt(value));
  return buffer;
}

/** A length and that many bytes; text as UTF-8. */
export function sshString(value: string | Buffer): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  return Buffer.concat([uint32(bytes.length), bytes]);
}

/** Reads in order; each method throws RangeError past the end. */
export interface WireReader {
  readonly remaining: number;
  uint32(): number;
  uint64(): bigint;
  /** A view, not a copy. */
  string(): Buffer;
}

export function readWire(bytes: Buffer, start = 0): WireReader {
  let at = start;
  const advance = (count: number): number => {
    if (at + count > bytes.length) throw new RangeError('SSH message ends early');
    const from = at;
    at += count;
    return from;
  };
  const number = () => bytes.readUInt32BE(advance(4));
  return {
    get remaining() {
      return bytes.length - at;
    },
    uint32: number,
    uint64: () => bytes.readBigUInt64BE(advance(8)),
    string: () => {
      const length = number();
      const from = advance(length);
      return bytes.subarray(from, from + length);
    },
  };
}

/** DER `SEQUENCE { INTEGER r, INTEGER s }` to two mpints: the integers' bytes are the same in both. */
export function ecdsaBlob(der: Buffer): Buffer {
  let at = (der[1] ?? 0) === 0x81 ? 3 : 2;
  const integer = (): Buffer => {
    const length = der[at + 1] ?? 0;
    at += 2 + length;
    return der.subarray(at - length, at);
  };
  return Buffer.concat([sshString(integer()), sshString(integer())]);
}
