/** Turns what SFTP tells of files into lines of a listing, names in place of numbers. */
import type { FileEntry } from '../../../shared/operations/filesystem/file-entry.ts';
import type { FileAttributes, RemoteFiles } from '../../ssh/remote-files.ts';
import type { OperationContext } from '../operation-context.ts';
import type { ListingContext } from './listing-context.ts';
import { isSymbolicLink, permissionLetters, typeLetter } from './mode-letters.ts';

/** A name that was found, before numbers became names. */
export interface Found {
  name: string;
  attributes: FileAttributes;
  linkTarget: string | null;
}

/** The lines of what was found, in the order given. Throws what looking up names and the time zone throws. */
export type Describe = (found: readonly Found[]) => Promise<FileEntry[]>;

/** For one listing, which may be described bit by bit: a large directory holds few owners and few modes. */
export function createDescriber(numericUid: boolean, listing: ListingContext): Describe {
  const users = new Map<number, string>();
  const groups = new Map<number, string>();
  const letters = new Map<number, string>();
  const lettersOf = (mode: number): string => {
    const known = letters.get(mode) ?? permissionLetters(mode);
    letters.set(mode, known);
    return known;
  };
  return async (found) => {
    const localTime = await listing.localTime();
    if (!numericUid) {
      await Promise.all([learn(users, found, 'uid', listing.users), learn(groups, found, 'gid', listing.groups)]);
    }
    return found.map(({ name, attributes, linkTarget }) => ({
      name,
      type: typeLetter(attributes.mode),
      linkTarget,
      user: users.get(attributes.uid) ?? String(attributes.uid),
      group: groups.get(attributes.gid) ?? String(attributes.gid),
      permissions: lettersOf(attributes.mode),
      lastModified: localTime(attributes.mtime),
      size: String(attributes.sizeBytes),
    }));
  };
}

/** Asks for the names of the numbers that are new. */
async function learn(
  known: Map<number, string>,
  found: readonly Found[],
  which: 'uid' | 'gid',
  ask: (ids: number[]) => Promise<string[]>,
): Promise<void> {
  const ids = new Set<number>();
  for (const { attributes } of found) if (!known.has(attributes[which])) ids.add(attributes[which]);
  if (ids.size === 0) return;
  const asked = [...ids];
  const names = await ask(asked);
  for (const [at, id] of asked.entries()) known.set(id, names[at] ?? String(id));
}

/** One file as `ls -d` shows it: a link as itself, under the path given. Throws what RemoteFiles throws. */
export async function describeFile(
  path: string,
  { files, listing, signal }: Pick<OperationContext, 'files' | 'listing' | 'signal'>,
): Promise<FileEntry> {
  const attributes = await files.lstat(path, { signal });
  const linkTarget = await linkTargetOf(files, path, attributes, signal);
  return await describeFound({ name: path, attributes, linkTarget }, listing);
}

/** The same of what is known of the file already. */
export async function describeFound(found: Found, listing: ListingContext): Promise<FileEntry> {
  const [entry] = await createDescriber(false, listing)([found]);
  return entry as FileEntry;
}

/**
 * As `describeFile`, after a change that is asked for in the same turn: both are answered in one round trip, and so is where a link
 * leads that is made (`makesLink`).
 */
export async function describeChanged(
  path: string,
  change: (files: RemoteFiles) => Promise<void>,
  { files, listing, signal }: Pick<OperationContext, 'files' | 'listing' | 'signal'>,
  { makesLink = false }: { makesLink?: boolean } = {},
): Promise<FileEntry> {
  const found = await files.inOrder(
    async (ordered) => {
      const [changed, looked, read] = await Promise.allSettled([
        change(ordered),
        ordered.lstat(path, { signal }),
        makesLink ? ordered.readlink(path, { signal }) : null,
      ]);
      // What went wrong first is what is told.
      if (changed.status === 'rejected') throw changed.reason;
      if (looked.status === 'rejected') throw looked.reason;
      const attributes = looked.value;
      const known = read.status === 'fulfilled' && isSymbolicLink(attributes.mode) ? read.value : null;
      const linkTarget = known?.toString() ?? (await linkTargetOf(ordered, path, attributes, signal));
      return { name: path, attributes, linkTarget };
    },
    { signal },
  );
  return await describeFound(found, listing);
}

/** What a link says it points to; null for anything that is no link. */
export async function linkTargetOf(
  files: RemoteFiles,
  path: string,
  attributes: FileAttributes,
  signal: AbortSignal,
): Promise<string | null> {
  return isSymbolicLink(attributes.mode) ? (await files.readlink(path, { signal })).toString() : null;
}
