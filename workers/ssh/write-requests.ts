/**
 * Requests of SFTP that write to a file, filled in place. Their buffers are used again when they have gone out: made anew for each
 * request they would be most of what the collector has to look for while bytes pass.
 */
import { uint64 } from '../../shared/ssh/wire.ts';
import { type RequestLimits, requestBytesMax, type SftpChannel } from './sftp-channel.ts';
import { packet } from './sftp-wire.ts';

/** Most of them that wait for their next use, whoever's file that is; the others, and those of servers that take less, are let go. */
const idleMax = 16;
const idle: Buffer[] = [];

/** Length, type, id and length of the handle before it; offset and length of the bytes behind it. */
const fixedHeadBytes = 4 + 1 + 4 + 4 + 8 + 4;

/** The bytes of one request, put one behind another. */
export interface WriteRequest {
  /** Takes as many from the beginning of `bytes` as there is room for, and answers their number. They are copied. */
  fill(bytes: Buffer): number;
  readonly filledBytes: number;
  readonly isFull: boolean;
  /** Sends what was filled, to this offset of the file, and must not be used again. Rejects as `SftpChannel.request` does. */
  send(offsetBytes: number, limits: RequestLimits): Promise<void>;
}

/** One that is empty, of about the channel's largest size. */
export function openWriteRequest(channel: SftpChannel, handle: Buffer): WriteRequest {
  const headBytes = fixedHeadBytes + handle.length;
  // Its head among them, so that a full one fills whole packets of SSH, of which OpenSSH takes 32 KiB.
  const end = Math.max(headBytes + 1, Math.min(requestBytesMax, channel.requestBytes));
  const isWhole = end === requestBytesMax;
  const buffer = (isWhole ? idle.pop() : undefined) ?? Buffer.allocUnsafeSlow(end);
  let at = headBytes;
  return {
    fill(bytes) {
      const taken = Math.min(bytes.length, end - at);
      bytes.copy(buffer, at, 0, taken);
      at += taken;
      return taken;
    },
    get filledBytes() {
      return at - headBytes;
    },
    get isFull() {
      return at === end;
    },
    async send(offsetBytes, limits) {
      const packetOf = (id: number): Buffer => {
        writeHead(buffer, id, handle, offsetBytes, at - headBytes);
        return buffer.subarray(0, at);
      };
      await channel.requestWith(packetOf, limits, () => {
        if (isWhole && idle.length < idleMax) idle.push(buffer);
      });
    },
  };
}

function writeHead(to: Buffer, id: number, handle: Buffer, offsetBytes: number, lengthBytes: number): void {
  let at = to.writeUInt32BE(fixedHeadBytes - 4 + handle.length + lengthBytes, 0);
  at = to.writeUInt8(packet.write, at);
  at = to.writeUInt32BE(id, at);
  at = to.writeUInt32BE(handle.length, at);
  at += handle.copy(to, at);
  at += uint64(offsetBytes).copy(to, at);
  to.writeUInt32BE(lengthBytes, at);
}
