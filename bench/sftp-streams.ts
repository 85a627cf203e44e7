/**
 * ssh2's own streams over one warm SFTP channel, as a program uses that has the library and no broker: `createReadStream` read
 * to its end, and a source of 64 KiB pieces (those of Node's own file streams) piped into `createWriteStream`.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import ssh2, { type SFTPWrapper } from 'ssh2';
import type { Lab } from '../lab/lab.ts';
import type { LabUser } from '../lab/users.ts';

const pieceBytes = 64 * 1024;

export interface SftpStreams {
  /** Reads a whole file and drops its bytes. */
  read(path: string): Promise<void>;
  /** Writes a whole file, over what is there. */
  write(path: string, data: Buffer): Promise<void>;
  close(): void;
}

/** As the broker's connections: without Nagle, AES-GCM. */
export async function openSftpStreams(lab: Pick<Lab, 'sshd'>, user: LabUser): Promise<SftpStreams> {
  const client = new ssh2.Client();
  client.once('connect', () => client.setNoDelay(true));
  client.connect({
    ...{ host: lab.sshd.host, port: lab.sshd.port, username: user.username },
    privateKey: readFileSync(user.privateKeyPath),
    algorithms: { cipher: ['aes128-gcm@openssh.com'] },
  });
  await once(client, 'ready');
  const sftp = await new Promise<SFTPWrapper>((resolve, reject) => {
    client.sftp((error, opened) => (error ? reject(error) : resolve(opened)));
  });
  return {
    async read(path) {
      const stream = sftp.createReadStream(path).resume();
      await once(stream, 'close');
    },
    async write(path, data) {
      const stream = sftp.createWriteStream(path);
      const closed = once(stream, 'close');
      await Promise.all([pipeline(Readable.from(piecesOf(data), { objectMode: false }), stream), closed]);
    },
    close: () => void client.end(),
  };
}

function* piecesOf(data: Buffer): Generator<Buffer> {
  for (let at = 0; at < data.length; at += pieceBytes) yield data.subarray(at, at + pieceBytes);
}
