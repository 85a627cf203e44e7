import { describe, expect, it } from 'vitest';
import { withNewFile } from '../../workers/ssh/new-file.ts';
import { withReadHandle } from '../../workers/ssh/open-file.ts';
import { startSftp } from '../../workers/ssh/sftp-channel.ts';
import { createFakeSftpServer, type FakeLimits } from './fake-sftp-server.ts';

const kib = 1024;
const data = Buffer.from(Array.from({ length: 3_000_001 }, (_, at) => (at * 31 + (at >> 9)) % 256));
const fresh = () => ({ deadlineAt: performance.now() + 10_000 });
const attributes = { sizeBytes: data.length, mode: 0o100644, mtime: 0 };

const servers: [string, FakeLimits, number][] = [
  [
    'takes 32 KiB and says so',
    { read: 32 * kib, write: 32 * kib, told: { read: 32 * kib, write: 32 * kib } },
    32 * kib,
  ],
  ['reads more than it writes', { read: 255 * kib, write: 20_000, told: { read: 255 * kib, write: 20_000 } }, 20_000],
  [
    'takes more than we send',
    { read: 255 * kib, write: 255 * kib, told: { read: 255 * kib, write: 255 * kib } },
    128 * kib,
  ],
  ['does not say what it takes', { read: 32 * kib, write: 32 * kib, told: { read: 0, write: 0 } }, 32 * kib],
  ['cannot say what it takes', { read: 32 * kib, write: 32 * kib, told: null }, 32 * kib],
];

describe.each(servers)('a fake SFTP server that %s', (_what, limits, expected) => {
  it('is asked for no more, and sent no more, in one request', async () => {
    const server = createFakeSftpServer(limits);
    const channel = await startSftp(server.channel, fresh(), () => undefined);
    await withNewFile(channel, '/file', undefined, fresh, async (file) => {
      for (let at = 0; at < data.length; at += 700_000) await file.append(data.subarray(at, at + 700_000));
      await file.finish();
    });
    expect(server.content().equals(data)).toBe(true);
    const read = await withReadHandle(channel, '/file', attributes, fresh, (file) => file.read(0, data.length));
    expect(read.equals(data)).toBe(true);
    expect(Math.max(...server.asked.reads)).toBe(expected);
    // With its head, of 25 bytes and the handle, a write fills packets of SSH; but for the last one they are all of a size.
    expect(new Set(server.asked.writes.slice(0, -1))).toEqual(new Set([expected - 26]));
    channel.close();
  });
});

it('two files that are written at once, in requests whose buffers are used again, each hold their own bytes', async () => {
  const told = { read: 255 * kib, write: 255 * kib };
  const writeOne = async (content: Buffer): Promise<Buffer> => {
    const server = createFakeSftpServer({ ...told, told });
    const channel = await startSftp(server.channel, fresh(), () => undefined);
    await withNewFile(channel, '/file', undefined, fresh, async (file) => {
      for (let at = 0; at < content.length; at += 65_400) await file.append(content.subarray(at, at + 65_400));
      await file.finish();
    });
    channel.close();
    return server.content();
  };
  const other = Buffer.from(data.map((byte) => byte ^ 0x55));
  const [first, second] = await Promise.all([writeOne(data), writeOne(other)]);
  expect(first.equals(data)).toBe(true);
  expect(second.equals(other)).toBe(true);
});

it('what waits to go to a fake SFTP server that takes little in one request has little room', async () => {
  const requestBytes = 4 * kib;
  const limits = { read: requestBytes, write: requestBytes, told: { read: requestBytes, write: requestBytes } };
  const server = createFakeSftpServer(limits);
  const channel = await startSftp(server.channel, fresh(), () => undefined);
  await withNewFile(channel, '/file', undefined, fresh, async (file) => {
    const before = process.memoryUsage().arrayBuffers;
    // All of it is under way when this returns: nothing of it is taken before the event loop goes on.
    file.append(data.subarray(0, 1_000 * kib));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2_000 * kib);
    await file.finish();
  });
  expect(server.content().equals(data.subarray(0, 1_000 * kib))).toBe(true);
  channel.close();
});

it('a fake SFTP server that answers with less than it was asked for is asked for the rest', async () => {
  const server = createFakeSftpServer({ read: 10_000, write: 1, told: { read: 32 * kib, write: 32 * kib } }, data);
  const channel = await startSftp(server.channel, fresh(), () => undefined);
  const chunks: Buffer[] = [];
  const read = await withReadHandle(channel, '/file', attributes, fresh, (file) =>
    file.stream(5, 2_500_000, (chunk) => void chunks.push(chunk)),
  );
  expect(read).toBe(2_500_000);
  expect(Buffer.concat(chunks).equals(data.subarray(5, 2_500_005))).toBe(true);
  channel.close();
});
