/** File operations over warm SFTP channels: no process per request, bytes for names, a deadline on everything. */

import { BrokerError } from '../../shared/errors/broker-error.ts';
import { readPart, readWhole, withOpenFile, writePart, writeWhole } from './file-content.ts';
import { explained, shown, text } from './file-errors.ts';
import type { ComingFile } from './file-loop.ts';
import { type NewFile, withNewFile } from './new-file.ts';
import type { FreshLimits, OpenFile } from './open-file.ts';
import { readDirectory, type TakeEntries } from './read-directory.ts';
import { type ChangeKind, reasonOfFailure } from './refused-change.ts';
import type { RequestLimits, SftpChannel } from './sftp-channel.ts';
import * as sftp from './sftp-requests.ts';
import { status } from './sftp-wire.ts';
import { type CallLimits, hasStatus, type SftpAct, type WarmChannels } from './warm-channels.ts';
import type { WarmFileLoop } from './warm-file-loop.ts';
import { listByLoop, withWholeFile } from './whole-file.ts';

/** A path on the cluster. File names are bytes there; a string stands for its UTF-8 bytes. */
export type RemotePath = string | Buffer;

/** What SFTP version 3 tells of a file. It knows no inode, device, link count or ctime: see RemoteStats for those. */
export interface FileAttributes {
  /** st_mode, type bits included. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly sizeBytes: number;
  /** Seconds since the epoch. */
  readonly atime: number;
  readonly mtime: number;
}

/** One name in a directory. */
export interface DirectoryEntry {
  /** Decoded as UTF-8; invalid bytes are U+FFFD. */
  readonly name: string;
  /** The name's bytes; join these, not `name`, to act on the file. */
  readonly nameBytes: Buffer;
  /** Of the entry itself, not of what a symbolic link points at. */
  readonly attributes: FileAttributes;
}

export interface FileCallOptions {
  /** Deadline. Default: the system's fileTimeoutMs. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * Files as one user of one system. Concurrent use is expected. Every call throws FileNotFound, PermissionDenied or
 * RemoteCommandFailed with a message in the coreutils manner, CommandTimeout at its deadline, SshNoChannel,
 * SshUnavailable, SshCredentialsRefused or HostKeyMismatch.
 */
export interface RemoteFiles {
  /** Of the link itself. */
  lstat(path: RemotePath, options?: FileCallOptions): Promise<FileAttributes>;
  /** Of what the link points at. */
  stat(path: RemotePath, options?: FileCallOptions): Promise<FileAttributes>;
  /** Entries without `.` and `..`, in the server's order; OutputTooLarge past `entriesMax` (default 100,000). */
  readdir(path: RemotePath, options?: FileCallOptions & { readonly entriesMax?: number }): Promise<DirectoryEntry[]>;
  /** The same, handed over as they come; nothing is repeated when the channel breaks. */
  eachEntry(
    path: RemotePath,
    take: TakeEntries,
    options?: FileCallOptions & { readonly entriesMax?: number },
  ): Promise<void>;
  readlink(path: RemotePath, options?: FileCallOptions): Promise<Buffer>;
  realpath(path: RemotePath, options?: FileCallOptions): Promise<Buffer>;
  /** A whole regular file; OutputTooLarge past bytesMax; InvalidRequest when it is not a regular file. */
  readFile(path: RemotePath, options: FileCallOptions & { readonly bytesMax: number }): Promise<Buffer>;
  /** Up to `lengthBytes` from `offsetBytes`; shorter at the end of the file. Regular files only. */
  readRange(path: RemotePath, offsetBytes: number, lengthBytes: number, options?: FileCallOptions): Promise<Buffer>;
  /**
   * Runs `act` with a regular file, open for reading; the deadline is that of each request. `isOnce`: the work is not
   * done again when its channel broke under it. `said` begins the message of an error.
   */
  withOpenFile<T>(
    path: RemotePath,
    act: (file: OpenFile) => Promise<T>,
    options?: FileCallOptions & { readonly isOnce?: boolean; readonly said?: string },
  ): Promise<T>;
  /**
   * Runs `act` with all bytes of a regular file of 1 to `bytesMax` bytes, links followed, as they come; the deadline is that of each
   * wait for more. Null, and `act` was not run, where it does not come this way: see withOpenFile, which also words the errors.
   */
  withWholeFile<T>(
    path: RemotePath,
    bytesMax: number,
    act: (file: ComingFile) => Promise<T>,
    options?: FileCallOptions,
  ): Promise<T | null>;
  /**
   * Creates a file that is not there yet and runs `act`, which fills it; the deadline is that of each request. What `act`
   * leaves behind when it fails is the caller's to remove.
   */
  withNewFile<T>(
    path: RemotePath,
    act: (file: NewFile) => Promise<T>,
    options?: FileCallOptions & { readonly mode?: number; readonly said?: string },
  ): Promise<T>;
  /** Creates or truncates (`exclusive`: FileExists when it is there). */
  writeFile(
    path: RemotePath,
    data: Buffer,
    options?: FileCallOptions & { readonly mode?: number; readonly exclusive?: boolean },
  ): Promise<void>;
  /** Writes at an offset of a file, creating it where needed and never truncating it. */
  writeRange(path: RemotePath, offsetBytes: number, data: Buffer, options?: FileCallOptions): Promise<void>;
  mkdir(path: RemotePath, options?: FileCallOptions & { readonly mode?: number }): Promise<void>;
  rmdir(path: RemotePath, options?: FileCallOptions): Promise<void>;
  unlink(path: RemotePath, options?: FileCallOptions): Promise<void>;
  /** Replaces an existing target where the server can (posix-rename@openssh.com), else fails on one. */
  rename(from: RemotePath, to: RemotePath, options?: FileCallOptions): Promise<void>;
  /** `mode`: permission bits. */
  chmod(path: RemotePath, mode: number, options?: FileCallOptions): Promise<void>;
  /** Makes `link` point at `target`. */
  symlink(target: RemotePath, link: RemotePath, options?: FileCallOptions): Promise<void>;
  /**
   * Runs `act` with files whose requests all go over one channel: what is asked in one turn is done in that order, and
   * answered in one round trip. The deadline is that of each call. Nothing is repeated when the channel breaks.
   */
  inOrder<T>(act: (files: RemoteFiles) => Promise<T>, options?: Pick<FileCallOptions, 'signal'>): Promise<T>;
}

export interface FileDefaults {
  readonly timeoutMs: number;
}

const entriesMaxDefault = 100_000;

/** `loops`: left out, whole files and directories come over SFTP like all else. */
export function createRemoteFiles(
  channels: Pick<WarmChannels, 'use'>,
  defaults: FileDefaults,
  loops?: WarmFileLoop,
): RemoteFiles {
  function callLimits({ timeoutMs = defaults.timeoutMs, signal }: FileCallOptions = {}): CallLimits {
    return { timeoutMs, signal };
  }

  /** For work of many requests, which as a whole may take any time. */
  function freshLimits({ timeoutMs = defaults.timeoutMs, signal }: FileCallOptions = {}): FreshLimits {
    return () => ({ deadlineAt: performance.now() + timeoutMs, signal });
  }

  /** A call that changes nothing: repeated when its channel broke; `said` begins the message of an error. */
  function look<T>(said: string, options: FileCallOptions | undefined, act: SftpAct<T>): Promise<T> {
    return channels.use(callLimits(options), true, (channel, limits) => explained(said, act(channel, limits)));
  }

  function once<T>(said: string, options: FileCallOptions | undefined, act: SftpAct<T>): Promise<T> {
    return channels.use(callLimits(options), false, (channel, limits) => explained(said, act(channel, limits)));
  }

  /** A change at `path`: where it fails without a reason, the file system is asked for one. */
  function change<T>(
    said: string,
    { kind, path }: { kind: ChangeKind; path: RemotePath },
    options: FileCallOptions | undefined,
    act: SftpAct<T>,
  ): Promise<T> {
    return channels.use(callLimits(options), false, (channel, limits) =>
      explained(said, act(channel, limits), () => reasonOfFailure(channel, path, kind, freshLimits(options)())),
    );
  }

  return {
    lstat: (path, options) =>
      look(`stat: cannot statx ${shown(path)}`, options, (channel, limits) => sftp.lstat(channel, path, limits)),
    stat: (path, options) =>
      look(`stat: cannot statx ${shown(path)}`, options, (channel, limits) => sftp.stat(channel, path, limits)),
    readdir: (path, options) =>
      look(`ls: cannot access ${shown(path)}`, options, (channel, limits) =>
        collect((take) => readDirectory(channel, path, options?.entriesMax ?? entriesMaxDefault, limits, take)),
      ),
    async eachEntry(path, take, options = {}) {
      const { timeoutMs = defaults.timeoutMs, signal, entriesMax = entriesMaxDefault } = options;
      const bytes = Buffer.from(path);
      if (loops !== undefined && (await listByLoop(loops, bytes, entriesMax, { timeoutMs, signal }, take))) return;
      await once(`ls: cannot access ${shown(path)}`, options, (channel, limits) =>
        readDirectory(channel, path, entriesMax, limits, take),
      );
    },
    readlink: (path, options) =>
      look(`readlink: ${text(path)}`, options, (channel, limits) => sftp.readlink(channel, path, limits)),
    realpath: (path, options) =>
      look(`realpath: ${text(path)}`, options, (channel, limits) => sftp.realpath(channel, path, limits)),
    readFile: (path, options) =>
      look(`cat: ${text(path)}`, options, (channel, limits) => readWhole(channel, path, options.bytesMax, limits)),
    readRange: (path, offsetBytes, lengthBytes, options) =>
      look(`cat: ${text(path)}`, options, (channel, limits) =>
        readPart(channel, path, offsetBytes, lengthBytes, limits),
      ),
    withOpenFile: (path, act, options) => {
      const said = options?.said ?? `cat: ${text(path)}`;
      const run = options?.isOnce ? once : look;
      return run(said, options, (channel) => withOpenFile(channel, path, said, freshLimits(options), act));
    },
    withWholeFile: async (path, bytesMax, act, { timeoutMs = defaults.timeoutMs, signal } = {}) =>
      loops === undefined ? null : withWholeFile(loops, Buffer.from(path), bytesMax, { timeoutMs, signal }, act),
    withNewFile: (path, act, options) =>
      change(options?.said ?? `cannot create regular file ${shown(path)}`, makes(path), options, (channel) =>
        withNewFile(channel, path, options?.mode, freshLimits(options), act),
      ),
    writeFile: (path, data, options) =>
      change(`cannot create regular file ${shown(path)}`, makes(path), options, (channel, limits) =>
        writeWhole(channel, path, data, options ?? {}, limits),
      ),
    writeRange: (path, offsetBytes, data, options) =>
      change(`cannot write to ${shown(path)}`, makes(path), options, (channel, limits) =>
        writePart(channel, path, offsetBytes, data, limits),
      ),
    mkdir: (path, options) => {
      const said = `mkdir: cannot create directory ${shown(path)}`;
      return change(said, makes(path), options, (channel, limits) =>
        unlessThere(said, channel, path, limits, sftp.mkdir(channel, path, options?.mode, limits)),
      );
    },
    rmdir: (path, options) =>
      change(`rmdir: failed to remove ${shown(path)}`, alters(path), options, (channel, limits) =>
        sftp.rmdir(channel, path, limits),
      ),
    unlink: (path, options) =>
      change(`rm: cannot remove ${shown(path)}`, alters(path), options, (channel, limits) =>
        sftp.remove(channel, path, limits),
      ),
    rename: (from, to, options) =>
      change(`mv: cannot move ${shown(from)} to ${shown(to)}`, alters(to), options, (channel, limits) =>
        sftp.rename(channel, from, to, limits),
      ),
    chmod: (path, mode, options) =>
      change(`chmod: cannot access ${shown(path)}`, alters(path), options, (channel, limits) =>
        sftp.chmod(channel, path, mode, limits),
      ),
    symlink: (target, link, options) => {
      const said = `ln: failed to create symbolic link ${shown(link)}`;
      return change(said, makes(link), options, (channel, limits) =>
        unlessThere(said, channel, link, limits, sftp.symlink(channel, target, link, limits)),
      );
    },
    inOrder: (act, options) =>
      channels.use(callLimits(options), false, (channel) => act(createRemoteFiles(only(channel), defaults))),
  };
}

const makes = (path: RemotePath) => ({ kind: 'makes', path }) as const;
const alters = (path: RemotePath) => ({ kind: 'alters', path }) as const;

async function collect(list: (take: TakeEntries) => Promise<void>): Promise<DirectoryEntry[]> {
  const all: DirectoryEntry[] = [];
  await list((entries) => all.push(...entries));
  return all;
}

/** One channel in place of several; who holds it makes its errors those of a caller. */
function only(channel: SftpChannel): Pick<WarmChannels, 'use'> {
  return {
    use: ({ timeoutMs, signal }, _isRepeatable, act) =>
      act(channel, { deadlineAt: performance.now() + timeoutMs, signal }),
  };
}

/** SFTP version 3 has one status for most errors, so an existing target has to be looked for. */
async function unlessThere(
  said: string,
  channel: SftpChannel,
  path: RemotePath,
  limits: RequestLimits,
  work: Promise<void>,
): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!hasStatus(error, status.failure)) throw error;
    const isThere = await sftp.lstat(channel, path, limits).then(
      () => true,
      () => false,
    );
    throw isThere ? new BrokerError('FileExists', `${said}: File exists`, { cause: error }) : error;
  }
}
