/**
 * Where a path lies on the cluster when the links on its way are followed, as far as its user can see; also for a path
 * of which nothing is there yet. See path_resolution(7), which this follows.
 */
import { posix } from 'node:path';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { ErrorCode } from '../../shared/errors/catalogue.ts';
import type { RemoteFiles, RemotePath } from './remote-files.ts';

export interface LocationOptions {
  /** The last name is not followed where it is a link; a slash behind it follows it all the same. */
  readonly keepsLink?: boolean;
  readonly signal?: AbortSignal;
}

/** As much as Linux follows. */
const linksMax = 40;

/** Nobody gets past such a place, the user's own operation neither. */
const endsHere: ReadonlySet<ErrorCode> = new Set(['FileNotFound', 'PermissionDenied', 'RemoteCommandFailed']);

/**
 * Absolute, without links as far as it exists and may be looked at; what follows is taken as it is written. One request
 * for what is there, or would be new in a directory that is; else two at most for each directory on the way. Throws
 * CommandTimeout, SshNoChannel, SshUnavailable …, never that something is missing or closed.
 */
export async function realLocation(
  files: Pick<RemoteFiles, 'realpath' | 'lstat' | 'readlink'>,
  path: RemotePath,
  options: LocationOptions = {},
): Promise<Buffer> {
  const { signal } = options;
  const { directory, name } = splitPath(path, options.keepsLink === true);
  // OpenSSH resolves also a path whose last name is missing, to where it would be.
  const real = await unlessEnded(files.realpath(directory, limits(signal)));
  return joinPath(real ?? (await walk(files, directory, signal)), name);
}

/** What is followed, and the last name, which is not; that is empty where everything is followed. */
export function splitPath(path: RemotePath, keepsLink: boolean): { directory: Buffer; name: Buffer } {
  const bytes = typeof path === 'string' ? Buffer.from(path) : path;
  const slash = bytes.lastIndexOf('/');
  if (!keepsLink || slash < 0 || slash === bytes.length - 1) return { directory: bytes, name: Buffer.alloc(0) };
  return { directory: bytes.subarray(0, Math.max(1, slash)), name: bytes.subarray(slash + 1) };
}

export function joinPath(directory: Buffer, name: Buffer): Buffer {
  if (name.length === 0) return directory;
  const slash = directory.at(-1) === 0x2f ? '' : '/';
  return Buffer.concat([directory, Buffer.from(slash), name]);
}

/** Name by name, from the root. One character stands for a byte: names need not be text. */
async function walk(
  files: Pick<RemoteFiles, 'lstat' | 'readlink'>,
  path: Buffer,
  signal: AbortSignal | undefined,
): Promise<Buffer> {
  let done = '/';
  let left = namesIn(path.toString('latin1'));
  for (let links = 0; left.length > 0; ) {
    const [name = '', ...others] = left;
    const at = posix.join(done, name);
    left = others;
    const target = name === '..' ? '' : await linkTarget(files, at, signal);
    if (target === null || (target !== '' && ++links > linksMax)) {
      done = posix.join(at, ...left);
      break;
    }
    if (target === '') done = at;
    else {
      if (target.startsWith('/')) done = '/';
      left = [...namesIn(target), ...left];
    }
  }
  return Buffer.from(done, 'latin1');
}

/** What a link says; empty for anything else, null for what is missing or closed. */
async function linkTarget(
  files: Pick<RemoteFiles, 'lstat' | 'readlink'>,
  at: string,
  signal: AbortSignal | undefined,
): Promise<string | null> {
  const path = Buffer.from(at, 'latin1');
  const found = await unlessEnded(files.lstat(path, limits(signal)));
  if (found === null) return null;
  if ((found.mode & 0o170000) !== 0o120000) return '';
  return (await unlessEnded(files.readlink(path, limits(signal))))?.toString('latin1') ?? null;
}

function namesIn(path: string): string[] {
  return path.split('/').filter((name) => name !== '' && name !== '.');
}

function limits(signal: AbortSignal | undefined): { signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}

async function unlessEnded<T>(look: Promise<T>): Promise<T | null> {
  try {
    return await look;
  } catch (error) {
    if (error instanceof BrokerError && endsHere.has(error.code)) return null;
    throw error;
  }
}
