/** A small DNS server (RFC 1035, UDP) that answers as the test says, another answer each time if it likes. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import ipaddr from 'ipaddr.js';

export interface LyingDns {
  /** `127.0.0.1:port`, for a resolver's list of servers. */
  server: string;
  /** Names that were asked for, with the type: `A name`. */
  asked: string[];
  close(): void;
}

const types: Record<number, string> = { 1: 'A', 28: 'AAAA' };

/** `answer` gives the addresses of a name; those of the family that was asked for are sent. */
export async function startLyingDns(answer: (name: string, time: number) => string[]): Promise<LyingDns> {
  const socket = createSocket('udp4');
  const asked: string[] = [];
  socket.on('message', (query, peer) => {
    const labels: string[] = [];
    let at = 12;
    for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
      labels.push(query.toString('latin1', at + 1, at + 1 + length));
      at += 1 + length;
    }
    const type = query.readUInt16BE(at + 1);
    const name = labels.join('.');
    asked.push(`${types[type]} ${name}`);
    const times = asked.filter((question) => question === `${types[type]} ${name}`).length;
    const isWanted = (address: string) => (ipaddr.parse(address).kind() === 'ipv4' ? 1 : 28) === type;
    const records = answer(name, times)
      .filter(isWanted)
      .map((address) => {
        const bytes = ipaddr.parse(address).toByteArray();
        // A pointer to the name, type, class IN, a life of 0 s, length, address.
        return Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 0, 0, bytes.length, ...bytes]);
      });
    const header = Buffer.from([query[0] ?? 0, query[1] ?? 0, 0x81, 0x80, 0, 1, 0, records.length, 0, 0, 0, 0]);
    socket.send(Buffer.concat([header, query.subarray(12, at + 5), ...records]), peer.port, peer.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return { server: `127.0.0.1:${(socket.address() as AddressInfo).port}`, asked, close: () => socket.close() };
}
