/**
 * A fake SFTP server that holds one file and insists on limits of its own: OpenSSH, the real part of all other tests, has one
 * set of limits, and takes more than it tells of. See draft-ietf-secsh-filexfer-02 and limits@openssh.com of OpenSSH's PROTOCOL.
 */
import { Duplex, PassThrough } from 'node:stream';
import { readWire, sshString, uint32, uint64 } from '../../shared/ssh/wire.ts';
import type { LentChannel } from '../../workers/ssh/connection-pool.ts';
import { createPacketReader, packet, status } from '../../workers/ssh/sftp-wire.ts';

export interface FakeLimits {
  read: number;
  write: number;
  /** What it says of them; null: that it cannot say. */
  told: { read: number; write: number } | null;
}

export interface FakeSftpServer {
  channel: LentChannel;
  /** What the file holds. */
  content(): Buffer;
  /** Bytes of each read and write that was asked for. */
  asked: { reads: number[]; writes: number[] };
}

/** Reads past its limit are cut, as the protocol lets a server do; writes past it are refused. */
export function createFakeSftpServer(limits: FakeLimits, initial = Buffer.alloc(0)): FakeSftpServer {
  let file = initial;
  const asked = { reads: [] as number[], writes: [] as number[] };
  const answer = (type: number, id: number, ...fields: Buffer[]): void => {
    stream.push(sshString(Buffer.concat([Buffer.from([type]), uint32(id), ...fields])));
  };
  const say = (id: number, code: number): void => {
    answer(packet.status, id, uint32(code), sshString('as told'), sshString(''));
  };
  const serve = (bytes: Buffer): void => {
    const [type, id] = [bytes.readUInt8(0), bytes.length >= 5 ? bytes.readUInt32BE(1) : 0];
    if (type === packet.init) {
      const version = Buffer.concat([Buffer.from([packet.version]), uint32(3), sshString('limits@openssh.com')]);
      stream.push(sshString(Buffer.concat([version, sshString('1')])));
      return;
    }
    const fields = readWire(bytes, 5);
    if (type === packet.extended) {
      if (limits.told === null) say(id, status.unsupported);
      else answer(packet.extendedReply, id, ...[0, limits.told.read, limits.told.write, 0].map((each) => uint64(each)));
    } else if (type === packet.open) answer(packet.handle, id, sshString('h'));
    else if (type === packet.close) say(id, status.ok);
    else {
      fields.string();
      const offset = Number(fields.uint64());
      if (type === packet.read) {
        const length = fields.uint32();
        asked.reads.push(length);
        const data = file.subarray(offset, offset + Math.min(length, limits.read));
        if (data.length === 0) say(id, status.eof);
        else answer(packet.data, id, sshString(data));
        return;
      }
      const data = fields.string();
      asked.writes.push(data.length);
      if (data.length > limits.write) {
        say(id, status.failure);
        return;
      }
      const grown = Buffer.alloc(Math.max(file.length, offset + data.length));
      file.copy(grown);
      data.copy(grown, offset);
      file = grown;
      say(id, status.ok);
    }
  };
  const feed = createPacketReader(1024 * 1024, serve);
  const stream = new Duplex({
    read: () => undefined,
    // As ssh2 while its window is full: what is written is looked at later, and must be the same until then.
    write: (chunk: Buffer, _encoding, done) => {
      setImmediate(() => {
        feed(chunk);
        done();
      });
    },
  });
  const channel = {
    stream: Object.assign(stream, { stderr: new PassThrough(), close: () => stream.destroy() }),
    ...{ exit: () => undefined, park: () => undefined, release: () => undefined, connection: undefined },
  } as unknown as LentChannel;
  return { channel, content: () => file, asked };
}
