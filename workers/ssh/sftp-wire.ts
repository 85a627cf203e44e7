/** Packets of SFTP version 3 (draft-ietf-secsh-filexfer-02), with names as bytes, which ssh2's own client decodes. */
import { readWire, uint32, type WireReader } from '../../shared/ssh/wire.ts';

/** Packet types. */
export const packet = {
  init: 1,
  version: 2,
  open: 3,
  close: 4,
  read: 5,
  write: 6,
  lstat: 7,
  setstat: 9,
  opendir: 11,
  readdir: 12,
  remove: 13,
  mkdir: 14,
  rmdir: 15,
  realpath: 16,
  stat: 17,
  rename: 18,
  readlink: 19,
  symlink: 20,
  status: 101,
  handle: 102,
  data: 103,
  name: 104,
  attrs: 105,
  extended: 200,
  extendedReply: 201,
} as const;

/** Status codes. */
export const status = {
  ok: 0,
  eof: 1,
  noSuchFile: 2,
  permissionDenied: 3,
  failure: 4,
  badMessage: 5,
  unsupported: 8,
} as const;

/** Flags of `open`. */
export const openFlag = { read: 1, write: 2, create: 8, truncate: 16, exclusive: 32 } as const;

/** Attributes as the server sent them; what it left out is undefined. */
export interface WireAttributes {
  readonly sizeBytes: number | undefined;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  readonly mode: number | undefined;
  readonly atime: number | undefined;
  readonly mtime: number | undefined;
}

const attributeFlag = { size: 1, owner: 2, permissions: 4, times: 8, extended: 0x80000000 } as const;

/** A whole packet; `id` is missing in `init` only. */
export function encodePacket(type: number, id: number, ...fields: Buffer[]): Buffer {
  const head = Buffer.allocUnsafe(9);
  head.writeUInt32BE(5 + fields.reduce((sum, { length }) => sum + length, 0), 0);
  head.writeUInt8(type, 4);
  head.writeUInt32BE(id, 5);
  return Buffer.concat([head, ...fields]);
}

/** ATTRS with permission bits alone, or with nothing. */
export function encodeMode(mode: number | undefined): Buffer {
  return mode === undefined ? uint32(0) : Buffer.concat([uint32(attributeFlag.permissions), uint32(mode)]);
}

export function readAttributes(reader: WireReader): WireAttributes {
  const flags = reader.uint32();
  const next = (flag: number): number | undefined => ((flags & flag) === 0 ? undefined : reader.uint32());
  const sizeBytes = flags & attributeFlag.size ? reader.uint32() * 2 ** 32 + reader.uint32() : undefined;
  const uid = next(attributeFlag.owner);
  const gid = next(attributeFlag.owner);
  const mode = next(attributeFlag.permissions);
  const atime = next(attributeFlag.times);
  const mtime = next(attributeFlag.times);
  for (let left = (flags & attributeFlag.extended) !== 0 ? reader.uint32() : 0; left > 0; left -= 1) {
    reader.string();
    reader.string();
  }
  return { sizeBytes, uid, gid, mode, atime, mtime };
}

/** Cuts a byte stream into packets (without their length). Throws RangeError on one past `packetBytesMax`. */
export function createPacketReader(
  packetBytesMax: number,
  onPacket: (packet: Buffer) => void,
): (chunk: Buffer) => void {
  let rest: Buffer[] = [];
  let restBytes = 0;
  let wantedBytes = 4;
  return (chunk) => {
    rest.push(chunk);
    restBytes += chunk.length;
    if (restBytes < wantedBytes) return; // joining only when a packet is whole keeps large ones linear
    let bytes = rest.length === 1 ? chunk : Buffer.concat(rest);
    wantedBytes = 4;
    while (bytes.length >= 4) {
      const length = bytes.readUInt32BE(0);
      if (length > packetBytesMax) throw new RangeError('SFTP packet too large');
      wantedBytes = 4 + length;
      if (bytes.length < wantedBytes) break;
      onPacket(bytes.subarray(4, wantedBytes));
      bytes = bytes.subarray(wantedBytes);
      wantedBytes = 4;
    }
    rest = bytes.length > 0 ? [bytes] : [];
    restBytes = bytes.length;
  };
}

/** The fields after type and id. */
export function packetFields(bytes: Buffer): { type: number; id: number; fields: WireReader } {
  return { type: bytes.readUInt8(0), id: bytes.readUInt32BE(1), fields: readWire(bytes, 5) };
}
