/** What goes into an archive, as bytes: which directory tar and find start in, and the name they are given there. */
import { posix } from 'node:path';
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { OperationContext } from '../operation-context.ts';
import { isDirectory, isSymbolicLink } from './mode-letters.ts';

export interface ArchiveSource {
  /** Where tar starts. */
  directory: Buffer;
  /** What it packs there; names in the archive begin with it. */
  name: Buffer;
  /** Where that lies when every link on the way is followed. */
  real: Buffer;
}

type Context = Pick<OperationContext, 'files' | 'signal'>;

/**
 * The file or directory by its base name, whether or not a slash follows. A link with a slash behind it is what it points
 * to, under the name it has there. Throws what RemoteFiles throws.
 */
export async function findSource(
  path: string,
  dereference: boolean,
  { files, signal }: Context,
): Promise<ArchiveSource> {
  const bare = path.replace(/(?<=.)\/+$/, '');
  // In one round trip: which of the two places counts, and whether it must be there, depends on what the name is.
  const places = [files.realpath(bare, { signal }), realPathOfName(bare, { files, signal })] as const;
  for (const place of places) place.catch(() => undefined); // told below, where it counts
  const isLink = isSymbolicLink((await files.lstat(bare, { signal })).mode);
  const isNamedAsTarget = isLink && bare !== path;
  const isKept = isLink && !isNamedAsTarget && !dereference;
  const real = await places[isKept ? 1 : 0];
  const named = isNamedAsTarget ? real : Buffer.from(bare);
  const slash = named.lastIndexOf('/');
  const name = named.subarray(slash + 1);
  return {
    directory: slash === 0 ? Buffer.from('/') : named.subarray(0, slash),
    name: name.length === 0 ? Buffer.from('.') : name,
    real,
  };
}

/** Everything below a directory, named from there. Throws InvalidRequest where it is none. */
export async function findTree(path: string, { files, signal }: Context): Promise<ArchiveSource> {
  const [{ mode }, real] = await Promise.all([files.stat(path, { signal }), files.realpath(path, { signal })]);
  if (!isDirectory(mode)) throw new BrokerError('InvalidRequest', `find: '${path}' is not a directory`);
  return { directory: Buffer.from(path), name: Buffer.from('.'), real };
}

/** Where a name lies when links on the way are followed, but not the name itself, which need not be there. */
export async function realPathOfName(path: string, { files, signal }: Context): Promise<Buffer> {
  const directory = await files.realpath(posix.dirname(path), { signal });
  const slash = directory.at(-1) === 0x2f ? '' : '/';
  return Buffer.concat([directory, Buffer.from(`${slash}${posix.basename(path)}`)]);
}

/** The name that the file at `real` would have in an archive, or null where it does not lie in the source. */
export function nameInside(source: Pick<ArchiveSource, 'name' | 'real'>, real: Buffer): Buffer | null {
  // One character a byte: names need not be UTF-8.
  const relative = posix.relative(source.real.toString('latin1'), real.toString('latin1'));
  if (relative === '' || relative === '..' || relative.startsWith('../')) return null;
  return Buffer.concat([source.name, Buffer.from(`/${relative}`, 'latin1')]);
}
