/** One function a request of SFTP version 3. They reject as `SftpChannel.request` does. */
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { sshString, uint32, uint64, type WireReader } from '../../shared/ssh/wire.ts';
import type { FileAttributes, RemotePath } from './remote-files.ts';
import type { RequestLimits, SftpChannel } from './sftp-channel.ts';
import { encodeMode, packet, readAttributes, type WireAttributes } from './sftp-wire.ts';

export async function lstat(channel: SftpChannel, path: RemotePath, limits: RequestLimits): Promise<FileAttributes> {
  return attributes(readAttributes(await channel.request(packet.lstat, [pathField(path)], limits)));
}

export async function stat(channel: SftpChannel, path: RemotePath, limits: RequestLimits): Promise<FileAttributes> {
  return attributes(readAttributes(await channel.request(packet.stat, [pathField(path)], limits)));
}

export async function readlink(channel: SftpChannel, path: RemotePath, limits: RequestLimits): Promise<Buffer> {
  return onlyName(await channel.request(packet.readlink, [pathField(path)], limits));
}

export async function realpath(channel: SftpChannel, path: RemotePath, limits: RequestLimits): Promise<Buffer> {
  return onlyName(await channel.request(packet.realpath, [pathField(path)], limits));
}

/** By the protocol: draft-ietf-secsh-filexfer-02, section 6.2. */
const handleBytesMax = 256;

/** Answers a handle. */
export async function open(
  channel: SftpChannel,
  path: RemotePath,
  flags: number,
  mode: number | undefined,
  limits: RequestLimits,
): Promise<Buffer> {
  const answer = await channel.request(packet.open, [pathField(path), uint32(flags), encodeMode(mode)], limits);
  const handle = Buffer.from(answer.string());
  if (handle.length <= handleBytesMax) return handle;
  throw new BrokerError('RemoteCommandFailed', 'The SFTP server answered with a handle that is too long.');
}

/** Answers a handle. */
export async function opendir(channel: SftpChannel, path: RemotePath, limits: RequestLimits): Promise<Buffer> {
  return Buffer.from((await channel.request(packet.opendir, [pathField(path)], limits)).string());
}

/** The fields of a NAME answer, with status EOF after the last one. */
export function readdir(channel: SftpChannel, handle: Buffer, limits: RequestLimits): Promise<WireReader> {
  return channel.request(packet.readdir, [sshString(handle)], limits);
}

/** Up to `lengthBytes`; status EOF at the end. */
export async function read(
  channel: SftpChannel,
  handle: Buffer,
  offsetBytes: number,
  lengthBytes: number,
  limits: RequestLimits,
): Promise<Buffer> {
  const fields = [sshString(handle), uint64(offsetBytes), uint32(lengthBytes)];
  return (await channel.request(packet.read, fields, limits)).string();
}

/** `pieces`: the bytes, one behind another; they are copied before this returns. */
export async function write(
  channel: SftpChannel,
  handle: Buffer,
  offsetBytes: number,
  pieces: readonly Buffer[],
  limits: RequestLimits,
): Promise<void> {
  const lengthBytes = pieces.reduce((sum, { length }) => sum + length, 0);
  const fields = [sshString(handle), uint64(offsetBytes), uint32(lengthBytes), ...pieces];
  await channel.request(packet.write, fields, limits);
}

export async function close(channel: SftpChannel, handle: Buffer, limits: RequestLimits): Promise<void> {
  await channel.request(packet.close, [sshString(handle)], limits);
}

export async function mkdir(
  channel: SftpChannel,
  path: RemotePath,
  mode: number | undefined,
  limits: RequestLimits,
): Promise<void> {
  await channel.request(packet.mkdir, [pathField(path), encodeMode(mode)], limits);
}

export async function rmdir(channel: SftpChannel, path: RemotePath, limits: RequestLimits): Promise<void> {
  await channel.request(packet.rmdir, [pathField(path)], limits);
}

export async function remove(channel: SftpChannel, path: RemotePath, limits: RequestLimits): Promise<void> {
  await channel.request(packet.remove, [pathField(path)], limits);
}

/** OpenSSH's extension replaces an existing target, as rename(2) does; version 3's own request may not. */
export async function rename(
  channel: SftpChannel,
  from: RemotePath,
  to: RemotePath,
  limits: RequestLimits,
): Promise<void> {
  const paths = [pathField(from), pathField(to)];
  if (channel.hasPosixRename) {
    await channel.request(packet.extended, [sshString('posix-rename@openssh.com'), ...paths], limits);
  } else await channel.request(packet.rename, paths, limits);
}

export async function chmod(
  channel: SftpChannel,
  path: RemotePath,
  mode: number,
  limits: RequestLimits,
): Promise<void> {
  await channel.request(packet.setstat, [pathField(path), encodeMode(mode & 0o7777)], limits);
}

/** OpenSSH takes target and link in the order opposite to the draft, and everybody follows it. */
export async function symlink(
  channel: SftpChannel,
  target: RemotePath,
  link: RemotePath,
  limits: RequestLimits,
): Promise<void> {
  await channel.request(packet.symlink, [pathField(target), pathField(link)], limits);
}

/** What OpenSSH's statvfs@openssh.com tells of the file system that holds a path, as far as it is looked at. */
export interface FileSystemState {
  readonly isReadOnly: boolean;
  /** There is not a block, or not an inode, left for the user. */
  readonly isFull: boolean;
}

const readOnlyFlag = 1n;

/** Rejects with status `unsupported` where the server does not know the request. */
export async function statFileSystem(
  channel: SftpChannel,
  path: RemotePath,
  limits: RequestLimits,
): Promise<FileSystemState> {
  const fields = [sshString('statvfs@openssh.com'), pathField(path)];
  const answer = await channel.request(packet.extended, fields, limits);
  const next = () => answer.uint64();
  const [, , , , blocksLeft, inodes, , inodesLeft, , flags] = Array.from({ length: 10 }, next);
  return {
    isReadOnly: ((flags ?? 0n) & readOnlyFlag) !== 0n,
    // A file system without a count of inodes has none to run out of.
    isFull: blocksLeft === 0n || (inodes !== 0n && inodesLeft === 0n),
  };
}

function pathField(path: RemotePath): Buffer {
  if (path.length === 0 || path.includes('\0')) throw new BrokerError('InvalidRequest', 'The path is not valid.');
  return sshString(path);
}

function onlyName(fields: WireReader): Buffer {
  fields.uint32();
  return Buffer.from(fields.string());
}

/** OpenSSH sends all of them; a server that leaves one out cannot be used to answer for it. */
export function attributes(sent: WireAttributes): FileAttributes {
  if (!isWhole(sent)) throw new BrokerError('RemoteCommandFailed', 'The SFTP server left out attributes of a file.');
  return sent;
}

function isWhole(sent: WireAttributes): sent is FileAttributes {
  const { mode, uid, sizeBytes, atime } = sent; // owner and group come together, and so do the times
  return mode !== undefined && uid !== undefined && sizeBytes !== undefined && atime !== undefined;
}
